"""Forward and discount factor of each expiry of cash-settled options, jointly from put-call parity.

C - P = D (F - K): over strikes near the money the slope gives D, and the strike where C = P gives F. A slope
over a narrow window does not determine the rate of a short expiry, so the rates of all expiries are smoothed
along the maturity before the forwards are computed with them.
"""

from typing import NamedTuple, cast

import numpy as np
import pandas as pd

from .forwards import MIN_PAIRS, SPREAD_TO_SD, call_put_pairs, has_futures, huber
from .quotes import column

WINDOW = 0.07  # |strike / forward - 1| of the pairs used
MAX_REJECTED = 0.15  # share of the pairs; with more the expiry is not of one series
LEAST_HALF_SPREAD = 1e-5  # over the strike; the error of a price whose bid and ask agree
MAX_ROUNDS = 20
# The curve of rates: standard deviations of its level, and of its change while the maturity grows e-fold.
RATE_SD = 0.10
RATE_STEP_SD = 0.01
STATED_RATE_SD = 1e-6  # over the maturity, of a rate from a discount factor that is stated
LEAST_MATURITY = 1e-6  # years, in logarithms of the maturity
LEAST_LOG_STEP = 1e-6  # between logarithms of neighbouring maturities
MAD_TO_SD = 1.4826  # standard deviation over median absolute deviation, for normal errors
HUBER_RATE = 2.0  # standard deviations beyond which the rate of an expiry loses weight


class _Pairs(NamedTuple):
    """Call-put pairs of one expiry, shape (pairs,)."""

    strike: np.ndarray
    difference: np.ndarray  # mid of the call less mid of the put
    sd: np.ndarray  # of the difference
    maturity: float


class _Reading(NamedTuple):
    """The forward that the pairs in the window give with a given discount factor, nan if they give none."""

    forward: float
    sd: float
    used: np.ndarray  # pairs in the window and in the band, bool
    outside: np.ndarray  # pairs in the window and not in the band, bool
    pair_forward: np.ndarray  # forward of each pair
    band: float


class ImpliedForwards(NamedTuple):
    """Forwards of the expiries, and the pairs that do not fit them."""

    table: pd.DataFrame
    """One row per expiry, indexed by `expiry_datetime`: forward and discount with their standard
    uncertainties forward_sd and discount_sd (forward nan where there is none), source ("futures", "parity",
    "spot" or ""), dividend_yield (with borrow cost, 1/yr; nan without a spot), pairs (in the window),
    rejected (how many of them are), mixed (more than 15 % of them are rejected) and scatter (robust standard
    deviation of the forwards of the pairs used)."""
    rejected: pd.DataFrame
    """One row per rejected pair: expiry_datetime, strike, forward (of the pair) and reason."""


@np.errstate(all="ignore")  # numbers that no market has give nan or no weight, and no forward
def implied_forwards(frame: pd.DataFrame, spot: float = np.nan, agreement: float = 2e-4) -> ImpliedForwards:
    """Forward and discount factor of each expiry from European quotes in cash.

    The forward of a pair is K + (C - P) / D. Near the money (strikes within 7 % of the forward, iterated) the
    pairs must agree: those outside the band of width `agreement` that holds most of them are rejected, and
    the others are averaged by Huber's estimate with weights from their spreads. An expiry with more than 15 %
    of its pairs rejected is `mixed` and gets no forward: its quotes are stale, or of two settlement series
    under one date.

    A discount factor that `frame` states is taken as exact. The others follow a curve of rates: the slope of
    each expiry gives a rate with its uncertainty, and a random walk in log maturity about a level of 0 +-
    10 % smooths them. So an expiry whose slope does not determine its rate takes that of its neighbours.

    An expiry with fewer than two pairs but a stated discount factor has the forward spot / discount, source
    "spot" and no uncertainty; dividends and borrow cost are not in it.

    Args:
        frame: Columns expiry_datetime, maturity, option_type, strike, bid_price, ask_price; optional
            futures_price (its median over the expiry is the forward then) and discount.
        spot: Price of the underlying, for the dividend yield and expiries without pairs.
        agreement: Width of the band over the forward.

    Returns:
        The forwards of all expiries, also of those with fewer than two pairs.
    """
    expiries, groups = _by_expiry(frame)
    pairs = [_pairs(group) for group in groups]
    t = np.array([one.maturity for one in pairs])
    discount, discount_sd = _discounts(groups, pairs, t, agreement)
    rows = []
    rejections = []
    for expiry, group, one, d, d_sd in zip(expiries, groups, pairs, discount, discount_sd, strict=True):
        reading = _forward(one, d, d_sd, agreement)
        rows.append(_row(group, reading, d, d_sd, spot))
        rejections.extend(_rejections(expiry, one, reading))
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
    """The expiries in time order, and the quotes of each."""
    dated = cast(pd.DataFrame, frame[frame["expiry_datetime"].notna()])
    expiries = []
    groups = []
    for expiry, group in dated.groupby("expiry_datetime"):
        expiries.append(cast(pd.Timestamp, expiry))
        groups.append(group)
    return expiries, groups


def _pairs(group: pd.DataFrame) -> _Pairs:
    """The call-put pairs of one expiry."""
    strike, call_bid, call_ask, put_bid, put_ask = call_put_pairs(group)
    half_spread = 0.5 * (call_ask - call_bid + put_ask - put_bid)
    difference = 0.5 * (call_bid + call_ask - put_bid - put_ask)
    sd = SPREAD_TO_SD * np.maximum(half_spread, LEAST_HALF_SPREAD * strike)
    return _Pairs(strike, difference, sd, float(column(group, "maturity").median()))


def _row(
    group: pd.DataFrame, reading: _Reading, discount: float, discount_sd: float, spot: float
) -> dict[str, float | str | bool]:
    """The row of an expiry in the table of `ImpliedForwards`, without the dividend yield."""
    inside = int(reading.used.sum())
    outside = int(reading.outside.sum())
    row = {
        "forward": reading.forward,
        "forward_sd": reading.sd,
        "discount": discount,
        "discount_sd": discount_sd,
        "source": "parity" if np.isfinite(reading.forward) else "",
        "pairs": inside + outside,
        "rejected": outside,
        "mixed": outside > MAX_REJECTED * (inside + outside),
        "scatter": _scatter(reading) if inside else np.nan,
    }
    has_own = has_futures(group)
    if has_own.any():
        quoted = group["futures_price"].to_numpy()[has_own]
        stated = {"forward": float(np.median(quoted)), "forward_sd": float(np.std(quoted))}
        return row | stated | {"source": "futures", "mixed": False}
    if row["mixed"]:
        return row | {"forward": np.nan, "forward_sd": np.nan, "source": ""}
    if inside + outside < MIN_PAIRS and discount_sd == 0.0 and np.isfinite(spot):
        return row | {"forward": spot / discount, "source": "spot"}
    return row


def _scatter(reading: _Reading) -> float:
    """Robust standard deviation of the forwards of the pairs used."""
    return MAD_TO_SD * float(np.median(np.abs(reading.pair_forward[reading.used] - reading.forward)))


def _rejections(
    expiry: pd.Timestamp, pairs: _Pairs, reading: _Reading
) -> list[tuple[pd.Timestamp, float, float, str]]:
    """The pairs outside the band, as rows of `_REJECTION`."""
    band = f"outside the {1e4 * reading.band:.3g} bp in which most pairs lie"
    rows = []
    for strike, forward in zip(
        pairs.strike[reading.outside], reading.pair_forward[reading.outside], strict=True
    ):
        distance = 1e4 * (forward / reading.forward - 1.0)
        reason = f"the pair is {distance:+.2f} bp from the forward, {band}"
        rows.append((expiry, strike, forward, reason))
    return rows


def _discounts(
    groups: list[pd.DataFrame], pairs: list[_Pairs], t: np.ndarray, agreement: float
) -> tuple[np.ndarray, np.ndarray]:
    """Discount factor of each expiry and its standard uncertainty, shape (expiries,) each."""
    given = np.array([_stated(group) for group in groups])
    is_stated = np.isfinite(given)
    slopes = [
        (np.nan, np.nan) if stated else _slope(one, agreement)
        for one, stated in zip(pairs, is_stated, strict=True)
    ]
    slope, slope_sd = np.array(slopes).reshape(-1, 2).T
    alive = t > 0
    scale = np.where(alive, t, 1.0)
    rate = np.where(is_stated & alive, -np.log(np.where(is_stated, given, 1.0)), -np.log(slope)) / scale
    rate_sd = np.where(is_stated, STATED_RATE_SD, slope_sd / slope) / scale
    rate[~alive] = np.nan
    smooth, smooth_sd = _smooth_rates(np.maximum(t, LEAST_MATURITY), rate, rate_sd)
    discount = np.where(is_stated, given, np.exp(-smooth * t))
    return discount, np.where(is_stated, 0.0, discount * t * smooth_sd)


def _stated(group: pd.DataFrame) -> float:
    """The discount factor that the quotes of an expiry state, nan if they state none."""
    return float(column(group, "discount").median()) if "discount" in group else np.nan


def _slope(pairs: _Pairs, agreement: float) -> tuple[float, float]:
    """Discount factor of an expiry from its slope alone, and its standard uncertainty.

    C - P = D (F0 - K) + D (F - F0) is fitted by weighted least squares, F0 being the forward of the step
    before, to the pairs in the window and in the band. Both are nan if too few pairs agree.
    """
    nothing = (np.nan, np.nan)
    if len(pairs.strike) < MIN_PAIRS + 1:
        return nothing
    forward = float(pairs.strike[np.argmin(np.abs(pairs.difference))])
    slope = 1.0
    kept = near = np.abs(pairs.strike / forward - 1.0) <= WINDOW
    design = np.ones((len(pairs.strike), 2))
    covariance = np.eye(2)
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
        before = kept
        kept = near & _in_band(misfit / slope, near, agreement * forward)
        if np.array_equal(before, kept):
            break
    if (near & ~kept).sum() > MAX_REJECTED * near.sum():
        return nothing
    return float(slope), float(max(1.0, scatter) * np.sqrt(covariance[1, 1]))


def _smooth_rates(t: np.ndarray, rate: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smooth rates along the maturity, and their standard deviations, shape (expiries,) each.

    The rate is a Gaussian random walk in log t, observed with noise. Observations far off lose weight (Huber
    1964).

    Args:
        t: Maturities in years, ascending, > 0, shape (expiries,).
        rate: Observed rates, nan where there is none, shape (expiries,).
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
    seen = np.isfinite(rate) & (sd > 0)
    observed = np.where(seen, rate, 0.0)
    weight = np.where(seen, np.where(seen, sd, 1.0) ** -2, 0.0)
    robust = weight
    centre = np.zeros(n)
    covariance = np.linalg.inv(prior + np.diag(robust))
    for _ in range(MAX_ROUNDS):
        covariance = np.linalg.inv(prior + np.diag(robust))
        centre = covariance @ (robust * observed)
        distance = np.abs(observed - centre) * np.sqrt(weight)
        robust = weight * np.minimum(1.0, HUBER_RATE / np.maximum(distance, HUBER_RATE))
    return centre, np.sqrt(np.diag(covariance))


def _forward(pairs: _Pairs, discount: float, discount_sd: float, agreement: float) -> _Reading:
    """Forward of an expiry whose discount factor is given."""
    pair_forward = pairs.strike + pairs.difference / discount
    nobody = np.zeros(len(pair_forward), bool)
    nothing = _Reading(
        forward=np.nan, sd=np.nan, used=nobody, outside=nobody, pair_forward=pair_forward, band=agreement
    )
    if len(pair_forward) < MIN_PAIRS or not pairs.maturity > 0:
        return nothing
    forward = float(pair_forward[np.argmin(np.abs(pairs.difference))])
    used = near = nobody
    sd = np.nan
    for _ in range(MAX_ROUNDS):
        near = np.abs(pairs.strike / forward - 1.0) <= WINDOW
        before = used
        used = near & _in_band(pair_forward, near, agreement * forward)
        if used.sum() < MIN_PAIRS:
            return nothing
        if np.array_equal(before, used):
            break
        forward, sd = huber(pair_forward[used], pairs.sd[used] / discount)
    # F = K + (C - P) / D at the average strike of the pairs: an error e of D moves F by -(C - P) e / D^2
    lever = np.average(pairs.difference[used], weights=pairs.sd[used] ** -2) / discount**2
    sd = float(np.hypot(sd, lever * discount_sd))
    return nothing._replace(forward=forward, sd=sd, used=used, outside=near & ~used)


def _in_band(values: np.ndarray, among: np.ndarray, width: float) -> np.ndarray:
    """The values in the interval of a width that holds most of those `among` (bool); bool, shape (n,)."""
    if not among.any():
        return among
    ordered = np.sort(values[among])
    counts = np.searchsorted(ordered, ordered + width, side="right") - np.arange(len(ordered))
    low = float(ordered[np.argmax(counts)])
    return (values >= low) & (values <= low + width)
