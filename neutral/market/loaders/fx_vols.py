"""Reads foreign-exchange volatilities quoted by tenor and delta, and turns them into priced options."""

import re
from collections.abc import Mapping
from datetime import date as Date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...errors import ArgumentError, DataError
from ..fx import FxConventions, fx_smile
from ..quotes import UNKNOWN_DATE, Quotes
from .csv_table import FileContent, read_csv
from .option_table import DAY, Listing, listing, option_table
from .rates import YEAR, swap_discounts
from .vol_quotes import SPREAD, bid_ask_around, check_spread

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
SPOT_DELTAS_UNTIL = 1.01  # years: the tenor of a year and what is shorter


class Market(NamedTuple):
    """Forward and discount factors of each tenor, shape (tenors,) each."""

    forward: np.ndarray
    domestic: np.ndarray
    foreign: np.ndarray


def load_fx_vols(
    path: str | Path,
    pair: str | None = None,
    date: str | Date | None = None,
    spread: float = SPREAD,
    rates: str | Path | None = None,
    spot: float | None = None,
    conventions: FxConventions | None = None,
) -> Quotes:
    """Read volatilities at the money, risk reversals and strangles, in percent, and price their options.

    Each tenor gives a call and a put of 25 delta, of 10 delta where the file has them, and a call at the
    money: see `fx_smile`. A tenor with a number missing gives the same rows without strike and prices.

    - Expiry: the quote date plus the tenor, without holidays and settlement lags; act/365.
    - Rates: `r_domestic` and `r_foreign` of the file, continuous. Otherwise a file of par rates of overnight
      swaps in percent (annual, act/360), swap points and cross-currency basis by tenor: discount factors by
      bootstrap, linear par rates between annual tenors and log-linear factors between those; the forward is
      spot plus points, and where there are none spot x foreign / domestic discount, the basis added to the
      foreign rate. Foreign discount factors agree with the forward.
    - Conventions: of the columns `delta`, `premium_adjusted` and `atm_convention`; what is not there is
      spot deltas to a year and forward deltas beyond, premium-adjusted unless the pair is quoted in USD, the
      delta-neutral straddle, and market strangles.

    Args:
        path: CSV file, plain or gzip, with columns pair, tenor, atm, rr25, bf25 or ms25; and optional others.
        pair: Such as "EURUSD", domestic currency last; None takes the only one.
        date: Quote date; None takes the only one. Without any expiries count from `UNKNOWN_DATE`.
        spread: Between bid and ask volatility around the quoted middle; decimal.
        rates: File of rates; None takes the one beside the volatilities, named `_rates` instead of `_vol`.
        spot: Needed where the file does not have it.
        conventions: For all tenors, instead of those above.

    Returns:
        A row per option, ordered by tenor and strike; European, prices in domestic currency per unit of
        foreign.

    Raises:
        DataError: A file cannot be read, is damaged or empty, lacks a required column, has an unknown tenor,
            volatilities that no smile meets, or no row of that pair or date; names the file, and the line,
            column or tenor.
        ArgumentError: No spot, a wrong spread, or several pairs or dates and none was asked for.
        PrecisionError: Double precision is off.
    """
    return fx_quotes(read_fx_vols(path), pair, date, spread, rates, spot, conventions)


def read_fx_vols(file: str | Path | FileContent) -> Listing:
    """Read a file once, for `fx_quotes` on each of its pairs and dates.

    Raises:
        DataError: As `load_fx_vols`.
    """
    table = read_csv(file)
    return listing(table, table.select(NAMES, REQUIRED, TEXTS), NAMES)


def fx_quotes(
    vols: Listing,
    pair: str | None = None,
    date: str | Date | None = None,
    spread: float = SPREAD,
    rates: str | Path | None = None,
    spot: float | None = None,
    conventions: FxConventions | None = None,
) -> Quotes:
    """The quotes of one pair and date; other arguments as `load_fx_vols`."""
    check_spread(spread)
    rows, pair, taken = vols.pick("pair", pair, date)
    start: Any = pd.Timestamp(taken or UNKNOWN_DATE)
    expiry = _expiries(vols.path, rows["tenor"], start)
    maturity = ((expiry - start) / DAY).to_numpy() / YEAR
    spot = _spot(vols.path, rows, spot)
    if {"domestic", "foreign"} <= set(rows):
        market = _from_rates(rows, maturity, spot)
    else:
        market = _from_swaps(_beside(vols.path, rates), rows["tenor"], maturity, spot, start, pair)
    smiles = []
    for row, t, forward, foreign in zip(
        rows.to_dict("records"), maturity, market.forward, market.foreign, strict=True
    ):
        try:
            smiles.append(_smile(row, t, pair, conventions, forward, foreign))
        except ArgumentError as error:
            raise DataError(f"{vols.path}: tenor {row['tenor']}: {error}") from error
    strike, vol, is_call = (np.concatenate(part) for part in zip(*smiles, strict=True))
    tenor = np.repeat(np.arange(len(rows)), [len(smile[0]) for smile in smiles])
    unit = (market.forward[tenor], market.domestic[tenor], strike, maturity[tenor], is_call)
    bid, ask = bid_ask_around(vol, spread, *unit)
    columns = {
        "timestamp": pd.NaT if taken is None else start,
        "expiry_datetime": expiry.iloc[tenor].reset_index(drop=True),
        "option_type": np.where(is_call, "call", "put"),
        "strike": strike,
        "maturity": maturity[tenor],
        "bid_price": bid,
        "ask_price": ask,
        "futures_price": market.forward[tenor],
        "discount": market.domestic[tenor],
        "implied_volatility": vol,
        "underlying_name": pair,
    }
    return Quotes(
        option_table(columns, len(tenor)), pair, start.to_pydatetime(), vols.path, "365", vols.sha256,
        settlement="cash", spot=spot, assumed_spread=spread,
    )  # fmt: skip


def _smile(
    row: Mapping[str, Any],
    maturity: float,
    pair: str,
    conventions: FxConventions | None,
    forward: float,
    foreign: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Strikes, volatilities and kinds of a tenor; nan where a number is missing."""
    deltas = [delta for delta in DELTAS if f"rr{delta}" in row and f"bf{delta}" in row]
    atm = row["atm"] / 100
    reversals, butterflies = (np.array([row[f"{q}{d}"] for d in deltas]) / 100 for q in ("rr", "bf"))
    if not np.isfinite([atm, forward, foreign, *reversals, *butterflies]).all():
        empty = np.full(2 * len(deltas) + 1, np.nan)
        return empty, empty, np.arange(len(empty)) >= len(deltas)
    return fx_smile(
        atm, np.array(deltas) / 100, reversals, butterflies, forward, maturity,
        conventions or _stated_conventions(row, maturity, pair), foreign,
    )  # fmt: skip


def _stated_conventions(row: Mapping[str, Any], maturity: float, pair: str) -> FxConventions:
    """What the row says, the market's habit where it says nothing."""
    adjusted = str(row.get("premium_adjusted", not pair.endswith("USD"))).strip().lower()
    stated: dict[str, Any] = {
        "delta": row.get("delta", "spot" if maturity < SPOT_DELTAS_UNTIL else "forward"),
        "premium_adjusted": {"true": True, "1": True, "false": False, "0": False}.get(adjusted, adjusted),
        "atm": row.get("atm_convention", "delta_neutral_straddle"),
    }
    return FxConventions(**stated)


def _expiries(path: Path, tenors: Any, start: pd.Timestamp) -> pd.Series:
    """Quote date plus tenor, shape (tenors,)."""
    expiries = []
    for line, tenor in enumerate(tenors, start=2):
        found = TENOR.fullmatch(str(tenor).strip())
        if found is None:
            raise DataError(
                f"{path}: row {line}: tenor {tenor!r}; expected a number and d, w, m or y, as in 3m"
            )
        span: Any = {UNITS[found[2].lower()]: int(found[1])}
        expiries.append(start + pd.DateOffset(**span))
    return pd.Series(expiries, dtype="datetime64[us, UTC]")


def _spot(path: Path, rows: Any, spot: float | None) -> float:
    known = spot if spot is not None else (rows["spot"].median() if "spot" in rows else np.nan)
    if not (np.isfinite(known) and known > 0):
        raise ArgumentError(f"{path}: has no spot; pass spot=, in domestic currency per unit of foreign")
    return float(known)


def _from_rates(rows: Any, maturity: np.ndarray, spot: float) -> Market:
    with np.errstate(all="ignore"):  # of rates that are none
        domestic, foreign = (np.exp(-rows[name].to_numpy() * maturity) for name in ("domestic", "foreign"))
        return _market(spot * foreign / domestic, domestic, spot)


def _market(forward: np.ndarray, domestic: np.ndarray, spot: float) -> Market:
    """Foreign discount factors as the forward has them; nan where a number is none that a market has."""
    found = (forward, domestic, forward * domestic / spot)
    usable = np.logical_and.reduce([np.isfinite(x) & (x > 0) for x in found])
    return Market(*(np.where(usable, x, np.nan) for x in found))


def _beside(path: Path, rates: str | Path | None) -> Path:
    """The file of rates that belongs to one of volatilities."""
    found = Path(rates) if rates is not None else path.with_name(path.name.replace("_vol", "_rates"))
    if found == path or not found.exists():
        raise DataError(
            f"{path}: no columns r_domestic and r_foreign, and {found} is no file of rates; pass rates="
        )
    return found


def _from_swaps(
    path: Path, tenors: Any, maturity: np.ndarray, spot: float, start: pd.Timestamp, pair: str
) -> Market:
    """Forwards and discount factors from a file of swap rates, swap points and basis."""
    table = read_csv(path)
    frame = table.select(RATE_NAMES, ("tenor", "foreign", "domestic"), ("tenor",))
    quoted = ((_expiries(path, frame["tenor"], start) - start) / DAY).to_numpy() / YEAR
    basis = frame["basis"] if "basis" in frame else pd.Series(np.nan, index=frame.index)
    # a basis is quoted at few tenors: linear between, constant outside
    known = basis.notna().to_numpy()
    spread = np.interp(quoted, quoted[known], basis[known]) / 100 if known.any() else np.zeros(len(quoted))
    domestic = swap_discounts(quoted, frame["domestic"].to_numpy(), maturity)
    foreign = swap_discounts(quoted, frame["foreign"].to_numpy() + spread, maturity)
    forward = spot * foreign / domestic
    if "points" in frame:
        pip = 0.01 if pair.endswith("JPY") else 1e-4
        points = dict(zip(frame["tenor"].str.lower(), frame["points"] * pip, strict=True))
        stated = spot + np.array([points.get(str(tenor).lower(), np.nan) for tenor in tenors])
        forward = np.where(np.isnan(stated), forward, stated)
    return _market(forward, domestic, spot)
