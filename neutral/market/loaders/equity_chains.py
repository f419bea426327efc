"""Reads end-of-day chains of listed equity and index options, in the layouts that vendors use."""

import dataclasses
from collections.abc import Mapping
from datetime import date as Date
from datetime import datetime
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from ...errors import ArgumentError, DataError
from ...times import DAY_COUNTS
from ..clock import VarianceClock
from ..clock_times import checked_zone
from ..expiry_times import check_settlement_time, lifetimes, utc_time
from ..quotes import Exercise, Quotes, column
from ..variance_time import in_clock
from .csv_table import CsvTable, read_csv
from .file_content import FileContent
from .option_table import (
    Listing,
    listing,
    midnight,
    option_table,
    option_types,
    quote_times,
    spot_of,
    timestamp_of,
)
from .rates import Rates, discount_factors
from .sources import SourceKind

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
    "quote_time": ("last_update", "last_updated", "updated_at", "last_quote_time"),
    "implied_volatility": ("implied vol", "impliedvol", "implied_volatility", "iv"),
}
TEXTS = ("date", "quote_time", "underlying", "contract", "expiry", "option_type")
REQUIRED = ("expiry", "option_type", "strike", "bid", "ask")
SIDES = {"c_": "call", "p_": "put"}  # prefixes of the wide layout
EUROPEAN = frozenset("SPX SPXW XSP XEO VIX NDX NDXP XND RUT RUTW MRUT DJX DAX SX5E".split())
"""The indices whose options can be exercised only at expiry."""
# A volatility that so many rows share to the last digit was filled in, not computed.
PLACEHOLDER_ROWS = 20
PLACEHOLDER_SHARE = 0.05
REPORTED_SHARE = 0.05  # share of rows with open interest below which the column was not filled in
OCC_SUFFIX = 15  # characters of expiry, kind and strike, at the end of an OCC symbol


@dataclasses.dataclass(frozen=True)
class ChainOptions:
    """The arguments of `load_equity_chain` that say how a chain is read.

    Raises:
        ArgumentError: The day count or the exercise is unknown.
    """

    rates: Rates | float | None = None
    day_count: str = "365"
    exercise: Exercise | None = None
    settlement_time: str | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        check_settlement_time(self.settlement_time)
        if self.timezone is not None:
            checked_zone(self.timezone)
        if self.day_count not in DAY_COUNTS:
            raise ArgumentError(
                f"day_count={self.day_count!r} is unknown; expected one of "
                f"{', '.join(map(repr, DAY_COUNTS))}."
            )
        if self.exercise not in (None, "european", "american"):
            raise ArgumentError(
                f"exercise={self.exercise!r} is unknown; expected 'european' or 'american', or None."
            )


def load_equity_chain(
    path: str | Path,
    date: str | Date | None = None,
    symbol: str | None = None,
    rates: Rates | float | None = None,
    day_count: str = "365",
    exercise: Exercise | None = None,
    settlement_time: str | None = None,
    timezone: str | None = None,
    clock: VarianceClock | None = None,
) -> Quotes:
    """Read one day's chain of one underlying.

    The header decides between two layouts: one row per option (`expiration` or `expiry`, `type` or
    `put/call`, `strike`, `bid`, `ask`), or one row per strike with the call in `[C_BID]`, `[C_ASK]`, ... and
    the put in `[P_BID]`, ... . `NAMES` lists every accepted name; case, blanks and brackets around the names
    do not matter. A cell that is not a number becomes nan; such rows stay, and `prepare` rejects them with
    the reason. The column `refused` marks rows that do not quote a live standard option: contracts whose root
    ends in a digit (mini and adjusted contracts), options that have expired, and options that expire on the
    quote date.

    Args:
        path: CSV file, plain or gzip, UTF-8. Dates are YYYY-MM-DD or YYYYMMDD.
        date: Quote date; None takes the only one. A file with dates in neither its rows nor its name has this
            date. For such a file None takes the first expiry, the last day on which all listed options were
            alive; `timestamp` is then NaT, and maturities are too short by the days in between.
        symbol: Underlying; None takes the only one. A file that states no underlying has this one; for such a
            file None takes the file name up to the first `_` or dot.
        rates: Rate r of the discount factors exp(-r t): a continuously compounded rate, or a history of
            rates, whose rate on the quote date is used for all maturities. None leaves the discount factors
            unknown.
        day_count: "365" or "365.25" days per year; maturities are whole calendar days, unless the quotes have
            a time of day.
        exercise: "european" or "american". None takes "european" for the indices in `EUROPEAN` and
            "american" for all other underlyings.
        settlement_time: When the options expire on their date, for quotes with a time of day: "am", "pm", or
            a time and a zone such as "15:30 Asia/Kolkata". None takes what the file states, or the rules of
            `expiry_times`.
        timezone: Time zone of the times of day of the quotes, such as "America/New_York"; None for UTC.
        clock: Clock of the column `variance_time`, by which surfaces and fits measure time; None for calendar
            time.

    Returns:
        Every row of the date, with prices in cash. An implied volatility that at least 20 rows and more than
        a twentieth of all rows share to the last digit is a placeholder and becomes nan. Open interest that
        fewer than a twentieth of the rows have was not reported, and the column is left out.

    Raises:
        DataError: The file cannot be read, is damaged or empty, lacks a required column, has a date in a form
            that is not accepted, or has no row of the date or symbol. The message names the file, and the
            line or column.
        ArgumentError: The day count or the exercise is unknown, or the file has several dates or symbols and
            the argument that chooses one is None.
    """
    options = ChainOptions(
        rates=rates,
        day_count=day_count,
        exercise=exercise,
        settlement_time=settlement_time,
        timezone=timezone,
    )
    return in_clock(chain_quotes(read_chain(path), symbol, date, options), clock)


def read_chain(file: str | Path | FileContent) -> Listing:
    """Read a file once, for `chain_quotes` on each of its dates.

    Raises:
        DataError: As for `load_equity_chain`.
    """
    table = _one_row_per_option(read_csv(file))
    frame = table.select(NAMES, REQUIRED, TEXTS)
    frame["option_type"] = option_types(column(frame, "option_type"))
    return listing(table, frame, NAMES)


def chain_quotes(
    chain: Listing, symbol: str | None, date: str | Date | None, options: ChainOptions
) -> Quotes:
    """Return the quotes of one underlying on one date of a chain.

    Args:
        chain: The parsed file.
        symbol: As for `load_equity_chain`.
        date: As for `load_equity_chain`.
        options: How the chain is read.

    Raises:
        DataError: The file has no such rows, or neither quote dates nor expiries.
        ArgumentError: The file has several underlyings or dates and the argument that chooses one is None, or
            `date` is not a date.
    """
    rows, name, day = chain.pick("symbol", symbol, date)
    quote_date = utc_time(day or _last_day(chain.path, column(rows, "expiry")), options.timezone)
    roots = column(rows, "root").fillna(name) if "root" in rows else name
    stated = column(rows, "settlement_time") if "settlement_time" in rows else None
    expiry, days = lifetimes(column(rows, "expiry"), quote_date, roots, options.settlement_time or stated)
    maturity = days / DAY_COUNTS[options.day_count]
    stated_dates = column(rows, "date")
    columns = {
        "timestamp": stated_dates if date is None else stated_dates.fillna(timestamp_of(quote_date)),
        "expiry_datetime": expiry,
        "option_type": column(rows, "option_type"),
        "strike": column(rows, "strike"),
        "maturity": maturity,
        "bid_price": column(rows, "bid"),
        "ask_price": column(rows, "ask"),
        "discount": discount_factors(options.rates, quote_date, maturity),
        "implied_volatility": _vendor_vols(rows),
        "underlying_name": name,
    }
    reported = [key for key in ("open_interest", "volume", "vega") if _is_reported(rows, key)]
    columns |= {key: column(rows, key) for key in reported}
    if "quote_time" in rows:
        columns["quote_time"] = quote_times(column(rows, "quote_time"))
    return Quotes(
        frame=option_table(columns, len(rows), _non_standard(rows, name)),
        currency=name,
        snapshot_ts=quote_date,
        path=chain.path,
        day_count=options.day_count,
        sha256=chain.sha256,
        settlement="cash",
        exercise=options.exercise or ("european" if name in EUROPEAN else "american"),
        spot=spot_of(rows, name),
    )


def _one_row_per_option(table: CsvTable) -> CsvTable:
    """Convert the wide layout to one row per option; a table in the other layout is returned unchanged."""
    wide = table.frame
    if "c_bid" not in wide:
        return table
    sided = {name: name[2:] for name in wide if name.startswith(tuple(SIDES))}
    shared = [name for name in wide if name not in sided and name not in sided.values()]
    sides = []
    for prefix, kind in SIDES.items():
        plain_names = {name: plain for name, plain in sided.items() if name.startswith(prefix)}
        side = wide[[*shared, *plain_names]].set_axis([*shared, *plain_names.values()], axis="columns")
        sides.append(side.assign(type=kind))
    frame = pd.concat(sides).sort_index(kind="stable").reset_index(drop=True)
    return dataclasses.replace(table, frame=frame)


def _last_day(path: Path, expiries: pd.Series) -> datetime:
    """Return the last day on which all options were alive."""
    first = expiries.min()
    if first is pd.NaT:
        raise DataError(
            f"{path}: the file has neither quote dates nor expiries; fill the column of expiries."
        )
    return midnight(first)


def _non_standard(rows: pd.DataFrame, name: str) -> np.ndarray | bool:
    """Mark contracts whose root differs from the underlying and ends in a digit, bool, shape (rows,)."""
    if "contract" not in rows:
        return False
    root = column(rows, "contract").str[:-OCC_SUFFIX].str.strip()
    return ((root != name) & root.str[-1:].str.isdigit()).to_numpy(bool)


def _is_reported(rows: pd.DataFrame, key: str) -> bool:
    """Whether the file has a column; a column of open interest that is almost all zeros does not count."""
    if key not in rows:
        return False
    return key != "open_interest" or bool((column(rows, key) > 0).mean() >= REPORTED_SHARE)


def _vendor_vols(rows: pd.DataFrame) -> pd.Series | float:
    """Return the vendor's volatilities, nan where they are not positive or are placeholders."""
    if "implied_volatility" not in rows:
        return np.nan
    vendor_vols = column(rows, "implied_volatility")
    vols = vendor_vols.where(vendor_vols > 0)
    repeats = cast(pd.Series, vols.groupby(vols).transform("size"))
    return vols.mask((repeats >= PLACEHOLDER_ROWS) & (repeats > PLACEHOLDER_SHARE * len(vols)))


EQUITY_CHAIN = SourceKind(
    name="equity chain",
    description="option chains (strike, expiry, and bid or [C_BID])",
    columns=(NAMES["strike"], NAMES["expiry"], (*NAMES["bid"], "c_bid")),
    read=read_chain,
    quotes=chain_quotes,
    options=ChainOptions,
)
