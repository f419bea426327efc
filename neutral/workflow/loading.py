"""From files to tables of liquid quotes, one block ahead of the fits."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from threading import Lock

from ..errors import NeutralError
from ..market import prepare
from ..market.deribit import quotes_of, read_snapshot
from .archive import SnapshotFile
from .config import Config
from .rows import Table

Tables = Mapping[str, Table]  # by currency
Load = Callable[[SnapshotFile, Config], Tables]
KEPT_BLOCKS = 4


def load_tables(file: SnapshotFile, config: Config) -> Tables:
    """The tables of every currency of the configuration; a problem becomes the reason of a refusal."""
    currencies = config.currencies
    try:
        snapshot = read_snapshot(file.path)
    except NeutralError as error:
        reason = _without_folder(error, file)
        return {currency: Table(None, reason, file.sha256) for currency in currencies}
    tables = {}
    for currency in currencies:
        split = replace(config.split.build(), seed=config.seed(currency, file.position))
        try:
            quotes = quotes_of(snapshot, currency, config.data.day_count)
            kept, _ = prepare(quotes, config.filters.build(), split)
            tables[currency] = Table(kept, "", snapshot.sha256)
        except NeutralError as error:
            tables[currency] = Table(None, _without_folder(error, file), snapshot.sha256)
    return tables


class Reader:
    """Loads whole blocks in a thread of its own, each once for all currencies."""

    def __init__(self, blocks: Mapping[int, Sequence[SnapshotFile]], config: Config, load: Load):
        self._blocks = blocks
        self._config = config
        self._load = load
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._futures: OrderedDict[int, Future[list[Tables]]] = OrderedDict()
        self._lock = Lock()

    def tables(self, block: int, following: int | None = None) -> list[Tables]:
        """The tables of a block's files; meanwhile the following block begins to load."""
        future = self._start(block)
        if following is not None:
            self._start(following)
        return future.result()

    def close(self) -> None:
        """Stop loading."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self, block: int) -> "Future[list[Tables]]":
        with self._lock:
            if block not in self._futures:
                self._futures[block] = self._pool.submit(self._load_block, block)
            self._futures.move_to_end(block)
            while len(self._futures) > KEPT_BLOCKS:  # a currency far behind loads again
                self._futures.popitem(last=False)
            return self._futures[block]

    def _load_block(self, block: int) -> list[Tables]:
        return [self._load(file, self._config) for file in self._blocks[block]]


def _without_folder(error: NeutralError, file: SnapshotFile) -> str:
    """The message with the file's name alone, so that a row does not tell where the archive lay."""
    return str(error).replace(str(file.path), file.path.name)
