"""Progress for people: a bar on a terminal, a line per block in a log."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO, TypeVar

from .calibrate.run import Progress

T = TypeVar("T")


@contextmanager
def shown(stream: TextIO | None = None) -> Iterator[Callable[[Progress], None]]:
    """What `run` takes as `progress`, shown on a stream, standard error by default."""
    target: TextIO = stream or sys.stderr  # pyright: ignore[reportAssignmentType]
    if not target.isatty():
        yield lambda event: print(line(event), file=target, flush=True)
        return
    with _bars(target) as show:
        yield show


def counted(items: Sequence[T], what: str, stream: TextIO | None = None) -> Iterator[T]:
    """Items one after another, counted on a stream: a bar on a terminal, every tenth part in a log."""
    target: TextIO = stream or sys.stderr  # pyright: ignore[reportAssignmentType]
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
    """One block in one line."""
    failed = f", {event.not_converged} fits failed" if event.not_converged else ""
    refused = f", {event.refused} snapshots refused" if event.refused else ""
    spent = f"{event.snapshots / event.seconds:.2f} snapshots/s" if event.seconds else "there already"
    return f"{event.currency} block {event.block}: {event.done}/{event.total}, {spent}{failed}{refused}"


@contextmanager
def _bars(stream: TextIO) -> Iterator[Callable[[Progress], None]]:
    """A bar per currency with its rate and its failures so far."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    rate = TextColumn("{task.fields[rate]} {task.fields[trouble]}")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        rate,
    )
    began, counts = time.perf_counter(), dict[str, tuple[int, int, int]]()
    with Bars(*columns, console=Console(file=stream)) as bars:
        tasks = {}

        def show(event: Progress) -> None:
            if event.currency not in tasks:
                tasks[event.currency] = bars.add_task(event.currency, total=event.total, rate="", trouble="")
            fitted, failed, refused = counts.get(event.currency, (0, 0, 0))
            fitted += event.snapshots if event.seconds else 0
            failed, refused = failed + event.not_converged, refused + event.refused
            counts[event.currency] = fitted, failed, refused
            bars.update(
                tasks[event.currency],
                completed=event.done,
                rate=f"{fitted / (time.perf_counter() - began):.2f}/s",
                trouble=f"{failed} failed, {refused} refused",
            )

        yield show
