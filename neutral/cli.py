"""The command line: parse, call one library function, print. Only a command that needs JAX loads it."""

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from .errors import ArgumentError, NeutralError
from .workflow.recipes import RECIPES

try:
    import typer
except ModuleNotFoundError as error:
    if error.name != "typer":
        raise
    print("neutral: the command line needs typer: pip install 'neutral[cli]'", file=sys.stderr)
    raise SystemExit(2) from None

MODELS = ", ".join(RECIPES)
Inputs = Annotated[list[Path], typer.Argument(help="Folder of files, or files, of market data.", exists=True)]
SurfaceMethod = Annotated[str, typer.Option(help="mixture, essvi, sanos or sequential.")]
Currencies = Annotated[
    list[str] | None, typer.Option(help="Only this underlying (BTC, ETH, SPX ...); once for each.")
]
Markets = Annotated[
    Path | None, typer.Option(help="TOML file; by default the one shipped for the kind of each file.")
]
Rates = Annotated[
    str | None,
    typer.Option(help="Interest rate, decimal, or a file of its history; American quotes need it."),
]
Spot = Annotated[float | None, typer.Option(help="Spot, for FX volatilities whose file has none.")]
Files = Annotated[int | None, typer.Option(min=1, help="Only so many files, the first ones.")]

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
    from .workflow.demo import demonstrate
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
    model: Annotated[list[str] | None, typer.Option(help=f"{MODELS}; once for each.")] = None,
    currency: Currencies = None,
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file; by default the one shipped for Deribit, or for other files."),
    ] = None,
    rates: Rates = None,
    spot: Spot = None,
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
    from .workflow import config_for, open_store, run
    from .workflow.calibrate.sinks import check_kinds, write_reports
    from .workflow.progress import shown

    kinds = report or []
    check_kinds(kinds)
    data = {"limit": limit, "first_index": first_index, "rates": _number(rates), "spot": spot}
    settings = config_for(inputs, config).replaced(models=model, data=data, run={"currencies": currency})
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
def surface(
    inputs: Inputs,
    out: Annotated[Path, typer.Option(help="Folder of the results, made if missing.", file_okay=False)],
    method: SurfaceMethod = "mixture",
    currency: Currencies = None,
    config: Markets = None,
    rates: Rates = None,
    spot: Spot = None,
    limit: Files = None,
    pictures: Annotated[int, typer.Option(min=0, help="Surfaces drawn on the page, the first ones.")] = 4,
) -> None:
    """Fit a surface free of arbitrage to each set of quotes: parameters, certificates and a page, in OUT.

    Any file of market data: Deribit snapshots, equity chains, published surfaces, FX volatilities. Exit codes
    are those of calibrate.
    """
    _start_jax()
    from .workflow.pages.surfaces import write_page
    from .workflow.surfaces.fit import fit_markets
    from .workflow.surfaces.tables import summary, write_surfaces

    markets = _markets(inputs, config, rates, spot, currency, limit)
    fitted = list(fit_markets(markets, method))
    write_surfaces(fitted, out)
    print(f"{summary(fitted)}\n{write_page(fitted, out, pictures)}")
    raise typer.Exit(_outcome(one.row for one in fitted))


@app.command()
def cube(
    inputs: Annotated[
        list[Path] | None, typer.Argument(help="Folder of files, or files, of market data.", exists=True)
    ] = None,
    out: Annotated[Path, typer.Option(help="The cube; its rows go beside it.", dir_okay=False)] = Path(
        "cube.npz"
    ),
    moneyness: Annotated[
        str, typer.Option(help="Strike / spot, as first:last:step or a,b,c.")
    ] = "0.9:1.09:0.01",
    days: Annotated[str, typer.Option(help="Days to maturity, likewise.")] = "30:600:30",
    method: SurfaceMethod = "mixture",
    currency: Currencies = None,
    config: Markets = None,
    rates: Rates = None,
    spot: Spot = None,
    limit: Files = None,
    test_from: Annotated[
        str | None, typer.Option(help="Date: the summary tells what lies before and after apart.")
    ] = None,
    synthetic: Annotated[
        int | None, typer.Option(min=1, help="So many days of a random history, in place of files.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random history.")] = 0,
) -> None:
    """Fit surfaces to files and read them on one grid of dates x channels x maturities x moneyness.

    Exit codes are those of calibrate.
    """
    _start_jax()
    from .workflow.surfaces.cube import build_cube, cube_grid, described, synthetic_cube, write_cube

    grid = cube_grid(moneyness, days)
    if (synthetic is None) == (not inputs):
        raise ArgumentError("give files, or --synthetic with a number of days; one of the two.")
    if synthetic:
        built = synthetic_cube(synthetic, seed, grid)
    else:
        built = build_cube(_markets(inputs or [], config, rates, spot, currency, limit), grid, method=method)
    for path in write_cube(built, out):
        print(path)
    print(described(built, test_from))
    raise typer.Exit(_outcome(built.rows.to_dict("records")))


@app.command()
def pipeline(
    config: Annotated[
        str, typer.Option(help="TOML file, or the name of a shipped one: heston_index, svcj_deribit.")
    ],
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of files, or files; else those of the configuration.", exists=True),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of the results; the records in it are the history.", file_okay=False)
    ] = Path("neutral-pipeline"),
    model: Annotated[str | None, typer.Option(help=f"{MODELS}.")] = None,
    application: Annotated[
        str | None, typer.Option(help="market_making, vanilla_hedging or exotics.")
    ] = None,
    currency: Currencies = None,
    rates: Rates = None,
    spot: Spot = None,
    limit: Files = None,
    pictures: Annotated[int, typer.Option(min=0, help="Markets drawn on the page, the last ones.")] = 4,
) -> None:
    """Take markets through five stages with gates: preprocess, configure, optimise, validate, store.

    Any file of market data; without files the generated example that is shipped. Writes a record of each
    market, a table of them, and a page, in OUT. Exit code 0: every market has been fitted and none fails a
    gate. 1: some do, or were refused. 2: wrong use.
    """
    from .workflow.pipeline.config import load_pipeline_config
    from .workflow.progress import counted

    data = {"assets": currency, "rates": _number(rates), "spot": spot, "limit": limit}
    settings = load_pipeline_config(config).replaced(model=model, application=application, data=data)
    _start_jax()
    from .workflow.pages.pipeline import write_page
    from .workflow.pipeline.run import pipeline_files, run_pipeline

    files = counted(pipeline_files(inputs or [], settings), "files")
    try:
        done = run_pipeline(files, out, settings, lambda run: print(run, file=sys.stderr), pictures)
    except KeyboardInterrupt:
        print("neutral: interrupted; the records of finished markets are stored.", file=sys.stderr)
        raise typer.Exit(130) from None
    print(write_page(done.runs, done.history, out / "report.html", pictures))
    raise typer.Exit(int(any(run.outcome == "fail" for run in done.runs)))


def _markets(
    inputs: list[Path],
    config: Path | None,
    rates: str | None,
    spot: float | None,
    currencies: list[str] | None,
    limit: int | None,
) -> Any:
    """The markets of the files, counted as they are read."""
    from .workflow import load_config
    from .workflow.inputs.archive import market_files
    from .workflow.inputs.markets import read_markets
    from .workflow.progress import counted

    files = market_files(inputs)[:limit]
    settings = load_config(config) if config else None
    data = {"rates": _number(rates), "spot": spot}
    return read_markets(counted(files, "files"), settings, currencies, data)


def _number(text: str | None) -> float | str | None:
    """A rate, or the path of a file of rates."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _outcome(rows: Any) -> int:
    """0: every surface that was tried converged."""
    return int(any(row["status"] not in ("refused", "fitted", "converged") for row in rows))


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
    from .workflow.pages.calibrate import write_report

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
