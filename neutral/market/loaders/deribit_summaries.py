"""Reads answers of Deribit's public interface: book summaries and tickers of options, as JSON or CSV."""

from collections.abc import Mapping

import pandas as pd

from ..quotes import column
from .crypto_names import DERIBIT
from .crypto_table import TEXTS, CryptoListing, CryptoOptions, crypto_listing, crypto_quotes
from .file_content import MarketData
from .sources import SourceKind
from .table import read_table

NAMES: Mapping[str, tuple[str, ...]] = {
    "name": ("instrument_name",),
    "time": ("creation_timestamp", "timestamp"),
    "bid": ("bid_price", "best_bid_price"),
    "ask": ("ask_price", "best_ask_price"),
    "forward": ("underlying_price",),
    "underlying_name": ("underlying_index",),
    "spot": ("index_price", "estimated_delivery_price"),
    "vol": ("mark_iv",),
    "open_interest": ("open_interest",),
    "volume": ("volume",),
}
INDEX = "index_price"  # name of an underlying that is the spot index, not the forward of the expiry


def read_summaries(data: MarketData) -> CryptoListing:
    """Read the answers of `get_book_summary_by_currency`, `..._by_instrument` and `ticker`.

    Prices are in coin for instruments such as BTC-26APR24-60000-C, and in USDC for SOL_USDC-26APR24-150-C.
    `underlying_price` is the forward of the expiry, except where `underlying_index` is "index_price".
    `mark_iv` is in percent (Deribit, API reference, public/get_book_summary_by_currency).

    Raises:
        DataError: As for `crypto_listing`, or a required column is missing.
    """
    table = read_table(data)
    frame = table.select(NAMES, ("name", "bid", "ask"), TEXTS)
    return crypto_listing(table, with_deribit_units(frame), NAMES, DERIBIT)


def with_deribit_units(frame: pd.DataFrame) -> pd.DataFrame:
    """Make Deribit's volatilities decimal, and blank forwards that are the spot index."""
    if "vol" in frame:
        frame["vol"] = column(frame, "vol") / 100
    if "underlying_name" in frame and "forward" in frame:
        is_index = column(frame, "underlying_name").str.lower().eq(INDEX).fillna(False).to_numpy(bool)
        frame["forward"] = column(frame, "forward").mask(is_index)
    return frame


DERIBIT_SUMMARIES = SourceKind(
    name="deribit summaries",
    description="Deribit book summaries (instrument_name, bid_price and mark_iv or underlying_price)",
    columns={
        "name": NAMES["name"],
        "bid": NAMES["bid"],
        "forward": (*NAMES["forward"], *NAMES["vol"], *NAMES["time"]),
    },
    read=read_summaries,
    quotes=crypto_quotes,
    options=CryptoOptions,
)
