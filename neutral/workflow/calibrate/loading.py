"""From files to tables of liquid quotes, one block ahead of the fits."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from threading import Lock

from ...errors import NeutralError
from ...market.quotes import UNKNOWN_DATE
from ..config import Config
from ..inputs.archive import SnapshotFile
from ..inputs.markets import opened, read_market, without_folder
from .rows import Table

Tables = Mapping[str, Table]  # by currency
Load = Callable[[SnapshotFile, Config], Tables]
KEPT_BLOCKS = 4


def load_tables(file: SnapshotFile, config: Config) -> Tables:
    """The tables of the configuration's currencies, without those that the file is known not to have.

    A problem becomes the reason of a refusal.
    """
    currencies = [name for name in config.currencies if file.assets is None or name in file.assets]
    try:
        source = opened(file.path)
    except NeutralError as error:
        reason = without_folder(error, file.path)
        return {currency: Table(None, reason, file.sha256) for currency in currencies}
    dates = dict(source.snapshots) if file.date is None else dict.fromkeys(currencies, _date(file))
    tables = {}
    for currency in currencies:
        split = replace(config.split.build(), seed=config.seed(currency, file.position))
        market = read_market(source, currency, dates.get(currency), config, split)
        tables[currency] = Table(market.frame, market.reason, market.sha256 or file.sha256)
    return tables


def _date(file: SnapshotFile) -> datetime | None:
    return None if file.date == UNKNOWN_DATE else file.date


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
