"""The main job: every snapshot of an archive, every currency, every model, committed block by block."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from ...shipped import CODE_VERSION, configuration
from ..config import Config, load_config
from ..inputs.archive import TIME, SnapshotFile, assets_of, blocks_of, is_deribit, market_files, read_archive
from . import resume as resuming
from .loading import Load, Reader, Tables, load_tables
from .parquet import fits_table, quotes_table
from .resume import State
from .rows import ModelFit, Parameters, fit_rows, quote_rows
from .store import Part, Store, locked
from .summary import Summary, summarise

Fits = list[dict[str, ModelFit]]  # per snapshot, by model
Fit = Callable[[Sequence[pd.DataFrame], Mapping[str, Parameters], Config, Callable[[], None]], Fits]


@dataclass(frozen=True)
class Progress:
    """A block has been committed, or was found committed: counts of one currency."""

    currency: str
    block: int
    snapshots: int  # in this block
    done: int  # of this currency so far
    total: int
    not_converged: int  # fits of this block, without refused ones
    refused: int  # snapshots of this block
    seconds: float  # 0 where the block was there already


class Stopped(Exception):
    """The run is to end: a block that is not committed is dropped."""


def run(
    inputs: str | Path | Iterable[str | Path],
    out: str | Path,
    config: Config | None = None,
    *,
    resume: bool = True,
    progress: Callable[[Progress], None] = lambda event: None,
    load: Load = load_tables,
    fit: Fit | None = None,
) -> Summary:
    """Calibrate every model to every snapshot and currency.

    What is committed stays: an interrupted run goes on from there, and ends with the same bytes as one that
    was not interrupted. Ctrl-C (`KeyboardInterrupt`) leaves complete tables of what is committed.

    Args:
        inputs: Folders and files of snapshots.
        out: Folder of the results: `fits.parquet`, `quotes.parquet`, `manifest.json`, `run_log.jsonl`,
            `parts/`.
        config: What to do; by default the configuration shipped for Deribit files, or that for all others.
        resume: Whether to go on with what `out` holds; False moves that aside.
        progress: Told of every block.
        load: Turns a file into tables of quotes.
        fit: Fits the models to a block of tables.

    Raises:
        NeutralError: the inputs or the folder cannot be used; no result is lost.
    """
    inputs = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    config = config or config_for(inputs)
    archive = read_archive(inputs, config.data.first_index, config.data.limit)
    config = config.resolved(assets_of(archive))
    folder = Path(out)
    if not resume:
        resuming.move_aside(folder)
    with locked(folder):
        store = resuming.resume_or_create(folder, config, archive)
        known = {*store.currencies, *config.currencies}
        store.list_currencies([name for name in config.data.currencies if name in known])
        began = time.perf_counter()
        store.log(event="start", time=_now(), version=CODE_VERSION, snapshots=len(archive))
        fitted = _Run(store, archive, config, load, fit or _default_fit(), progress).all()
        store.consolidate()
        seconds = time.perf_counter() - began
        store.log(event="end", time=_now(), seconds=seconds, fitted=fitted)
        return summarise(store.read("fits").to_pandas(), seconds, fitted)


def config_for(inputs: str | Path | Iterable[str | Path], path: str | Path | None = None) -> Config:
    """A configuration for some inputs, with the underlyings that they have where it says "all".

    Args:
        inputs: Folders and files.
        path: A TOML file; None takes what is shipped for Deribit files, or that for all others.

    Raises:
        NeutralError: as `read_archive` and `load_config`.
    """
    files = market_files([inputs] if isinstance(inputs, str | Path) else inputs)
    config = load_config(path or (None if is_deribit(files) else configuration("markets")))
    # names tell of Deribit snapshots what of other files only reading does
    return config if config.is_resolved else config.resolved(assets_of(read_archive(files)))


class _Run:
    """One run: a chain of blocks per currency, in threads that share only the store and the files read."""

    def __init__(
        self,
        store: Store,
        archive: Sequence[SnapshotFile],
        config: Config,
        load: Load,
        fit: Fit,
        progress: Callable[[Progress], None],
    ):
        self._store = store
        self._config = config
        self._fit = fit
        self._progress = progress
        self._blocks = blocks_of(archive, config.run.block)
        self._reader = Reader(self._blocks, config, load)
        self._stop = threading.Event()
        self._writing = threading.Lock()

    def all(self) -> int:
        """Run the chains; the number of snapshots and currencies fitted anew.

        The first error, or Ctrl-C, stops the chains at their next fit and is raised when they have ended.
        """
        with ThreadPoolExecutor(self._config.workers, thread_name_prefix="currency") as pool:
            chains = [pool.submit(self._chain, currency) for currency in self._config.currencies]
            try:
                wait(chains, return_when=FIRST_EXCEPTION)
            except KeyboardInterrupt:
                logging.getLogger(__name__).warning("stopping once the fits in progress have ended")
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

    def _chain(self, currency: str) -> int:
        """Fit the blocks of one currency in their order; the number of snapshots fitted."""
        numbers = list(self._blocks)
        state = resuming.earlier_state(self._store, currency, numbers[0])
        done = fitted = 0
        total = sum(map(len, self._blocks.values()))
        for number, following in zip(numbers, [*numbers[1:], None], strict=True):
            files, began = self._blocks[number], time.perf_counter()
            if resuming.is_done(self._store, currency, number, files, state):
                fits, seconds = self._store.read_part("fits", currency, number), 0.0
            else:
                fits = self._block(currency, number, following, state)
                fitted, seconds = fitted + len(files), time.perf_counter() - began
            state = state | resuming.last_converged(fits)
            done += len(files)
            self._report(currency, number, (len(files), done, total), fits, seconds)
        return fitted

    def _block(self, currency: str, number: int, following: int | None, state: State) -> pa.Table:
        """Fit and commit one block."""
        self._check_stop()
        tables = self._reader.tables(number, following)
        files = self._blocks[number]
        frames = [one[currency].frame if currency in one else None for one in tables]
        fits = iter(
            self._fit([frame for frame in frames if frame is not None], state, self._config, self._check_stop)
        )
        by_file: Fits = [{} if frame is None else next(fits) for frame in frames]
        fit_table, quote_table = self._tables(currency, files, tables, by_file)
        part = Part(tuple(file.entry for file in files), resuming.digest(state), {})
        with self._writing:
            self._store.commit(currency, number, part, fit_table, quote_table)
        return fit_table

    def _tables(
        self, currency: str, files: Sequence[SnapshotFile], tables: Sequence[Tables], fits: Fits
    ) -> tuple[pa.Table, pa.Table]:
        config, rows, quotes = self._config, [], []
        for file, one, by_model in zip(files, tables, fits, strict=True):
            table, seed = one.get(currency), config.seed(currency, file.position)
            if table is None:  # the file does not have it
                continue
            rows += fit_rows(file, currency, seed, table, by_model, config.models, config.hash)
            if table.frame is not None:
                quotes.append(quote_rows(file, currency, table.frame, by_model))
        return fits_table(rows, config.models), quotes_table(quotes, config.models)

    def _report(
        self, currency: str, number: int, counts: tuple[int, int, int], fits: pa.Table, seconds: float
    ) -> None:
        frame = fits.select(["snapshot_ts", "status", "converged"]).to_pandas()
        refused = frame["status"] == "refused"
        event = Progress(
            currency,
            number,
            *counts,
            not_converged=int((~frame["converged"] & ~refused).sum()),
            refused=int(frame.loc[refused, "snapshot_ts"].nunique()),
            seconds=seconds,
        )
        with self._writing:
            if seconds:
                self._store.log(event="block", time=_now(), **vars(event))
            self._progress(event)

    def _check_stop(self) -> None:
        """Raise `Stopped` once the run is to end."""
        if self._stop.is_set():
            raise Stopped


def _failed_first(chains: Sequence[Future[int]]) -> list[Future[int]]:
    """Chains that failed by themselves, then those that were stopped because of them, then the others."""

    def rank(chain: Future[int]) -> int:
        error = chain.exception()
        return 2 if error is None else 1 if isinstance(error, Stopped) else 0

    return sorted(chains, key=rank)


def _default_fit() -> Fit:
    from .fit import fit_block  # loads JAX

    return fit_block


def _now() -> str:
    return time.strftime(TIME, time.gmtime())
