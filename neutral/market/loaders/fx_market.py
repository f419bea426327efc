"""Forwards and discount factors of a currency pair: from its rates, forwards, swap points or swap rates."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...errors import ArgumentError, DataError
from ...times import DAYS_A_YEAR
from ..fx.pairs import PREMIUM_ORDER, point
from ..quotes import column
from .rates import swap_discounts
from .table import read_table
from .tenors import expiry_of

RATE_NAMES: Mapping[str, tuple[str, ...]] = {
    "tenor": ("tenor",),
    "foreign": ("estr_pct", "foreign_pct"),
    "domestic": ("sofr_pct", "domestic_pct"),
    "points": ("fx_swap_points", "swap_points"),
    "basis": ("xccy_bp",),
}
HIGHEST_RATE = 1.0  # continuously compounded, decimal; higher ones are percent
HIGHEST_USUAL_RATE = 0.25  # of the currencies in `PREMIUM_ORDER`
POINTS_AGREE = 0.01  # by which forwards of points and of rates may differ, per year
FACTORS = (1e-4, 1e-3, 1e-2, 0.1, 10.0, 100.0, 1e3, 1e4)


class Market(NamedTuple):
    """Forward and discount factors of each tenor, shape (tenors,) each; nan where they cannot be computed."""

    forward: np.ndarray  # domestic currency per unit of foreign
    domestic: np.ndarray  # discount factor of the domestic currency
    foreign: np.ndarray  # discount factor of the foreign currency


def states_rates(rows: pd.DataFrame) -> bool:
    """Whether rows have what forwards and discount factors follow from."""
    return "domestic" in rows and bool({"foreign", "forward", "points"} & set(rows))


def market_of_rates(path: Path, rows: pd.DataFrame, pair: str, maturity: np.ndarray, spot: float) -> Market:
    """Compute forwards and discount factors from the continuously compounded rates of both currencies.

    A forward that the file states, or else spot plus swap points, counts more than the foreign rate.

    Args:
        path: The file, for messages.
        rows: One row per tenor, with the columns that `states_rates` asks for.
        pair: The six letters of the pair.
        maturity: Years, shape (rows,).
        spot: Domestic currency per unit of foreign.

    Raises:
        DataError: Rates are in percent, or swap points are in another unit than the pair's.
    """
    check_rates(
        str(path), {key: rows[key].to_numpy() for key in ("domestic", "foreign") if key in rows}, pair
    )
    with np.errstate(all="ignore"):  # rates may be missing; the rows are refused later
        domestic = np.exp(-rows["domestic"].to_numpy() * maturity)
        forward = np.full(len(rows), np.nan)
        if "foreign" in rows:
            forward = spot * np.exp(-rows["foreign"].to_numpy() * maturity) / domestic
        if "points" in rows:
            points = rows["points"].to_numpy()
            check_points(path, point(pair) * points, forward - spot, maturity, spot)
            forward = np.where(np.isfinite(points), spot + point(pair) * points, forward)
        if "forward" in rows:
            forward = np.where(np.isfinite(rows["forward"]), rows["forward"], forward)
    return _market(forward, domestic, spot)


def market_of_swaps(
    path: Path,
    start: pd.Timestamp,
    pair: str,
    tenors: pd.Series,
    maturity: np.ndarray,
    spot: float,
) -> Market:
    """Compute forwards and discount factors from a file of swap rates, swap points and basis.

    Args:
        path: The file of rates.
        start: The quote date.
        pair: The six letters of the pair.
        tenors: The tenors of the volatilities, text, shape (tenors,).
        maturity: Years, shape (tenors,).
        spot: Domestic currency per unit of foreign.

    Raises:
        DataError: The file cannot be read, has an unknown tenor, or swap points in another unit.
    """
    swaps = _swap_table(path, start, point(pair))
    domestic = np.asarray(swap_discounts(swaps.maturity, swaps.domestic, maturity))
    foreign = np.asarray(swap_discounts(swaps.maturity, swaps.foreign, maturity))
    forward = spot * foreign / domestic
    if swaps.points is not None:
        points = dict(zip(swaps.tenor.str.lower(), swaps.points, strict=True))
        stated = np.array([points.get(str(tenor).lower(), np.nan) for tenor in tenors])
        check_points(path, stated, forward - spot, maturity, spot)
        forward = np.where(np.isnan(stated), forward, spot + stated)
    return _market(forward, domestic, spot)


def spot_of(path: Path, rows: pd.DataFrame, callers_spot: float | None) -> float:
    """Return the caller's spot, or else the file's.

    Raises:
        ArgumentError: There is none, or it is not positive.
    """
    stated = column(rows, "spot").median() if "spot" in rows else np.nan
    spot = float(stated if callers_spot is None else callers_spot)
    if not (np.isfinite(spot) and spot > 0):
        raise ArgumentError(
            f"{path}: the spot is {spot:g}; expected a positive number. Fill the column spot, or pass spot=, "
            "in domestic currency per unit of foreign."
        )
    return spot


def rates_beside(path: Path, rates: str | Path | None) -> Path:
    """Return the file of rates that belongs to a file of volatilities.

    Raises:
        DataError: There is no such file.
    """
    file = Path(rates) if rates is not None else path.with_name(path.name.replace("_vol", "_rates"))
    if file == path or not file.exists():
        raise DataError(
            f"{path}: the file has no columns r_domestic and r_foreign, and there is no file of rates at "
            f"{file}; pass rates=, the path of such a file, or domestic_rate= and foreign_rate=, decimals."
        )
    return file


def check_rates(where: str, rates: Mapping[str, np.ndarray], pair: str = "") -> None:
    """Refuse rates that can only be percent.

    Args:
        where: The file or the arguments, for the message.
        rates: Continuously compounded rates by the name of the currency, any shape.
        pair: The six letters of the pair; rates of the usual currencies are lower than those of others.

    Raises:
        DataError: A rate is higher than a currency's may be.
    """
    for key, values in rates.items():
        currency = pair[3:] if key == "domestic" else pair[:3]
        limit = HIGHEST_USUAL_RATE if currency in PREMIUM_ORDER else HIGHEST_RATE
        finite = np.abs(values[np.isfinite(values)])
        if len(finite) and finite.max() > limit:
            raise DataError(
                f"{where}: the {key} rate {finite.max():g} would be {finite.max():.0%} a year; it looks like "
                f"percent. Divide the rates by 100, or name their columns r_domestic_pct and r_foreign_pct."
            )


def check_rate(name: str, rate: object) -> None:
    """Refuse a rate that is not a finite number, or is percent.

    Raises:
        ArgumentError: The reason.
    """
    if rate is None:
        return
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number) or not np.isfinite(rate):
        raise ArgumentError(f"{name}={rate!r} is not a finite number; write 0.03 for 3 %.")
    if abs(rate) > HIGHEST_RATE:
        raise ArgumentError(f"{name}={rate!r} looks like percent; write {float(rate) / 100:g} for {rate} %.")


def check_points(
    path: Path, stated: np.ndarray, implied: np.ndarray, maturity: np.ndarray, spot: float
) -> None:
    """Refuse swap points that are those of the rates x a power of ten.

    Args:
        path: The file, for the message.
        stated: Forward less spot by the points, shape (tenors,).
        implied: Forward less spot by the rates, nan where unknown, shape (tenors,).
        maturity: Years, shape (tenors,).
        spot: Domestic currency per unit of foreign.

    Raises:
        DataError: The points are in another unit.
    """
    with np.errstate(all="ignore"):
        far = np.abs(stated - implied) > POINTS_AGREE * maturity * spot
        ratio = np.median(stated[far] / implied[far]) if far.any() else np.nan
    factor = next((factor for factor in FACTORS if abs(ratio / factor - 1) < 0.3), None)
    if factor is not None and far.sum() > 0.5 * np.isfinite(stated).sum():
        raise DataError(
            f"{path}: the swap points are about {factor:g} times those that the rates imply. Points count "
            "0.0001 of the domestic currency, or 0.01 where that is JPY or HUF; multiply them by "
            f"{1 / factor:g}."
        )


def _market(forward: np.ndarray, domestic: np.ndarray, spot: float) -> Market:
    """Set foreign discount factors that agree with the forward; nan unless all are finite and positive."""
    numbers = (forward, domestic, forward * domestic / spot)
    usable = np.logical_and.reduce([np.isfinite(x) & (x > 0) for x in numbers])
    forward, domestic, foreign = (np.where(usable, x, np.nan) for x in numbers)
    return Market(forward=forward, domestic=domestic, foreign=foreign)


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
    maturity = _maturities(path, tenor, start)
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


def _maturities(path: Path, tenors: pd.Series, start: pd.Timestamp) -> np.ndarray:
    """Return the years of the tenors of a file of rates, shape (tenors,)."""
    years = []
    for line, tenor in enumerate(tenors, start=2):
        try:
            years.append(float((expiry_of(str(tenor), start) - start).days) / DAYS_A_YEAR)
        except ArgumentError as error:
            raise DataError(f"{path}: row {line}: {error}") from error
    maturity = np.array(years)
    if not (np.diff(maturity) > 0).all():
        raise DataError(f"{path}: the tenors of the rates do not ascend; sort the lines, and remove repeats.")
    return maturity
