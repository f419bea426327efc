"""Reads tickers and summaries of OKX options, as answers of its interface in JSON or as CSV."""

from collections.abc import Mapping

from ...errors import DataError
from .crypto_names import OKX
from .crypto_table import TEXTS, CryptoListing, CryptoOptions, crypto_listing, crypto_quotes
from .file_content import MarketData
from .sources import SourceKind
from .table import read_table

NAMES: Mapping[str, tuple[str, ...]] = {
    "name": ("instid",),
    "time": ("ts", "timestamp", "time"),
    "bid": ("bidpx",),
    "ask": ("askpx",),
    "bid_vol": ("bidvol",),
    "ask_vol": ("askvol",),
    "forward": ("fwdpx",),
    "spot": ("idxpx",),
    "vol": ("markvol",),
    "open_interest": ("oi",),
    "volume": ("vol24h",),
}
PRICES = {"bid", "ask"}
VOLS = {"bid_vol", "ask_vol", "forward"}


def read_tickers(data: MarketData) -> CryptoListing:
    """Read tickers (`bidPx`, `askPx`), summaries (`bidVol`, `askVol`, `fwdPx`), or a table with both.

    Prices are in coin for names such as BTC-USD-240426-60000-C, and in the settlement currency for
    BTC-USD_UM-..., BTC-USDC-... and BTC-USDT-... . Tickers have no forward, so it comes from put-call parity.
    The volatilities of summaries are decimal and Black's for the forward `fwdPx`; they become prices where
    the file has none, and "0" or nothing means no bid. `ts` is in milliseconds since 1970 (OKX, v5
    interface, Get tickers and Get option market data).

    Raises:
        DataError: As for `crypto_listing`, or a required column is missing.
    """
    table = read_table(data)
    frame = table.select(NAMES, ("name",), TEXTS)
    if not PRICES <= set(frame) and not VOLS <= set(frame):
        raise DataError(
            f"{table.path}: the file has no quotes that can be used; expected bidPx and askPx (tickers), "
            f"or bidVol, askVol and fwdPx (summaries). It has the columns {', '.join(table.frame)}."
        )
    if not PRICES <= set(frame):
        frame = frame.drop(columns=list(PRICES), errors="ignore")
    return crypto_listing(table, frame, NAMES, OKX)


OKX_TICKERS = SourceKind(
    name="okx",
    description="OKX tickers or option summaries (instId, and bidPx or bidVol)",
    columns={"name": NAMES["name"], "bid": (*NAMES["bid"], *NAMES["bid_vol"])},
    read=read_tickers,
    quotes=crypto_quotes,
    options=CryptoOptions,
)
