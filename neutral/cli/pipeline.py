"""`neutral pipeline`."""

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
            help="Files of market data, or folders of such files. The default is what the settings name, "
            "or else the shipped example.",
            exists=True,
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            help="The folder of the results. The records that it holds are the history.", file_okay=False
        ),
    ] = Path("neutral-pipeline"),
    model: Annotated[
        str | None,
        typer.Option(help=f"The model to fit. The models are {', '.join(RECIPES)}."),
    ] = None,
    application: Annotated[
        str | None,
        typer.Option(
            help="What the fits are for: market_making, vanilla_hedging or exotics. It sets the limits."
        ),
    ] = None,
    underlying: options.Underlyings = None,
    rates: options.Rates = None,
    spot: options.Spot = None,
    limit: options.FileLimit = None,
    pictures: Annotated[
        int, typer.Option(min=0, help="How many markets to draw on the page, the last ones.")
    ] = 4,
) -> None:
    """Take markets through five stages with gates: preprocess, configure, optimise, validate and store.

    The files may hold market data of any kind. The results are a record of each market, a table of all
    records, and a page.

    Exit code 0: every market was fitted and passes its gates. 1: some market fails a gate or was refused. 2:
    the command is wrong. 130: it was interrupted.
    """
    from ..workflow.pipeline.config import load_pipeline_config
    from ..workflow.progress import counted

    data = {
        "assets": underlying,
        "rates": options.number_or_path(rates),
        "spot": spot,
        "limit": limit,
    }
    settings = load_pipeline_config(config).replaced(model=model, application=application, data=data)
    options.start_jax()
    from ..workflow.pages.pipeline import write_page
    from ..workflow.pipeline.run import pipeline_files, run_pipeline

    files = counted(pipeline_files(inputs or [], settings), "files")
    try:
        result = run_pipeline(files, out, settings, lambda run: print(run, file=sys.stderr), pictures)
    except KeyboardInterrupt:
        print("neutral: interrupted; the records of finished markets are stored.", file=sys.stderr)
        raise typer.Exit(130) from None
    print(write_page(result.runs, result.history, out / "report.html", pictures))
    raise typer.Exit(1 if any(run.outcome == "fail" for run in result.runs) else 0)
