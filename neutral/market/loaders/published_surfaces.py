"""Reads published volatility surfaces: files with a maturity in years, and volatilities or prices."""

from collections.abc import Mapping
from datetime import date as Date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import DataError
from ..quotes import UNKNOWN_DATE, Quotes
from .csv_table import FileContent, read_csv
from .option_table import Listing, listing, option_table, option_types, spot_of
from .rates import Rates, discount_factors
from .vol_quotes import SPREAD, bid_ask_around, cash_price, cash_vega, check_spread

NAMES: Mapping[str, tuple[str, ...]] = {
    "date": ("date", "snap_date"),
    "underlying": ("underlying",),
    "expiry": ("expiry", "expiry_date"),
    "maturity": ("t", "expiry_years"),
    "days": ("days",),
    "spot": ("spot",),
    "forward": ("forward",),
    "discount": ("discount",),
    "rate": ("zero_rate", "sofr_rate"),
    "dividend": ("dividend",),
    "strike": ("strike",),
    "option_type": ("type",),
    "bid": ("bid",),
    "ask": ("ask",),
    "price": ("price",),
    "bid_vol": ("bid_iv",),
    "ask_vol": ("ask_iv",),
    "vol": ("iv",),
    "vol_percent": ("iv_pct",),
    "open_interest": ("open_interest",),
}
TEXTS = ("date", "underlying", "expiry", "option_type")
QUOTED = (("bid", "ask"), ("bid_vol", "ask_vol"), ("price",), ("vol",))  # what is used, best first
MIDDLES = QUOTED[2:]
YEAR = 365.0
LONGEST = 200.0  # years


def load_surface(
    path: str | Path,
    name: str | None = None,
    date: str | Date | None = None,
    spread: float = SPREAD,
    rates: Rates | float | None = None,
) -> Quotes:
    """Read a published surface.

    A file has a strike, a maturity (`T`, `expiry_years` or `days`) and, the best of what is there: `bid` and
    `ask` in cash, `bid_iv` and `ask_iv`, `price` in cash, or `iv`; `NAMES` lists every accepted name.
    Volatilities become prices: discount x forward x Black. Where the file has a middle only, bid and ask lie
    half of `spread` in volatility below and above, and `Quotes.assumed_spread` says so.

    - Forward: the file's; else spot e^{(rate - dividend) t} with the file's rate, that of `rates`, or none at
      all, as the sources without rates mean it. Files of bid and ask prices leave it open: parity knows it
      better, and options on a volatility index have another underlying than its spot.
    - Discount: the file's, that of its rate, or that of `rates`. A file without any, of volatilities or of
      prices that its own volatilities give without discounting, has 1; a file of bid and ask leaves it open.
    - Kind: the file's; without, quotes of `price` are calls and volatilities those of the option out of the
      money.

    Args:
        path: CSV file, plain or gzip, UTF-8.
        name: Underlying; None takes the only one. A file that does not say takes its name from here, or from
            the file name up to the first `_`.
        date: Quote date; None takes the file's, or that in the file name (eight digits). Where there is none
            at all `timestamp` is NaT and expiries count from `UNKNOWN_DATE`: maturities are right, dates not.
        spread: Between bid and ask volatility where the file has only a middle; decimal, 0.005 is half a
            volatility point.
        rates: A continuously compounded rate or a history of rates, for files without discount factor.

    Returns:
        Every row of that underlying, European, prices in cash. `implied_volatility` is the file's, the middle
        of bid and ask where it has both. Maturities are the file's, in its day count.

    Raises:
        DataError: The file cannot be read, is damaged or empty, lacks a required column, has a date in a form
            that is not accepted, or no row of that underlying; names the file, and the line or column.
        ArgumentError: A spread that is negative, or several underlyings or dates and none was asked for.
        PrecisionError: Double precision is off, and volatilities have to become prices.
    """
    return surface_quotes(read_surface(path), name, date, spread, rates)


def read_surface(file: str | Path | FileContent) -> Listing:
    """Read a file once, for `surface_quotes` on each of its underlyings.

    Raises:
        DataError: As `load_surface`.
    """
    table = read_csv(file)
    frame = table.select(NAMES, ("strike",), TEXTS)
    if not {"maturity", "days"} & set(frame):
        raise DataError(f"{table.path}: no maturity; expected a column T, expiry_years or days")
    if _quoted(frame) is None:
        raise DataError(
            f"{table.path}: no quotes; expected bid and ask, or forward or spot with bid_iv and ask_iv, "
            "with price, or with iv"
        )
    return listing(table, frame, NAMES)


def surface_quotes(
    surface: Listing,
    name: str | None = None,
    date: str | Date | None = None,
    spread: float = SPREAD,
    rates: Rates | float | None = None,
) -> Quotes:
    """The quotes of one underlying of a surface; other arguments as `load_surface`."""
    check_spread(spread)
    rows, name, taken = surface.pick("name", name, date)
    quoted = _quoted(rows) or ()
    start: Any = pd.Timestamp(taken or UNKNOWN_DATE)
    maturity = (rows["maturity"] if "maturity" in rows else rows["days"] / YEAR).to_numpy()
    forward, discount = _forward_discount(rows, maturity, discount_factors(rates, start, maturity))
    kind = _kinds(rows, forward)
    unit = (forward, discount, rows["strike"].to_numpy(), maturity, kind == "call")
    bid, ask = _bid_ask(rows, quoted, spread, unit)
    columns = {
        "timestamp": pd.NaT if taken is None else start,
        "expiry_datetime": rows["expiry"] if "expiry" in rows else start + _days(maturity),
        "option_type": kind,
        "strike": rows["strike"],
        "maturity": maturity,
        "bid_price": bid,
        "ask_price": ask,
        "futures_price": forward,
        "discount": discount,
        "implied_volatility": _vols(rows),
        "underlying_name": name,
    }
    columns |= {"open_interest": rows["open_interest"]} if "open_interest" in rows else {}
    return Quotes(
        option_table(columns, len(rows)), name, start.to_pydatetime(), surface.path, "file", surface.sha256,
        settlement="cash", spot=spot_of(rows, name),
        assumed_spread=spread if quoted in MIDDLES else np.nan,
    )  # fmt: skip


def _quoted(rows: Any) -> tuple[str, ...] | None:
    """Which columns the prices come from, None where there are none that can."""
    found = next((names for names in QUOTED if set(names) <= set(rows)), None)
    return found if found == QUOTED[0] or {"spot", "forward"} & set(rows) else None


def _forward_discount(rows: Any, maturity: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Forward and discount factor, shape (rows,) each, as `load_surface` describes them."""
    open_prices = _quoted(rows) == QUOTED[0]
    with np.errstate(all="ignore"):  # of rates and maturities that are none
        stated = np.exp(-rows["rate"] * maturity).to_numpy() if "rate" in rows else given
        discount = rows["discount"].to_numpy() if "discount" in rows else stated
        if not open_prices and np.isnan(discount).all():
            discount = np.ones(len(rows))
        if "forward" in rows:
            return rows["forward"].to_numpy(), discount
        if open_prices:
            return np.full(len(rows), np.nan), discount
        carry = np.exp(-rows["dividend"] * maturity).to_numpy() if "dividend" in rows else 1.0
        forward = rows["spot"].to_numpy() * carry / discount
    return np.where(np.isfinite(forward), forward, np.nan), discount


def _kinds(rows: Any, forward: np.ndarray) -> np.ndarray:
    """Each row's kind, shape (rows,)."""
    if "option_type" in rows:
        return option_types(rows["option_type"]).to_numpy(object)
    calls = True if "price" in rows else rows["strike"].to_numpy() >= forward
    return np.where(np.broadcast_to(calls, len(rows)), "call", "put").astype(object)


def _bid_ask(
    rows: Any, quoted: tuple[str, ...], spread: float, unit: tuple[np.ndarray, ...]
) -> tuple[Any, Any]:
    """Bid and ask price in cash, shape (rows,) each."""
    if quoted == ("bid", "ask"):
        return rows["bid"], rows["ask"]
    if quoted == ("price",):
        price = rows["price"].to_numpy()
        half = 0.5 * spread * cash_vega(price, *unit)
        return np.maximum(price - half, 0.0), price + half
    if quoted == ("vol",):
        return bid_ask_around(rows["vol"].to_numpy(), spread, *unit)
    return cash_price(rows["bid_vol"].to_numpy(), *unit), cash_price(rows["ask_vol"].to_numpy(), *unit)


def _vols(rows: Any) -> Any:
    """The file's volatilities, decimal."""
    if "vol" in rows:
        return rows["vol"]
    if "vol_percent" in rows:
        return rows["vol_percent"] / 100
    return 0.5 * (rows["bid_vol"] + rows["ask_vol"]) if "bid_vol" in rows else np.nan


def _days(maturity: np.ndarray) -> pd.Series:
    """Maturities as time spans, to the second; NaT where there is none, or one beyond the calendar."""
    known = pd.Series(maturity).where(np.abs(maturity) < LONGEST)
    spans = pd.to_timedelta((known * YEAR * 86400).round(), unit="s")
    return spans.dt.as_unit("us")
