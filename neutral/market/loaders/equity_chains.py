"""Reads end-of-day chains of listed equity and index options, in the layouts that vendors use."""

import dataclasses
from datetime import date as Date
from datetime import datetime
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from ...errors import ArgumentError, DataError
from ...options.kinds import Settlement
from ...quotes.column_names import CHAIN_NAMES, sided_names
from ...times import DAY_COUNTS
from ..clock import VarianceClock
from ..clock_times import checked_zone
from ..expiry_times import check_settlement_time, lifetimes, utc_time
from ..quotes import Exercise, Quotes, column
from ..variance_time import in_clock
from .chain_columns import chain_columns, non_standard
from .choices import timestamp_of
from .column_map import Columns
from .csv_table import numbers
from .file_content import MarketData, read_content
from .layouts import layout_columns
from .listing import Listing, listing, parse_date_columns
from .option_table import (
    WHERE_PRESENT,
    check_day_count,
    check_exercise,
    option_table,
    quote_times,
    rows_where,
    spot_of,
)
from .quote_times import parse_times
from .rates import Rates, discount_factors
from .repeats import are_snapshots, exact_repeats, mark_snapshots, refuse_conflicts, refuse_times
from .roots import choose_root
from .sources import SourceKind
from .symbols import exercise_of, is_crypto
from .table import Table, read_table
from .units import from_percent, refuse_percent, refuse_scaled
from .unknown_columns import refuse_unknown

# A volatility that so many rows share to the last digit was filled in, not computed.
FIRST_SECONDS = 1e9  # numbers of dates, such as 20240304, are smaller
PLACEHOLDER_ROWS = 20
PLACEHOLDER_SHARE = 0.05
REPORTED_SHARE = 0.05  # share of rows with open interest below which the column was not filled in


@dataclasses.dataclass(frozen=True)
class ChainOptions:
    """The arguments of `load_equity_chain` that set how a chain is read.

    Raises:
        ArgumentError: The day count or the exercise is unknown.
    """

    rates: Rates | float | None = None
    day_count: str = "365"
    exercise: Exercise | None = None
    settlement: Settlement | None = None
    root: str | None = None
    settlement_time: str | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        check_settlement_time(self.settlement_time)
        if self.timezone is not None:
            checked_zone(self.timezone)
        check_day_count(self.day_count)
        check_exercise(self.exercise)
        if self.settlement not in (None, "cash", "coin"):
            raise ArgumentError(
                f"settlement={self.settlement!r} is unknown; expected 'cash' or 'coin', or None."
            )


def load_equity_chain(
    path: MarketData,
    date: str | Date | None = None,
    symbol: str | None = None,
    rates: Rates | float | None = None,
    day_count: str = "365",
    exercise: Exercise | None = None,
    settlement: Settlement | None = None,
    root: str | None = None,
    columns: Columns | None = None,
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
        path: CSV file, plain or gzip, UTF-8; Parquet file; or a table of any library. Dates have one of the
            forms in `dates.FORMS`; one that can be read in two ways has to be declared.
        date: Quote date; None takes the only one. A file with dates in neither its rows nor its name needs
            this date.
        symbol: Underlying; None takes the only one. A file that states no underlying has this one; for such a
            file None takes the file name up to the first `_` or dot.
        rates: Rate r of the discount factors exp(-r t): a continuously compounded rate, or a history of
            rates, whose rate on the quote date is used for all maturities. None leaves the discount factors
            unknown.
        day_count: "365" or "365.25" days per year; maturities are whole calendar days, unless the quotes have
            a time of day.
        exercise: "european" or "american". None takes "european" for the indices in `EUROPEAN` and
            "american" for tickers of one to five letters; other names are an error that asks for it.
        settlement: "cash" or "coin", the unit of prices. None takes "cash"; for a coin an error asks for it.
        root: Root of the options, such as "SPXW", or "AM" or "PM" where the file distinguishes series by the
            time of their settlement alone. None takes all roots, unless two of them quote one expiry day
            and differ in the time of settlement or in the quotes of a contract.
        settlement_time: When the options expire on their date, for quotes with a time of day: "am", "pm", or
            a time and a zone such as "15:30 Asia/Kolkata". None takes what the file states, or the rules of
            `expiry_times`.
        timezone: Time zone of the times of day of the quotes, such as "America/New_York"; None for UTC.
        columns: A map from the names of this package to the file's, for columns with other names; see
            `Columns`. None maps none.
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
        settlement=settlement,
        root=root,
        settlement_time=settlement_time,
        timezone=timezone,
    )
    return in_clock(chain_quotes(read_chain(read_content(path, columns)), symbol, date, options), clock)


def read_chain(data: MarketData) -> Listing:
    """Read a file once, for `chain_quotes` on each of its dates.

    Raises:
        DataError: As for `load_equity_chain`.
    """
    table, frame, layout = chain_columns(read_table(data))
    parse_date_columns(table, frame, CHAIN_NAMES)
    _set_date(table, frame)
    refuse_unknown(table, frame, CHAIN_NAMES)
    from_percent(frame, CHAIN_NAMES)
    refuse_percent(table, frame, CHAIN_NAMES)
    frame["non_standard"] = non_standard(frame)
    if layout is not None and layout.exercise is not None and "exercise_style" not in frame:
        frame["exercise_style"] = layout.exercise
    frame = mark_snapshots(table, frame, CHAIN_NAMES)
    refuse_times(table, table.unused(CHAIN_NAMES), column(frame, "expiry"))
    refuse_conflicts(table, frame, CHAIN_NAMES)
    chain = listing(table, frame, CHAIN_NAMES)
    counted = table.name_of("date", CHAIN_NAMES)
    if layout is None or (counted and _are_seconds(column(table.frame, counted))):
        return chain
    return dataclasses.replace(chain, timezone=layout.timezone)


def _are_seconds(values: pd.Series) -> bool:
    """Whether times are counted since 1970, which is in UTC whatever the zone of the layout."""
    return pd.api.types.is_numeric_dtype(values.dtype) and bool(values.min() > FIRST_SECONDS)


def _set_date(table: Table, frame: pd.DataFrame) -> None:
    """Take the last day of the times of the quotes as the date of a file that states none, in place.

    Raises:
        DataError: A time has another form than the others, or is of no market; 0 stands for no quote.
    """
    if "date" in frame or "quoted_at" not in frame:
        return
    stated = column(frame, "quoted_at")
    name = table.name_of("quoted_at", CHAIN_NAMES) or "quoted_at"
    times = parse_times(table, stated.mask(numbers(stated) == 0), name)
    if times.isna().all():
        return
    several = are_snapshots(times, times.dt.normalize())
    frame["date"] = times if several else times.max().normalize()


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
    exercise, settlement = _terms(chain, rows, name, options)
    rows = choose_root(chain.path, rows, options.root)
    spot = spot_of(rows_where(rows, ~column(rows, "non_standard").to_numpy(bool)), name)
    if settlement == "cash":
        refuse_scaled(chain.path, rows, spot)
    quote_date = utc_time(_stated_day(chain.path, day), options.timezone or chain.timezone)
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
    columns |= {key: column(rows, key) for key in WHERE_PRESENT if _is_reported(rows, key)}
    if "quote_time" in rows:
        columns["quote_time"] = quote_times(column(rows, "quote_time"))
    return Quotes(
        frame=option_table(
            columns, len(rows), column(rows, "non_standard").to_numpy(bool), exact_repeats(rows).to_numpy()
        ),
        currency=name,
        snapshot_ts=quote_date,
        path=chain.path,
        day_count=options.day_count,
        sha256=chain.sha256,
        settlement=settlement,
        exercise=exercise,
        spot=spot,
    )


def _terms(
    chain: Listing, rows: pd.DataFrame, name: str, options: ChainOptions
) -> tuple[Exercise, Settlement]:
    """Return exercise and settlement of the options: the caller's, or the file's, or those of the underlying.

    Raises:
        ArgumentError: The caller does not state it, and neither file nor underlying determine it.
    """
    stated = rows["stated_underlying"].iloc[0] if chain.named else name
    exercise = options.exercise or _stated_exercise(rows) or exercise_of(stated)
    crypto = is_crypto(stated) and options.settlement is None
    if exercise is None or crypto:
        wanted = ["exercise='european' or 'american'"] if exercise is None else []
        wanted += ["settlement='cash' or 'coin'"] if crypto else []
        raise ArgumentError(
            f"{chain.path}: the name {stated!r} does not determine how its options are exercised and "
            "settled: it is neither a known index nor a ticker of one to five letters, or it is also that of "
            f"a coin. Pass {' and '.join(wanted)} (--exercise, --settlement)."
        )
    return exercise, options.settlement or "cash"


def _stated_exercise(rows: pd.DataFrame) -> Exercise | None:
    """Return the exercise that all rows state, or None."""
    styles = rows["exercise_style"].dropna().unique() if "exercise_style" in rows else []
    return styles[0] if len(styles) == 1 else None


def _stated_day(path: Path, day: datetime | None) -> datetime:
    """Return the quote date.

    Raises:
        DataError: Neither the file nor the caller states it.
    """
    if day is None:
        raise DataError(
            f"{path}: no row and not the name of the file states the date of the quotes, without which their "
            'maturities are unknown. Pass date=, such as date="2024-03-04" (--date, or date in [data]), or '
            "write it into the name of the file, such as spx_20240304.csv."
        )
    return day


def _is_reported(rows: pd.DataFrame, key: str) -> bool:
    """Whether the file has a column; a column of open interest that is almost all zeros does not count."""
    if key not in rows or bool(column(rows, key).isna().all()):
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
    columns={
        "strike": (*CHAIN_NAMES["strike"], "strike_x1000", *layout_columns("strike")),
        "expiry": (*CHAIN_NAMES["expiry"], *CHAIN_NAMES["contract"], *layout_columns("expiry")),
        "bid": (*CHAIN_NAMES["bid"], *CHAIN_NAMES["price"], *sided_names("bid"), *layout_columns("price")),
    },
    read=read_chain,
    quotes=chain_quotes,
    options=ChainOptions,
)
