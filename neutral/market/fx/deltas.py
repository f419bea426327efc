"""Deltas of foreign-exchange options, the strikes that have them, and the strike at the money.

Deltas are those of Reiswich and Wystup (2010), "FX volatility smile construction": amounts of foreign
currency per unit of foreign notional.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from ...errors import ArgumentError
from .conventions import FxConventions

Decimals = np.ndarray | np.floating
"""Real numbers of any shape; a single number is a numpy scalar."""

STEPS = 100
DELTA_TOLERANCE = 1e-14  # of the log strike


def delta_of_strike(
    strike: ArrayLike,
    vol: ArrayLike,
    forward: ArrayLike,
    maturity: ArrayLike,
    is_call: ArrayLike,
    conventions: FxConventions | None = None,
    foreign_discount: ArrayLike = 1.0,
) -> Decimals:
    """Compute the delta of an option.

    The forward delta is phi N(phi d1), or phi (K / F) N(phi d2) if premium-adjusted, with phi = 1 for a call
    and -1 for a put.

    Args:
        strike: Domestic currency per unit of foreign, > 0. Arguments may have any shapes that broadcast.
        vol: Volatility, decimal, > 0.
        forward: Forward in the unit of the strike, > 0.
        maturity: Years, > 0.
        is_call: False for a put.
        conventions: None takes the defaults of `FxConventions`.
        foreign_discount: Discount factor of the foreign currency, by which spot deltas are multiplied.

    Returns:
        Deltas of the broadcast shape, negative for puts.
    """
    conventions = conventions or FxConventions()
    sign = np.where(is_call, 1.0, -1.0)
    stdev = np.asarray(vol) * np.sqrt(maturity)
    k = np.log(np.asarray(strike) / forward)
    if conventions.premium_adjusted:
        delta = sign * np.exp(k) * normal(sign * (-k / stdev - 0.5 * stdev))
    else:
        delta = sign * normal(sign * (-k / stdev + 0.5 * stdev))
    return delta * _hedge(conventions, foreign_discount)


def strike_from_delta(
    delta: ArrayLike,
    vol: ArrayLike,
    forward: ArrayLike,
    maturity: ArrayLike,
    is_call: ArrayLike,
    conventions: FxConventions | None = None,
    foreign_discount: ArrayLike = 1.0,
) -> Decimals:
    """Compute the strike of an option from its delta; the inverse of `delta_of_strike`.

    Two strikes have the same premium-adjusted call delta; the result is the larger one, as in the market.

    Args:
        delta: In the convention of `delta_of_strike`, negative for puts. Arguments may have any shapes that
            broadcast.
        vol: Volatility, decimal, > 0.
        forward: Domestic currency per unit of foreign, > 0.
        maturity: Years, > 0.
        is_call: False for a put.
        conventions: None takes the defaults of `FxConventions`.
        foreign_discount: Discount factor of the foreign currency, for spot deltas.

    Returns:
        Strikes in the unit of the forward, of the broadcast shape.

    Raises:
        ArgumentError: No strike has the delta.
    """
    conventions = conventions or FxConventions()
    size = np.where(is_call, 1.0, -1.0) * np.asarray(delta) / _hedge(conventions, foreign_discount)
    if not (_possible(size, is_call, conventions)).all():
        raise ArgumentError(
            f"delta={delta!r} is not possible. Forward deltas of calls lie between 0 and 1, those of puts "
            "between -1 and 0, or anywhere below 0 if premium-adjusted; spot deltas are these x the foreign "
            "discount factor."
        )
    k = log_strike(
        delta=delta,
        vol=vol,
        maturity=maturity,
        is_call=is_call,
        conventions=conventions,
        foreign_discount=foreign_discount,
    )
    if np.isnan(k).any():
        raise ArgumentError(
            f"delta={delta!r} is not possible: no premium-adjusted call of this volatility has so large a "
            "delta. Lower the delta."
        )
    return np.asarray(forward) * np.exp(k)


@np.errstate(invalid="ignore", over="ignore", divide="ignore")  # impossible deltas give nan
def log_strike(
    delta: ArrayLike,
    vol: ArrayLike,
    maturity: ArrayLike,
    is_call: ArrayLike,
    conventions: FxConventions,
    foreign_discount: ArrayLike = 1.0,
) -> np.ndarray:
    """Compute the log-moneyness ln(K / F) of the strike of a delta, nan where no strike has the delta.

    The arguments are those of `strike_from_delta`.
    """
    from scipy.special import ndtri

    sign = np.where(is_call, 1.0, -1.0)
    stdev = np.asarray(vol) * np.sqrt(maturity)
    size = sign * np.asarray(delta) / _hedge(conventions, foreign_discount)
    size, sign, stdev = np.broadcast_arrays(size, sign, stdev)
    k = -sign * ndtri(np.where(size < 1, size, 0.5)) * stdev + 0.5 * stdev**2
    if conventions.premium_adjusted:
        k = _adjusted_k(np.log(size), sign, stdev, np.where(size < 1, k, np.log(size)))
    return np.where(_possible(size, sign > 0, conventions), k, np.nan)


def at_the_money(
    vol: ArrayLike, forward: ArrayLike, maturity: ArrayLike, conventions: FxConventions | None = None
) -> Decimals:
    """Compute the strike at the money; the arguments are those of `strike_from_delta`.

    With s = vol sqrt(t) it is F e^{s^2 / 2} for a straddle, F e^{-s^2 / 2} for the delta-neutral straddle of
    premium-adjusted deltas, or F for the forward.

    Returns:
        Strikes in the unit of the forward, of the broadcast shape of the three arguments.
    """
    conventions = conventions or FxConventions()
    half_variance = 0.5 * np.square(vol) * np.asarray(maturity)
    if conventions.atm == "forward":
        half_variance = 0.0 * half_variance
    elif conventions.premium_adjusted and conventions.atm == "delta_neutral_straddle":
        half_variance = -half_variance
    return np.asarray(forward) * np.exp(half_variance)


def normal(x: ArrayLike) -> Decimals:
    """Return the normal distribution function, with relative accuracy also far below 0."""
    from scipy.special import ndtr

    return ndtr(x)


def _possible(size: ArrayLike, is_call: ArrayLike, conventions: FxConventions) -> np.ndarray:
    """Whether a forward delta of this size may have a strike: 0 to 1, for adjusted puts any above 0."""
    below = np.where(is_call, 1.0, math.inf if conventions.premium_adjusted else 1.0)
    return np.asarray((np.asarray(size) > 0) & (np.asarray(size) < below))


def _adjusted_k(log_size: Decimals, sign: Decimals, stdev: Decimals, k: Decimals) -> Decimals:
    """Solve k + ln N(phi d2) = ln |delta|, for premium-adjusted deltas, for the log-moneyness k.

    The left less the right side is concave in k, so Newton steps from a point where it is negative never pass
    the root. For calls the strike of the unadjusted delta is such a point, above the larger root; for puts
    the first step leads to such a point. If the slope of a call turns positive, there is no root and the
    result is nan.

    Args:
        log_size: ln |delta| of the forward delta. Arguments may have any shapes that broadcast.
        sign: phi, 1 for a call and -1 for a put.
        stdev: Volatility times the square root of the maturity.
        k: Log-moneyness from which the steps start.
    """
    from scipy.special import log_ndtr

    for _ in range(STEPS):
        d2 = sign * (-k / stdev - 0.5 * stdev)
        log_tail = log_ndtr(d2)
        slope = 1 - sign * np.exp(-0.5 * d2**2 - log_tail) / (math.sqrt(2 * math.pi) * stdev)
        step = (k + log_tail - log_size) / slope
        k = np.where(sign * slope < 0, k - step, np.nan)
        if not (np.abs(step) > DELTA_TOLERANCE * (1 + np.abs(k))).any():
            return k
    return k


def _hedge(conventions: FxConventions, foreign_discount: ArrayLike) -> Decimals:
    """Return the factor from a forward delta to the delta of the conventions."""
    return np.asarray(foreign_discount if conventions.delta == "spot" else 1.0)
