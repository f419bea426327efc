"""What is fuzzed: functions of the package that read a file, with whole files to start from."""

import dataclasses
import functools
import itertools
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import workflow_fakes as fakes
from layouts import LAYOUTS

import neutral as nt
from neutral import market
from neutral.diagnostics.gates import load_limits
from neutral.market import Filters, Quotes
from neutral.ml import CubeGrid, VolCube
from neutral.shipped import configuration
from neutral.workflow import load_config, open_store, run
from neutral.workflow.pipeline.config import load_pipeline_config
from neutral.workflow.pipeline.records import Records

from .mutations import BINARY, JSON, TABLE, TOML, Mutation

STEPS = (0.9, 0.95, 1.0, 1.05, 1.1)  # strikes / spot: few rows, so that an input takes milliseconds
SNAPSHOTS = 3  # underlyings and dates of a file that are read
LOOSE = Filters(min_quotes=1)
RATES = "date,rate\n2024-03-01,5.33\n2024-03-04,5.33\n2024-03-05,5.31\n"


@dataclasses.dataclass(frozen=True)
class Target:
    """A way of reading a file.

    `read` gets the path of the mutated file and a random generator for its other arguments.
    """

    name: str
    seeds: tuple[tuple[str, bytes], ...]  # names and bytes of whole files
    mutations: tuple[Mutation, ...]
    read: Callable[[Path, random.Random], object]
    weight: int = 1
    beside: Path | None = None  # a folder whose files lie beside the mutated one


def _small(name: str) -> tuple[str, bytes]:
    layout = LAYOUTS[name]
    market_ = layout.market.changed(steps=STEPS, exercise="european")
    case = dataclasses.replace(layout, market=market_).case()
    form = dataclasses.replace(case.form, kind="csv") if case.form.kind == "parquet" else case.form
    return case.file_name.replace(".parquet", ".csv"), case.changed(form=form).content()


def _source(path: Path, rng: random.Random) -> None:
    source = nt.open_source(path)
    for asset, date in source.snapshots[:SNAPSHOTS]:
        _use(source.quotes(asset, date))


def _use(quotes: Quotes) -> None:
    """Filter the quotes; American ones without rates are refused before anything is computed."""
    assert quotes.clock_gap is not None
    kept, rejected = cast(tuple[Any, Any], market.prepare(quotes, LOOSE))
    assert len(kept) + len(rejected) == len(quotes.frame), "rows are lost"
    assert (rejected["reason"] != "").all(), "a row is refused without a reason"


DATES = (None, None, None, "2024-03-04", "9999-12-31", "0001-01-01", "1960-02-29", "x", "")
ASSETS = (None, None, None, "SPX", "BTC", "EURUSD", "", "A/B")
FLAT_RATES = (None, None, 0.03, 3.0, -0.5, float("nan"))
SPREADS = (0.005, 0.005, 0.0, 1e9, -1.0, float("inf"))


def _chain(path: Path, rng: random.Random) -> None:
    date, symbol, rates = rng.choice(DATES), rng.choice(ASSETS), rng.choice(FLAT_RATES)
    quotes = nt.load_equity_chain(path, date=date, symbol=symbol, rates=rates, exercise="european")
    _use(quotes)


def _surface(path: Path, rng: random.Random) -> None:
    date, name, rates = rng.choice(DATES), rng.choice(ASSETS), rng.choice(FLAT_RATES)
    _use(nt.load_surface(path, name=name, date=date, rates=rates, spread=rng.choice(SPREADS)))


def _fx(path: Path, rng: random.Random) -> None:
    spot = rng.choice((None, None, 1.1, 0.0, -1.0, float("nan")))
    date, pair = rng.choice(DATES), rng.choice(ASSETS)
    _use(nt.load_fx_vols(path, pair=pair, date=date, spot=spot, spread=rng.choice(SPREADS)))


def _deribit(path: Path, rng: random.Random) -> None:
    day_count = rng.choice(("file", "365", "365.25", "360"))
    _use(nt.load_deribit(path, currency=rng.choice(ASSETS), day_count=day_count))


def _rates(path: Path, rng: random.Random) -> None:
    rates = nt.load_rates(path)
    for date in ("2024-03-04", "1900-01-01", "2200-01-01"):
        assert np.isfinite(rates.discount(date, [0.0, 1.0])).all(), "a discount factor is not finite"
        rates.covers(date)


def _gates(path: Path, rng: random.Random) -> None:
    limits = load_limits(path)
    nt.diagnostics.evaluate_gates({limits[0].measure: 0.1}, "exotics", limits=limits)


def _config(path: Path, rng: random.Random) -> None:
    config = load_config(path)
    assert config.hash and config.filters.build() and config.data.currencies


def _pipeline_config(path: Path, rng: random.Random) -> None:
    config = load_pipeline_config(path)
    assert config.hash and config.filters.build()


def _store(path: Path, rng: random.Random) -> None:
    store = open_store(path.parent if path.parent.name != "parts" else path.parent.parent)
    for kind in ("fits", "quotes"):
        assert store.read(kind).num_rows >= 0
    for underlying in store.underlyings:
        for block, part in store.parts(underlying).items():
            assert part.warm_start is not None and store.is_complete(underlying, block) is not None
            store.read_part("fits", underlying, block)
    assert store.config and store.config_hash and store.models


def _records(path: Path, rng: random.Random) -> None:
    records = Records(path.parent.parent)
    records.before("SPX", "2024-06-01T00:00:00Z", "heston", 60.0)
    records.history()
    records.write_table()


def _saved(path: Path, rng: random.Random) -> None:
    nt.load(path)


def _cube(path: Path, rng: random.Random) -> None:
    VolCube.load(path)


def market_targets() -> list[Target]:
    """The loaders of market data, on every layout."""
    all_files = {name: _small(name) for name in LAYOUTS}

    def some(*words: str) -> tuple[tuple[str, bytes], ...]:
        return tuple(seed for name, seed in all_files.items() if any(word in name for word in words))

    documents = tuple(seed for name, seed in all_files.items() if LAYOUTS[name].form.kind == "json")
    tables = tuple(seed for seed in all_files.values() if seed not in documents)
    return [
        Target("source", tables, TABLE, _source, weight=8),
        Target("source of JSON", documents, JSON, _source, weight=2),
        Target(
            "chain", some("generic", "end_of_day", "options_dx", "openbb", "theta"), TABLE, _chain, weight=2
        ),
        Target("surface", some("surface"), TABLE, _surface, weight=2),
        Target("fx", some("fx_"), TABLE, _fx, weight=2),
        Target("deribit", some("deribit_snapshot"), TABLE, _deribit, weight=2),
        Target("rates", (("rates.csv", RATES.encode()),), TABLE, _rates),
    ]


def configuration_targets() -> list[Target]:
    """The readers of TOML files."""

    def shipped(*names: str) -> tuple[tuple[str, bytes], ...]:
        return tuple((f"{name}.toml", Path(configuration(name)).read_bytes()) for name in names)

    return [
        Target("config", shipped("deribit", "markets", "svcj_deribit"), TOML, _config, weight=3),
        Target("pipeline config", shipped("heston_index"), TOML, _pipeline_config, weight=2),
        Target("gates", shipped("gates"), TOML, _gates),
    ]


def stored_targets(folder: Path) -> list[Target]:
    """The readers of what the package has written; whole files are written into a folder first."""
    results = _results(folder / "results")
    parts = [path for path in sorted(results.rglob("*.parquet"))]
    manifest = (("manifest.json", (results / "manifest.json").read_bytes()),)
    tables = tuple((str(path.relative_to(results)), path.read_bytes()) for path in parts)
    return [
        Target("manifest", manifest, JSON, _store, weight=2, beside=results),
        Target("tables of results", tables, BINARY, _store, beside=results),
        Target("record", _record_seeds(folder / "records"), JSON, _records, weight=2),
        Target("saved", _saved_seeds(folder), JSON, _saved, weight=3),
        Target("cube", (_cube_seed(folder),), BINARY, _cube),
    ]


def _results(folder: Path) -> Path:
    run(fakes.write_archive(folder.parent / "archive", 4), folder, fakes.fake_config(), fit=fakes.fake_fit)
    for name in ("run_log.jsonl", ".lock"):
        (folder / name).unlink(missing_ok=True)
    return folder


def _record_seeds(folder: Path) -> tuple[tuple[str, bytes], ...]:
    records = Records(folder)
    record = {
        "asset": "SPX",
        "timestamp": "2024-05-20T00:00:00Z",
        "file": "spx_20240520.csv",
        "config_hash": "0" * 64,
        "code_version": "1",
        "model": "heston",
        "status": "converged",
        "converged": True,
        "parameters": {"v0": 0.04, "kappa": 1.5},
        "standard_errors": {"v0": 0.001, "kappa": 0.1},
        "rmse": 0.002,
    }
    try:
        records.store(record)
    except nt.NeutralError:  # a fit has to have more
        records.store(record | {"status": "refused", "converged": False})
    return tuple(
        (f"records/{path.name}", path.read_bytes()) for path in sorted(records.folder.glob("*.json"))
    )


def _saved_seeds(folder: Path) -> tuple[tuple[str, bytes], ...]:
    arrays = np.array([0.1, 0.5]), np.array([[-0.1, 0.0, 0.1]] * 2), np.full((2, 2, 3), 0.05)
    surface = nt.QuoteSurface.from_arrays(*arrays, warn=False)
    svi = nt.ESSVI(*np.array([[0.1, 1.0], [0.004, 0.04], [0.04, 0.2], [-0.5, -0.5]]))
    models = (
        nt.Heston(0.04, 1.5, 0.05, 0.6, -0.7),
        nt.Shifted(nt.Black(0.2), np.array([0.5, 1.0]), np.array([0.01, 0.02])),
    )
    seeds = []
    for i, saved in enumerate((*models, surface, svi)):
        path = folder / f"saved{i}.json"
        nt.save(saved, path)
        seeds.append((path.name, path.read_bytes()))
    return tuple(seeds)


def _cube_seed(folder: Path) -> tuple[str, bytes]:
    grid = CubeGrid(moneyness=(0.9, 1.0, 1.1), days=(73.0, 365.0))
    dates = np.array(["2026-01-05", "2026-01-06"], "datetime64[s]")
    cube = VolCube(values=np.full((2, 5, 2, 3), 0.2), dates=dates, assets=np.array(["X", "X"]), grid=grid)
    path = folder / "cube.npz"
    cube.save(path)
    return path.name, path.read_bytes()


@functools.cache
def all_targets(folder: Path) -> tuple[Target, ...]:
    """Every target; stored files are written into the folder."""
    nt.enable_x64()
    folder.mkdir(parents=True, exist_ok=True)
    return (*market_targets(), *configuration_targets(), *stored_targets(folder))


def weighted(targets: tuple[Target, ...]) -> list[Target]:
    return list(itertools.chain.from_iterable([target] * target.weight for target in targets))


def placed(target: Target, name: str, data: bytes, folder: Path) -> Path:
    """Write a mutated file into an empty folder, beside the others that it belongs to."""
    if target.beside:
        shutil.copytree(target.beside, folder, dirs_exist_ok=True)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
