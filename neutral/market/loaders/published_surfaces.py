"""Reads published volatility surfaces: files with a maturity in years, and volatilities or prices."""

import dataclasses
from collections.abc import Mapping
from datetime import date as Date
from datetime import datetime
from typing import cast

import numpy as np
import pandas as pd

from ...errors import DataError
from ...quotes.column_names import CHAIN_NAMES
from ...times import DAYS_A_YEAR, SECONDS_A_DAY
from ..clock import VarianceClock
from ..quotes import UNKNOWN_DATE, Exercise, Quotes, column
from ..variance_time import in_clock
from .choices import midnight, timestamp_of
from .column_map import Columns, how_to_map
from .file_content import MarketData, read_content
from .listing import Listing, listing, parse_date_columns
from .option_table import DAY, check_exercise, option_table, option_types, spot_of
from .rates import Rates, discount_factors
from .repeats import mark_snapshots, refuse_conflicts
from .sources import SourceKind
from .symbols import exercise_of
from .table import read_table
from .units import from_percent, refuse_percent
from .unknown_columns import refuse_unknown
from .vol_quotes import SPREAD, OptionTerms, bid_ask_around, cash_price, cash_vega, check_spread

_SHARED = ("date", "underlying", "expiry", "option_type", "strike", "bid", "ask", "open_interest")
NAMES: Mapping[str, tuple[str, ...]] = {
    **{key: CHAIN_NAMES[key] for key in _SHARED},
    "maturity": (
        *("t", "expiry_years", "maturity", "tau", "ttm", "years", "time_to_maturity", "time_to_expiry"),
        *("year_fraction", "texp", "maturity_years"),
    ),
    "days": ("days", "days_to_expiry", "days_to_expiration", "days_to_maturity", "dte"),
    "spot": ("spot", "underlying_price", "spot_price", "underlying_last"),
    "forward": ("forward", "forward_price", "fwd"),
    "discount": ("discount", "discount_factor", "df"),
    "rate": ("zero_rate", "sofr_rate", "rate", "interest_rate", "risk_free_rate"),
    "rate_percent": ("rate_pct", "zero_rate_pct"),
    "dividend": ("dividend", "dividend_yield", "div_yield"),
    "dividend_percent": ("dividend_pct", "dividend_yield_pct"),
    "price": ("price", "mid", "mid_price"),
    "bid_vol": ("bid_iv", "bid_vol", "bid_implied_volatility"),
    "bid_vol_percent": ("bid_iv_pct", "bid_vol_pct"),
    "ask_vol": ("ask_iv", "ask_vol", "ask_implied_volatility"),
    "ask_vol_percent": ("ask_iv_pct", "ask_vol_pct"),
    "vol": ("iv", "implied_volatility", "implied_vol", "volatility", "mid_iv"),
    "vol_percent": ("iv_pct", "vol_pct", "implied_volatility_pct"),
}
TEXTS = ("date", "underlying", "expiry", "option_type")
CASH_SIDES = ("bid", "ask")
VOL_SIDES = ("bid_vol", "ask_vol")
CASH_MID = ("price",)
VOL_MID = ("vol",)
QUOTED = (CASH_SIDES, VOL_SIDES, CASH_MID, VOL_MID)  # the first group that a file has is used
CALENDARS_DIFFER = 6 / 365  # years between counts of business days and of calendar days
CONTRADICTS = "the maturity disagrees with the dates of quote and expiry"
LONGEST = 200.0  # years; longer maturities have no expiry, because pandas limits the length of time spans


@dataclasses.dataclass(frozen=True)
class SurfaceOptions:
    """The arguments of `load_surface` that set how a surface is read.

    Raises:
        ArgumentError: The spread is negative or not finite, or the exercise is unknown.
    """

    spread: float = SPREAD
    rates: Rates | float | None = None
    exercise: Exercise | None = None

    def __post_init__(self) -> None:
        check_spread(self.spread)
        check_exercise(self.exercise)


def load_surface(
    path: MarketData,
    name: str | None = None,
    date: str | Date | None = None,
    spread: float = SPREAD,
    rates: Rates | float | None = None,
    exercise: Exercise | None = None,
    columns: Columns | None = None,
    clock: VarianceClock | None = None,
) -> Quotes:
    """Read a published surface.

    A file has a strike, a maturity (`T`, `expiry_years` or `days`) and at least one of the following kinds of
    quotes, of which the first is used: `bid` and `ask` in cash, `bid_iv` and `ask_iv`, `price` in cash, `iv`.
    `NAMES` lists every accepted name. Volatilities become prices: discount x forward x Black. If the file has
    only a mid, bid and ask lie half of `spread` in volatility below and above it, and
    `Quotes.assumed_spread` is this spread.

    - Forward: the file's, or else spot e^{(rate - dividend) t} with the file's rate, that of `rates`, or 0,
      which sources without rates imply. For files of bid and ask prices without a forward it is nan: put-call
      parity determines it better, and options on a volatility index are not written on its spot.
    - Discount: the file's, that of its rate, or that of `rates`. Without any of them it is 1, because sources
      of volatilities or mid prices then do not discount; for files of bid and ask prices it is nan.
    - Kind: the file's. Without such a column, quotes of `price` are calls, and a volatility is that of the
      out-of-the-money option.

    Args:
        path: CSV file, plain or gzip, UTF-8; Parquet file; or a table of any library.
        name: Underlying; None takes the only one. A file that states no underlying has this one; for such a
            file None takes the file name up to the first `_` or dot.
        date: Quote date; None takes the file's, or the one in the file name (eight digits). If there is no
            date, `timestamp` is NaT and expiries count from `UNKNOWN_DATE`, but maturities are right.
        spread: Distance between bid and ask volatility if the file has only a mid; decimal, so 0.005 is half
            a volatility point.
        rates: A continuously compounded rate or a history of rates, for files without discount factors.
        exercise: "european" or "american". None takes "european", but for bid and ask prices without a
            forward that of the underlying, if the file states it.
        columns: A map from the names of this package to the file's, for columns with other names; see
            `Columns`. None maps none.
        clock: Clock of the column `variance_time`, by which surfaces and fits measure time; None for calendar
            time.

    Returns:
        Every row of the underlying, with prices in cash. `implied_volatility` is the file's, or the
        mean of bid and ask volatility. Maturities are the file's, in its day count.

    Raises:
        DataError: The file cannot be read, is damaged or empty, lacks a required column, has a date in a form
            that is not accepted, or has no row of the underlying. The message names the file, and the line
            or column.
        ArgumentError: The spread is negative or not finite, or the file has several underlyings or dates and
            the argument that chooses one is None.
        PrecisionError: Double precision is off, and volatilities have to become prices.
    """
    options = SurfaceOptions(spread=spread, rates=rates, exercise=exercise)
    return in_clock(surface_quotes(read_surface(read_content(path, columns)), name, date, options), clock)


def read_surface(data: MarketData) -> Listing:
    """Read a file once, for `surface_quotes` on each of its underlyings.

    Raises:
        DataError: As for `load_surface`.
    """
    table = read_table(data)
    frame = table.select(NAMES, ("strike",), TEXTS)
    from_percent(frame, NAMES)
    refuse_percent(table, frame, NAMES)
    if not {"maturity", "days"} & set(frame):
        raise DataError(
            f"{table.path}: the file has no maturities; expected a column T or expiry_years, in years, or a "
            "column days."
        )
    if _quoted(frame) is None:
        raise DataError(
            f"{table.path}: the file has no quotes that can be used; expected the columns bid and ask, or a "
            "column forward or spot together with bid_iv and ask_iv, with price, or with iv. Say which "
            f"columns of other names contain them: {how_to_map('vol', '...')}, or bid and ask. "
            f"The file has the columns {table.listed}."
        )
    if "option_type" in frame:
        frame["option_type"] = option_types(column(frame, "option_type"))
    parse_date_columns(table, frame, NAMES)
    frame = mark_snapshots(table, frame, NAMES)
    refuse_unknown(table, frame, NAMES)
    refuse_conflicts(table, frame, NAMES)
    return listing(table, frame, NAMES)


def surface_quotes(
    surface: Listing, name: str | None, date: str | Date | None, options: SurfaceOptions
) -> Quotes:
    """Return the quotes of one underlying of a surface.

    Args:
        surface: The parsed file.
        name: As for `load_surface`.
        date: As for `load_surface`.
        options: How the surface is read.

    Raises:
        DataError: The file has no such rows.
        ArgumentError: The file has several underlyings or dates and the argument that chooses one is None, or
            `date` is not a date.
        PrecisionError: As for `load_surface`.
    """
    rows, name, quote_date = surface.pick("name", name, date)
    snapshot_ts = quote_date or UNKNOWN_DATE
    start = timestamp_of(snapshot_ts)
    years = column(rows, "maturity") if "maturity" in rows else column(rows, "days") / DAYS_A_YEAR
    by_date = _years_by_date(rows, quote_date)
    maturity = np.where(by_date < 0, by_date, years)  # the options have expired
    forward, discount = _forward_discount(rows, maturity, discount_factors(options.rates, start, maturity))
    kind = _kinds(rows, forward)
    strike = column(rows, "strike")
    terms = OptionTerms(
        forward=forward,
        discount=discount,
        strike=strike.to_numpy(),
        maturity=maturity,
        is_call=kind == "call",
    )
    bid, ask = _bid_ask(rows, options.spread, terms)
    columns = {
        "timestamp": pd.NaT if quote_date is None else start,
        "expiry_datetime": column(rows, "expiry") if "expiry" in rows else start + _days(maturity),
        "option_type": kind,
        "strike": strike,
        "maturity": maturity,
        "bid_price": bid,
        "ask_price": ask,
        "futures_price": forward,
        "discount": discount,
        "implied_volatility": _vols(rows),
        "underlying_name": name,
    }
    if "open_interest" in rows:
        columns["open_interest"] = column(rows, "open_interest")
    frame = option_table(columns, len(rows))
    contradicts = np.abs(by_date - maturity) > CALENDARS_DIFFER + 0.1 * np.abs(maturity)
    frame["refused"] = frame["refused"].mask(contradicts & (frame["refused"] == ""), CONTRADICTS)
    return Quotes(
        frame=frame,
        currency=name,
        snapshot_ts=snapshot_ts,
        path=surface.path,
        day_count="file",
        sha256=surface.sha256,
        settlement="cash",
        exercise=options.exercise or _exercise(surface, rows),
        spot=spot_of(rows, name),
        assumed_spread=options.spread if _quoted(rows) in (CASH_MID, VOL_MID) else np.nan,
    )


def _years_by_date(rows: pd.DataFrame, quote_date: datetime | None) -> np.ndarray:
    """Return the calendar years from the quote date to the expiries, nan where they are unknown, (rows,)."""
    if quote_date is None or "expiry" not in rows:
        return np.full(len(rows), np.nan)
    return ((column(rows, "expiry") - midnight(quote_date)) / DAY).to_numpy(float) / DAYS_A_YEAR


def _exercise(surface: Listing, rows: pd.DataFrame) -> Exercise:
    """Return the exercise of a surface: volatilities, and prices with a forward, are of European options.

    Bid and ask prices without a forward are those of the exchange, so the underlying decides.
    """
    listed = surface.named and _quoted(rows) == CASH_SIDES and "forward" not in rows
    stated = exercise_of(rows["stated_underlying"].iloc[0]) if listed else None
    return stated or "european"


def _quoted(rows: pd.DataFrame) -> tuple[str, ...] | None:
    """Return the columns from which prices are computed, or None if the file does not have what they need."""
    quoted = next((names for names in QUOTED if set(names) <= set(rows)), None)
    return quoted if quoted == CASH_SIDES or {"spot", "forward"} & set(rows) else None


def _forward_discount(
    rows: pd.DataFrame, maturity: np.ndarray, callers_discount: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return forward and discount factor, shape (rows,) each, as `load_surface` describes them.

    Args:
        rows: The rows of one underlying.
        maturity: Years, shape (rows,).
        callers_discount: The discount factors of the caller's rates, nan if there are none; shape (rows,).
    """
    has_bid_ask = _quoted(rows) == CASH_SIDES
    with np.errstate(all="ignore"):  # rates and maturities may be missing; the rows are refused later
        from_rate = np.exp(-rows["rate"].to_numpy() * maturity) if "rate" in rows else callers_discount
        discount = rows["discount"].to_numpy() if "discount" in rows else from_rate
        if not has_bid_ask and np.isnan(discount).all():
            discount = np.ones(len(rows))
        if "forward" in rows:
            return rows["forward"].to_numpy(), discount
        if has_bid_ask:
            return np.full(len(rows), np.nan), discount
        carry = np.exp(-rows["dividend"].to_numpy() * maturity) if "dividend" in rows else 1.0
        forward = rows["spot"].to_numpy() * carry / discount
    return np.where(np.isfinite(forward), forward, np.nan), discount


def _kinds(rows: pd.DataFrame, forward: np.ndarray) -> np.ndarray:
    """Return the kind of each row, shape (rows,), dtype object."""
    if "option_type" in rows:
        return column(rows, "option_type").to_numpy(object)
    calls = True if "price" in rows else rows["strike"].to_numpy() >= forward
    return np.where(np.broadcast_to(calls, len(rows)), "call", "put").astype(object)


@np.errstate(all="ignore")  # impossible quotes give nan; the rows are refused later
def _bid_ask(rows: pd.DataFrame, spread: float, terms: OptionTerms) -> tuple[np.ndarray, np.ndarray]:
    """Return bid and ask price in cash, shape (rows,) each."""
    quoted = _quoted(rows)
    if quoted == CASH_SIDES:
        return rows["bid"].to_numpy(), rows["ask"].to_numpy()
    if quoted == CASH_MID:
        price = rows["price"].to_numpy()
        half = 0.5 * spread * cash_vega(price, terms)
        return np.maximum(price - half, 0.0), price + half
    if quoted == VOL_MID:
        return bid_ask_around(rows["vol"].to_numpy(), spread, terms)
    return cash_price(rows["bid_vol"].to_numpy(), terms), cash_price(rows["ask_vol"].to_numpy(), terms)


def _vols(rows: pd.DataFrame) -> pd.Series | float:
    """Return the file's volatilities, decimal; nan if it has none."""
    if "vol" in rows:
        return column(rows, "vol")
    if {"bid_vol", "ask_vol"} <= set(rows):
        return 0.5 * (column(rows, "bid_vol") + column(rows, "ask_vol"))
    return np.nan


def _days(maturity: np.ndarray) -> pd.Series:
    """Convert maturities to time spans, to the second; NaT where a maturity is missing or too long."""
    years = pd.Series(maturity).where(np.abs(maturity) < LONGEST)
    spans = pd.to_timedelta((years * DAYS_A_YEAR * SECONDS_A_DAY).round(), unit="s")
    return cast(pd.Series, spans).dt.as_unit("us")


SURFACE = SourceKind(
    name="surface",
    description="surfaces (strike, and T, expiry_years or days)",
    columns={
        "strike": NAMES["strike"],
        "maturity": (*NAMES["maturity"], "days"),
    },  # option chains may have days_to_expiry
    read=read_surface,
    quotes=surface_quotes,
    options=SurfaceOptions,
)
