"""Forward and discount factor of each expiry of cash-settled options, jointly from put-call parity.

C - P = D (F - K): over strikes near the money the slope gives D and the crossing gives F. A slope over a
narrow window leaves the rate of a short expiry open, so the rates of all expiries are smoothed along the
maturity before the forwards are read with them.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .forwards import MIN_PAIRS, SPREAD_TO_SD, call_put_pairs, has_futures, huber

WINDOW = 0.07  # |strike / forward - 1| of the pairs used
MAX_REJECTED = 0.15  # share of the pairs; with more the expiry is not of one series
LEAST_HALF_SPREAD = 1e-5  # over the forward; what is left open where bid and ask agree
MAX_ROUNDS = 20
# The curve of rates: standard deviations of its level, and of its change where the maturity grows e-fold.
RATE_SD = 0.10
RATE_STEP_SD = 0.01
MAD_TO_SD = 1.4826  # median absolute to standard deviation of normal errors
HUBER_RATE = 2.0  # standard deviations beyond which an expiry's own rate loses weight


class _Pairs(NamedTuple):
    """Call-put pairs of one expiry, shape (pairs,)."""

    strike: np.ndarray
    difference: np.ndarray  # mid of the call less mid of the put
    sd: np.ndarray  # of the difference
    maturity: float


class _Reading(NamedTuple):
    """What the pairs in the window say with a discount factor given."""

    forward: float
    sd: float
    used: np.ndarray  # pairs in the window and in the band, bool
    outside: np.ndarray  # pairs in the window and not in the band, bool
    own: np.ndarray  # forward of each pair
    band: float


class ImpliedForwards(NamedTuple):
    """Forwards of the expiries, and the pairs that do not fit them."""

    table: pd.DataFrame
    """One row per expiry, indexed by `expiry_datetime`: forward and discount with their standard
    uncertainties forward_sd and discount_sd (forward nan where there is none), source ("futures", "parity" or
    ""), dividend_yield (with borrow cost, 1/yr; nan without a spot), pairs (in the window), rejected (of
    them), mixed (more than 15 % of them rejected) and scatter (robust standard deviation of the forwards of
    the pairs used)."""
    rejected: pd.DataFrame
    """One row per pair left out: expiry_datetime, strike, forward (of the pair) and reason."""


def implied_forwards(frame: pd.DataFrame, spot: float = np.nan, agreement: float = 2e-4) -> ImpliedForwards:
    """Forward and discount factor of each expiry from European quotes in cash.

    The forward of a pair is K + (C - P) / D. Near the money (strikes within 7 % of the forward, iterated) the
    pairs must agree: those outside the fullest band of the width `agreement` are rejected, the others are
    averaged by Huber's estimate with weights from their spreads. An expiry of which more than 15 % are
    rejected is `mixed`: its quotes are of two settlement series under one date, or stale; it gets no forward.

    A discount factor that `frame` states is taken as exact. The others follow a curve: the rate that each
    expiry's slope gives, with its uncertainty, smoothed by a random walk in log maturity about a level of
    0 +- 10 %, so that an expiry that does not determine its rate takes its neighbours'.

    An expiry without two pairs, but with a discount factor stated, has the forward spot / discount, source
    "spot" and no uncertainty: dividends and borrow cost are not in it.

    Args:
        frame: Columns expiry_datetime, maturity, option_type, strike, bid_price, ask_price; optional
            futures_price (its median over the expiry is the forward then) and discount.
        spot: Price of the underlying, for the dividend yield and expiries without pairs.
        agreement: Width of the band over the forward.

    Returns:
        The forwards of all expiries, those without two pairs included.
    """
    groups: list[Any] = list(frame[frame["expiry_datetime"].notna()].groupby("expiry_datetime"))
    pairs = [_pairs(group) for _, group in groups]
    t = np.array([one.maturity for one in pairs])
    discount, discount_sd = _discounts(groups, pairs, t, agreement)
    rows, left_out = [], []
    for (expiry, group), one, d, d_sd in zip(groups, pairs, discount, discount_sd, strict=True):
        reading = _forward(one, d, d_sd, agreement)
        rows.append(_row(group, reading, d, d_sd, spot))
        left_out.extend(_rejections(expiry, one, reading))
    index = pd.Index([expiry for expiry, _ in groups], name="expiry_datetime")
    table: Any = pd.DataFrame(rows, index=index, columns=list(_COLUMNS))
    with np.errstate(divide="ignore", invalid="ignore"):  # expired rows
        table["dividend_yield"] = -np.log(discount * table["forward"] / spot) / t
    return ImpliedForwards(table, pd.DataFrame(left_out, columns=list(_REJECTION)))


_COLUMNS = (
    "forward", "forward_sd", "discount", "discount_sd", "source", "pairs", "rejected", "mixed", "scatter",
)  # fmt: skip
_REJECTION = ("expiry_datetime", "strike", "forward", "reason")


def _pairs(group: Any) -> _Pairs:
    strike, call_bid, call_ask, put_bid, put_ask = call_put_pairs(group)
    half_spread = 0.5 * (call_ask - call_bid + put_ask - put_bid)
    difference = 0.5 * (call_bid + call_ask - put_bid - put_ask)
    sd = SPREAD_TO_SD * np.maximum(half_spread, LEAST_HALF_SPREAD * strike)
    return _Pairs(strike, difference, sd, float(group["maturity"].median()))


def _row(
    group: pd.DataFrame, reading: _Reading, discount: float, discount_sd: float, spot: float
) -> tuple[Any, ...]:
    inside, outside = int(reading.used.sum()), int(reading.outside.sum())
    mixed = outside > MAX_REJECTED * (inside + outside)
    forward, sd = (np.nan, np.nan) if mixed else (reading.forward, reading.sd)
    source = "parity" if np.isfinite(forward) else ""
    if (own := has_futures(group)).any():
        quoted = group["futures_price"].to_numpy()[own]
        forward, sd, source, mixed = float(np.median(quoted)), float(np.std(quoted)), "futures", False
    elif inside + outside < MIN_PAIRS and discount_sd == 0.0 and np.isfinite(spot):
        forward, source = spot / discount, "spot"
    away = np.abs(reading.own[reading.used] - reading.forward)
    scatter = MAD_TO_SD * float(np.median(away)) if inside else np.nan
    return forward, sd, discount, discount_sd, source, inside + outside, outside, mixed, scatter


def _rejections(expiry: Any, pairs: _Pairs, reading: _Reading) -> list[tuple[Any, float, float, str]]:
    """The pairs outside the band, as rows of `_REJECTION`."""
    where = f"outside the {1e4 * reading.band:.3g} bp in which most pairs lie"
    strike, own = pairs.strike[reading.outside], reading.own[reading.outside]
    away = 1e4 * (own / reading.forward - 1.0)
    reasons = [f"{distance:+.2f} bp from the forward, {where}" for distance in away]
    return [(expiry, *row) for row in zip(strike, own, reasons, strict=True)]


def _discounts(
    groups: list[Any], pairs: list[_Pairs], t: np.ndarray, agreement: float
) -> tuple[np.ndarray, np.ndarray]:
    """Discount factor of each expiry and its standard uncertainty."""
    given = np.array([_stated(group) for _, group in groups])
    known = np.isfinite(given)
    readings = [_slope(one, agreement) if not stated else (np.nan, np.nan)
                for one, stated in zip(pairs, known, strict=True)]  # fmt: skip
    own, own_sd = np.array(readings).reshape(-1, 2).T
    alive = t > 0
    scale = np.where(alive, t, 1.0)
    rate = np.where(known & alive, -np.log(np.where(known, given, 1.0)), -np.log(own)) / scale
    rate_sd = np.where(known, 1e-6, own_sd / own) / scale
    rate[~alive] = np.nan
    smooth, smooth_sd = _smooth_rates(np.maximum(t, 1e-6), rate, rate_sd)
    discount = np.where(known, given, np.exp(-smooth * t))
    return discount, np.where(known, 0.0, discount * t * smooth_sd)


def _stated(group: Any) -> float:
    return float(group["discount"].median()) if "discount" in group else np.nan


def _slope(pairs: _Pairs, agreement: float) -> tuple[float, float]:
    """Discount factor from the slope alone, and its standard uncertainty; nan where pairs do not agree."""
    nothing = (np.nan, np.nan)
    if len(pairs.strike) < MIN_PAIRS + 1:
        return nothing
    forward, slope = float(pairs.strike[np.argmin(np.abs(pairs.difference))]), 1.0
    kept = near = np.abs(pairs.strike / forward - 1.0) <= WINDOW
    design, covariance = np.ones((len(pairs.strike), 2)), np.eye(2)
    scatter = 1.0
    for _ in range(MAX_ROUNDS):
        if kept.sum() < MIN_PAIRS + 1:
            return nothing
        design[:, 1] = forward - pairs.strike
        weight = pairs.sd[kept] ** -2
        covariance = np.linalg.inv((design[kept].T * weight) @ design[kept])
        level, slope = covariance @ (design[kept].T @ (weight * pairs.difference[kept]))
        if not slope > 0:
            return nothing
        misfit = pairs.difference - design @ (level, slope)
        scatter = np.sqrt(np.sum(weight * misfit[kept] ** 2) / (kept.sum() - 2))
        forward += level / slope
        near = np.abs(pairs.strike / forward - 1.0) <= WINDOW
        before, kept = kept, near & _in_band(misfit / slope, near, agreement * forward)
        if np.array_equal(before, kept):
            break
    if (near & ~kept).sum() > MAX_REJECTED * near.sum():
        return nothing
    return float(slope), float(max(1.0, scatter) * np.sqrt(covariance[1, 1]))


def _smooth_rates(t: np.ndarray, rate: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rates along the maturity given noisy ones (nan where there is none), and their standard deviations.

    A Gaussian random walk in log t observed with noise; observations far off lose weight (Huber 1964).
    """
    n = len(t)
    step = RATE_STEP_SD**-2 / np.maximum(np.diff(np.log(t)), 1e-6)
    prior = np.zeros((n, n))
    prior[np.arange(n - 1), np.arange(n - 1)] += step
    prior[np.arange(1, n), np.arange(1, n)] += step
    prior[np.arange(n - 1), np.arange(1, n)] -= step
    prior[np.arange(1, n), np.arange(n - 1)] -= step
    prior += RATE_SD**-2 / max(n, 1) * np.eye(n)
    seen = np.isfinite(rate) & (sd > 0)
    observed, weight = np.where(seen, rate, 0.0), np.where(seen, np.where(seen, sd, 1.0) ** -2, 0.0)
    robust, centre = weight, np.zeros(n)
    covariance = np.linalg.inv(prior + np.diag(robust))
    for _ in range(MAX_ROUNDS):
        covariance = np.linalg.inv(prior + np.diag(robust))
        centre = covariance @ (robust * observed)
        distance = np.abs(observed - centre) * np.sqrt(weight)
        robust = weight * np.minimum(1.0, HUBER_RATE / np.maximum(distance, HUBER_RATE))
    return centre, np.sqrt(np.diag(covariance))


def _forward(pairs: _Pairs, discount: float, discount_sd: float, agreement: float) -> _Reading:
    """Forward of an expiry whose discount factor is known."""
    own = pairs.strike + pairs.difference / discount
    nobody = np.zeros(len(own), bool)
    if len(own) < MIN_PAIRS or not pairs.maturity > 0:
        return _Reading(np.nan, np.nan, nobody, nobody, own, agreement)
    forward = float(own[np.argmin(np.abs(pairs.difference))])
    used, near, sd = nobody, nobody, np.nan
    for _ in range(MAX_ROUNDS):
        near = np.abs(pairs.strike / forward - 1.0) <= WINDOW
        before, used = used, near & _in_band(own, near, agreement * forward)
        if used.sum() < MIN_PAIRS:
            return _Reading(np.nan, np.nan, nobody, nobody, own, agreement)
        if np.array_equal(before, used):
            break
        forward, sd = huber(own[used], pairs.sd[used] / discount)
    # the forward is read at the average strike of the pairs, and carried from there by the discount factor
    lever = np.average(pairs.difference[used], weights=pairs.sd[used] ** -2) / discount**2
    sd = float(np.hypot(sd, lever * discount_sd))
    return _Reading(forward, sd, used, near & ~used, own, agreement)


def _in_band(values: np.ndarray, among: np.ndarray, width: float) -> np.ndarray:
    """Values inside the interval of that width that holds most of those `among`, bool."""
    if not among.any():
        return among
    ordered = np.sort(values[among])
    counts = np.searchsorted(ordered, ordered + width, side="right") - np.arange(len(ordered))
    low = float(ordered[np.argmax(counts)])
    return (values >= low) & (values <= low + width)
