"""Defines the command `neutral pipeline`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ..workflow.messages import Once
from ..workflow.recipes import RECIPES
from . import interrupts, options

EXAMPLES = """Examples:

neutral pipeline --config heston_index

neutral pipeline CHAINS --config heston_index --out RESULTS --rates 0.02

neutral pipeline SNAPSHOTS --config svcj_deribit --currency BTC --limit 5"""


def pipeline(
    config: Annotated[
        str,
        typer.Option(
            metavar="FILE or NAME",
            help="A TOML file of settings, or the name of a shipped one: heston_index or svcj_deribit. "
            "`neutral configs` explains them.",
        ),
    ],
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files of market data, or folders, which are read with their subfolders. The default is the "
            "files that the settings name, or else the shipped example.",
            exists=True,
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            help="The folder of the results. Records in it from earlier runs are the history.",
            file_okay=False,
        ),
    ] = Path("neutral-pipeline"),
    model: Annotated[
        str | None,
        typer.Option(help=f"The model to fit. The models are {', '.join(RECIPES)}."),
    ] = None,
    application: Annotated[
        str | None,
        typer.Option(
            help="The use of the fits, which sets the limits: market_making, vanilla_hedging or exotics."
        ),
    ] = None,
    underlying: options.Underlyings = None,
    date: options.Date = None,
    rates: options.Rates = None,
    dividends: options.Dividends = None,
    dividend_model: options.DividendModel = None,
    spot: options.Spot = None,
    columns: options.Columns = None,
    symbol: options.Symbol = None,
    root: options.Root = None,
    exercise: options.Exercise = None,
    settlement: options.Settlement = None,
    fx: options.FxSettings = None,
    limit: options.FileLimit = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume",
            help="Leave out markets that have a record of the same data and settings, or fit all again.",
        ),
    ] = False,
    page: options.Page = True,
    pictures: Annotated[
        int, typer.Option(min=0, help="The number of markets to draw on the page; the last ones are drawn.")
    ] = 4,
) -> None:
    """Take markets through five stages with gates: preprocess, configure, optimise, validate and store.

    The files may be market data of any kind. The results are a record of each market, a table of all
    records, and a page. Errors of volatility in them are decimal, and maturities are in years. A market that
    is refused fails the first stage.
    """
    from ..workflow.extras import require
    from ..workflow.progress import counted, doing

    require(["tables", *(["page"] if page else [])])
    with doing("reading the settings", long=True):
        from ..workflow.pipeline.config import load_pipeline_config

        changes = options.reading_changes(locals())
        changes["data"] |= {"assets": underlying, "limit": limit}
        settings = load_pipeline_config(config).replaced(model=model, application=application, **changes)
    advice = "the records of finished markets are stored, and the same command with --resume fits the others."
    with interrupts.interruptible(advice):
        options.start_jax()
        with doing("loading the rest of the package"):
            from ..workflow.pipeline.run import pipeline_files, run_pipeline

        files = counted(pipeline_files(inputs or [], settings), "files")

        once = Once()

        def show(run: object) -> None:
            options.show(once(str(run)), error=True)

        earlier: list[Mapping[str, Any]] = []
        result = run_pipeline(files, out, settings, show, pictures, resume=resume, left_out=earlier.append)
        paths = [out / "records.parquet"]
        if page:
            with doing("drawing the page", long=True):
                from ..workflow.pages.pipeline import write_page

                paths.append(write_page(result.runs, result.history, out / "report.html", pictures))
    options.print_files(paths)
    if not earlier:
        options.check_readable([run.market for run in result.runs])
    outcomes = [*(run.outcome for run in result.runs), *(record.get("outcome") for record in earlier)]
    raise typer.Exit(options.PARTLY_USABLE if "fail" in outcomes else options.USABLE)
