"""Ends commands on Ctrl-C: the first one keeps what is finished, the second one ends at once."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn, TypeVar

import typer

from .options import INTERRUPTED, show

T = TypeVar("T")
Item = TypeVar("Item")

FIRST = b"\nneutral: finishing what has been read; press Ctrl-C again to stop at once and store nothing.\n"
SECOND = b"\nneutral: stopped; nothing of this run is stored, and the same command starts again.\n"
SHOW_CURSOR = b"\x1b[?25h"  # which the display of steps hides


@contextmanager
def interruptible(advice: str) -> Iterator[None]:
    """End the command with exit code 130 on Ctrl-C, and print on standard error what to do.

    Args:
        advice: What has been kept, and how to continue.
    """
    try:
        yield
    except KeyboardInterrupt:
        stop_interrupted(advice)


def stop_interrupted(advice: str) -> NoReturn:
    """End the command with exit code 130, and print on standard error what to do."""
    show(f"neutral: interrupted; {advice}", error=True)
    raise typer.Exit(INTERRUPTED) from None


def collected(items: Iterable[Item], work: Callable[[Iterator[Item]], Iterable[T]]) -> tuple[list[T], bool]:
    """Return the results of some work on items, and whether Ctrl-C left items out.

    The first Ctrl-C ends the items, so that the work finishes those that it has taken. The second one ends
    the process at once, also while the work compiles or computes.
    """
    left_out = False

    def until_interrupted() -> Iterator[Item]:
        nonlocal left_out
        remaining = iter(items)
        for item in remaining:
            yield item
            if interrupted.is_set():
                left_out = next(remaining, None) is not None
                return

    with _first_interrupt() as interrupted:
        finished = list(work(until_interrupted()))
    return finished, left_out


@contextmanager
def _first_interrupt() -> Iterator[threading.Event]:
    """Let the first Ctrl-C set an event, in place of an exception; only the main thread receives it."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    before = signal.signal(signal.SIGINT, lambda signum, frame: interrupted.set())
    listening, told = socket.socketpair()
    told.setblocking(False)
    before_told = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_listen, args=(listening,), name="interrupts", daemon=True).start()
    try:
        yield interrupted
    finally:
        signal.set_wakeup_fd(before_told)
        signal.signal(signal.SIGINT, before)
        told.close()


def _listen(signals: socket.socket) -> None:
    """Say that the first Ctrl-C was noticed, and end the process at the second one.

    Python handles a signal when the main thread leaves compiled code, which may take long, but sends its
    number to the socket at once. The streams of Python may be in use, so they are left alone.
    """
    with signals:
        count = 0
        while number := signals.recv(1):
            count += number[0] == signal.SIGINT
            if count > 1:
                os.write(2, (SHOW_CURSOR if sys.stderr.isatty() else b"") + SECOND)
                os._exit(INTERRUPTED)
            if number[0] == signal.SIGINT:
                os.write(2, FIRST)
