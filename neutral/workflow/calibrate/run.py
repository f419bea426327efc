"""Calibrates every model to every snapshot and underlying of an archive, and commits the fits by blocks."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path

import pandas as pd
import pyarrow as pa

from ...market.quotes import UNKNOWN_DATE
from ...shipped import CODE_VERSION
from ...times import TIME
from ..inputs.archive import SnapshotFile, blocks_of, open_file
from ..outcome import REFUSED
from . import resume as resuming
from .config import Config
from .parquet import fits_table, quotes_table
from .plan import BlockReader, Inputs, Load, LoadedSnapshot, Plan, load_snapshot, make_plan
from .resume import State
from .rows import ModelFit, Parameters, fit_rows, quote_rows
from .store import Part, Store, locked
from .summary import Summary, summarise

ModelFits = dict[str, ModelFit]
"""The fits of one snapshot by model."""

FitBlock = Callable[
    [Sequence[pd.DataFrame], Mapping[str, Parameters], Config, Callable[[], None]], list[ModelFits]
]
"""Fits the models to a block of tables; see `fit.fit_block`."""


@dataclass(frozen=True)
class Progress:
    """The counts of a committed block of one underlying."""

    underlying: str
    block: int  # number of the block
    snapshots: int  # number of snapshots in this block
    done: int  # number of snapshots of this underlying so far
    total: int  # number of snapshots of this underlying
    not_converged: int  # fits of this block, without those of refused snapshots
    refused: int  # snapshots of this block
    seconds: float  # spent on the block; 0 if an earlier run committed it


class Stopped(Exception):
    """The run is stopping; blocks that are not committed are dropped."""


def model_fitter() -> FitBlock:
    """Make the function that fits the models of one run.

    The function has its own cache of compiled programs: every shape is compiled once, and the memory of the
    programs is freed when the run has ended.
    """
    from ...calibration.programs import Programs  # loads JAX; reading and refusing files do without it
    from .fit import fit_block

    return partial(fit_block, programs=Programs())


def run(
    inputs: Inputs,
    out: str | Path,
    config: Config | None = None,
    *,
    resume: bool = True,
    progress: Callable[[Progress], None] = lambda event: None,
    load: Load = load_snapshot,
    fit: FitBlock | None = None,
) -> Summary:
    """Calibrate every model to every snapshot and underlying.

    Committed blocks are stored: an interrupted run continues from them, and its tables have the same bytes as
    those of a run that was not interrupted. Ctrl-C (`KeyboardInterrupt`) leaves complete tables of the
    committed blocks.

    Args:
        inputs: Folders and files of snapshots.
        out: Folder of the results: `fits.parquet`, `quotes.parquet`, `manifest.json`, `run_log.jsonl`,
            `parts/`.
        config: The configuration. None takes the shipped one for Deribit files, or that for all other files.
        resume: Whether to continue the run in `out`; False moves its results aside.
        progress: Called with every committed block.
        load: Reads the markets of a snapshot.
        fit: Fits the models to a block of tables; None takes the function that `model_fitter` makes.

    Returns:
        Counts and errors by underlying and model.

    Raises:
        NeutralError: The inputs or the folder cannot be used; no result is lost.
        KeyboardInterrupt: The run was interrupted by Ctrl-C.
    """
    plan = make_plan(inputs, config)
    return run_plan(plan, out, resume=resume, progress=progress, load=load, fit=fit)


def run_plan(
    plan: Plan,
    out: str | Path,
    *,
    resume: bool = True,
    progress: Callable[[Progress], None] = lambda event: None,
    load: Load = load_snapshot,
    fit: FitBlock | None = None,
) -> Summary:
    """Calibrate every model to the snapshots of a plan.

    Args:
        plan: The snapshots and the configuration, as `make_plan` returns them.
        out: As for `run`, and so are the other arguments.
        resume: As for `run`.
        progress: As for `run`.
        load: As for `run`.
        fit: As for `run`.

    Returns:
        Counts and errors by underlying and model.

    Raises:
        NeutralError: The folder cannot be used; no result is lost.
        KeyboardInterrupt: The run was interrupted by Ctrl-C.
    """
    config = plan.config
    folder = Path(out)
    if not resume:
        resuming.move_aside(folder)
    with locked(folder):
        store = resuming.resume_or_create(folder, config, plan.archive)
        stored = {*store.underlyings, *config.underlyings}
        listed = [name for name in config.data.currencies if name in stored]
        store.list_underlyings([*listed, *(name for name in store.underlyings if name not in listed)])
        began = time.perf_counter()
        store.log(event="start", time=_now(), version=CODE_VERSION, snapshots=len(plan.archive))
        work = _Run(store, plan, progress=progress, load=load, fit=fit or model_fitter())
        fitted = work.all()
        store.consolidate()
        seconds = time.perf_counter() - began
        store.log(event="end", time=_now(), seconds=seconds, fitted=fitted)
        return summarise(
            store.read("fits").to_pandas(),
            seconds,
            fitted,
            sorted(work.findings),
            units=store.units,
            unreadable=sorted(work.unreadable),
        )


class _Run:
    """A run: for each underlying a chain of blocks, in threads that share the store and the files read."""

    def __init__(
        self, store: Store, plan: Plan, *, progress: Callable[[Progress], None], load: Load, fit: FitBlock
    ):
        self._store = store
        self._config = plan.config
        self._progress = progress
        self._fit_block = fit
        self._blocks = blocks_of(plan.archive, plan.config.run.block)
        self._reader = BlockReader(self._blocks, plan.config, load)
        self._stop = threading.Event()
        self._writing = threading.Lock()
        self.findings: list[tuple[str, str]] = []  # title of a market of this run, and what was found
        self.unreadable: set[str] = set()  # the reason of each file, also of those in earlier blocks

    def all(self) -> int:
        """Run the chains, and return the number of pairs of snapshot and underlying that they fitted.

        The first error, or Ctrl-C, stops the chains before their next fit and is raised when they have ended.
        """
        with ThreadPoolExecutor(self._config.workers, thread_name_prefix="underlying") as pool:
            chains = [pool.submit(self._chain, name) for name in self._config.underlyings]
            try:
                wait(chains, return_when=FIRST_EXCEPTION)
            except KeyboardInterrupt:
                logging.getLogger(__name__).warning("The run stops when the fits in progress have ended.")
                self._stop_chains(chains)
                self._store.consolidate()
                raise
            finally:
                self._stop_chains(chains)
                self._reader.close()
        return sum(chain.result() for chain in _failed_first(chains))

    def _stop_chains(self, chains: Sequence[Future[int]]) -> None:
        self._stop.set()
        wait(chains)

    def _check_stop(self) -> None:
        """Raise `Stopped` if the run is stopping."""
        if self._stop.is_set():
            raise Stopped

    def _chain(self, underlying: str) -> int:
        """Fit the blocks of one underlying in order, and return the number of snapshots fitted."""
        blocks = self._to_do(underlying)
        numbers = list(blocks)
        state = resuming.earlier_state(self._store, underlying, numbers[0]) if numbers else {}
        total = sum(map(len, blocks.values()))
        done = 0
        fitted = 0
        for number, following in zip(numbers, [*numbers[1:], None], strict=True):
            size = len(blocks[number])
            fits, seconds = self._block(underlying, number, blocks[number], following, state)
            state = state | resuming.last_converged(fits)
            done += size
            fitted += size if seconds else 0
            self._report(
                Progress(
                    underlying=underlying,
                    block=number,
                    snapshots=size,
                    done=done,
                    total=total,
                    seconds=seconds,
                    **_counts(fits),
                )
            )
        return fitted

    def _to_do(self, underlying: str) -> dict[int, list[SnapshotFile]]:
        """Return the blocks of an underlying, without snapshots up to the last one that was imported."""
        latest = self._store.latest_imported(underlying)
        if latest is None:
            return self._blocks
        late = {
            number: [file for file in files if file.time > latest or file.time == UNKNOWN_DATE]
            for number, files in self._blocks.items()
        }
        return {number: files for number, files in late.items() if files}

    def _block(
        self,
        underlying: str,
        number: int,
        files: Sequence[SnapshotFile],
        following: int | None,
        state: State,
    ) -> tuple[pa.Table, float]:
        """Return the fits of one block and the seconds spent on it, 0 if the block was committed before."""
        began = time.perf_counter()
        if resuming.is_done(self._store, underlying, number, files, state):
            fits = self._store.read_part("fits", underlying, number)
            self._note_unreadable(fits, files)
            return fits, 0.0
        self._check_stop()
        wanted = {file.position for file in files}
        read = self._reader.snapshots(number, following)
        snapshots = [snapshot for snapshot in read if snapshot.file.position in wanted]
        fits = self._commit_fits(underlying, number, snapshots, state)
        return fits, time.perf_counter() - began

    def _commit_fits(
        self, underlying: str, number: int, snapshots: Sequence[LoadedSnapshot], state: State
    ) -> pa.Table:
        """Fit one block, commit it, and return the table of its fits."""
        fits, quotes = self._tables(underlying, snapshots, self._fit(underlying, snapshots, state))
        inputs = tuple(snapshot.file.entry for snapshot in snapshots)
        part = Part(inputs, resuming.digest(state), {})
        with self._writing:
            self._store.commit(underlying, number, part, fits, quotes)
            self._note(snapshots, underlying)
        return fits

    def _note(self, snapshots: Sequence[LoadedSnapshot], underlying: str) -> None:
        """Write the checks of the markets of a block to the run log, and keep their findings."""
        markets = [markets[underlying] for _, markets in snapshots if underlying in markets]
        for market in markets:
            if market.check is not None:
                numbers = {name: x if isfinite(x) else None for name, x in market.check.numbers.items()}
                self._store.log(event="check", market=market.title, **numbers, findings=market.findings)
            self.findings += [(market.title, finding) for finding in market.findings]
            if not market.readable:
                self.unreadable.add(market.reason)

    def _note_unreadable(self, fits: pa.Table, files: Sequence[SnapshotFile]) -> None:
        """Keep the reasons of files that an earlier run could not read; those that it read stay closed."""
        rows = fits.select(["snapshot_ts", "status"]).to_pylist()
        refused = {row["snapshot_ts"] for row in rows if row["status"] == REFUSED}
        for file in files:
            if file.time in refused:
                opened = open_file(file.path, self._config.column_map, self._config.data.symbol)
                self.unreadable |= {opened.reason} if opened.source is None else set()

    def _fit(self, underlying: str, snapshots: Sequence[LoadedSnapshot], state: State) -> list[ModelFits]:
        """Return the fits of each snapshot; a snapshot whose quotes cannot be used has none."""
        markets = [snapshot.markets.get(underlying) for snapshot in snapshots]
        frames = [None if market is None else market.frame for market in markets]
        usable = [frame for frame in frames if frame is not None]
        fits = iter(self._fit_block(usable, state, self._config, self._check_stop))
        return [{} if frame is None else next(fits) for frame in frames]

    def _tables(
        self, underlying: str, snapshots: Sequence[LoadedSnapshot], fits: Sequence[ModelFits]
    ) -> tuple[pa.Table, pa.Table]:
        """Make the tables of fits and of quotes of one block."""
        config = self._config
        rows = []
        quotes = []
        for (file, markets), by_model in zip(snapshots, fits, strict=True):
            market = markets.get(underlying)
            if market is None:  # the file does not list this underlying
                continue
            rows += fit_rows(
                file=file,
                seed=config.seed(underlying, file.position),
                market=market,
                fits=by_model,
                models=config.models,
                config_hash=config.hash,
            )
            if market.frame is not None:
                quotes.append(quote_rows(file, underlying, market.frame, by_model))
        return fits_table(rows, config.models), quotes_table(quotes, config.models)

    def _report(self, event: Progress) -> None:
        with self._writing:
            if event.seconds:
                entries = dict(vars(event))
                self._store.log(event="block", time=_now(), currency=entries.pop("underlying"), **entries)
            self._progress(event)


def _counts(fits: pa.Table) -> dict[str, int]:
    """Count the fits of a block that did not converge, and its snapshots that were refused."""
    frame = fits.select(["snapshot_ts", "status", "converged", "message"]).to_pandas()
    refused = frame["status"] == REFUSED
    times = frame[refused].drop_duplicates(["snapshot_ts", "message"])  # files without a time share one
    return {
        "not_converged": int((~frame["converged"] & ~refused).sum()),
        "refused": len(times),
    }


def _failed_first(chains: Sequence[Future[int]]) -> list[Future[int]]:
    """Sort chains: those that failed, then those that were stopped for this reason, then the others."""

    def rank(chain: Future[int]) -> int:
        error = chain.exception()
        return 2 if error is None else 1 if isinstance(error, Stopped) else 0

    return sorted(chains, key=rank)


def _now() -> str:
    return time.strftime(TIME, time.gmtime())
