"""Names of crypto options state underlying, settlement, expiry, strike and kind."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from neutral.market.loaders.crypto_names import (
    BINANCE,
    BYBIT,
    DERIBIT,
    OKX,
    option_of,
    options_of,
    settlement_of,
)

APRIL = datetime(2024, 4, 26, 8, tzinfo=UTC)
# the names are examples of the exchanges' documentation, or have their form
NAMES = [
    (DERIBIT, "BTC-26APR24-60000-C", ("BTC", APRIL, 60000.0, "call"), "coin"),
    (DERIBIT, "ETH-6APR24-3250-P", ("ETH", APRIL.replace(day=6), 3250.0, "put"), "coin"),
    (DERIBIT, "BTC_USDC-26APR24-60000-C", ("BTC_USDC", APRIL, 60000.0, "call"), "cash"),
    (DERIBIT, "XRP_USDC-26APR24-0d625-C", ("XRP_USDC", APRIL, 0.625, "call"), "cash"),
    (BYBIT, "BTC-26APR24-60000-C", ("BTC_USDC", APRIL, 60000.0, "call"), "cash"),
    (BYBIT, "BTC-26APR24-60000-P-USDT", ("BTC_USDT", APRIL, 60000.0, "put"), "cash"),
    (OKX, "BTC-USD-240426-60000-C", ("BTC", APRIL, 60000.0, "call"), "coin"),
    (OKX, "BTC-USD_UM-240426-60000-C", ("BTC_USD_UM", APRIL, 60000.0, "call"), "cash"),
    (BINANCE, "DOGE-240426-0.06-C", ("DOGE_USDT", APRIL, 0.06, "call"), "cash"),
    (BINANCE, " btc-240426-60000-p ", ("BTC_USDT", APRIL, 60000.0, "put"), "cash"),
]


@pytest.mark.parametrize(("exchange", "name", "option", "settlement"), NAMES)
def test_names_of_options(exchange, name, option, settlement):
    found = option_of(name, exchange)
    assert found == option and settlement_of(found.underlying) == settlement


OTHERS = (
    *("", "BTC", "BTC-PERPETUAL", "BTC-26APR24", "BTC-31FEB24-60000-C", "BTC-26XYZ24-60000-C"),
    *("BTC-240230-1-C", "BTC-26APR24-C", "BTC-26APR24-60000-X", "BTC-26APR24--60000-C", "BTC-٢6APR24-1-C"),
)


@pytest.mark.parametrize("name", OTHERS)
def test_names_of_something_else(name):
    assert option_of(name, DERIBIT) is None


def test_a_column_of_names():
    names = pd.Series(
        ["BTC-26APR24-60000-C", None, "BTC-PERPETUAL", "BTC-26APR24-60000-C"], index=[3, 5, 7, 9]
    )
    options = options_of(names, DERIBIT)
    assert options["underlying"].isna().tolist() == [False, True, True, False]
    assert options.loc[9].tolist() == ["BTC", pd.Timestamp(APRIL), 60000.0, "call"]
    assert options_of(names.iloc[1:3], DERIBIT)["expiry"].isna().tolist() == [True, True]
