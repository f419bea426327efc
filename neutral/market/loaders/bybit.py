"""Reads tickers of Bybit options, as the answer of its interface in JSON or as CSV."""

from collections.abc import Mapping

from .crypto_names import BYBIT
from .crypto_table import TEXTS, CryptoListing, CryptoOptions, crypto_listing, crypto_quotes
from .file_content import MarketData
from .sources import SourceKind
from .table import read_table

NAMES: Mapping[str, tuple[str, ...]] = {
    "name": ("symbol",),
    "time": ("time", "timestamp", "ts", "datetime"),
    "bid": ("bid1price",),
    "ask": ("ask1price",),
    "forward": ("underlyingprice",),
    "spot": ("indexprice",),
    "vol": ("markiv",),
    "open_interest": ("openinterest",),
    "volume": ("volume24h", "totalvolume"),
    "vega": ("vega",),
}


def read_tickers(data: MarketData) -> CryptoListing:
    """Read tickers of category "option".

    Prices are in USDC, or in USDT for names that end in -USDT. `underlyingPrice` is the forward of the
    expiry, `markIv` a decimal; "0" or nothing means no bid. The answer has one `time`, in milliseconds
    since 1970, for all tickers; a CSV file needs a column of that name, or the time in its own name (Bybit,
    v5 interface, Get Tickers).

    Raises:
        DataError: As for `crypto_listing`, or a required column is missing.
    """
    table = read_table(data)
    return crypto_listing(table, table.select(NAMES, ("name", "bid", "ask"), TEXTS), NAMES, BYBIT)


BYBIT_TICKERS = SourceKind(
    name="bybit",
    description="Bybit tickers (symbol, bid1Price, ask1Price)",
    columns={role: NAMES[role] for role in ("name", "bid", "ask")},
    read=read_tickers,
    quotes=crypto_quotes,
    options=CryptoOptions,
)
