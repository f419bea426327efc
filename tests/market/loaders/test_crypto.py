"""Files of crypto exchanges give the volatilities of which they are made; every fault is told in one line."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

import crypto_files as made
import numpy as np
import pytest
from crypto_files import TAKEN, Market, Row, at_the_money, chain, prepared

from neutral import ArgumentError, DataError, Source, enable_x64, open_source

BASIS_POINTS_10 = 1e-3
SOL = Market("SOL", vol=0.9, spot=180.0, in_coin=False)
XRP = Market("XRP", vol=0.75, spot=0.62, in_coin=False)
BTC = Market()
BTC_CASH = Market(vol=0.5, in_coin=False)
ETH_CASH = Market("ETH", vol=0.7, spot=3300.0, in_coin=False)
LATER = TAKEN + timedelta(hours=5)


def deribit_json(rows):
    return made.of_deribit([made.deribit(row) for row in rows])


def deribit_csv(rows):
    return made.as_csv([made.deribit(row) for row in rows])


def tardis_of(exchange):
    return lambda rows: made.as_csv([made.tardis(row, exchange) for row in rows])


def bybit_record(row):
    return made.bybit(row, "-USDT" if row.market.coin == "ETH" else "")


def bybit_json(rows):
    by_time = {row.taken: [] for row in rows}
    for row in rows:
        by_time[row.taken].append(bybit_record(row))
    return "\n".join(made.of_bybit(records, taken) for taken, records in by_time.items())


def bybit_csv(rows):
    return made.as_csv([bybit_record(row) | {"timestamp": row.taken.isoformat()} for row in rows])


def okx_tickers(rows):
    return made.of_okx([made.okx_ticker(row) for row in rows])


def okx_tickers_csv(rows):
    return made.as_csv([made.okx_ticker(row) for row in rows])


def okx_summaries(rows):
    return made.of_okx([made.okx_summary(row) for row in rows])


def binance(rows):
    return made.as_csv([made.binance(row) for row in rows])


class Layout(NamedTuple):
    """How a file is written, the kind it is recognised as, its markets, and where its forwards are from."""

    write: Callable[[Sequence[Row]], str]
    kind: str
    markets: Mapping[str, Market]
    forward: str = "futures"


LINEAR = {"BTC": BTC, "BTC_USDC": BTC_CASH, "SOL_USDC": SOL, "XRP_USDC": XRP}
STABLE = {"BTC_USDC": BTC_CASH, "ETH_USDT": ETH_CASH, "SOL_USDC": SOL}
BOTH = {"BTC": BTC, "BTC_USD_UM": BTC_CASH}
TETHER = {"BTC_USDT": BTC_CASH, "XRP_USDT": XRP}
LAYOUTS = {
    "deribit json": Layout(deribit_json, "deribit summaries", LINEAR),
    "deribit csv": Layout(deribit_csv, "deribit summaries", {"XRP_USDC": XRP}),
    "tardis deribit": Layout(tardis_of("deribit"), "tardis", {"BTC": BTC, "BTC_USDC": BTC_CASH}),
    "tardis okx": Layout(tardis_of("okex-options"), "tardis", {"BTC": BTC}, "parity"),
    "tardis binance": Layout(tardis_of("binance-european-options"), "tardis", TETHER, "parity"),
    "bybit json": Layout(bybit_json, "bybit", STABLE),
    "bybit csv": Layout(bybit_csv, "bybit", {"ETH_USDT": ETH_CASH}),
    "okx tickers": Layout(okx_tickers, "okx", BOTH, "parity"),
    "okx tickers csv": Layout(okx_tickers_csv, "okx", {"BTC": BTC}, "parity"),
    "okx summaries": Layout(okx_summaries, "okx", BOTH),
    "binance": Layout(binance, "binance", TETHER, "parity"),
}


@pytest.fixture(autouse=True)
def double_precision():
    enable_x64()


@pytest.fixture
def opened(tmp_path):
    def opened(text: str, name: str = "options.csv") -> Source:
        (tmp_path / name).write_text(text)
        return open_source(tmp_path / name)

    return opened


@pytest.mark.parametrize("layout", LAYOUTS)
def test_volatilities_of_each_underlying_and_time(opened, layout):
    markets = LAYOUTS[layout].markets
    rows = [row for market in markets.values() for row in chain(market)]
    # the later snapshot has other volatilities and another spot, so that a mixture would be seen
    later = [m._replace(vol=m.vol + 0.1, spot=1.03 * m.spot) for m in markets.values()]
    rows += [row for market in later for row in chain(market, LATER)]
    shuffled = [rows[i] for i in np.random.default_rng(1).permutation(len(rows))]
    source = opened(LAYOUTS[layout].write(shuffled))
    assert source.kind == LAYOUTS[layout].kind
    assert source.snapshots == tuple((name, when) for when in (TAKEN, LATER) for name in sorted(markets))
    for name, when in source.snapshots:
        quotes = source.quotes(name, when)
        assert quotes.settlement == ("coin" if markets[name].in_coin else "cash")
        assert quotes.currency == name and quotes.snapshot_ts == when and len(quotes) == 28
        kept = prepared(quotes)
        assert set(kept["forward_source"]) == {LAYOUTS[layout].forward}
        vol = markets[name].vol + 0.1 * (when == LATER)
        assert at_the_money(quotes, kept) == pytest.approx([vol, vol], abs=BASIS_POINTS_10)


def test_options_that_expire_on_the_day_keep_their_hours(opened):
    night = TAKEN.replace(hour=1)
    source = opened(deribit_json(chain(Market(days=(0, 7)), night)))
    frame = source.quotes().frame
    today = frame[frame["expiry_datetime"] == night.replace(hour=8)]
    np.testing.assert_allclose(today["maturity"], 7 / 24 / 365, rtol=1e-12)
    assert (today["refused"] == "").all()
    assert at_the_money(source.quotes()) == pytest.approx([0.6, 0.6], abs=BASIS_POINTS_10)
    noon = opened(deribit_json(chain(Market(days=(7,))) + expired(chain(Market(days=(0, 7)), night))))
    assert noon.quotes(date=TAKEN).frame["refused"].value_counts().to_dict() == {
        "": 14,
        "the option expired before the quote date": 14,
    }


def expired(rows):
    """The options of the night that have expired at noon, as if they were quoted still."""
    return [row._replace(taken=TAKEN) for row in rows if row.expiry < TAKEN]


def test_rows_that_are_collected_one_after_the_other_are_one_snapshot(opened):
    rows = [row for hour in range(2) for row in chain(BTC, TAKEN + timedelta(hours=hour))]
    jittered = [row._replace(taken=row.taken + timedelta(milliseconds=211 * i)) for i, row in enumerate(rows)]
    source = opened(deribit_json(jittered))
    assert [when for _, when in source.snapshots] == [jittered[27].taken, jittered[-1].taken]
    assert all((source.quotes("BTC", when).frame["refused"] == "").all() for _, when in source.snapshots)


def test_a_stream_of_updates_gives_the_state_at_the_end_of_each_hour(opened):
    rows = []
    generator = np.random.default_rng(2)
    for minute in range(90):  # any option each second, at last each one, while the volatility rises
        updates = chain(BTC._replace(vol=0.4 + 0.002 * minute), TAKEN + timedelta(minutes=minute))
        order = np.append(generator.integers(28, size=30), generator.permutation(28))
        rows += [
            updates[k]._replace(taken=updates[k].taken + timedelta(seconds=i)) for i, k in enumerate(order)
        ]
    source = opened(tardis_of("deribit")(rows))
    assert [when.replace(second=0) for _, when in source.snapshots] == [
        TAKEN + timedelta(minutes=minute) for minute in (59, 89)
    ]
    for (_, when), vol in zip(source.snapshots, (0.518, 0.578), strict=True):
        quotes = source.quotes("BTC", when)
        assert (quotes.frame["refused"] == "").sum() == 28
        assert set(quotes.frame["refused"]) == {"", "a later quote of the option replaces it"}
        assert at_the_money(quotes) == pytest.approx([vol, vol], abs=BASIS_POINTS_10)


def test_times_are_chosen_by_time_or_day(opened):
    rows = chain(BTC) + chain(BTC, LATER) + chain(BTC, TAKEN + timedelta(days=1))
    source = opened(deribit_csv(rows))
    assert source.quotes(date="2024-04-01T17:00").snapshot_ts == LATER
    assert source.quotes(date="2024-04-02").snapshot_ts == TAKEN + timedelta(days=1)
    with pytest.raises(ArgumentError, match=r"2024-04-01T12:00:00, 2024-04-01T17:00:00; choose one"):
        source.quotes(date="2024-04-01")
    with pytest.raises(DataError, match="no rows for date='2024-04-01T13:00:00'"):
        source.quotes(date="2024-04-01T13:00")
    with pytest.raises(ArgumentError, match="date='noon' is not a date or time"):
        source.quotes(date="noon")


def test_a_file_without_times_needs_one(opened):
    text = made.as_csv([made.bybit(row) for row in chain(BTC_CASH)])
    source = opened(text, "bybit_20240401.csv")
    assert source.snapshots == (("BTC_USDC", None),)
    with pytest.raises(ArgumentError, match="neither the rows nor the name of the file state when"):
        source.quotes()
    given = source.quotes(date="2024-04-01T12:00")
    named = opened(text, "bybit_20240401T120000Z.csv").quotes()
    assert given.snapshot_ts == named.snapshot_ts == TAKEN
    assert at_the_money(named) == pytest.approx([0.5, 0.5], abs=BASIS_POINTS_10)


def test_rates_discount_cash_only(opened):
    source = opened(deribit_json(chain(BTC) + chain(SOL)))
    quotes = source.quotes("SOL_USDC", rates=0.05)
    np.testing.assert_allclose(quotes.frame["discount"], np.exp(-0.05 * quotes.frame["maturity"]))
    assert (source.quotes("SOL_USDC").frame["discount"] == 1).all()
    assert (source.quotes("BTC", rates=0.05).frame["discount"] == 1).all()
    with pytest.raises(ArgumentError, match="day_count='360' is unknown"):
        source.quotes("BTC", day_count="360")


def test_other_instruments_are_refused_or_left_out(opened):
    records = [made.deribit(row) for row in chain(BTC)]
    other = dict.fromkeys(records[0]) | {"creation_timestamp": made.millis(TAKEN), "mark_price": 60000.0}
    names = (
        "BTC-PERPETUAL",
        "BTC-26APR24",
        "BTC-FS-26APR24_PERP",
        "BTC-31FEB24-60000-C",
        "ADA_USDC-PERPETUAL",
    )
    source = opened(made.of_deribit(records + [other | {"instrument_name": name} for name in names]))
    assert source.snapshots == (("BTC", TAKEN),)
    refused = source.quotes().frame["refused"]
    assert refused[refused != ""].to_dict() == dict.fromkeys(range(28, 32), "the instrument is not an option")


def test_an_index_is_no_forward(opened):
    index = {"underlying_index": "index_price", "underlying_price": 59000.0}
    quotes = opened(made.of_deribit([made.deribit(row) | index for row in chain(BTC)])).quotes()
    assert quotes.frame["futures_price"].isna().all()
    assert at_the_money(quotes) == pytest.approx([0.6, 0.6], abs=BASIS_POINTS_10)


@pytest.mark.parametrize(
    ("change", "value"), [("strike_price", 61000), ("type", "put"), ("expiration", 1713513600000000)]
)
def test_a_row_whose_name_and_columns_disagree_is_refused(opened, change, value):
    records = [made.tardis(row) for row in chain(BTC)]
    records[0][change] = value
    refused = opened(made.as_csv(records)).quotes().frame["refused"]
    assert refused[refused != ""].to_dict() == {0: "the name of the instrument and its columns disagree"}


def test_prices_that_are_not_in_coin_are_told(opened):
    converted = [row._replace(market=BTC) for row in chain(BTC_CASH)]
    source = opened(deribit_csv(converted))
    with pytest.raises(
        DataError, match="a call is worth at most 1. If the options settle in cash, their names"
    ):
        source.quotes()


def test_exchanges_are_not_mixed(opened):
    records = [made.tardis(row, exchange) for row in chain(BTC) for exchange in ("deribit", "okex-options")]
    with pytest.raises(DataError, match="exchange has 'deribit', 'okex-options'; expected one of deribit"):
        opened(made.as_csv(records))
    with pytest.raises(DataError, match="exchange has 'cme'; expected one of deribit"):
        opened(made.as_csv([made.tardis(row) | {"exchange": "cme"} for row in chain(BTC)]))


def test_okx_needs_prices_or_volatilities_with_forwards(opened):
    records = [made.okx_summary(row) for row in chain(BTC)]
    for record in records:
        del record["fwdPx"]
    with pytest.raises(DataError, match="expected bidPx and askPx .tickers., or bidVol, askVol and fwdPx"):
        opened(made.of_okx(records))


def test_binance_needs_hours(opened):
    records = [made.binance(row) for row in chain(BTC_CASH)]
    records[3]["hour"] = 24
    with pytest.raises(DataError, match="row 4: hour 24 is no hour; expected a whole number from 0 to 23"):
        opened(made.as_csv(records))


TIMES = {
    "two units": ([1711972800000, 1711972800], "row 2: creation_timestamp '1711972800"),
    "a word": ([1711972800000, "noon"], "row 2: creation_timestamp 'noon' is no time"),
    "the year 1": (["0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"], "is no time between 2001 and 2200"),
    "too large": ([10**30, 10**30], "is no time between 2001 and 2200"),
    "a blank": ([1711972800000, ""], "line 3: creation_timestamp is blank"),
}


@pytest.mark.parametrize(("times", "message"), TIMES.values(), ids=TIMES)
def test_times_have_one_form(opened, times, message):
    records = [made.deribit(row) for row in chain(BTC)[:2]]
    for record, time in zip(records, times, strict=True):
        record["creation_timestamp"] = time
    with pytest.raises(DataError, match=message):
        opened(made.as_csv(records))


def test_no_option_at_all(opened):
    text = deribit_csv([row for row in chain(BTC)][:1]).replace("BTC-12APR24", "BTC-SOON")
    with pytest.raises(
        DataError, match="no instrument_name is the name of an option, and the first is 'BTC-SOON"
    ):
        opened(text)
