"""Reads option chains of Tardis (data type `options_chain`), as CSV."""

import reprlib
from collections.abc import Mapping

from ...errors import DataError
from ..quotes import column
from .crypto_names import DERIBIT, EXCHANGES
from .crypto_table import TEXTS, CryptoListing, CryptoOptions, crypto_listing, crypto_quotes
from .deribit_summaries import with_deribit_units
from .file_content import MarketData
from .sources import SourceKind
from .table import read_table

NAMES: Mapping[str, tuple[str, ...]] = {
    "name": ("symbol",),
    "exchange": ("exchange",),
    "time": ("timestamp", "local_timestamp"),
    "option_type": ("type",),
    "strike": ("strike_price",),
    "expiry": ("expiration",),
    "bid": ("bid_price",),
    "ask": ("ask_price",),
    "forward": ("underlying_price",),
    "underlying_name": ("underlying_index",),
    "vol": ("mark_iv",),
    "open_interest": ("open_interest",),
    "vega": ("vega",),
}


def read_chain(data: MarketData) -> CryptoListing:
    """Read option chains of one exchange.

    Times are microseconds since 1970. Names, prices and volatilities are those of the exchange: prices of
    Deribit (BTC-...) and OKX are in coin, its volatilities in percent for Deribit and decimal for the others.
    `underlying_price` is the forward of the expiry for Deribit, and the spot index for the other exchanges
    (Tardis, downloadable CSV files, options_chain, and tardis-node's mappers of each exchange).

    Raises:
        DataError: As for `crypto_listing`; a required column is missing; or the file has rows of several
            exchanges, or of an unknown one.
    """
    table = read_table(data)
    frame = table.select(NAMES, ("name", "exchange", "bid", "ask"), TEXTS)
    table.refuse_blanks(column(frame, "exchange"), "exchange")
    named = sorted(column(frame, "exchange").str.strip().str.lower().unique())
    if len(named) > 1 or named[0] not in EXCHANGES:
        found = ", ".join(map(reprlib.repr, named[:4]))
        raise DataError(
            f"{table.path}: the column exchange has {found}; expected one of "
            f"{', '.join(EXCHANGES)} in all rows. Divide the file into one for each exchange."
        )
    exchange = EXCHANGES[named[0]]
    if exchange is DERIBIT:
        frame = with_deribit_units(frame)
    elif "forward" in frame:
        frame = frame.rename(columns={"forward": "spot"})
    return crypto_listing(table, frame, NAMES, exchange)


TARDIS = SourceKind(
    name="tardis",
    description="option chains of Tardis (exchange, symbol, strike_price, expiration)",
    columns={role: NAMES[role] for role in ("exchange", "name", "strike", "expiry", "bid")},
    read=read_chain,
    quotes=crypto_quotes,
    options=CryptoOptions,
)
