"""Reads the names of crypto options, which state underlying, settlement, expiry, strike and kind.

    BTC-26APR24-60000-C            Deribit, in coin
    SOL_USDC-26APR24-150-C         Deribit, linear, in USDC; a strike of 0.625 is written 0d625
    BTC-26APR24-60000-C[-USDT]     Bybit, in USDC, or in USDT
    BTC-USD-240426-60000-C         OKX, in coin; BTC-USD_UM-... is linear, in USD
    BTC-240426-60000-C             Binance, in USDT

The underlying of options that settle in coin is named after the coin alone, BTC, and that of linear options
after coin and settlement currency, BTC_USDC. So the two never share a forward, and the name determines the
settlement. All these options expire at 08:00 UTC.
"""

import re
import reprlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...errors import DataError
from ...options.kinds import KINDS, Settlement
from ..quotes import column
from .csv_table import texts

EXPIRY_HOUR = 8  # UTC
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NAME = re.compile(
    r"(?P<coin>[A-Z0-9]+)(?:[_-](?P<quote>[A-Z]+(?:_[A-Z]+)?))?"
    r"-(?:(?P<day>\d{1,2})(?P<month>[A-Z]{3})(?P<year>\d\d)|(?P<date>\d{6}))"
    r"-(?P<strike>\d+(?:[D.]\d+)?)-(?P<kind>[CP])(?:-(?P<settled>[A-Z]+))?",
    re.ASCII,
)
_COIN_SETTLED = "coin"
IN_COIN = ("BTC", "ETH")  # currencies whose options settle in coin unless their names state otherwise


class Exchange(NamedTuple):
    """How the names of an exchange state the settlement currency."""

    unstated: str = _COIN_SETTLED
    """Settlement currency where a name states none."""
    inverse: tuple[str, ...] = ()
    """Quote currencies in names of options that settle in coin."""


DERIBIT = Exchange()
BYBIT = Exchange(unstated="USDC")
OKX = Exchange(inverse=("USD",))
BINANCE = Exchange(unstated="USDT")
EXCHANGES: Mapping[str, Exchange] = {
    "deribit": DERIBIT,
    "bybit": BYBIT,
    "bybit-options": BYBIT,
    "okx": OKX,
    "okex": OKX,
    "okex-options": OKX,
    "okx-options": OKX,
    "binance": BINANCE,
    "binance-options": BINANCE,
    "binance-european-options": BINANCE,
}
"""The exchanges by their names in files of Tardis, in lower case."""


class Option(NamedTuple):
    """What the name of an option states."""

    underlying: str
    expiry: datetime
    strike: float
    option_type: str  # "call" or "put"


def settlement_of(underlying: str) -> Settlement:
    """Return "cash" for an underlying such as BTC_USDC, and "coin" for one such as BTC."""
    return "cash" if "_" in underlying else "coin"


def option_of(name: str, exchange: Exchange) -> Option | None:
    """Read the name of an option; None if it is the name of something else."""
    match = _NAME.fullmatch(name.strip().upper())
    if match is None:
        return None
    expiry = _expiry(match)
    quote = match["settled"] or match["quote"] or exchange.unstated
    if expiry is None:
        return None
    in_coin = quote == _COIN_SETTLED or quote in exchange.inverse
    return Option(
        underlying=match["coin"] if in_coin else f"{match['coin']}_{quote}",
        expiry=expiry,
        strike=float(match["strike"].replace("D", ".")),
        option_type=KINDS[match["kind"].lower()],
    )


def options_of(names: pd.Series, exchange: Exchange) -> pd.DataFrame:
    """Read a column of names, each distinct name once.

    Args:
        names: Text, nan where missing.
        exchange: The exchange.

    Returns:
        Columns underlying (text), expiry (UTC), strike and option_type (text), with the index of `names`;
        missing where a name is that of something else than an option.
    """
    codes, distinct = pd.factorize(texts(names))
    found = [option_of(str(name), exchange) for name in distinct]
    options = pd.DataFrame(
        {
            "underlying": pd.Series([option and option.underlying for option in found], dtype="str"),
            "expiry": pd.Series(
                [option.expiry if option else pd.NaT for option in found], dtype="datetime64[us, UTC]"
            ),
            "strike": pd.Series([option.strike if option else np.nan for option in found], dtype="float64"),
            "option_type": pd.Series([option and option.option_type for option in found], dtype="str"),
        }
    )
    return options.reindex(codes).set_axis(names.index)  # code -1, missing, becomes missing


def deribit_underlyings(path: Path, frame: pd.DataFrame) -> pd.Series:
    """Return the underlying of each row, with the settlement currency of options that do not settle in coin.

    Raises:
        DataError: A row does not state how it settles, or its name and its currency disagree.
    """
    stated = column(frame, "instrument_name").tolist()
    names = [name if isinstance(name, str) else "" for name in stated]
    starts = [name.split("-", maxsplit=1)[0].strip().upper() for name in names]
    pairs = list(zip(column(frame, "currency").tolist(), starts, strict=True))
    found = {pair: _underlying(*pair) for pair in set(pairs)}
    if None in found.values():
        first = next(i for i, pair in enumerate(pairs) if found[pair] is None)
        raise DataError(
            f"{path}: line {first + 2}: currency {reprlib.repr(pairs[first][0])} and instrument_name "
            f"{reprlib.repr(names[first])} do not state whether the options settle in coin or in cash. Fill "
            "instrument_name (BTC-30JAN26-90000-C settles in BTC, SOL_USDC-30JAN26-150-C in USDC), or write "
            "BTC, ETH or a name such as SOL_USDC into currency."
        )
    return pd.Series([found[pair] for pair in pairs], index=frame.index, dtype="str")


def _underlying(currency: str, start: str) -> str | None:
    """Return the underlying of options whose names begin with `start` ("" if unnamed); None if unknown."""
    stated = currency.upper()
    if currency in IN_COIN and "_" not in start or stated == start:
        return currency
    if "_" in start:
        return start if stated in start.split("_") else None
    return currency if "_" in currency and not start else None


def _expiry(match: re.Match[str]) -> datetime | None:
    """Return the expiry that a name states, or None if it is no date."""
    try:
        if match["date"]:
            return datetime.strptime(match["date"], "%y%m%d").replace(hour=EXPIRY_HOUR, tzinfo=UTC)
        month = MONTHS.index(match["month"]) + 1
        return datetime(2000 + int(match["year"]), month, int(match["day"]), EXPIRY_HOUR, tzinfo=UTC)
    except ValueError:  # such as 31FEB24
        return None
