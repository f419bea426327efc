"""Defines the command `neutral calibrate`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..workflow.recipes import RECIPES
from . import options


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
    config: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file of settings. The default is the shipped file for Deribit snapshots, or the "
            "shipped file for all other data."
        ),
    ] = None,
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
    report: Annotated[
        list[str] | None,
        typer.Option(help="Also write the results as xlsx or sqlite. Repeat the option for both formats."),
    ] = None,
) -> None:
    """Calibrate models to every snapshot of an archive, and write the results as Parquet files.

    The exit code is 0 if every attempted fit converged, 1 if some fit did not converge, 2 if the command is
    wrong or its input cannot be read, and 130 if the run was interrupted. Finished blocks are then stored,
    and the same command continues the run.
    """
    from ..workflow.progress import doing, shown

    with doing("listing the files", long=True):
        from ..workflow import make_plan, open_store, run_plan
        from ..workflow.calibrate.sinks import check_kinds, write_reports

        kinds = report or []
        check_kinds(kinds)
        changes = options.reading_changes(locals())
        changes["data"] |= {"limit": limit, "first_index": first_index}
        plan = make_plan(inputs, config, models=model, run={"currencies": underlying}, **changes)
    options.start_jax()
    try:
        with shown() as progress:
            summary = run_plan(plan, out, resume=resume, progress=progress)
        for path in write_reports(open_store(out), kinds):
            print(path)
    except KeyboardInterrupt:
        print(
            "neutral: interrupted; finished blocks are stored, and the same command continues the run.",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    print(summary)
    raise typer.Exit(0 if summary.complete else 1)
