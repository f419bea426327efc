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
from . import calibrate, configs, cube, demo, import_workbook, options, pipeline, price, report, surface

EXIT_CODES = (
    "Exit codes of every command: 0, all results are usable. 1, finished, but some results are not usable (a "
    "file that cannot be read, a fit that did not converge, a failed gate), and the output names them with "
    "the reasons. 2, the command is wrong, or no input can be read. 130, interrupted, and what was finished "
    "is kept."
)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for command, examples in (
    (demo.demo, demo.EXAMPLES),
    (calibrate.calibrate, calibrate.EXAMPLES),
    (price.price, price.EXAMPLES),
    (surface.surface, surface.EXAMPLES),
    (cube.cube, cube.EXAMPLES),
    (pipeline.pipeline, pipeline.EXAMPLES),
    (report.report, report.EXAMPLES),
    (import_workbook.import_, import_workbook.EXAMPLES),
    (configs.configs, configs.EXAMPLES),
):
    name = command.__name__.removesuffix("_")
    app.command(name, epilog=f"{examples}\n\n{EXIT_CODES}")(command)


def main() -> None:
    """Run the command line. An error of the package is printed in one line, and the exit code is 2."""
    try:
        with display():
            app()
    except NeutralError as error:
        options.show(f"neutral: {error}", error=True)
        raise SystemExit(options.WRONG_USE) from None


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
