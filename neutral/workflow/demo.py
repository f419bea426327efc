"""Runs the demonstration: calibrates models to the shipped snapshots, and writes a page about the results."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..shipped import sample_folder
from .calibrate.config import load_config
from .calibrate.run import Progress, run
from .calibrate.store import open_store
from .calibrate.summary import Summary
from .pages.calibrate import write_report
from .progress import doing

FIRST_INDEX = 55  # position of the first shipped snapshot in its archive, which seeds the split


class Demonstration(NamedTuple):
    """The outcome of the run, and the paths of the page about it and of its tables."""

    summary: Summary
    page: Path
    tables: list[Path]


def demonstrate(out: Path, progress: Callable[[Progress], None] = lambda event: None) -> Demonstration:
    """Calibrate Black, Heston, SVCJ and SVCJ++ to twelve real Deribit snapshots, and write a page about them.

    Args:
        out: Folder of the results; results that are already in it are not calculated again.
        progress: Called with every committed block.
    """
    config = load_config().replaced(data={"first_index": FIRST_INDEX})
    summary = run(sample_folder(), out, config, progress=progress)
    store = open_store(out)
    with doing("drawing the page", long=True):
        return Demonstration(summary, write_report(store), store.tables)
