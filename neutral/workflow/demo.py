"""The demonstration: the main job on the shipped snapshots, and a page about it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..shipped import sample_folder
from . import Summary, load_config, open_store, run
from .pages.calibrate import write_report

FIRST_INDEX = 55  # position of the first shipped snapshot in its archive: it seeds the split


class Demonstration(NamedTuple):
    """What the run came to, and the page about it."""

    summary: Summary
    page: Path


def demonstrate(out: Path, progress: Callable[[Any], None] = lambda event: None) -> Demonstration:
    """Calibrate Black, Heston, SVCJ and SVCJ++ to twelve real Deribit snapshots, and write a page about it.

    Args:
        out: Folder of the results; what it holds already is not calculated again.
        progress: Told of every block.
    """
    config = load_config().replaced(data={"first_index": FIRST_INDEX})
    summary = run(sample_folder(), out, config, progress=progress)
    return Demonstration(summary, write_report(open_store(out)))
