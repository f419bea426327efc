"""Reading Deribit snapshots: every fault of a file has one clear answer."""

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from crypto_files import at_the_money, prepared

from neutral.errors import ArgumentError, DataError
from neutral.market import list_snapshots, load_deribit
from neutral.market.loaders.deribit import COLUMNS, REQUIRED, quotes_of, read_snapshot
from neutral.shipped import sample_folder

NAME = "deribit_options_snapshot_20260115T153452Z.csv"
TAKEN = "2026-01-15T15:34:52.500000+00:00"
ROW = {
    "timestamp": TAKEN,
    "instrument_name": "BTC-30JAN26-90000-C",
    "underlying": "95000",
    "underlying_name": "BTC-30JAN26",
    "option_type": "call",
    "strike": "90000",
    "expiry_datetime": "2026-01-30T08:00:00+00:00",
    "time_to_maturity": "0.0402",
    "bid_price": "0.06",
    "ask_price": "0.062",
    "mark_price": "0.061",
    "mid_price": "0.061",
    "futures_price": "95000",
    "futures_instrument_name": "BTC-30JAN26",
    "implied_volatility": "0.4",
    "delta": "0.9",
    "vega": "50",
    "open_interest": "10",
    "volume": "1",
    "bid_ask_spread": "0.002",
    "currency": "BTC",
    "index_price": "94900",
    "volume_usd": "5000",
}


def text(*rows, columns=COLUMNS) -> str:
    return (
        "\n".join([",".join(columns), *(",".join((ROW | row)[name] for name in columns) for row in rows)])
        + "\n"
    )


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes, name: str = NAME):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def refused(path) -> str:
    with pytest.raises(DataError) as caught:
        load_deribit(path, "BTC")
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def test_a_row_comes_back_as_it_is_written(write):
    quotes = load_deribit(write(text({})))
    assert (quotes.currency, quotes.day_count, len(quotes)) == ("BTC", "file", 1)
    assert quotes.snapshot_ts == datetime(2026, 1, 15, 15, 34, 52, tzinfo=UTC)
    assert quotes.clock_gap == 0.5
    row: Any = quotes.frame.iloc[0]
    assert row["expiry_datetime"] == pd.Timestamp("2026-01-30T08:00Z")
    assert (row["strike"], row["bid_price"], row["maturity"]) == (90000.0, 0.06, 0.0402)
    assert list(quotes.frame.columns) == [*COLUMNS, "maturity"]


@pytest.mark.parametrize("name", [NAME, NAME + ".gz"])
@pytest.mark.parametrize("compress", [gzip.compress, bytes])
def test_gzip_is_told_by_the_bytes(write, name, compress):
    path = write(compress(text({}).encode()), name)
    assert len(load_deribit(path)) == 1
    assert load_deribit(path).sha256 == load_deribit(write(text({}), "plain.csv")).sha256


@pytest.mark.parametrize("name", REQUIRED)
def test_missing_column_is_named(write, name):
    columns = [column for column in COLUMNS if column != name]
    assert name in refused(write(text({}, columns=columns)))


def test_columns_nobody_needs_may_be_absent(write):
    frame: Any = load_deribit(write(text({}, columns=REQUIRED))).frame
    assert set(COLUMNS) <= set(frame)
    assert frame["index_price"].isna().all() and frame["timestamp"].isna().all()
    assert np.isnan(load_deribit(write(text({}, columns=REQUIRED))).clock_gap)


GOOD = text({}, {})
ZIPPED = gzip.compress(GOOD.encode())
DAMAGED = {
    "empty": (b"", "is empty"),
    "blank": (b"\n \n", "is empty"),
    "header only": (text().encode(), "no rows"),
    "truncated gzip": (ZIPPED[:-20], "damaged gzip"),
    "gzip with a wrong byte": (ZIPPED[:30] + b"\0\0\0" + ZIPPED[33:], "damaged gzip"),
    "gzip magic alone": (b"\x1f\x8b", "damaged gzip"),
    "not a gzip inside": (gzip.compress(b"\x80\x81 nothing"), "line 1 is not UTF-8"),
    "bytes": (bytes(range(256)), "line 1 has zero bytes"),
    "latin-1 in line 3": (
        GOOD.encode().replace(b"BTC-30JAN26-90000-C", b"BTC\xe9", 2),
        "line 2 is not UTF-8",
    ),
    "no CSV": (b"<html>503 Service Unavailable</html>", "required columns missing"),
    "too many fields": ((GOOD + "1," * 40 + "\n").encode(), "line 4"),
    "a field more everywhere": (GOOD.replace("5000\n", "5000,1\n").encode(), "line 2 has more fields"),
    "open quote": ((GOOD + '"' + text({}).split("\n")[1]).encode(), "not a readable CSV"),
    "cut in mid row": (GOOD[:-25].encode(), "line 3: the currency is missing"),
    "column twice": (GOOD.replace("delta", "strike", 1).encode(), "column twice: strike"),
}


@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damage_is_one_line_with_the_file(write, content, message):
    assert message in refused(write(content))


def test_what_cannot_be_opened(tmp_path):
    assert "No such file" in refused(tmp_path / NAME)
    assert "it is a folder" in refused(tmp_path)


@pytest.mark.parametrize("value", ["n/a", "", "True", "-", "0x10"])
@pytest.mark.parametrize("name", ["bid_price", "futures_price", "time_to_maturity", "strike"])
def test_what_is_no_number_is_nan(write, name, value):
    frame: Any = load_deribit(write(text({name: value}, {}))).frame
    assert np.isnan(frame[name][0]) and frame[name].dtype == np.float64
    assert frame[name][1] == float(ROW[name])


@pytest.mark.parametrize("values", [("yesterday",), ("", "2026-13-45")])
def test_what_is_no_date_is_missing(write, values):
    frame = load_deribit(write(text(*({"expiry_datetime": value} for value in values), {}))).frame
    assert frame["expiry_datetime"].isna().tolist() == [*(True for _ in values), False]


def test_byte_order_mark_and_windows_lines(write):
    assert len(load_deribit(write(("\ufeff" + GOOD).replace("\n", "\r\n")))) == 2


def test_currencies(write):
    path = write(text({}, {"currency": "ETH"}, {"currency": "ETH"}))
    assert [len(load_deribit(path, name)) for name in ("BTC", "ETH")] == [1, 2]
    with pytest.raises(ArgumentError, match="has BTC, ETH; choose one, for example currency='BTC'"):
        load_deribit(path)
    with pytest.raises(DataError, match="no rows for currency='SOL'; the file has BTC, ETH"):
        load_deribit(path, "SOL")


@pytest.mark.parametrize(("day_count", "days"), [("365", 365.0), ("365.25", 365.25)])
def test_day_count(write, day_count, days):
    maturity: Any = load_deribit(write(text({})), day_count=day_count).frame["maturity"][0]
    seconds = (datetime(2026, 1, 30, 8, tzinfo=UTC) - datetime.fromisoformat(TAKEN)).total_seconds()
    assert maturity == pytest.approx(seconds / 86400 / days, rel=1e-14)


def test_unknown_day_count(write):
    with pytest.raises(ArgumentError, match="day_count='360'"):
        load_deribit(write(GOOD), day_count="360")


def test_time_comes_from_the_rows_where_the_name_tells_none(write):
    path = write(text({}, {"timestamp": "2026-01-15T15:34:50+00:00"}), "quotes.csv")
    assert load_deribit(path).snapshot_ts == datetime(2026, 1, 15, 15, 34, 50, tzinfo=UTC)
    assert "neither the name nor" in refused(write(text({}, columns=REQUIRED), "quotes.csv"))
    for era in ("-0005-01-01T00:00:00Z", "0001-01-01", "9999-12-31"):
        assert "neither the name nor" in refused(write(text({"timestamp": era}), "quotes.csv"))


def test_list_is_sorted_by_the_time_in_the_name(write, tmp_path):
    names = [f"deribit_options_snapshot_{time}Z.csv" for time in ("20260201T000000", "20251231T235959")]
    late, early = write("", names[0]), write("", names[1] + ".gz")
    write("", f"._{names[0]}")
    write("", "README.md")
    assert list_snapshots(tmp_path) == [early, late]
    assert list_snapshots([late, str(early)]) == [early, late]
    write("", names[0] + ".gz")
    with pytest.raises(DataError, match="same time"):
        list_snapshots(tmp_path)


@pytest.mark.parametrize("name", ["quotes.csv", "deribit_options_snapshot_20261301T000000Z.csv", f"x{NAME}"])
def test_list_refuses_a_name_without_a_time(write, tmp_path, name):
    write("", name)
    with pytest.raises(DataError, match="the file name states no time"):
        list_snapshots(tmp_path)


def test_list_of_nothing(tmp_path):
    with pytest.raises(DataError, match="no snapshot"):
        list_snapshots(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        list_snapshots(tmp_path / "nowhere")


def test_shipped_snapshots_are_what_their_readme_says():
    readme = (sample_folder() / "README.md").read_text()
    files = list_snapshots(sample_folder())
    assert len(files) == 12
    for path in files:
        snapshot = read_snapshot(path)
        assert f"| `{path.name}` | {len(snapshot.frame)} | `{snapshot.sha256}` |" in readme
        assert snapshot.currencies == ("BTC", "ETH")
        assert sum(len(quotes_of(snapshot, currency)) for currency in snapshot.currencies) == len(
            snapshot.frame
        )
        assert quotes_of(snapshot, "BTC").clock_gap < 1.0


CASES = Path(__file__).resolve().parents[2] / "cases"


def test_options_that_settle_in_usdc_are_not_read_as_inverse():
    quotes = load_deribit(CASES / "deribit_options_snapshot_20260114T153405Z.csv")
    assert (quotes.currency, quotes.settlement) == ("DOGE_USDC", "cash")
    assert quotes.frame["discount"].unique().tolist() == [1.0]
    kept = prepared(quotes)
    assert kept["forward"].unique().tolist() == [0.14]
    assert at_the_money(quotes, kept) == pytest.approx([0.9] * 2, abs=1e-3)


def linear(coin: str, currency: str, forward: str) -> dict[str, str]:
    name = f"{coin}_USDC-30JAN26-{forward}-C"
    return {"instrument_name": name, "currency": currency, "futures_price": forward, "strike": forward}


def test_each_coin_and_settlement_is_an_underlying(write):
    rows = [{}, linear("BTC", "USDC", "95001"), linear("SOL", "USDC", "150"), linear("XRP", "USDC", "2")]
    path = write(text(*rows, linear("BTC", "BTC", "95001"), linear("DOGE", "DOGE", "1")))
    snapshot = read_snapshot(path)
    assert snapshot.currencies == ("BTC", "BTC_USDC", "DOGE_USDC", "SOL_USDC", "XRP_USDC")
    found = {name: quotes_of(snapshot, name) for name in snapshot.currencies}
    assert [quotes.settlement for quotes in found.values()] == ["coin", *4 * ["cash"]]
    forwards = {name: quotes.frame["futures_price"].unique().tolist() for name, quotes in found.items()}
    assert forwards == {
        "BTC": [95000],
        "BTC_USDC": [95001],
        "DOGE_USDC": [1],
        "SOL_USDC": [150],
        "XRP_USDC": [2],
    }
    with pytest.raises(DataError, match="no rows for currency='USDC'; the file has BTC, BTC_USDC"):
        load_deribit(path, "USDC")


NAMELESS = tuple(name for name in COLUMNS if name != "instrument_name")


@pytest.mark.parametrize(
    ("currency", "settlement"), [("BTC", "coin"), ("ETH", "coin"), ("SOL_USDC", "cash"), ("BTC_USDC", "cash")]
)
def test_names_of_instruments_may_be_absent(write, currency, settlement):
    quotes = load_deribit(write(text({"currency": currency}, columns=NAMELESS)))
    assert (quotes.currency, quotes.settlement) == (currency, settlement)


@pytest.mark.parametrize("currency", ["USDC", "SOL", "DOGE"])
def test_an_unknown_settlement_is_refused(write, currency):
    message = refused(write(text({}, {"currency": currency}, columns=NAMELESS)))
    assert f"line 3: currency '{currency}'" in message and "Fill instrument_name" in message


@pytest.mark.parametrize(
    ("name", "currency"),
    [("SOL-30JAN26-150-C", "USDC"), ("SOL_USDC-30JAN26-150-C", "BTC"), ("BTC-30JAN26-9-C", "BTC_USDC")],
)
def test_a_name_against_its_currency_is_refused(write, name, currency):
    assert f"instrument_name '{name}'" in refused(
        write(text({"instrument_name": name, "currency": currency}))
    )


def test_prices_in_dollars_are_not_taken_for_coin(write):
    assert "a call is worth at most 1" in refused(write(text({"bid_price": "5700", "ask_price": "5800"})))
