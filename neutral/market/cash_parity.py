"""Computes forward and discount factor of each expiry of cash-settled options jointly from put-call parity.

C - P = D (F - K): over strikes near the money the slope gives D, and the strike where C = P gives F. A slope
over a narrow window does not determine the rate of a short expiry, so the rates of all expiries are smoothed
along the maturity before the forwards are computed with them.
"""

from typing import NamedTuple, cast

import numpy as np
import pandas as pd

from .forwards import DISCOUNTS, MIN_PAIRS, SPREAD_TO_SD, call_put_pairs, has_futures, huber, not_refused
from .quotes import column

WINDOW = 0.07  # largest |strike / forward - 1| of the pairs used
MAX_REJECTED = 0.15  # largest share of rejected pairs; beyond it an expiry gets no forward
LEAST_HALF_SPREAD = 1e-5  # relative to the strike; the half-spread assumed where bid and ask agree
MAX_ROUNDS = 20
# The curve of rates: standard deviations of its level, and of its change while the maturity grows e-fold.
RATE_SD = 0.10
RATE_STEP_SD = 0.01
STATED_RATE_SD = 1e-6  # standard deviation of rate x maturity where the quotes state the discount factor
LEAST_MATURITY = 1e-6  # years; logarithms of shorter maturities are taken at this one
LEAST_LOG_STEP = 1e-6  # between logarithms of neighbouring maturities
MAD_TO_SD = 1.4826  # standard deviation over median absolute deviation, for normal errors
HUBER_RATE = 2.0  # standard deviations from the smoothed rate beyond which the rate of an expiry loses weight


class _Pairs(NamedTuple):
    """Call-put pairs of one expiry, shape (pairs,)."""

    strike: np.ndarray
    difference: np.ndarray  # mid of the call less mid of the put
    sd: np.ndarray  # standard deviation of the difference
    maturity: float  # years


class _Estimate(NamedTuple):
    """The forward of an expiry from the pairs in the window; nan where there are too few of them."""

    forward: float
    sd: float
    used: np.ndarray  # pairs in the window and in the band, bool
    outside: np.ndarray  # pairs in the window but not in the band, bool
    pair_forward: np.ndarray  # forward of each pair
    band: float  # width relative to the forward


class ImpliedForwards(NamedTuple):
    """The forwards of the expiries, and the rejected call-put pairs."""

    table: pd.DataFrame
    """One row per expiry, indexed by `expiry_datetime`: forward and discount with their standard
    uncertainties forward_sd and discount_sd (forward nan where there is none), source ("futures", "parity",
    "spot" or ""), dividend_yield (with borrow cost, 1/yr; nan without a spot), pairs (in the window),
    rejected (how many of them are), mixed (more than 15 % of them are rejected) and scatter (robust standard
    deviation of the forwards of the pairs used)."""
    rejected: pd.DataFrame
    """One row per rejected pair: expiry_datetime, strike, forward (of the pair) and reason."""


@np.errstate(all="ignore")  # impossible quotes give nan or zero weights, and then no forward
def implied_forwards(frame: pd.DataFrame, spot: float = np.nan, agreement: float = 2e-4) -> ImpliedForwards:
    """Compute forward and discount factor of each expiry from European quotes in cash.

    The forward of a pair is K + (C - P) / D. Near the money (strikes within 7 % of the forward, iterated) the
    pairs must agree: those outside the band of width `agreement` that contains most of them are rejected, and
    the others are averaged by Huber's estimate with weights from their spreads. An expiry with more than 15 %
    of its pairs rejected is `mixed` and gets no forward: its quotes are stale, or belong to two settlement
    series under one date.

    A discount factor that `frame` states is taken as exact. The others follow a curve of rates: the slope of
    each expiry gives a rate with its uncertainty, and a random walk in log maturity about a level of 0 +-
    10 % smooths them. So an expiry whose slope does not determine its rate takes that of its neighbours.

    An expiry with fewer than two pairs but a stated discount factor has the forward spot / discount, source
    "spot" and no uncertainty; this forward neglects dividends and borrow cost.

    Args:
        frame: Columns expiry_datetime, maturity (years), option_type, strike, bid_price, ask_price. Optional
            are futures_price, whose median over the expiry is then the forward, discount, and refused; rows
            with a reason in it take no part.
        spot: Price of the underlying, for the dividend yield and for expiries without pairs; nan omits both.
        agreement: Width of the band, relative to the forward.

    Returns:
        The forwards of all expiries, including those with fewer than two pairs.
    """
    expiries, groups = _by_expiry(frame)
    all_pairs = [_pairs(group) for group in groups]
    t = np.array([pairs.maturity for pairs in all_pairs])
    discount, discount_sd = _discounts(groups, all_pairs, t, agreement)
    rows = []
    rejections = []
    for expiry, group, pairs, d, d_sd in zip(expiries, groups, all_pairs, discount, discount_sd, strict=True):
        estimate = _forward(pairs, d, d_sd, agreement)
        rows.append(_row(group, estimate, d, d_sd, spot))
        rejections.extend(_rejections(expiry, pairs, estimate))
    table = pd.DataFrame(rows, index=pd.Index(expiries, name="expiry_datetime"), columns=list(_COLUMNS))
    table["dividend_yield"] = -np.log(discount * table["forward"].to_numpy() / spot) / t
    return ImpliedForwards(table, pd.DataFrame(rejections, columns=list(_REJECTION)))


_COLUMNS = (
    "forward",
    "forward_sd",
    "discount",
    "discount_sd",
    "source",
    "pairs",
    "rejected",
    "mixed",
    "scatter",
)
_REJECTION = ("expiry_datetime", "strike", "forward", "reason")


def _by_expiry(frame: pd.DataFrame) -> tuple[list[pd.Timestamp], list[pd.DataFrame]]:
    """Return the expiries in time order, and the quotes of each that are not refused."""
    dated = cast(pd.DataFrame, frame[frame["expiry_datetime"].notna() & not_refused(frame)])
    expiries = []
    groups = []
    for expiry, group in dated.groupby("expiry_datetime"):
        expiries.append(cast(pd.Timestamp, expiry))
        groups.append(group)
    return expiries, groups


def _pairs(group: pd.DataFrame) -> _Pairs:
    """Return the call-put pairs of one expiry."""
    strike, call_bid, call_ask, put_bid, put_ask = call_put_pairs(group)
    half_spread = 0.5 * (call_ask - call_bid + put_ask - put_bid)
    difference = 0.5 * (call_bid + call_ask - put_bid - put_ask)
    sd = SPREAD_TO_SD * np.maximum(half_spread, LEAST_HALF_SPREAD * strike)
    return _Pairs(strike, difference, sd, float(column(group, "maturity").median()))


def _row(
    group: pd.DataFrame, estimate: _Estimate, discount: float, discount_sd: float, spot: float
) -> dict[str, float | str | bool]:
    """Return the row of an expiry in the table of `ImpliedForwards`, without the dividend yield."""
    inside = int(estimate.used.sum())
    outside = int(estimate.outside.sum())
    row = {
        "forward": estimate.forward,
        "forward_sd": estimate.sd,
        "discount": discount,
        "discount_sd": discount_sd,
        "source": "parity" if np.isfinite(estimate.forward) else "",
        "pairs": inside + outside,
        "rejected": outside,
        "mixed": outside > MAX_REJECTED * (inside + outside),
        "scatter": _scatter(estimate) if inside else np.nan,
    }
    has_future = has_futures(group)
    if has_future.any():
        futures = group["futures_price"].to_numpy()[has_future]
        stated = {"forward": float(np.median(futures)), "forward_sd": float(np.std(futures))}
        return row | stated | {"source": "futures", "mixed": False}
    if row["mixed"]:
        return row | {"forward": np.nan, "forward_sd": np.nan, "source": ""}
    if inside + outside < MIN_PAIRS and discount_sd == 0.0 and np.isfinite(spot):
        return row | {"forward": spot / discount, "source": "spot"}
    return row


def _scatter(estimate: _Estimate) -> float:
    """Return the robust standard deviation of the forwards of the pairs used."""
    return MAD_TO_SD * float(np.median(np.abs(estimate.pair_forward[estimate.used] - estimate.forward)))


def _rejections(
    expiry: pd.Timestamp, pairs: _Pairs, estimate: _Estimate
) -> list[tuple[pd.Timestamp, float, float, str]]:
    """Return the pairs outside the band, as rows with the columns `_REJECTION`."""
    band = f"outside the {1e4 * estimate.band:.3g} bp in which most pairs lie"
    rows = []
    for strike, forward in zip(
        pairs.strike[estimate.outside], estimate.pair_forward[estimate.outside], strict=True
    ):
        distance = 1e4 * (forward / estimate.forward - 1.0)
        reason = f"the pair is {distance:+.2f} bp from the forward, {band}"
        rows.append((expiry, strike, forward, reason))
    return rows


def _discounts(
    groups: list[pd.DataFrame], all_pairs: list[_Pairs], t: np.ndarray, agreement: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the discount factor of each expiry and its standard uncertainty, shape (expiries,) each."""
    stated = np.array([_stated(group) for group in groups])
    is_stated = np.isfinite(stated)
    slopes = [
        (np.nan, np.nan) if skip else _slope(pairs, agreement)
        for pairs, skip in zip(all_pairs, is_stated, strict=True)
    ]
    slope, slope_sd = np.array(slopes).reshape(-1, 2).T
    alive = t > 0
    scale = np.where(alive, t, 1.0)
    rate = np.where(is_stated & alive, -np.log(np.where(is_stated, stated, 1.0)), -np.log(slope)) / scale
    rate_sd = np.where(is_stated, STATED_RATE_SD, slope_sd / slope) / scale
    rate[~alive] = np.nan
    smooth, smooth_sd = _smooth_rates(np.maximum(t, LEAST_MATURITY), rate, rate_sd)
    discount = np.where(is_stated, stated, np.exp(-smooth * t))
    return discount, np.where(is_stated, 0.0, discount * t * smooth_sd)


def _stated(group: pd.DataFrame) -> float:
    """Return the discount factor that the quotes of an expiry state, nan if none that a market could have."""
    stated = column(group, "discount") if "discount" in group else pd.Series(dtype=float)
    return float(stated.where(stated.between(*DISCOUNTS)).median())


def _slope(pairs: _Pairs, agreement: float) -> tuple[float, float]:
    """Return the discount factor of an expiry from its slope alone, and its standard uncertainty.

    C - P = D (F0 - K) + D (F - F0) is fitted by weighted least squares to the pairs in the window and in the
    band; F0 is the forward of the previous step. Both results are nan if too few pairs agree.
    """
    no_slope = (np.nan, np.nan)
    if len(pairs.strike) < MIN_PAIRS + 1:
        return no_slope
    forward = float(pairs.strike[np.argmin(np.abs(pairs.difference))])
    slope = 1.0
    kept = near = np.abs(pairs.strike / forward - 1.0) <= WINDOW
    design = np.ones((len(pairs.strike), 2))
    covariance = np.eye(2)
    scatter = 1.0
    for _ in range(MAX_ROUNDS):
        if kept.sum() < MIN_PAIRS + 1:
            return no_slope
        design[:, 1] = forward - pairs.strike
        weight = pairs.sd[kept] ** -2
        covariance = np.linalg.inv((design[kept].T * weight) @ design[kept])
        level, slope = covariance @ (design[kept].T @ (weight * pairs.difference[kept]))
        if not slope > 0:
            return no_slope
        misfit = pairs.difference - design @ (level, slope)
        scatter = np.sqrt(np.sum(weight * misfit[kept] ** 2) / (kept.sum() - 2))
        forward += level / slope
        near = np.abs(pairs.strike / forward - 1.0) <= WINDOW
        before = kept
        kept = near & _in_band(misfit / slope, near, agreement * forward)
        if np.array_equal(before, kept):
            break
    if (near & ~kept).sum() > MAX_REJECTED * near.sum():
        return no_slope
    return float(slope), float(max(1.0, scatter) * np.sqrt(covariance[1, 1]))


def _smooth_rates(t: np.ndarray, rate: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rates smoothed along the maturity, and their standard deviations, shape (expiries,) each.

    The rate is a Gaussian random walk in log t, observed with noise. Outlying observations lose weight (Huber
    1964).

    Args:
        t: Maturities in years, ascending, > 0, shape (expiries,).
        rate: Observed rates, 1/yr, nan where there is none, shape (expiries,).
        sd: Standard deviations of the observed rates, shape (expiries,).
    """
    n = len(t)
    step = RATE_STEP_SD**-2 / np.maximum(np.diff(np.log(t)), LEAST_LOG_STEP)
    prior = np.zeros((n, n))
    prior[np.arange(n - 1), np.arange(n - 1)] += step
    prior[np.arange(1, n), np.arange(1, n)] += step
    prior[np.arange(n - 1), np.arange(1, n)] -= step
    prior[np.arange(1, n), np.arange(n - 1)] -= step
    prior += RATE_SD**-2 / max(n, 1) * np.eye(n)
    is_observed = np.isfinite(rate) & (sd > 0)
    observed = np.where(is_observed, rate, 0.0)
    weight = np.where(is_observed, np.where(is_observed, sd, 1.0) ** -2, 0.0)
    robust = weight
    centre = np.zeros(n)
    covariance = np.linalg.inv(prior + np.diag(robust))
    for _ in range(MAX_ROUNDS):
        covariance = np.linalg.inv(prior + np.diag(robust))
        centre = covariance @ (robust * observed)
        distance = np.abs(observed - centre) * np.sqrt(weight)
        robust = weight * np.minimum(1.0, HUBER_RATE / np.maximum(distance, HUBER_RATE))
    return centre, np.sqrt(np.diag(covariance))


def _forward(pairs: _Pairs, discount: float, discount_sd: float, agreement: float) -> _Estimate:
    """Estimate the forward of an expiry from its pairs and its discount factor."""
    pair_forward = pairs.strike + pairs.difference / discount
    no_pair = np.zeros(len(pair_forward), bool)
    no_forward = _Estimate(
        forward=np.nan, sd=np.nan, used=no_pair, outside=no_pair, pair_forward=pair_forward, band=agreement
    )
    if len(pair_forward) < MIN_PAIRS or not pairs.maturity > 0:
        return no_forward
    forward = float(pair_forward[np.argmin(np.abs(pairs.difference))])
    used = near = no_pair
    sd = np.nan
    for _ in range(MAX_ROUNDS):
        near = np.abs(pairs.strike / forward - 1.0) <= WINDOW
        before = used
        used = near & _in_band(pair_forward, near, agreement * forward)
        if used.sum() < MIN_PAIRS:
            return no_forward
        if np.array_equal(before, used):
            break
        forward, sd = huber(pair_forward[used], pairs.sd[used] / discount)
    # F = K + (C - P) / D at the average strike of the pairs: an error e of D moves F by -(C - P) e / D^2
    lever = np.average(pairs.difference[used], weights=pairs.sd[used] ** -2) / discount**2
    sd = float(np.hypot(sd, lever * discount_sd))
    return no_forward._replace(forward=forward, sd=sd, used=used, outside=near & ~used)


def _in_band(values: np.ndarray, among: np.ndarray, width: float) -> np.ndarray:
    """Mark the values in the interval of a width that contains the most values of a subset.

    Args:
        values: Numbers, shape (n,).
        among: The subset, bool, shape (n,).
        width: Width of the interval.

    Returns:
        Booleans, shape (n,).
    """
    if not among.any():
        return among
    ordered = np.sort(values[among])
    counts = np.searchsorted(ordered, ordered + width, side="right") - np.arange(len(ordered))
    low = float(ordered[np.argmax(counts)])
    return (values >= low) & (values <= low + width)
