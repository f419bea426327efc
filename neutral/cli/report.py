"""Defines the command `neutral report`."""

from pathlib import Path
from typing import Annotated

import typer

from . import interrupts, options

EXAMPLES = """Examples:

neutral report RESULTS

neutral report RESULTS --out page.html --report xlsx"""


def report(
    folder: Annotated[
        Path,
        typer.Argument(help="The folder of results of `neutral calibrate`.", exists=True, file_okay=False),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The page to write. By default it is report.html in the folder.")
    ] = None,
    report: options.Reports = None,
) -> None:
    """Write an HTML page about results, with tables, smiles, residuals and parameters over time."""
    from ..workflow.extras import require

    kinds = report or []
    require(["tables", "page", *kinds])
    from ..workflow import open_store
    from ..workflow.calibrate.sinks import check_kinds, write_reports

    check_kinds(kinds)
    store = open_store(folder)
    with interrupts.interruptible("the results are unchanged, and the same command writes the page."):
        options.start_jax()
        from ..workflow.pages.calibrate import write_report

        options.print_files([*write_reports(store, kinds), write_report(store, out)])
