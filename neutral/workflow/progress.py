"""Shows progress to people: a bar on a terminal, a line per block in a log."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO, TypeVar

from .calibrate.run import Progress

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")


@contextmanager
def shown(stream: TextIO | None = None) -> Iterator[Callable[[Progress], None]]:
    """Provide a function that shows each block on a stream, for the argument `progress` of `run`.

    Args:
        stream: Where blocks are shown; standard error by default.
    """
    target = stream or sys.stderr
    if not target.isatty():
        yield lambda event: print(line(event), file=target, flush=True)
        return
    from rich.console import Console

    with _bars(Console(file=target)) as show:
        yield show


def counted(items: Sequence[T], what: str, stream: TextIO | None = None) -> Iterator[T]:
    """Yield items one after another, and count them on a stream.

    Args:
        items: The items.
        what: What the items are, in the plural.
        stream: Where they are counted, standard error by default: by a bar on a terminal, and by a line for
            every tenth part in a log.
    """
    target = stream or sys.stderr
    if target.isatty():
        from rich.console import Console
        from rich.progress import track

        yield from track(items, what, console=Console(file=target))
        return
    step = max(1, len(items) // 10)
    for i, item in enumerate(items, 1):
        yield item
        if i % step == 0 or i == len(items):
            print(f"{what}: {i}/{len(items)}", file=target, flush=True)


def line(event: Progress) -> str:
    """Describe one block in one line."""
    failed = f", {event.not_converged} fits failed" if event.not_converged else ""
    refused = f", {event.refused} snapshots refused" if event.refused else ""
    spent = f"{event.snapshots / event.seconds:.2f} snapshots/s" if event.seconds else "done before"
    return f"{event.underlying} block {event.block}: {event.done}/{event.total}, {spent}{failed}{refused}"


class _Tally:
    """The counts of the snapshots and fits of one underlying so far."""

    def __init__(self) -> None:
        self.fitted = 0
        self.failed = 0
        self.refused = 0

    def add(self, event: Progress) -> None:
        """Add the counts of a block."""
        self.fitted += event.snapshots if event.seconds else 0
        self.failed += event.not_converged
        self.refused += event.refused


@contextmanager
def _bars(console: "Console") -> Iterator[Callable[[Progress], None]]:
    """Show a bar for each underlying, with its rate and its failures so far."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rate]} {task.fields[trouble]}"),
    )
    began = time.perf_counter()
    tallies: dict[str, _Tally] = {}
    with Bars(*columns, console=console) as bars:
        tasks = {}

        def show(event: Progress) -> None:
            name = event.underlying
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=event.total, rate="", trouble="")
                tallies[name] = _Tally()
            tally = tallies[name]
            tally.add(event)
            bars.update(
                tasks[name],
                completed=event.done,
                rate=f"{tally.fitted / (time.perf_counter() - began):.2f}/s",
                trouble=f"{tally.failed} failed, {tally.refused} refused",
            )

        yield show
