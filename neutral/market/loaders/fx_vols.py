"""Reads foreign-exchange volatilities quoted by tenor and delta, and turns them into priced options."""

import dataclasses
import re
from collections.abc import Mapping
from datetime import date as Date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...errors import ArgumentError, DataError
from ...times import DAYS_A_YEAR
from ..clock import VarianceClock
from ..fx import FxConventions, FxSmile, fx_smile
from ..quotes import UNKNOWN_DATE, Quotes, column
from ..variance_time import in_clock
from .column_map import Columns
from .file_content import MarketData, read_content
from .option_table import DAY, Listing, listing, option_table, timestamp_of
from .rates import swap_discounts
from .sources import SourceKind
from .table import read_table
from .vol_quotes import SPREAD, OptionTerms, bid_ask_around, check_spread

DELTAS = (25, 10)
NAMES: Mapping[str, tuple[str, ...]] = {
    "date": ("date",),
    "underlying": ("pair",),
    "tenor": ("tenor",),
    "spot": ("spot",),
    "domestic": ("r_domestic",),
    "foreign": ("r_foreign",),
    "atm": ("atm",),
    **{f"rr{delta}": (f"rr{delta}",) for delta in DELTAS},
    **{f"bf{delta}": (f"bf{delta}", f"ms{delta}") for delta in DELTAS},
    "atm_convention": ("atm_convention",),
    "delta": ("delta",),
    "premium_adjusted": ("premium_adjusted",),
}
TEXTS = ("date", "underlying", "tenor", "atm_convention", "delta", "premium_adjusted")
REQUIRED = ("underlying", "tenor", "atm", "rr25", "bf25")
RATE_NAMES: Mapping[str, tuple[str, ...]] = {
    "tenor": ("tenor",),
    "foreign": ("estr_pct", "foreign_pct"),
    "domestic": ("sofr_pct", "domestic_pct"),
    "points": ("fx_swap_points", "swap_points"),
    "basis": ("xccy_bp",),
}
TENOR = re.compile(r"([1-9]\d{0,2})([dwmy])", re.IGNORECASE)
UNITS = {"d": "days", "w": "weeks", "m": "months", "y": "years"}
SPOT_DELTAS_UNTIL = 1.01  # years; a tenor of one year may be a day longer


class Market(NamedTuple):
    """Forward and discount factors of each tenor, shape (tenors,) each; nan where they cannot be computed."""

    forward: np.ndarray  # domestic currency per unit of foreign
    domestic: np.ndarray  # discount factor of the domestic currency
    foreign: np.ndarray  # discount factor of the foreign currency


@dataclasses.dataclass(frozen=True)
class FxOptions:
    """The arguments of `load_fx_vols` that say how volatilities are read.

    Raises:
        ArgumentError: The spread is negative or not finite.
    """

    spread: float = SPREAD
    rates: str | Path | None = None
    spot: float | None = None
    conventions: FxConventions | None = None

    def __post_init__(self) -> None:
        check_spread(self.spread)


def load_fx_vols(
    path: MarketData,
    pair: str | None = None,
    date: str | Date | None = None,
    spread: float = SPREAD,
    rates: str | Path | None = None,
    spot: float | None = None,
    conventions: FxConventions | None = None,
    columns: Columns | None = None,
    clock: VarianceClock | None = None,
) -> Quotes:
    """Read volatilities at the money, risk reversals and strangles, in percent, and price their options.

    Each tenor gives a call and a put of 25 delta, a call and a put of 10 delta if the file has them, and a
    call at the money; see `fx_smile`. A tenor in which a number is missing gives the same rows without
    strikes and prices.

    - Expiry: the quote date plus the tenor, without holidays and settlement lags; act/365.
    - Rates: `r_domestic` and `r_foreign` of the file, continuously compounded. Otherwise a second file gives,
      by tenor, par rates of overnight swaps in percent (annual, act/360), swap points and the cross-currency
      basis, which is added to the foreign rate. Discount factors are bootstrapped; par rates are linear
      between tenors, and log discount factors between tenors of up to a year and between whole years beyond.
      The forward is spot plus points, or without points spot x foreign / domestic discount factor. The
      foreign discount factor is then set to agree with the forward.
    - Conventions: those of the columns `delta`, `premium_adjusted` and `atm_convention`. By default deltas
      are spot deltas up to a year and forward deltas beyond, premium-adjusted unless the pair is quoted in
      USD; at the money is the delta-neutral straddle. Strangles are market strangles.

    Args:
        path: CSV file, plain or gzip, Parquet file, or a table of any library, with columns pair, tenor, atm,
            rr25, bf25 or ms25, and optional others.
        pair: Currency pair such as "EURUSD", domestic currency last; None takes the only one.
        date: Quote date; None takes the only one. If there is no date, expiries count from `UNKNOWN_DATE`.
        spread: Distance between bid and ask volatility, around the quoted mid; decimal.
        rates: File of rates. None takes the file in the same folder whose name has `_rates` in place of
            `_vol`.
        spot: Spot rate, domestic currency per unit of foreign; required if the file does not state it.
        conventions: Conventions of all tenors, in place of those above.
        columns: A map from the names of this package to the file's, for columns with other names; see
            `Columns`. None maps none.
        clock: Clock of the column `variance_time`, by which surfaces and fits measure time; None for calendar
            time.

    Returns:
        A row for each option, ordered by tenor and strike; European, with prices in domestic currency per
        unit of foreign.

    Raises:
        DataError: A file cannot be read, is damaged or empty, lacks a required column, has an unknown tenor
            or volatilities that no smile reproduces, or has no row of the pair or date. The message names the
            file, and the line, column or tenor.
        ArgumentError: There is no positive spot, the spread is negative or not finite, or the file has
            several pairs or dates and the argument that chooses one is None.
        PrecisionError: Double precision is off.
    """
    options = FxOptions(spread=spread, rates=rates, spot=spot, conventions=conventions)
    return in_clock(fx_quotes(read_fx_vols(read_content(path, columns)), pair, date, options), clock)


def read_fx_vols(data: MarketData) -> Listing:
    """Read a file once, for `fx_quotes` on each of its pairs and dates.

    Raises:
        DataError: As for `load_fx_vols`.
    """
    table = read_table(data)
    return listing(table, table.select(NAMES, REQUIRED, TEXTS), NAMES)


def fx_quotes(vols: Listing, pair: str | None, date: str | Date | None, options: FxOptions) -> Quotes:
    """Return the quotes of one pair on one date.

    Args:
        vols: The parsed file.
        pair: As for `load_fx_vols`.
        date: As for `load_fx_vols`.
        options: How the volatilities are read.

    Raises:
        DataError: As for `load_fx_vols`.
        ArgumentError: As for `load_fx_vols`.
        PrecisionError: Double precision is off.
    """
    rows, pair, quote_date = vols.pick("pair", pair, date)
    snapshot_ts = quote_date or UNKNOWN_DATE
    start = timestamp_of(snapshot_ts)
    tenors = column(rows, "tenor")
    expiry = _expiries(vols.path, tenors, start)
    maturity = ((expiry - start) / DAY).to_numpy() / DAYS_A_YEAR
    spot = _spot(vols.path, rows, options.spot)
    if {"domestic", "foreign"} <= set(rows):
        market = _from_rates(rows, maturity, spot)
    else:
        swaps = _swap_table(_beside(vols.path, options.rates), start, 0.01 if pair.endswith("JPY") else 1e-4)
        market = _from_swaps(swaps, tenors, maturity, spot)
    smiles = _smiles(
        path=vols.path,
        rows=rows,
        pair=pair,
        maturity=maturity,
        market=market,
        conventions=options.conventions,
    )
    row = np.repeat(np.arange(len(rows)), [len(smile.strike) for smile in smiles])
    terms = OptionTerms(
        forward=market.forward[row],
        discount=market.domestic[row],
        strike=np.concatenate([smile.strike for smile in smiles]),
        maturity=maturity[row],
        is_call=np.concatenate([smile.is_call for smile in smiles]),
    )
    vol = np.concatenate([smile.vol for smile in smiles])
    bid, ask = bid_ask_around(vol, options.spread, terms)
    columns = {
        "timestamp": pd.NaT if quote_date is None else start,
        "expiry_datetime": expiry.iloc[row].reset_index(drop=True),
        "option_type": np.where(terms.is_call, "call", "put"),
        "strike": terms.strike,
        "maturity": terms.maturity,
        "bid_price": bid,
        "ask_price": ask,
        "futures_price": terms.forward,
        "discount": terms.discount,
        "implied_volatility": vol,
        "underlying_name": pair,
    }
    return Quotes(
        frame=option_table(columns, len(row)),
        currency=pair,
        snapshot_ts=snapshot_ts,
        path=vols.path,
        day_count="365",
        sha256=vols.sha256,
        settlement="cash",
        spot=spot,
        assumed_spread=options.spread,
    )


def _smiles(
    path: Path,
    rows: pd.DataFrame,
    pair: str,
    maturity: np.ndarray,
    market: Market,
    conventions: FxConventions | None,
) -> list[FxSmile]:
    """Return the smile of each tenor."""
    smiles = []
    records = rows.to_dict("records")
    for row, t, forward, foreign in zip(records, maturity, market.forward, market.foreign, strict=True):
        try:
            chosen = conventions or _stated_conventions(row, t, pair)
            smiles.append(_smile(row, t, forward, foreign, chosen))
        except ArgumentError as error:
            raise DataError(f"{path}: tenor {row['tenor']}: {error}") from error
    return smiles


def _smile(
    row: Mapping[str, Any], maturity: float, forward: float, foreign: float, conventions: FxConventions
) -> FxSmile:
    """Return the options of one tenor; their strikes and volatilities are nan if a number is missing."""
    deltas = [delta for delta in DELTAS if f"rr{delta}" in row and f"bf{delta}" in row]
    atm = row["atm"] / 100
    reversals, butterflies = (np.array([row[f"{q}{d}"] for d in deltas]) / 100 for q in ("rr", "bf"))
    if not np.isfinite([atm, forward, foreign, *reversals, *butterflies]).all():
        empty = np.full(2 * len(deltas) + 1, np.nan)
        return FxSmile(empty, empty, np.arange(len(empty)) >= len(deltas))
    return fx_smile(
        atm=atm,
        deltas=np.array(deltas) / 100,
        risk_reversals=reversals,
        butterflies=butterflies,
        forward=forward,
        maturity=maturity,
        conventions=conventions,
        foreign_discount=foreign,
    )


def _stated_conventions(row: Mapping[str, object], maturity: float, pair: str) -> FxConventions:
    """Return the conventions that a row states, and the usual ones of the market where it states none."""
    adjusted = str(row.get("premium_adjusted", not pair.endswith("USD"))).strip().lower()
    stated = {
        "delta": row.get("delta", "spot" if maturity < SPOT_DELTAS_UNTIL else "forward"),
        "premium_adjusted": {"true": True, "1": True, "false": False, "0": False}.get(adjusted, adjusted),
        "atm": row.get("atm_convention", "delta_neutral_straddle"),
    }
    return FxConventions(**stated)  # pyright: ignore[reportArgumentType]  # the class checks its fields


def _expiries(path: Path, tenors: pd.Series, start: pd.Timestamp) -> pd.Series:
    """Return the quote date plus each tenor, shape (tenors,)."""
    expiries = []
    for line, tenor in enumerate(tenors, start=2):
        match = TENOR.fullmatch(str(tenor).strip())
        if match is None:
            raise DataError(
                f"{path}: row {line}: tenor {tenor!r} is unknown; expected a number and d, w, m or y, such "
                "as 3m."
            )
        count, unit = match.groups()
        span: dict[str, Any] = {UNITS[unit.lower()]: int(count)}
        try:
            expiries.append(start + pd.DateOffset(**span))
        except (ValueError, OverflowError) as error:
            raise DataError(
                f"{path}: row {line}: tenor {tenor!r} from {start:%Y-%m-%d} on ends beyond the year 9999; "
                "correct the tenor or the date."
            ) from error
    return pd.Series(expiries, dtype="datetime64[us, UTC]")


def _spot(path: Path, rows: pd.DataFrame, callers_spot: float | None) -> float:
    """Return the caller's spot, or else the file's."""
    stated = column(rows, "spot").median() if "spot" in rows else np.nan
    spot = float(stated if callers_spot is None else callers_spot)
    if not (np.isfinite(spot) and spot > 0):
        raise ArgumentError(
            f"{path}: the spot is {spot:g}; expected a positive number. Fill the column spot, or pass spot=, "
            "in domestic currency per unit of foreign."
        )
    return spot


def _from_rates(rows: pd.DataFrame, maturity: np.ndarray, spot: float) -> Market:
    """Compute forwards and discount factors from the continuously compounded rates of both currencies."""
    with np.errstate(all="ignore"):  # rates may be missing; the rows are refused later
        domestic, foreign = (np.exp(-rows[name].to_numpy() * maturity) for name in ("domestic", "foreign"))
        return _market(spot * foreign / domestic, domestic, spot)


def _market(forward: np.ndarray, domestic: np.ndarray, spot: float) -> Market:
    """Set foreign discount factors that agree with the forward; nan unless all are finite and positive."""
    numbers = (forward, domestic, forward * domestic / spot)
    usable = np.logical_and.reduce([np.isfinite(x) & (x > 0) for x in numbers])
    forward, domestic, foreign = (np.where(usable, x, np.nan) for x in numbers)
    return Market(forward=forward, domestic=domestic, foreign=foreign)


def _beside(path: Path, rates: str | Path | None) -> Path:
    """Return the file of rates that belongs to a file of volatilities."""
    file = Path(rates) if rates is not None else path.with_name(path.name.replace("_vol", "_rates"))
    if file == path or not file.exists():
        raise DataError(
            f"{path}: the file has no columns r_domestic and r_foreign, and there is no file of rates at "
            f"{file}; pass rates=, the path of such a file."
        )
    return file


class _Swaps(NamedTuple):
    """The columns of a file of rates, shape (quoted tenors,) each."""

    tenor: pd.Series
    maturity: np.ndarray  # years
    domestic: np.ndarray  # par rates, percent
    foreign: np.ndarray  # par rates with the cross-currency basis, percent
    points: np.ndarray | None  # forward less spot; None if the file has no such column


def _swap_table(path: Path, start: pd.Timestamp, pip: float) -> _Swaps:
    """Read a file of swap rates, swap points (in units of `pip`) and cross-currency basis."""
    frame = read_table(path).select(RATE_NAMES, ("tenor", "foreign", "domestic"), ("tenor",))
    tenor = column(frame, "tenor")
    maturity = ((_expiries(path, tenor, start) - start) / DAY).to_numpy() / DAYS_A_YEAR
    basis = column(frame, "basis") if "basis" in frame else pd.Series(np.nan, index=frame.index)
    quoted = basis.notna().to_numpy()
    # a basis is quoted at few tenors; it is linear in between and constant outside
    spread = np.interp(maturity, maturity[quoted], basis[quoted]) / 100 if quoted.any() else 0.0
    return _Swaps(
        tenor=tenor,
        maturity=maturity,
        domestic=frame["domestic"].to_numpy(),
        foreign=frame["foreign"].to_numpy() + spread,
        points=frame["points"].to_numpy() * pip if "points" in frame else None,
    )


def _from_swaps(swaps: _Swaps, tenors: pd.Series, maturity: np.ndarray, spot: float) -> Market:
    """Compute forwards and discount factors from swap rates, swap points and cross-currency basis."""
    domestic = np.asarray(swap_discounts(swaps.maturity, swaps.domestic, maturity))
    foreign = np.asarray(swap_discounts(swaps.maturity, swaps.foreign, maturity))
    forward = spot * foreign / domestic
    if swaps.points is not None:
        points = dict(zip(swaps.tenor.str.lower(), swaps.points, strict=True))
        stated = spot + np.array([points.get(str(tenor).lower(), np.nan) for tenor in tenors])
        forward = np.where(np.isnan(stated), forward, stated)
    return _market(forward, domestic, spot)


FX_VOLS = SourceKind(
    name="fx",
    description="volatilities by delta (tenor and atm)",
    columns=(NAMES["tenor"], NAMES["atm"]),
    read=read_fx_vols,
    quotes=fx_quotes,
    options=FxOptions,
)
