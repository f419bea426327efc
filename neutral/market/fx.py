"""Converts foreign-exchange volatilities quoted by delta to strikes and volatilities.

Deltas are those of Reiswich and Wystup (2010), "FX volatility smile construction": amounts of foreign
currency per unit of foreign notional. Market strangles are those of the same paper and of Clark (2011),
"Foreign exchange option pricing", chapter 3: put and call are priced with one volatility, and their joint
price on the smile has to be the same.
"""

import dataclasses
import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Literal, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ArgumentError
from ..typing import Real

Decimals = np.ndarray | np.floating
"""Real numbers of any shape; a single number is a numpy scalar."""


STEPS = 100
HIGHEST = 10.0  # upper bound of volatilities, decimal
DELTA_TOLERANCE = 1e-14  # of the log strike
STRANGLE_TOLERANCE = 1e-13  # of the volatility
_CHOICES = {
    "delta": ("spot", "forward"),
    "premium_adjusted": (False, True),
    "atm": ("delta_neutral_straddle", "unadjusted_straddle", "forward"),
    "butterfly": ("market_strangle", "smile"),
}
_INVERSE = NormalDist().inv_cdf


@dataclasses.dataclass(frozen=True)
class FxConventions:
    """The conventions in which volatilities of a currency pair are quoted.

    Raises:
        ArgumentError: A field has none of its accepted values; the message lists them.
    """

    delta: Literal["spot", "forward"] = "spot"
    """Whether deltas are hedges in spot or in the forward. A spot delta is the forward delta x the foreign
    discount factor."""
    premium_adjusted: bool = False
    """Whether the premium is paid in foreign currency and is part of the hedge."""
    atm: Literal["delta_neutral_straddle", "unadjusted_straddle", "forward"] = "delta_neutral_straddle"
    """The strike at the money: where the deltas of call and put cancel, where their deltas without premium
    adjustment cancel, or the forward."""
    butterfly: Literal["market_strangle", "smile"] = "market_strangle"
    """What a strangle quote is, plus the volatility at the money: the one volatility at which brokers price
    put and call, or the mean of their two volatilities on the smile."""

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ArgumentError(
                    f"{name}={getattr(self, name)!r} is unknown; expected {' or '.join(map(repr, choices))}."
                )


class FxSmile(NamedTuple):
    """The options of a smile in order of ascending strike, shape (points,) each."""

    strike: np.ndarray
    vol: np.ndarray  # decimal
    is_call: np.ndarray  # bool; the option at the money counts as a call


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
        delta = sign * np.exp(k) * _normal(sign * (-k / stdev - 0.5 * stdev))
    else:
        delta = sign * _normal(sign * (-k / stdev + 0.5 * stdev))
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
    stdev = np.asarray(vol) * np.sqrt(maturity)
    sign = np.where(is_call, 1.0, -1.0)
    size, sign, stdev, forward = np.broadcast_arrays(
        sign * np.asarray(delta) / _hedge(conventions, foreign_discount), sign, stdev, forward
    )
    below = math.inf if conventions.premium_adjusted else 1.0
    if not ((size > 0) & (np.where(sign > 0, size < 1, size < below))).all():
        raise ArgumentError(
            f"delta={delta!r} is not possible. Forward deltas of calls lie between 0 and 1, those of puts "
            "between -1 and 0, or anywhere below 0 if premium-adjusted; spot deltas are these x the foreign "
            "discount factor."
        )
    d1 = sign * _map(_INVERSE, np.where(size < 1, size, 0.5))
    k = -d1 * stdev + 0.5 * stdev**2
    if conventions.premium_adjusted:
        k = _adjusted_k(np.log(size), sign, stdev, np.where(size < 1, k, np.log(size)))
    if np.isnan(k).any():
        raise ArgumentError(
            f"delta={delta!r} is not possible: no premium-adjusted call of this volatility has so large a "
            "delta. Lower the delta."
        )
    return forward * np.exp(k)


def at_the_money(
    vol: ArrayLike, forward: ArrayLike, maturity: ArrayLike, conventions: FxConventions | None = None
) -> Decimals:
    """Compute the strike at the money; the arguments are those of `strike_from_delta`.

    With s = vol sqrt(t) it is F e^{s^2 / 2} for a straddle, F e^{-s^2 / 2} for the delta-neutral straddle of
    premium-adjusted deltas, or F for the forward.
    """
    conventions = conventions or FxConventions()
    if conventions.atm == "forward":
        return np.asarray(forward, float)
    adjusted = conventions.premium_adjusted and conventions.atm == "delta_neutral_straddle"
    half_variance = 0.5 * np.square(vol) * np.asarray(maturity)
    return np.asarray(forward) * np.exp(-half_variance if adjusted else half_variance)


def fx_smile(
    atm: float,
    deltas: ArrayLike,
    risk_reversals: ArrayLike,
    butterflies: ArrayLike,
    forward: float,
    maturity: float,
    conventions: FxConventions | None = None,
    foreign_discount: float = 1.0,
) -> FxSmile:
    """Compute strikes and volatilities of one expiry from volatility at the money, risk reversals, strangles.

    Call and put volatilities are atm + b + rr / 2 and atm + b - rr / 2. For a smile strangle b is the quote.
    For a market strangle b is such that the put and the call with this delta at the volatility atm + quote
    together cost as much at that volatility as on the smile. Between its points the smile is Clark's: the
    logarithm of the volatility is the polynomial through all points in N(ln(F / K) / (atm sqrt(t))).

    Args:
        atm: Volatility at the money, decimal like all volatilities here.
        deltas: Absolute deltas such as [0.25, 0.1], > 0, shape (n,).
        risk_reversals: Volatility of each call less that of the put, shape (n,).
        butterflies: Strangle quotes, shape (n,).
        forward: Domestic currency per unit of foreign.
        maturity: Years.
        conventions: None takes the defaults of `FxConventions`.
        foreign_discount: Discount factor of the foreign currency, for spot deltas.

    Returns:
        The smile of 2 n + 1 points.

    Raises:
        ArgumentError: A volatility is not between 0 and 10, a delta has no strike, or no smile reproduces the
            market strangles.
        PrecisionError: Double precision is off, and strangles are market strangles.
    """
    conventions = conventions or FxConventions()
    deltas, reversals, quotes = (np.asarray(x, float) for x in (deltas, risk_reversals, butterflies))

    def strikes_of(put_vols: np.ndarray, call_vols: np.ndarray) -> Decimals:
        calls = np.arange(2 * len(deltas)) >= len(deltas)
        vols = np.concatenate([put_vols, call_vols])
        if not (min(atm, *vols) > 0 and max(atm, *vols) < HIGHEST):
            raise ArgumentError(
                f"atm={atm:g}, risk_reversals={reversals.tolist()}, butterflies={quotes.tolist()} give "
                f"volatilities of {min(atm, *vols):g} to {max(atm, *vols):g}; expected values above 0 and "
                f"below {HIGHEST:g}. Volatilities are decimals: 0.2 is 20 %."
            )
        signed = np.concatenate([-deltas, deltas])
        return strike_from_delta(
            delta=signed,
            vol=vols,
            forward=forward,
            maturity=maturity,
            is_call=calls,
            conventions=conventions,
            foreign_discount=foreign_discount,
        )

    def points(b: Decimals) -> FxSmile:
        puts = atm + b - 0.5 * reversals
        calls = atm + b + 0.5 * reversals
        strike = np.append(strikes_of(puts, calls), at_the_money(atm, forward, maturity, conventions))
        is_call = np.arange(len(strike)) >= len(deltas)
        order = np.argsort(strike)
        return FxSmile(strike[order], np.concatenate([puts, calls, [atm]])[order], is_call[order])

    if conventions.butterfly == "smile":
        return points(quotes)
    k = np.log(strikes_of(atm + quotes, atm + quotes) / forward)
    strangle = _smile_strangle(atm=atm, quotes=quotes, k=k, forward=forward, maturity=maturity, points=points)
    return points(strangle)


def _smile_strangle(
    atm: float,
    quotes: np.ndarray,
    k: np.ndarray,
    forward: float,
    maturity: float,
    points: Callable[[Decimals], FxSmile],
) -> Decimals:
    """Solve for the b of `fx_smile`, shape (n,), with which the smile prices market strangles as quoted.

    Args:
        atm: Volatility at the money.
        quotes: Market strangles, shape (n,).
        k: Log-moneyness of their puts, then of their calls, shape (2 n,).
        forward: Domestic currency per unit of foreign.
        maturity: Years.
        points: Returns the smile of a b.

    Raises:
        ArgumentError: The iteration does not converge.
    """
    from ..options import black

    is_call = np.arange(len(k)) >= len(quotes)
    root = math.sqrt(maturity)

    def strangles(values: Real) -> Decimals:
        return np.asarray(values).reshape(2, -1).sum(axis=0)

    broker = np.tile(atm + quotes, 2) * root
    target = strangles(black.price(k, broker, is_call))
    vega = root * strangles(black.vega(k, broker))
    b = quotes
    for _ in range(STEPS):
        vol = _clark(points(b), k, forward, atm * root)
        # raising b raises the smile by about as much, so dividing by vega is nearly a Newton step
        step = (target - strangles(black.price(k, vol * root, is_call))) / vega
        b = b + step
        if np.abs(step).max() < STRANGLE_TOLERANCE:
            return b
    raise ArgumentError(
        f"No smile reproduces the market strangles {quotes.tolist()} with atm={atm:g} and a maturity of "
        f"{maturity:g} years. If they are smile strangles, pass FxConventions(butterfly='smile')."
    )


def _clark(smile: FxSmile, k: Decimals, forward: float, stdev: float) -> Decimals:
    """Return the volatility at log-moneyness k: exp of Clark's polynomial in a constant-volatility delta."""
    nodes = _normal(-np.log(smile.strike / forward) / stdev)
    coefficients = np.linalg.solve(np.vander(nodes), np.log(smile.vol))
    return np.exp(np.polyval(coefficients, _normal(-k / stdev)))


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
    for _ in range(STEPS):
        d2 = sign * (-k / stdev - 0.5 * stdev)
        tail = _normal(d2)
        slope = 1 - sign * np.exp(-0.5 * d2**2) / (math.sqrt(2 * math.pi) * stdev * tail)
        step = (k + np.log(tail) - log_size) / slope
        k = np.where(sign * slope < 0, k - step, np.nan)
        if not (np.abs(step) > DELTA_TOLERANCE * (1 + np.abs(k))).any():
            return k
    return k


def _hedge(conventions: FxConventions, foreign_discount: ArrayLike) -> Decimals:
    """Return the factor from a forward delta to the delta of the conventions."""
    return np.asarray(foreign_discount if conventions.delta == "spot" else 1.0)


def _normal(x: ArrayLike) -> Decimals:
    """Return the normal distribution function, with relative accuracy also far below 0."""
    return _map(lambda y: 0.5 * math.erfc(-y / math.sqrt(2)), x)


def _map(function: Callable[[float], float], x: ArrayLike) -> Decimals:
    """Apply a function of one number to each entry."""
    return cast(np.ndarray, np.vectorize(function, otypes=[float])(x))
