"""`neutral calibrate`."""

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
            help=f"Fit this model. Give the option once for each model. The models are {', '.join(RECIPES)}."
        ),
    ] = None,
    underlying: options.Underlyings = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file of settings. The default is the one shipped for Deribit snapshots, or "
            "else the one for all other files."
        ),
    ] = None,
    rates: options.Rates = None,
    spot: options.Spot = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Calibrate only so many snapshots, the first ones.")
    ] = None,
    first_index: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="The position of the first snapshot in its archive, if earlier ones are not given. "
            "Positions seed the splits into train and test.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume", help="Continue the run in the folder of the results, or move it aside."
        ),
    ] = True,
    report: Annotated[
        list[str] | None,
        typer.Option(help="Also write the results as xlsx or sqlite. Give the option once for each format."),
    ] = None,
) -> None:
    """Calibrate models to every snapshot of an archive, and write the results as Parquet files.

    Exit code 0: every fit that was tried converged. 1: some fit did not converge. 2: the command is wrong, or
    its input cannot be read. 130: it was interrupted; what was finished is stored, and the same command
    continues.
    """
    from ..workflow import make_plan, open_store, run_plan
    from ..workflow.calibrate.sinks import check_kinds, write_reports
    from ..workflow.progress import shown

    kinds = report or []
    check_kinds(kinds)
    data = {
        "limit": limit,
        "first_index": first_index,
        "rates": options.number_or_path(rates),
        "spot": spot,
    }
    plan = make_plan(inputs, config, models=model, data=data, run={"currencies": underlying})
    options.start_jax()
    try:
        with shown() as progress:
            summary = run_plan(plan, out, resume=resume, progress=progress)
        for path in write_reports(open_store(out), kinds):
            print(path)
    except KeyboardInterrupt:
        print(
            "neutral: interrupted; what was finished is stored, and the same command continues.",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    print(summary)
    raise typer.Exit(0 if summary.complete else 1)
