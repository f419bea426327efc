"""Defines the command `neutral calibrate`."""

from pathlib import Path
from typing import Annotated

import typer

from ..workflow.recipes import RECIPES
from . import interrupts, options

EXAMPLES = """Examples:

neutral calibrate SNAPSHOTS --out RESULTS

neutral calibrate SNAPSHOTS --out RESULTS --model heston --currency BTC --limit 10 --report xlsx

neutral calibrate CHAINS --out RESULTS --rates 0.02 --config markets"""


def calibrate(
    inputs: options.InputFiles,
    out: Annotated[
        Path,
        typer.Option(help="The folder of the results. An existing run in it is resumed.", file_okay=False),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Fit this model. Repeat the option for several models. The models are {', '.join(RECIPES)}."
        ),
    ] = None,
    underlying: options.Underlyings = None,
    config: options.FileConfig = None,
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
    limit: Annotated[
        int | None, typer.Option(min=1, help="The number of snapshots to calibrate, from the first one.")
    ] = None,
    first_index: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="The position in the archive of the first snapshot, if the inputs leave earlier ones out. "
            "Positions seed the splits into train and test.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume",
            help="Continue the run in the folder of the results, or move the folder aside and start afresh.",
        ),
    ] = True,
    report: options.Reports = None,
    page: options.Page = True,
) -> None:
    """Calibrate models to every snapshot of an archive, and write tables, and a page about them.

    The tables are fits.parquet, with a row for each snapshot, underlying and model, and quotes.parquet.
    Errors in them are in the unit of the prices, volatilities are decimal, and maturities are in years. A
    snapshot that is refused, for example because it has too few quotes, is a row with the reason.
    """
    from ..workflow.extras import require

    kinds = report or []
    require(["tables", *kinds, *(["page"] if page else [])])
    from ..workflow.progress import doing, shown

    with doing("listing the files", long=True):
        from ..workflow import make_plan, open_store, run_plan
        from ..workflow.calibrate.sinks import check_kinds, write_reports
        from ..workflow.inputs.archive import nothing_readable

        check_kinds(kinds)
        changes = options.reading_changes(locals())
        changes["data"] |= {"limit": limit, "first_index": first_index}
        plan = make_plan(inputs, config, models=model, run={"currencies": underlying}, **changes)
    with interrupts.interruptible("finished blocks are stored, and the same command continues the run."):
        options.start_jax()
        with shown() as progress:
            summary = run_plan(plan, out, resume=resume, progress=progress)
        store = open_store(out)
        paths = [*store.tables, *write_reports(store, kinds)]
        if page:
            with doing("drawing the page", long=True):
                from ..workflow.pages.calibrate import write_report  # loads JAX and the drawing package

                paths.append(write_report(store))
    options.show(summary)
    options.print_files(paths)
    if summary.nothing_read:
        raise nothing_readable(summary.unreadable)
    raise typer.Exit(options.USABLE if summary.usable else options.PARTLY_USABLE)
