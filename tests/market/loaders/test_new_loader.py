"""A loader of another kind of file is its module and one line in the registry."""

import difflib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from neutral.market import Filters, build_surface
from neutral.market.loaders import sources

# The module of a user who follows CONTRIBUTING.md: files of mid prices of calls, with an exercise premium.
TOY_MODULE = '''
"""Reads toy files: mid prices of calls, one row per option."""

import dataclasses

from neutral.market import Quotes
from neutral.market.loaders.table import read_table
from neutral.market.loaders.option_table import option_table
from neutral.market.loaders.listing import listing
from neutral.market.loaders.choices import timestamp_of
from neutral.market.loaders.sources import SourceKind

NAMES = {name: (name,) for name in ("date", "underlying", "years", "toy_strike", "toy_price", "forward")}


@dataclasses.dataclass(frozen=True)
class ToyOptions:
    """The spread of prices around the mid."""

    spread: float = 0.1


def read_toy(file):
    table = read_table(file)
    return listing(table, table.select(NAMES, tuple(NAMES), ("date", "underlying")), NAMES)


def toy_quotes(toys, asset, date, options):
    rows, name, day = toys.pick("asset", asset, date)
    columns = {
        "timestamp": timestamp_of(day),
        "expiry_datetime": timestamp_of("2021-01-01T00:00Z"),
        "option_type": "call",
        "strike": rows["toy_strike"],
        "maturity": rows["years"],
        "bid_price": rows["toy_price"] - 0.5 * options.spread,
        "ask_price": rows["toy_price"] + 0.5 * options.spread,
        "futures_price": rows["forward"],
        "discount": 1.0,
        "underlying_name": name,
    }
    return Quotes(
        frame=option_table(columns, len(rows)),
        currency=name,
        snapshot_ts=day,
        path=toys.path,
        day_count="file",
        sha256=toys.sha256,
        settlement="cash",
    )


TOY = SourceKind(
    name="toy",
    description="toy files (toy_strike and toy_price)",
    columns={"strike": ("toy_strike",), "price": ("toy_price",)},
    read=read_toy,
    quotes=toy_quotes,
    options=ToyOptions,
)
'''
TOY_FILE = """date,underlying,years,toy_strike,toy_price,forward
2020-01-02,TOY,1.0,90,13.0,100
2020-01-02,TOY,1.0,100,7.0,100
2020-01-02,TOY,1.0,110,,100
2020-01-02,TOY,1.0,120,1.5,100
"""
LINE = '    "toy_loader:TOY",'


@pytest.fixture
def registry(tmp_path, monkeypatch) -> Iterator[ModuleType]:
    """The module of the registry with one line more, beside which the toy loader lies."""
    (tmp_path / "toy_loader.py").write_text(TOY_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    before = Path(sources.__file__).read_text()
    after = before.replace("LOADERS = (\n", f"LOADERS = (\n{LINE}\n")
    changed = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]
    assert changed == [f"+ {LINE}"]
    (tmp_path / "registry.py").write_text(after)
    name = f"{sources.__package__}.registry_with_toy"
    spec = importlib.util.spec_from_file_location(name, tmp_path / "registry.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("toy_loader", None)


@pytest.fixture
def toy_file(tmp_path) -> Path:
    path = tmp_path / "toys.csv"
    path.write_text(TOY_FILE)
    return path


def test_a_toy_file_becomes_a_surface(registry, toy_file):
    source = registry.open_source(toy_file)
    assert source.kind == "toy" and [asset for asset, _ in source.snapshots] == ["TOY"]
    surface, rejected = build_surface(source.quotes("TOY", spread=0.2), Filters(min_quotes=1))
    assert rejected["reason"].tolist() == ["the bid is missing"]
    np.testing.assert_allclose(surface.quotes().price, [0.13, 0.07, 0.015], rtol=1e-12)
    np.testing.assert_allclose(surface.quotes().spread, 0.002, rtol=1e-9)


def test_its_options_and_its_description_are_told(registry, toy_file):
    with pytest.raises(
        registry.ArgumentError, match="a file of kind 'toy' has no option rates; its options are: spread"
    ):
        registry.open_source(toy_file).quotes(rates=0.01)
    toy_file.write_text("fruit,colour\napple,red\n")
    with pytest.raises(registry.DataError, match=r"are: toy files \(toy_strike and toy_price\), Deribit"):
        registry.open_source(toy_file)


def test_the_package_itself_does_not_know_it(toy_file):
    with pytest.raises(sources.DataError, match="fits no kind of file"):
        sources.open_source(toy_file)


def test_every_home_in_the_registry_holds_a_kind():
    kinds = [sources.source_kind(home) for home in sources.LOADERS]
    assert {type(kind) for kind in kinds} == {sources.SourceKind}
    crypto = ["deribit", "deribit summaries", "tardis", "bybit", "okx", "binance"]
    assert [kind.name for kind in kinds] == [*crypto, "fx", "surface", "equity chain"]
