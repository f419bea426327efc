"""Shows people what a command is doing: a live display on a terminal, a line for each step in a log.

Within `display`, the functions of the workflow report their steps with `doing`; elsewhere that has no effect.
Something new is shown at least every five seconds, with the time since the start.
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import IO, TYPE_CHECKING, Protocol, TypeVar, cast, runtime_checkable

from .messages import printable

if TYPE_CHECKING:
    from rich.progress import TaskID

    from .calibrate.run import Progress

T = TypeVar("T")

MOST_SILENCE = 4.0  # seconds after which a log repeats what is being done
FEW_LINES = 1.0  # seconds between lines about short steps of a log


@runtime_checkable
class Stream(Protocol):
    """Where text is written, such as standard error."""

    def write(self, text: str, /) -> object:
        """Write a text."""
        ...

    def flush(self) -> object:
        """Show what has been written."""
        ...

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        ...


class Display(Protocol):
    """Where steps are shown."""

    def doing(self, what: str, long: bool) -> AbstractContextManager[None]:
        """Show a step while the context lasts; a long one is announced at once."""
        ...

    def counted(self, what: str, done: int, total: int, line: str, note: str = "") -> None:
        """Show how much of something is done: a bar and the note on a terminal, the line in a log."""
        ...


_displays: list[tuple[Display, ExitStack]] = []  # the display in use, if any


@contextmanager
def display(stream: Stream | None = None) -> Iterator[Display]:
    """Show the steps that are reported while the context lasts; nothing is shown before the first one.

    Args:
        stream: Where they are shown; standard error by default.
    """
    target = stream or sys.stderr
    with ExitStack() as stack:
        shown = Terminal(target, stack) if target.isatty() else Log(target, stack)
        _displays.append((shown, stack))
        try:
            yield shown
        finally:
            _displays.pop()


def doing(what: str, *, long: bool = False) -> AbstractContextManager[None]:
    """Report a step while the context lasts; threads may do so too.

    Args:
        what: The step, such as "reading a.csv".
        long: Whether the step usually takes seconds, so that it is announced at once.
    """
    return _displays[-1][0].doing(what, long) if _displays else nullcontext()


def watch_compilations(folder: str | None) -> None:
    """Report compilations as steps from now on, as long as there is a display. It loads JAX.

    Args:
        folder: Where compiled programs are kept; None if they are not kept.
    """
    from ..numerics.compiled import observed

    kept = f"once; kept in {folder}" if folder else "for this run"
    if _displays:
        _, stack = _displays[-1]
        stack.enter_context(observed(lambda what: doing(f"compiling {what} ({kept})", long=True)))


@contextmanager
def shown(stream: Stream | None = None) -> "Iterator[Callable[[Progress], None]]":
    """Provide a function that shows each block, for the argument `progress` of `run`.

    Args:
        stream: Where blocks are shown if there is no display yet; standard error by default.
    """
    failed: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    with nullcontext(_displays[-1][0]) if _displays else display(stream) as place:

        def show(event: "Progress") -> None:
            name = event.underlying
            failed[name] += event.not_converged
            refused[name] += event.refused
            note = f"{failed[name]} failed, {refused[name]} refused"
            place.counted(name, event.done, event.total, line=line(event), note=note)

        yield show


def counted(items: Sequence[T], what: str, stream: Stream | None = None) -> Iterator[T]:
    """Yield items one after another, count them, and report work on each as a step.

    Args:
        items: The items, such as paths.
        what: What the items are, in the plural.
        stream: Where they are counted if there is no display yet, standard error by default: by a bar on a
            terminal, and by a line for every tenth part in a log.
    """
    step = max(1, len(items) // 10)
    with nullcontext(_displays[-1][0]) if _displays else display(stream) as place:
        for i, item in enumerate(items, 1):
            with place.doing(f"{getattr(item, 'name', item)} ({i} of {len(items)} {what})", long=False):
                yield item
            is_told = i % step == 0 or i == len(items)
            place.counted(what, i, len(items), line=f"{what}: {i}/{len(items)}" if is_told else "")


def line(event: "Progress") -> str:
    """Describe one block in one line."""
    failed = f", {event.not_converged} fits failed" if event.not_converged else ""
    refused = f", {event.refused} snapshots refused" if event.refused else ""
    spent = f"{event.snapshots / event.seconds:.2f} snapshots/s" if event.seconds else "done before"
    return f"{event.underlying} block {event.block}: {event.done}/{event.total}, {spent}{failed}{refused}"


class Log:
    """Plain lines with the seconds since the start, for files and pipes."""

    def __init__(self, stream: Stream, stack: ExitStack) -> None:
        self._stream = stream
        self._began = self._last = time.monotonic()
        self._steps: dict[object, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._repeats = threading.Thread(target=self._repeat, name="progress", daemon=True)
        stack.callback(self._ended.set)

    @contextmanager
    def doing(self, what: str, long: bool) -> Iterator[None]:
        """See `Display.doing`."""
        key = object()
        with self._lock:
            is_first = self._repeats.ident is None
            if is_first:
                self._repeats.start()
            now = time.monotonic()
            self._steps[key] = what, now
            if long or is_first or now - self._last > FEW_LINES:
                self._write(what)
        try:
            yield
        finally:
            with self._lock:
                del self._steps[key]

    def counted(self, what: str, done: int, total: int, line: str, note: str = "") -> None:
        """See `Display.counted`."""
        with self._lock:
            if line:
                self._write(line)

    def _write(self, text: str) -> None:
        self._last = time.monotonic()
        print(f"[{self._last - self._began:4.0f} s] {printable(text)}", file=self._stream, flush=True)

    def _repeat(self) -> None:
        """Repeat the latest step whenever nothing was written for some seconds."""
        while not self._ended.wait(0.25):
            with self._lock:
                now = time.monotonic()
                if now - self._last < MOST_SILENCE or not self._steps or self._ended.is_set():
                    continue
                what, since = list(self._steps.values())[-1]
                self._write(f"{what}: {now - since:.0f} s so far")


class Terminal:
    """A live display: a line for each step, with its time, and a bar for each count.

    It is drawn while there are steps, so that results which are printed between them stay whole.
    """

    def __init__(self, stream: Stream, stack: ExitStack) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (
            SpinnerColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        console = Console(file=cast(IO[str], stream))
        self._bars = Progress(*columns, console=console, transient=True, redirect_stdout=False)
        self._counts: dict[str, TaskID] = {}
        self._steps = 0
        self._lock = threading.Lock()
        stack.callback(self._bars.stop)

    @contextmanager
    def doing(self, what: str, long: bool) -> Iterator[None]:
        """See `Display.doing`."""
        del long
        with self._lock:
            if not self._steps:
                self._bars.start()
            self._steps += 1
        task = self._bars.add_task(printable(what), total=None, note="")
        try:
            yield
        finally:
            self._bars.remove_task(task)
            with self._lock:
                self._steps -= 1
                if not self._steps:
                    self._bars.stop()

    def counted(self, what: str, done: int, total: int, line: str, note: str = "") -> None:
        """See `Display.counted`."""
        with self._lock:
            if what not in self._counts:
                self._counts[what] = self._bars.add_task(printable(what), total=total, note="")
        self._bars.update(self._counts[what], completed=done, note=f"{done}/{total} {note}")
