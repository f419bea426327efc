"""Reads end-of-hour summaries of Binance options (files `...-EOHSummary-...csv` of its public data)."""

from collections.abc import Mapping

import pandas as pd

from ...errors import DataError
from ..quotes import column
from .crypto_names import BINANCE
from .crypto_table import TEXTS, CryptoListing, CryptoOptions, crypto_listing, crypto_quotes
from .csv_table import numbers
from .file_content import MarketData
from .quote_times import parse_times
from .sources import SourceKind
from .table import read_table

NAMES: Mapping[str, tuple[str, ...]] = {
    "name": ("symbol",),
    "day": ("date",),
    "hour": ("hour",),
    "option_type": ("type",),
    "stated_strike": ("strike",),
    "bid": ("best_bid_price",),
    "ask": ("best_ask_price",),
    "vol": ("mark_iv",),
    "open_interest": ("openinterest_contracts",),
    "volume": ("volume_contracts",),
    "vega": ("vega",),
}
REQUIRED = ("name", "day", "hour", "bid", "ask")


def read_summaries(data: MarketData) -> CryptoListing:
    """Read the summaries of all hours of a file.

    Prices are in USDT; 0 means no bid or ask. The files state no forward, so it comes from put-call
    parity. A strike has the expiry in front of it (231229-30000). Binance does not document whether `hour` (0
    to 23, UTC) is the hour of the quotes or the hour that ends with them; it is taken as the time of the
    quotes. If they are an hour later, maturities are an hour too long, which makes volatilities of one week
    0.3 % of themselves too low.

    Raises:
        DataError: As for `crypto_listing`; a required column is missing; or an hour is not one of 0 to 23.
    """
    table = read_table(data)
    frame = table.select(NAMES, REQUIRED, (*TEXTS, "day", "stated_strike"))
    table.refuse_blanks(column(frame, "day"), "date")
    hour = column(frame, "hour")
    wrong = ~hour.isin(range(24)).to_numpy()
    if wrong.any():
        raise DataError(
            f"{table.path}: row {int(wrong.argmax()) + 1}: hour {hour[int(wrong.argmax())]:g} is no "
            "hour; expected a whole number from 0 to 23."
        )
    days = parse_times(table, column(frame, "day"), "date")
    frame["time"] = days + pd.to_timedelta(hour.astype("int64"), unit="h")
    if "stated_strike" in frame:
        frame["strike"] = numbers(column(frame, "stated_strike").str.replace(".*-", "", regex=True))
    return crypto_listing(table, frame, NAMES, BINANCE)


BINANCE_SUMMARIES = SourceKind(
    name="binance",
    description="end-of-hour summaries of Binance (hour, symbol, best_bid_price, best_ask_price)",
    columns={role: NAMES[role] for role in ("name", "hour", "bid", "ask")},
    read=read_summaries,
    quotes=crypto_quotes,
    options=CryptoOptions,
)
