"""Defines the command line: each command parses its options, calls the library and prints its result.

Printing help does not import JAX.
"""

import sys
from importlib.metadata import version
from typing import Annotated

from ..errors import NeutralError

try:
    import typer
except ModuleNotFoundError as error:
    if error.name != "typer":
        raise
    print("neutral: the command line needs typer; run pip install 'neutral[cli]'.", file=sys.stderr)
    raise SystemExit(2) from None

from ..workflow.progress import display
from . import calibrate, cube, demo, pipeline, price, report, surface

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for command in (
    *(demo.demo, calibrate.calibrate, price.price, surface.surface, cube.cube, pipeline.pipeline),
    report.report,
):
    app.command()(command)


def main() -> None:
    """Run the command line. An error of the package is printed in one line, and the exit code is 2."""
    try:
        with display():
            app()
    except NeutralError as error:
        print(f"neutral: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _print_version(wanted: bool | None) -> None:
    if wanted:
        print(f"neutral {version('neutral')}")
        raise typer.Exit


@app.callback()
def _neutral(
    version: Annotated[
        bool | None,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = None,
) -> None:
    """Fast, differentiable pricing and calibration of option models."""
