"""Defines the command `neutral pipeline`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..workflow.recipes import RECIPES
from . import options


def pipeline(
    config: Annotated[
        str,
        typer.Option(
            help="A TOML file of settings, or the name of a shipped one: heston_index or svcj_deribit."
        ),
    ],
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files of market data, or folders of such files. The default is the files that the settings "
            "name, or else the shipped example.",
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
    pictures: Annotated[
        int, typer.Option(min=0, help="The number of markets to draw on the page; the last ones are drawn.")
    ] = 4,
) -> None:
    """Take markets through five stages with gates: preprocess, configure, optimise, validate and store.

    The files may hold market data of any kind. The results are a record of each market, a table of all
    records, and a page.

    The exit code is 0 if every market was fitted and fails no gate, 1 if some market fails a gate or was
    refused, 2 if the command is wrong, and 130 if the run was interrupted.
    """
    from ..workflow.progress import counted, doing

    with doing("reading the settings", long=True):
        from ..workflow.pipeline.config import load_pipeline_config

        changes = options.reading_changes(locals())
        changes["data"] |= {"assets": underlying, "limit": limit}
        settings = load_pipeline_config(config).replaced(model=model, application=application, **changes)
    options.start_jax()
    with doing("loading the rest of the package"):
        from ..workflow.pages.pipeline import write_page
        from ..workflow.pipeline.run import pipeline_files, run_pipeline

    files = counted(pipeline_files(inputs or [], settings), "files")
    try:
        result = run_pipeline(files, out, settings, lambda run: print(run, file=sys.stderr), pictures)
    except KeyboardInterrupt:
        print("neutral: interrupted; the records of finished markets are stored.", file=sys.stderr)
        raise typer.Exit(130) from None
    with doing("drawing the page", long=True):
        page = write_page(result.runs, result.history, out / "report.html", pictures)
    print(page)
    raise typer.Exit(1 if any(run.outcome == "fail" for run in result.runs) else 0)
