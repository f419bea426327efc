"""Random faults of files of crypto exchanges: only the package's own errors, no row lost, any order."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import crypto_files as made
import pytest
from crypto_files import Market, chain
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neutral import DataError, NeutralError, enable_x64, open_source
from neutral.market import Filters, prepare

ROWS = chain(Market(days=(11,)))
CASH = chain(Market(days=(11,), in_coin=False))
WILD = ("", "nan", "x", "inf", "-1", "0", "1e400", "1711972800000", " 7 ", "true", "2024-13-01", "1,5")
NAMES = ("BTC-12APR24-60000-C", "BTC-PERPETUAL", "BTC-99APR24-1-P", "BTC-USD-240412-60000-C", "_-_")
JSON_WILD = (*WILD, *NAMES, None, True, [], {"a": [1]}, 1e308, 10**400, "\ud800")
Record = dict[str, Any]
Layout = tuple[Callable[[list[Record]], str], list[Record]]
CSV: dict[str, Layout] = {
    "deribit": (made.as_csv, [made.deribit(row) for row in ROWS]),
    "tardis": (made.as_csv, [made.tardis(row) for row in ROWS]),
    "bybit": (made.as_csv, [made.bybit(row) | {"time": made.millis(row.taken)} for row in CASH]),
    "okx": (made.as_csv, [made.okx_ticker(row) for row in ROWS]),
    "binance": (made.as_csv, [made.binance(row) for row in CASH]),
}
JSON: dict[str, Layout] = {
    "deribit": (made.of_deribit, [made.deribit(row) for row in ROWS]),
    "bybit": (made.of_bybit, [made.bybit(row) for row in CASH]),
    "okx": (made.of_okx, [made.okx_summary(row) for row in ROWS]),
}
LAYOUTS = {f"{name} csv": layout for name, layout in CSV.items()}
LAYOUTS |= {f"{name} json": layout for name, layout in JSON.items()}
fuzzed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@st.composite
def damaged(draw, name: str) -> list[Record]:
    """The records of a layout, some of them with anything in some of their fields."""
    _, records = LAYOUTS[name]
    wild = st.sampled_from(JSON_WILD if name.endswith("json") else WILD + NAMES)
    changes = st.dictionaries(st.sampled_from([*records[0]]), wild, max_size=2)
    places = draw(st.dictionaries(st.integers(0, len(records) - 1), changes, max_size=3))
    return [record | places.get(i, {}) for i, record in enumerate(records)]


def read(path: Path, text: str) -> list | None:
    """The quotes of every snapshot, or None after the package's own error, which is one line."""
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        source = open_source(path)
        return [source.quotes(asset, when) for asset, when in source.snapshots if when is not None]
    except NeutralError as error:
        message = str(error)
        assert str(path) in message and "\n" not in message and len(message) < 1500
        return None


@pytest.mark.parametrize("name", LAYOUTS)
@settings(fuzzed, max_examples=5)
@given(data=st.data())
def test_damaged_records(tmp_path, name, data):
    check_records(tmp_path, name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
@settings(fuzzed, max_examples=100)
@given(data=st.data())
def test_many_damaged_records(tmp_path, name, data):
    check_records(tmp_path, name, data)


def check_records(tmp_path, name, data):
    enable_x64()
    records = data.draw(damaged(name))
    found = read(tmp_path / "options", LAYOUTS[name][0](records))
    data.draw(st.randoms(use_true_random=False)).shuffle(records)
    shuffled = read(tmp_path / "options", LAYOUTS[name][0](records))
    assert (found is None) == (shuffled is None)
    if found is None or shuffled is None:
        return
    key = [(quotes.currency, quotes.snapshot_ts, len(quotes)) for quotes in found]
    assert key == [(quotes.currency, quotes.snapshot_ts, len(quotes)) for quotes in shuffled]
    for quotes in found:
        try:
            kept, rejected = prepare(quotes, Filters(min_quotes=1))
        except DataError as error:
            assert "at least 1 are needed" in str(error)
            continue
        assert len(kept) + len(rejected) == len(quotes) and all(rejected["reason"].tolist())


@pytest.mark.parametrize("name", LAYOUTS)
@settings(fuzzed, max_examples=10)
@given(data=st.data())
def test_damaged_text(tmp_path, name, data):
    check_text(tmp_path, name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
@settings(fuzzed, max_examples=400)
@given(data=st.data())
def test_much_damaged_text(tmp_path, name, data):
    check_text(tmp_path, name, data)


def check_text(tmp_path, name, data):
    write, records = LAYOUTS[name]
    text = write(records[:4])
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 60)))
        text = text[:start] + data.draw(st.text('{}[]":,\n0A.-é', max_size=5)) + text[end:]
    read(tmp_path / "options", text[: data.draw(st.integers(0, len(text)))])
