"""Defines the command `neutral report`."""

from pathlib import Path
from typing import Annotated

import typer

from . import options


def report(
    folder: Annotated[
        Path,
        typer.Argument(help="The folder of results of `neutral calibrate`.", exists=True, file_okay=False),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The page to write. By default it is report.html in the folder.")
    ] = None,
) -> None:
    """Write an HTML page about results, with tables, smiles, residuals and parameters over time."""
    options.start_jax()
    from ..workflow import open_store
    from ..workflow.pages.calibrate import write_report

    print(write_report(open_store(folder), out))
