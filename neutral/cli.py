"""The command line: parse, call one library function, print. Only a command that needs JAX loads it."""

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from .errors import NeutralError

try:
    import typer
except ModuleNotFoundError as error:
    if error.name != "typer":
        raise
    print("neutral: the command line needs typer: pip install 'neutral[cli]'", file=sys.stderr)
    raise SystemExit(2) from None

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def main() -> None:
    """Run the command line; one of the package's own errors is one line and exit code 2."""
    try:
        app()
    except NeutralError as error:
        print(f"neutral: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _print_version(asked: bool) -> None:
    if asked:
        print(f"neutral {version('neutral')}")
        raise typer.Exit


@app.callback()
def _neutral(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Fast, differentiable pricing and calibration of option models."""


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for the picture, made if missing.", file_okay=False, writable=True)
    ] = Path("neutral-demo"),
) -> None:
    """Fit a Heston model to a real Bitcoin option snapshot, print the fit and plot the smiles."""
    _start_jax()
    from .demo import run

    print(run(out))


def _start_jax() -> None:
    """Double precision; compiled programs kept in JAX_COMPILATION_CACHE_DIR or the user's cache folder."""
    import jax

    from .precision import enable_x64

    enable_x64()
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(caches / "neutral" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


if __name__ == "__main__":
    main()
