"""Runs inputs in worker processes with limits on time and memory, and goes on after a hang or a crash."""

import dataclasses
import multiprocessing
import random
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from .inputs import Outcome, outcome_of, run_input
from .targets import Target, all_targets

SECONDS = 10.0  # for one input; those that are read take milliseconds
STARTING = 300.0  # seconds until a worker has loaded the package and read every whole file once
MEMORY = 3 << 30  # bytes that a worker may take more than after its start
BATCH = 200  # inputs between two messages of a worker
LIFE = 20_000  # inputs after which a worker is replaced: compiled programs stay in memory


@dataclasses.dataclass(frozen=True)
class Job:
    """What all workers have in common."""

    seed: int
    make: Callable[[Path], tuple[Target, ...]] = all_targets  # called in the worker with an empty folder
    begins_whole: bool = True  # whether each worker reads every whole file once before it is limited
    seconds: float = SECONDS
    memory: int = MEMORY


def run_inputs(
    job: Job, numbers: range, workers: int = 1, report: Callable[[Outcome], None] | None = None
) -> list[Outcome]:
    """Run inputs by number.

    Args:
        job: The seed, the targets and the limits.
        numbers: The numbers of the inputs.
        workers: Processes that run at the same time.
        report: Is called with each fault when it is found.

    Returns:
        The outcome of each input.
    """
    outcomes: list[Outcome] = []
    waiting = [numbers[start : start + LIFE] for start in range(0, len(numbers), LIFE)][::-1]
    running: list[_Worker] = []
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_Worker(job, waiting.pop(), Path(folder)))
            wait([worker.connection for worker in running], timeout=0.5)
            for worker in running:
                for outcome in worker.progress():
                    outcomes.append(outcome)
                    if report and outcome.is_fault:
                        report(outcome)
            waiting.extend(worker.left for worker in running if worker.is_over and worker.left)
            running = [worker for worker in running if not worker.is_over]
    return outcomes


class _Worker:
    """A process that runs a range of inputs, and what is known of it."""

    def __init__(self, job: Job, numbers: range, folder: Path):
        self.left = numbers
        self._job = job
        self.connection, other = multiprocessing.Pipe(duplex=False)
        # a fresh interpreter: JAX does not survive a fork
        context = multiprocessing.get_context("spawn")
        self.current = context.Value("q", -1)
        self.process = context.Process(
            target=_work, args=(job, numbers, folder / str(numbers.start), other, self.current)
        )
        self.process.start()
        other.close()
        self._until = time.monotonic() + STARTING  # when the current input has to be over
        self._seen = -1
        self.is_over = False

    def progress(self) -> Iterator[Outcome]:
        """The outcomes that have come; ends the process if it hangs."""
        try:
            while self.connection.poll():
                for outcome in self.connection.recv():
                    self.left = range(outcome.number + 1, self.left.stop)
                    yield outcome
        except EOFError:
            yield from self._ended("crash")
            return
        now = self.current.value
        if now != self._seen:
            self._seen, self._until = now, time.monotonic() + self._job.seconds
        elif time.monotonic() > self._until:
            self.process.kill()
            yield from self._ended("hang")

    def _ended(self, kind: str) -> Iterator[Outcome]:
        """What happened to the input at which the process ended, if it did not finish."""
        self.process.join()
        self.is_over = True
        number = self.current.value
        if number < 0:
            raise RuntimeError("a worker ended before its first input; its own message is above")
        if self.left and (kind == "hang" or self.process.exitcode):
            code = self.process.exitcode or 0
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            yield Outcome(number, "?", kind, f"{kind}: {name}", f"input {number} ended its process: {name}")
            # outcomes that were not sent before the end are run again
            self.left = range(max(number + 1, self.left.start), self.left.stop)


def _work(job: Job, numbers: range, folder: Path, connection: Connection, current: Any) -> None:
    """Run inputs, and send outcomes in batches; the number of the current one is seen from outside."""
    targets = job.make(folder / "whole")
    for target in targets if job.begins_whole else ():
        _read_whole(target, folder)
    _limit_memory(job.memory)
    batch: list[Outcome] = []
    for number in numbers:
        current.value = number
        batch.append(run_input(targets, job.seed, number, folder / "inputs"))
        if len(batch) == BATCH or batch[-1].is_fault:
            connection.send(batch)
            batch = []
    connection.send(batch)
    connection.close()


def _read_whole(target: Target, folder: Path) -> None:
    """Read the whole files of a target once, so that what it loads and compiles is there."""
    for name, data in target.seeds:
        outcome_of(target, name, data, random.Random(0), 0, folder / "inputs" / "whole")


def _limit_memory(more: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
