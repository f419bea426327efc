"""Runs the pipeline: each market goes through five stages, each with metrics, limits and a wall time.

The stages are preprocess, configure, optimise, validate and store. If a stage fails, the record states why.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ...shipped import sample_folder
from ...times import time_text
from ..inputs.archive import market_files
from ..inputs.markets import Market, read_markets
from ..progress import doing
from .config import PipelineConfig
from .record import record_of
from .records import Records, as_plain
from .stages import MarketRun, Metrics, Stage, run_stage
from .work import configure, optimise, preprocess, validate

T = TypeVar("T")

SETS = {  # the set of limits of each stage
    "preprocess": "quotes",
    "configure": "objective",
    "optimise": "search",
    "validate": "fit",
    "store": "storage",
}


class PipelineResult(NamedTuple):
    """The results of a run of the pipeline."""

    runs: list[MarketRun]  # in the order of the markets
    history: list[Mapping[str, Any]]  # every record with a fit in the folder, in order of time


def pipeline_files(inputs: Sequence[str | Path], config: PipelineConfig) -> list[Path]:
    """List the files to read: those of `inputs`, or else of the configuration, or else the shipped example.

    Raises:
        DataError: A file does not exist, or a folder has no file of market data.
    """
    paths = list(inputs) or list(config.data.files) or [sample_folder("index")]
    return market_files(paths)[: config.data.limit]


def run_pipeline(
    files: Iterable[Path],
    out: str | Path,
    config: PipelineConfig,
    progress: Callable[[MarketRun], None] = lambda run: None,
    keep: int = 4,
    resume: bool = False,
    left_out: Callable[[Mapping[str, Any]], None] = lambda record: None,
) -> PipelineResult:
    """Take the markets in files through the pipeline, one after another.

    Args:
        files: Files of market data of any kind, as `pipeline_files` lists them.
        out: Folder of the results: `records/`, `records.parquet` and `records.csv`. Records of earlier
            days in it are the history.
        config: The configuration, as `load_pipeline_config` returns it.
        progress: Called with every finished market.
        keep: The number of markets, the last ones, whose surface and diagnosis stay in memory.
        resume: Whether to leave out markets whose fit with this configuration to this data has a record.
        left_out: Called with the record of every market that is left out.

    Returns:
        A run for each market, and the history. A market that cannot be used raises no error.

    Raises:
        DataError: A record in the folder, or the file of limits, is damaged.
        WriteError: The folder or the table of records cannot be written.
    """
    records = Records(Path(out))
    runs: list[MarketRun] = []
    markets = read_markets(
        files, lambda kind: config, config.data.assets, config.column_map, config.data.symbol
    )
    try:
        for market, seconds in _timed(markets):
            if resume and (record := _stored(market, config, records)):
                left_out(record)
                continue
            runs.append(run_market(market, config, records, seconds))
            progress(runs[-1])
            if len(runs) > keep:
                runs[-1 - keep] = runs[-1 - keep].without_numbers()
    finally:
        records.write_table()
    return PipelineResult(runs, records.history())


def _stored(market: Market, config: PipelineConfig, records: Records) -> Mapping[str, Any] | None:
    """Return the record of the fit of a market with a configuration; None if there is none."""
    if not market.sha256:
        return None
    return records.of_fit(
        file=market.file,
        underlying=market.underlying,
        timestamp=time_text(market.timestamp),
        sha256=market.sha256,
        config_hash=config.hash,
    )


def run_market(market: Market, config: PipelineConfig, records: Records, seconds: float = 0.0) -> MarketRun:
    """Take one market through the pipeline.

    Args:
        market: The quotes, or the reason why there are none.
        config: The configuration.
        records: The records of earlier days, to which that of the market is added.
        seconds: The time that was spent on reading the market.
    """
    stages: list[Stage] = []

    def stage(name: str, work: Callable[[], tuple[Metrics, T]], before: float = 0.0) -> T | None:
        sets = (SETS[name], *config.gates.playbooks)
        limits = [limit for limit in config.limits if limit.set in sets]
        with doing(f"{market.title}: {name}"):
            result, value = run_stage(name, work, limits, config.application, before)
        stages.append(result)
        return value

    setup = None
    accepted = None
    diagnosis = None
    frame = stage("preprocess", lambda: preprocess(market), seconds)
    if frame is not None:
        setup = stage("configure", lambda: configure(market, frame, config, records))
    if setup is not None:
        accepted = stage("optimise", lambda: optimise(setup, config))
    if setup is not None and accepted is not None:
        diagnosis = stage("validate", lambda: validate(setup, accepted, config))
    parts = {"setup": setup, "accepted": accepted, "diagnosis": diagnosis}
    record = as_plain(record_of(market, config, stages, **parts))
    stage("store", lambda: (records.store(record, market.rejected), record))
    return MarketRun(
        market=market,
        stages=tuple(stages),
        log=tuple(accepted.log) if accepted else (),
        record=record,
        surface=setup.surface if setup else None,
        diagnosis=diagnosis,
        rejected=market.rejected,
    )


def _timed(markets: Iterable[Market]) -> Iterator[tuple[Market, float]]:
    """Yield markets, each with the seconds that reading it took."""
    began = time.perf_counter()
    for market in markets:
        yield market, time.perf_counter() - began
        began = time.perf_counter()
