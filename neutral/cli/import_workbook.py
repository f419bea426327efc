"""Defines the command `neutral import`."""

from pathlib import Path
from typing import Annotated

import typer

from . import interrupts, options

EXAMPLES = """Examples:

neutral import calibration_results.xlsx --out RESULTS

neutral calibrate SNAPSHOTS --out RESULTS"""


def import_(
    workbook: Annotated[
        Path,
        typer.Argument(help="The workbook of earlier results, an .xlsx file.", exists=True, dir_okay=False),
    ],
    out: Annotated[
        Path, typer.Option(help="The folder of the results, which must not have any yet.", file_okay=False)
    ],
) -> None:
    """Read a workbook of earlier results into a folder of results, which `neutral calibrate` continues.

    The workbook has a sheet of parameters for each model, such as black_params, and may have the sheets
    train_data and test_data. Missing columns become nan, and times without a zone are UTC. The calibration
    continues after the latest time of each underlying, from its last converged parameters.
    """
    from ..workflow.extras import require

    require(["import", "tables"])
    from ..workflow.calibrate.import_workbook import import_workbook

    with interrupts.interruptible("nothing has been imported; remove the folder and start again."):
        store, imported = import_workbook(workbook, out)
    options.show(imported)
    options.show(
        f"`neutral calibrate SNAPSHOTS --out {out}` continues after the latest snapshot of each underlying."
    )
    options.print_files(store.tables)
