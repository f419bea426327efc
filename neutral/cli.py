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
        Path, typer.Option(help="Folder of the results, made if missing.", file_okay=False)
    ] = Path("neutral-demo"),
) -> None:
    """Calibrate four models to twelve real Deribit snapshots and write a page of tables and pictures."""
    _start_jax()
    from .demo import demonstrate
    from .workflow.progress import shown

    with shown() as progress:
        done = demonstrate(out, progress)
    print(f"{done.summary}\n{done.page}")
    raise typer.Exit(0 if done.summary.complete else 1)


@app.command()
def calibrate(
    inputs: Annotated[
        list[Path], typer.Argument(help="Folder of snapshots, or snapshot files.", exists=True)
    ],
    out: Annotated[
        Path, typer.Option(help="Folder of the results; what it holds is gone on with.", file_okay=False)
    ],
    model: Annotated[
        list[str] | None, typer.Option(help="black, heston, svcj or svcj++; once for each.")
    ] = None,
    currency: Annotated[list[str] | None, typer.Option(help="BTC or ETH; once for each.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file; the configuration shipped for Deribit by default.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many snapshots, the first ones.")] = None,
    first_index: Annotated[
        int | None, typer.Option(min=0, help="Position of the first file in its archive; it seeds the split.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on with the results in OUT, or move them aside.")
    ] = True,
    report: Annotated[
        list[str] | None, typer.Option(help="Write the results as xlsx or sqlite too; once for each.")
    ] = None,
) -> None:
    """Calibrate models to every snapshot of an archive; results go to Parquet files in OUT.

    Exit code 0: done, and every fit that was tried converged. 1: done, but some did not. 2: wrong use or
    unreadable input. 130: interrupted; what was finished is stored, and the same command goes on.
    """
    from .workflow import load_config, open_store, run
    from .workflow.progress import shown
    from .workflow.sinks import check_kinds, write_reports

    kinds = report or []
    check_kinds(kinds)
    data = {"limit": limit, "first_index": first_index}
    settings = load_config(config).replaced(models=model, data=data, run={"currencies": currency})
    _start_jax()
    try:
        with shown() as progress:
            summary = run(inputs, out, settings, resume=resume, progress=progress)
        for path in write_reports(open_store(out), kinds):
            print(path)
    except KeyboardInterrupt:
        print("neutral: interrupted; what was finished is stored, the same command goes on.", file=sys.stderr)
        raise typer.Exit(130) from None
    print(summary)
    raise typer.Exit(0 if summary.complete else 1)


@app.command()
def report(
    folder: Annotated[
        Path, typer.Argument(help="Folder of results of `neutral calibrate`.", exists=True, file_okay=False)
    ],
    out: Annotated[Path | None, typer.Option(help="The page; report.html in the folder by default.")] = None,
) -> None:
    """Write an HTML page about results: tables, smiles, residuals and the paths of parameters."""
    _start_jax()
    from .workflow import open_store
    from .workflow.report import write_report

    print(write_report(open_store(folder), out))


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
