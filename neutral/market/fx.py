"""Foreign-exchange smiles: from quotes by delta to strikes and volatilities.

Deltas as in Reiswich and Wystup (2010), "FX volatility smile construction": amounts of foreign currency per
unit of foreign notional. Market strangles as there and in Clark (2011), "Foreign exchange option pricing",
chapter 3: one volatility for put and call, whose joint price the smile has to meet.
"""

import dataclasses
import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any, Literal, NamedTuple, cast

import numpy as np

from ..errors import ArgumentError

STEPS = 100
HIGHEST = 10.0  # volatility, decimal
DELTA_TOLERANCE = 1e-14  # of log strike
STRANGLE_TOLERANCE = 1e-13  # of volatility
_CHOICES = {
    "delta": ("spot", "forward"),
    "premium_adjusted": (False, True),
    "atm": ("delta_neutral_straddle", "unadjusted_straddle", "forward"),
    "butterfly": ("market_strangle", "smile"),
}
_INVERSE = NormalDist().inv_cdf


@dataclasses.dataclass(frozen=True)
class FxConventions:
    """How a currency pair's volatilities are quoted.

    Raises:
        ArgumentError: A field is none of its choices.
    """

    delta: Literal["spot", "forward"] = "spot"
    """The hedge is spot or forward: a spot delta is the forward delta x the foreign discount factor."""
    premium_adjusted: bool = False
    """Whether the premium is paid in foreign currency and counts in the hedge."""
    atm: Literal["delta_neutral_straddle", "unadjusted_straddle", "forward"] = "delta_neutral_straddle"
    """At the money: where call and put deltas cancel, where they would unadjusted, or at the forward."""
    butterfly: Literal["market_strangle", "smile"] = "market_strangle"
    """A strangle quote is that of the broker, one volatility for both options, or the mean of the two less
    the volatility at the money."""

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ArgumentError(
                    f"{name}={getattr(self, name)!r}: expected {' or '.join(map(repr, choices))}"
                )


class FxSmile(NamedTuple):
    """Strikes, ascending, their volatilities (decimal), and which options they were quoted for."""

    strike: np.ndarray
    vol: np.ndarray
    is_call: np.ndarray  # the one at the money is called a call


def delta_of_strike(
    strike: Any,
    vol: Any,
    forward: Any,
    maturity: Any,
    is_call: Any,
    conventions: FxConventions | None = None,
    foreign_discount: Any = 1.0,
) -> np.ndarray:
    """Delta of an option: phi N(phi d1), or phi (K / F) N(phi d2) premium-adjusted, phi = 1 call, -1 put.

    Args:
        strike: Domestic currency per unit of foreign, > 0; any shape, all broadcast.
        vol: Decimal, > 0.
        forward: As strike.
        maturity: Years, > 0.
        is_call: False for a put.
        conventions: None takes the defaults of `FxConventions`.
        foreign_discount: Discount factor of the foreign currency, by which spot deltas are multiplied.

    Returns:
        Negative for puts, broadcast shape.
    """
    conventions = conventions or FxConventions()
    sign, stdev = np.where(is_call, 1.0, -1.0), np.asarray(vol) * np.sqrt(maturity)
    k = np.log(np.asarray(strike) / forward)
    if conventions.premium_adjusted:
        delta = sign * np.exp(k) * _normal(sign * (-k / stdev - 0.5 * stdev))
    else:
        delta = sign * _normal(sign * (-k / stdev + 0.5 * stdev))
    return delta * _hedge(conventions, foreign_discount)


def strike_from_delta(
    delta: Any,
    vol: Any,
    forward: Any,
    maturity: Any,
    is_call: Any,
    conventions: FxConventions | None = None,
    foreign_discount: Any = 1.0,
) -> np.ndarray:
    """Strike of an option of given delta, the inverse of `delta_of_strike`.

    Two strikes have the same premium-adjusted call delta: the larger one is meant, as in the market.

    Args:
        delta: As `delta_of_strike` returns it: negative for puts. Any shape, all broadcast.
        vol: Decimal, > 0.
        forward: Domestic currency per unit of foreign, > 0.
        maturity: Years, > 0.
        is_call: False for a put.
        conventions: None takes the defaults of `FxConventions`.
        foreign_discount: Discount factor of the foreign currency, for spot deltas.

    Returns:
        As forward, broadcast shape.

    Raises:
        ArgumentError: No strike has that delta.
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
            f"delta={delta!r}: calls have forward deltas between 0 and 1, puts between -1 and 0, from minus "
            "infinity if premium-adjusted; spot deltas are those x the foreign discount factor"
        )
    d1 = sign * _map(_INVERSE, np.where(size < 1, size, 0.5))
    k = -d1 * stdev + 0.5 * stdev**2
    if conventions.premium_adjusted:
        k = _adjusted_k(np.log(size), sign, stdev, np.where(size < 1, k, np.log(size)))
    if np.isnan(k).any():
        raise ArgumentError(f"delta={delta!r}: no premium-adjusted call of that volatility reaches it")
    return forward * np.exp(k)


def at_the_money(
    vol: Any, forward: Any, maturity: Any, conventions: FxConventions | None = None
) -> np.ndarray:
    """Strike at the money: F e^{s^2 / 2}, of an adjusted straddle F e^{-s^2 / 2}, or F; s = vol sqrt(t).

    Arguments as for `strike_from_delta`.
    """
    conventions = conventions or FxConventions()
    if conventions.atm == "forward":
        return np.asarray(forward, float)
    adjusted = conventions.premium_adjusted and conventions.atm == "delta_neutral_straddle"
    half_variance = 0.5 * np.square(vol) * maturity
    return forward * np.exp(-half_variance if adjusted else half_variance)


def fx_smile(
    atm: float,
    deltas: Any,
    risk_reversals: Any,
    butterflies: Any,
    forward: float,
    maturity: float,
    conventions: FxConventions | None = None,
    foreign_discount: float = 1.0,
) -> FxSmile:
    """Strikes and volatilities of one expiry from volatility at the money, risk reversals and strangles.

    Call and put volatilities are atm + b + rr / 2 and atm + b - rr / 2. Of a smile strangle b is the quote.
    Of a market strangle it is solved for: put and call of that delta at the volatility atm + quote cost
    together what they cost at their volatilities on the smile. Between the points the smile is Clark's: the
    logarithm of the volatility is a polynomial through all points in N(ln(F / K) / (atm sqrt(t))).

    Args:
        atm: Volatility at the money; decimal, like all volatilities here.
        deltas: Such as [0.25, 0.1], > 0, shape (n,).
        risk_reversals: Volatility of the call less that of the put, shape (n,).
        butterflies: Strangle quotes, shape (n,).
        forward: Domestic currency per unit of foreign.
        maturity: Years.
        conventions: None takes the defaults of `FxConventions`.
        foreign_discount: Discount factor of the foreign currency, for spot deltas.

    Returns:
        2 n + 1 points.

    Raises:
        ArgumentError: A volatility is not between 0 and 10, a delta has no strike, or no smile meets the
            strangles.
        PrecisionError: Double precision is off, and market strangles have to be met.
    """
    conventions = conventions or FxConventions()
    deltas, reversals, quotes = (np.asarray(x, float) for x in (deltas, risk_reversals, butterflies))

    def strikes_of(put_vols: np.ndarray, call_vols: np.ndarray) -> np.ndarray:
        calls = np.arange(2 * len(deltas)) >= len(deltas)
        vols = np.concatenate([put_vols, call_vols])
        if not (min(atm, *vols) > 0 and max(atm, *vols) < HIGHEST):
            raise ArgumentError(
                f"atm={atm:g}, risk_reversals={reversals.tolist()}, butterflies={quotes.tolist()}: give "
                f"volatilities {min(atm, *vols):g} to {max(atm, *vols):g}, expected 0 to {HIGHEST:g}"
            )
        signed = np.concatenate([-deltas, deltas])
        return strike_from_delta(signed, vols, forward, maturity, calls, conventions, foreign_discount)

    def points(b: np.ndarray) -> FxSmile:
        puts, calls = atm + b - 0.5 * reversals, atm + b + 0.5 * reversals
        strike = np.append(strikes_of(puts, calls), at_the_money(atm, forward, maturity, conventions))
        is_call = np.arange(len(strike)) >= len(deltas)
        order = np.argsort(strike)
        return FxSmile(strike[order], np.concatenate([puts, calls, [atm]])[order], is_call[order])

    if conventions.butterfly == "smile":
        return points(quotes)
    k = np.log(strikes_of(atm + quotes, atm + quotes) / forward)
    return points(_smile_strangle(atm, quotes, k, forward, maturity, points))


def _smile_strangle(
    atm: float,
    quotes: np.ndarray,
    k: np.ndarray,
    forward: float,
    maturity: float,
    points: Callable[[np.ndarray], FxSmile],
) -> np.ndarray:
    """The b of `fx_smile` with which the strangles at k (puts, then calls) cost what they are quoted at."""
    from ..options import black

    is_call, root = np.arange(len(k)) >= len(quotes), math.sqrt(maturity)

    def strangles(values: Any) -> np.ndarray:
        return np.asarray(values).reshape(2, -1).sum(axis=0)

    broker = np.tile(atm + quotes, 2) * root
    target, vega = strangles(black.price(k, broker, is_call)), root * strangles(black.vega(k, broker))
    b = quotes
    for _ in range(STEPS):
        vol = _clark(points(b), k, forward, atm * root)
        # raising b raises the smile about as much, so the vega alone makes nearly a Newton step
        step = (target - strangles(black.price(k, vol * root, is_call))) / vega
        b = b + step
        if np.abs(step).max() < STRANGLE_TOLERANCE:
            return b
    raise ArgumentError(
        f"no smile meets the market strangles {quotes.tolist()} at the money {atm:g} in {maturity:g} years; "
        "are they smile strangles (butterfly='smile')?"
    )


def _clark(smile: FxSmile, k: np.ndarray, forward: float, stdev: float) -> np.ndarray:
    """Volatility at log-moneyness k by Clark's polynomial, exponent of one in a delta of fixed volatility."""
    nodes = _normal(-np.log(smile.strike / forward) / stdev)
    coefficients = np.linalg.solve(np.vander(nodes), np.log(smile.vol))
    return np.exp(np.polyval(coefficients, _normal(-k / stdev)))


def _adjusted_k(log_size: np.ndarray, sign: np.ndarray, stdev: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Log-moneyness of premium-adjusted deltas, by Newton steps on k + ln N(phi d2) - ln |delta|.

    That is concave in k, so steps from where it is negative never pass the root. The strike k of the
    unadjusted delta is such a start for calls, above the larger root, and one step before such a start for
    puts. Where the slope of a call turns positive there is no root: nan.
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


def _hedge(conventions: FxConventions, foreign_discount: Any) -> Any:
    return foreign_discount if conventions.delta == "spot" else 1.0


def _normal(x: Any) -> np.ndarray:
    """Normal distribution function, with its relative accuracy far below 0."""
    return _map(lambda y: 0.5 * math.erfc(-y / math.sqrt(2)), x)


def _map(function: Callable[[float], float], x: Any) -> np.ndarray:
    return cast(np.ndarray, np.vectorize(function, otypes=[float])(x))
