"""Reads end-of-day chains of listed equity and index options, in the layouts in which they circulate."""

import dataclasses
from collections.abc import Mapping
from datetime import date as Date
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import ArgumentError, DataError
from ..quotes import Exercise, Quotes
from .csv_table import CsvTable, FileContent, read_csv
from .deribit import YEAR_DAYS
from .option_table import Listing, listing, option_table, option_types, spot_of, whole_days
from .rates import Rates, discount_factors

NAMES: Mapping[str, tuple[str, ...]] = {
    "date": ("date", "quotedate", "quote_date", "quote_time_utc"),
    "underlying": ("under", "underlying"),
    "contract": ("symbol", "optionroot"),
    "spot": ("underlying_last", "spot"),
    "expiry": ("expiration", "expiry", "expire_date"),
    "option_type": ("put/call", "type", "option_type"),
    "strike": ("strike",),
    "bid": ("bid",),
    "ask": ("ask",),
    "open_interest": ("open interest", "openinterest", "open_interest"),
    "volume": ("volume",),
    "vega": ("vega",),
    "implied_volatility": ("implied vol", "impliedvol", "implied_volatility", "iv"),
}
TEXTS = ("date", "underlying", "contract", "expiry", "option_type")
REQUIRED = ("expiry", "option_type", "strike", "bid", "ask")
SIDES = {"c_": "call", "p_": "put"}  # prefixes of the wide layout
EUROPEAN = {
    "SPX", "SPXW", "XSP", "XEO", "VIX", "NDX", "NDXP", "XND", "RUT", "RUTW", "MRUT", "DJX", "DAX", "SX5E",
}  # fmt: skip
# A volatility that so many rows share to the last digit was filled in, not computed.
PLACEHOLDER_ROWS, PLACEHOLDER_SHARE = 20, 0.05
REPORTED_SHARE = 0.05  # of rows with open interest; with fewer the column was not filled in


def load_equity_chain(
    path: str | Path,
    date: str | Date | None = None,
    symbol: str | None = None,
    rates: Rates | float | None = None,
    day_count: str = "365",
    exercise: Exercise | None = None,
) -> Quotes:
    """Read one day's chain of one underlying.

    The layout is told by the header, case, blanks and brackets around the names aside: one row per option
    (`expiration` or `expiry`, `type` or `put/call`, `strike`, `bid`, `ask`), or one row per strike with the
    call in `[C_BID]`, `[C_ASK]`, ... and the put in `[P_BID]`, ...; `NAMES` lists every accepted name. What
    is not a number is nan; such rows stay, and `prepare` rejects them with the reason. Rows that are no quote
    of a live standard option say so in the column `refused`: contracts whose root ends in a digit (minis,
    adjusted ones), options that have expired, and those that expire on the day.

    Args:
        path: CSV file, plain or gzip, UTF-8. Dates are YYYY-MM-DD or YYYYMMDD.
        date: Quote date; None takes the only one. A file without dates gets it from here, and None takes the
            first expiry, the last day on which all listed options lived: `timestamp` is NaT then, and
            maturities are too short by the days between.
        symbol: Underlying; None takes the only one. Of a file that has none it is the name, and None takes it
            from the file name, up to the first `_`.
        rates: Discount factors exp(-r t): a continuously compounded rate, or a history of rates, of which the
            one of the quote date holds for all maturities. None leaves them unknown.
        day_count: "365" or "365.25" days a year; maturities are whole calendar days.
        exercise: None takes "european" for the indices in `EUROPEAN` and "american" for all else.

    Returns:
        Every row of that date, prices in cash. An implied volatility that a twentieth of the rows share to
        the last digit is a placeholder, and nan; open interest that all but a twentieth of the rows lack was
        not reported, and is left out.

    Raises:
        DataError: The file cannot be read, is damaged or empty, lacks a required column, has a date in a form
            that is not accepted, or no row of that date or symbol; names the file, and the line or column.
        ArgumentError: Unknown day count or exercise, or several dates or symbols and none was asked for.
    """
    return chain_quotes(read_chain(path), symbol, date, rates, day_count, exercise)


def read_chain(file: str | Path | FileContent) -> Listing:
    """Read a file once, for `chain_quotes` on each of its dates.

    Raises:
        DataError: As `load_equity_chain`.
    """
    table = _one_row_per_option(read_csv(file))
    frame = table.select(NAMES, REQUIRED, TEXTS)
    frame["option_type"] = option_types(frame["option_type"])
    return listing(table, frame, NAMES)


def chain_quotes(
    chain: Listing,
    symbol: str | None = None,
    date: str | Date | None = None,
    rates: Rates | float | None = None,
    day_count: str = "365",
    exercise: Exercise | None = None,
) -> Quotes:
    """The quotes of one date and underlying of a chain; other arguments as `load_equity_chain`."""
    if day_count not in YEAR_DAYS:
        raise ArgumentError(f"day_count={day_count!r}: expected one of {', '.join(map(repr, YEAR_DAYS))}")
    if exercise not in (None, "european", "american"):
        raise ArgumentError(f"exercise={exercise!r}: expected 'european' or 'american'")
    rows, name, taken = chain.pick("symbol", symbol, date)
    taken = taken or _last_day(chain.path, rows["expiry"])
    maturity = whole_days(rows["expiry"], pd.Timestamp(taken)) / YEAR_DAYS[day_count]
    columns = {
        "timestamp": rows["date"] if date is None else rows["date"].fillna(pd.Timestamp(taken)),
        "expiry_datetime": rows["expiry"],
        "option_type": rows["option_type"],
        "strike": rows["strike"],
        "maturity": maturity,
        "bid_price": rows["bid"],
        "ask_price": rows["ask"],
        "discount": discount_factors(rates, taken, maturity),
        "implied_volatility": _vendor_vols(rows),
        "underlying_name": name,
    }
    columns |= {key: rows[key] for key in ("open_interest", "volume", "vega") if _is_reported(rows, key)}
    return Quotes(
        option_table(columns, len(rows), _non_standard(rows, name)),
        name, taken, chain.path, day_count, chain.sha256, settlement="cash",
        exercise=exercise or ("european" if name in EUROPEAN else "american"),
        spot=spot_of(rows, name),
    )  # fmt: skip


def _one_row_per_option(table: CsvTable) -> CsvTable:
    """A table with call and put in one row, unfolded; others as they are."""
    wide: Any = table.frame
    if "c_bid" not in wide:
        return table
    sided = {name: name[2:] for name in wide if name.startswith(tuple(SIDES))}
    shared = [name for name in wide if name not in sided and name not in sided.values()]
    sides = []
    for prefix, kind in SIDES.items():
        own = {name: plain for name, plain in sided.items() if name.startswith(prefix)}
        sides.append(wide[[*shared, *own]].rename(columns=own).assign(type=kind))
    frame = pd.concat(sides).sort_index(kind="stable").reset_index(drop=True)
    return dataclasses.replace(table, frame=frame)


def _last_day(path: Path, expiries: Any) -> datetime:
    """The last day on which all options were alive."""
    first = expiries.min()
    if first is pd.NaT:
        raise DataError(f"{path}: neither quote dates nor expiries; pass date=")
    return first.normalize().to_pydatetime()


def _non_standard(rows: Any, name: str) -> Any:
    """Contracts whose root is not the plain one of the underlying but ends in a digit, shape (rows,)."""
    if "contract" not in rows:
        return False
    root = rows["contract"].str[:-15].str.strip()  # expiry, kind and strike of the OCC symbol take 15
    return ((root != name) & root.str[-1:].str.isdigit()).to_numpy(bool)


def _is_reported(rows: Any, key: str) -> bool:
    """Whether a column is there, and not the zeros that stand for one that is not."""
    if key not in rows:
        return False
    return key != "open_interest" or bool((rows[key] > 0).mean() >= REPORTED_SHARE)


def _vendor_vols(rows: Any) -> Any:
    if "implied_volatility" not in rows:
        return np.nan
    vols = rows["implied_volatility"].where(rows["implied_volatility"] > 0)
    repeats = vols.groupby(vols).transform("size")
    return vols.mask((repeats >= PLACEHOLDER_ROWS) & (repeats > PLACEHOLDER_SHARE * len(vols)))
