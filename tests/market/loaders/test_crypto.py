"""Files of crypto exchanges give the volatilities of which they were made; every fault is told in one line."""

from datetime import UTC, timedelta

import numpy as np
import pytest

from neutral import ArgumentError, DataError, Source, enable_x64, open_source
from neutral.market import Filters, prepare
from tests.market.loaders import crypto_files as made
from tests.market.loaders.crypto_files import TAKEN, Market, Row, at_the_money, chain

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


def bybit_json(rows):
    by_time = {row.taken: [] for row in rows}
    for row in rows:
        by_time[row.taken].append(made.bybit(row, "-USDT" if row.market.coin == "ETH" else ""))
    return "\n".join(made.of_bybit(records, taken) for taken, records in by_time.items())


def bybit_csv(rows):
    return made.as_csv([made.bybit(row) | {"timestamp": row.taken.isoformat()} for row in rows])


def okx_tickers(rows):
    return made.of_okx([made.okx_ticker(row) for row in rows])


def okx_tickers_csv(rows):
    return made.as_csv([made.okx_ticker(row) for row in rows])


def okx_summaries(rows):
    return made.of_okx([made.okx_summary(row) for row in rows])


def binance(rows):
    return made.as_csv([made.binance(row) for row in rows])


# what is written, kind, markets by the names of their underlyings, source of the forward
LAYOUTS = {
    "deribit json": (deribit_json, "deribit summaries", {"BTC": BTC, "BTC_USDC": BTC_CASH, "SOL_USDC": SOL, "XRP_USDC": XRP}, "futures"),
    "deribit csv": (deribit_csv, "deribit summaries", {"BTC": BTC, "SOL_USDC": SOL, "XRP_USDC": XRP}, "futures"),
    "tardis deribit": (tardis_of("deribit"), "tardis", {"BTC": BTC, "BTC_USDC": BTC_CASH, "XRP_USDC": XRP}, "futures"),
    "tardis okx": (tardis_of("okex-options"), "tardis", {"BTC": BTC}, "parity"),
    "tardis binance": (tardis_of("binance-european-options"), "tardis", {"BTC_USDT": BTC_CASH, "XRP_USDT": XRP}, "parity"),
    "bybit json": (bybit_json, "bybit", {"BTC_USDC": BTC_CASH, "ETH_USDT": ETH_CASH, "SOL_USDC": SOL}, "futures"),
    "bybit csv": (bybit_csv, "bybit", {"BTC_USDC": BTC_CASH, "SOL_USDC": SOL}, "futures"),
    "okx tickers": (okx_tickers, "okx", {"BTC": BTC, "BTC_USD_UM": BTC_CASH}, "parity"),
    "okx tickers csv": (okx_tickers_csv, "okx", {"BTC": BTC}, "parity"),
    "okx summaries": (okx_summaries, "okx", {"BTC": BTC, "BTC_USD_UM": BTC_CASH}, "futures"),
    "binance": (binance, "binance", {"BTC_USDT": BTC_CASH, "XRP_USDT": XRP}, "parity"),
}  # fmt: skip


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
    write, kind, markets, forward = LAYOUTS[layout]
    rows = [row for market in markets.values() for row in chain(market)]
    # the later snapshot has other volatilities and another spot, so that a mixture would be seen
    later = [m._replace(vol=m.vol + 0.1, spot=1.03 * m.spot) for m in markets.values()]
    rows += [row for market in later for row in chain(market, LATER)]
    shuffled = [rows[i] for i in np.random.default_rng(1).permutation(len(rows))]
    source = opened(write(shuffled))
    assert source.kind == kind
    assert source.snapshots == tuple((name, when) for when in (TAKEN, LATER) for name in sorted(markets))
    for name, when in source.snapshots:
        quotes = source.quotes(name, when)
        assert quotes.settlement == ("coin" if markets[name].in_coin else "cash")
        assert quotes.currency == name and quotes.snapshot_ts == when and len(quotes) == 28
        vols = at_the_money(quotes)
        assert len(vols) == 2
        np.testing.assert_allclose(
            list(vols.values()), markets[name].vol + 0.1 * (when == LATER), atol=BASIS_POINTS_10
        )
        kept, _ = prepare(quotes, Filters(min_quotes=3, min_open_interest=0.0))
        assert set(kept["forward_source"]) == {forward}
