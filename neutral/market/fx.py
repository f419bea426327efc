"""Foreign-exchange smiles: from quotes by delta to strikes and volatilities.

Deltas are those of Reiswich and Wystup (2010), "FX volatility smile construction": amounts of foreign
currency per unit of foreign notional. Market strangles are those of the same paper and of Clark (2011),
"Foreign exchange option pricing", chapter 3: one volatility for put and call, whose joint price the smile has
to meet.
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
"""Real numbers of any shape; numpy gives a single one as a scalar of its own."""


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
    """The conventions in which volatilities of a currency pair are quoted.

    Raises:
        ArgumentError: A field has none of its accepted values; the message lists them.
    """

    delta: Literal["spot", "forward"] = "spot"
    """Whether the hedge is in spot or forward; a spot delta is the forward delta x the foreign discount."""
    premium_adjusted: bool = False
    """Whether the premium is paid in foreign currency and is part of the hedge."""
    atm: Literal["delta_neutral_straddle", "unadjusted_straddle", "forward"] = "delta_neutral_straddle"
    """The strike at the money: where the deltas of call and put cancel, where their unadjusted deltas cancel,
    or the forward."""
    butterfly: Literal["market_strangle", "smile"] = "market_strangle"
    """Whether a strangle quote is that of brokers, one volatility for both options, or the mean volatility of
    the two on the smile; both are quoted less the volatility at the money."""

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ArgumentError(
                    f"{name}={getattr(self, name)!r} is unknown; expected {' or '.join(map(repr, choices))}."
                )


class FxSmile(NamedTuple):
    """The options of a smile by ascending strike, shape (points,) each."""

    strike: np.ndarray
    vol: np.ndarray  # decimal
    is_call: np.ndarray  # bool; the option at the money is taken as a call


def delta_of_strike(
    strike: ArrayLike,
    vol: ArrayLike,
    forward: ArrayLike,
    maturity: ArrayLike,
    is_call: ArrayLike,
    conventions: FxConventions | None = None,
    foreign_discount: ArrayLike = 1.0,
) -> Decimals:
    """Delta of an option: phi N(phi d1), or phi (K / F) N(phi d2) premium-adjusted, phi = 1 call, -1 put.

    Args:
        strike: Domestic currency per unit of foreign, > 0; any shape, all broadcast.
        vol: Decimal, > 0.
        forward: In the unit of the strike, > 0.
        maturity: Years, > 0.
        is_call: False for a put.
        conventions: None takes the defaults of `FxConventions`.
        foreign_discount: Discount factor of the foreign currency, by which spot deltas are multiplied.

    Returns:
        Negative for puts, broadcast shape.
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
    """Strike of an option of given delta, the inverse of `delta_of_strike`.

    Two strikes have the same premium-adjusted call delta; the result is the larger one, as in the market.

    Args:
        delta: In the convention of `delta_of_strike`, negative for puts. Any shape, all broadcast.
        vol: Decimal, > 0.
        forward: Domestic currency per unit of foreign, > 0.
        maturity: Years, > 0.
        is_call: False for a put.
        conventions: None takes the defaults of `FxConventions`.
        foreign_discount: Discount factor of the foreign currency, for spot deltas.

    Returns:
        Strikes in the unit of the forward, broadcast shape.

    Raises:
        ArgumentError: A delta is that of no strike.
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
            f"delta={delta!r} is not possible: no premium-adjusted call of that volatility reaches it. Lower "
            "the delta."
        )
    return forward * np.exp(k)


def at_the_money(
    vol: ArrayLike, forward: ArrayLike, maturity: ArrayLike, conventions: FxConventions | None = None
) -> Decimals:
    """Strike at the money; arguments as for `strike_from_delta`.

    With s = vol sqrt(t) it is F e^{s^2 / 2} for a straddle, F e^{-s^2 / 2} for a premium-adjusted one, or F.
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
    """Strikes and volatilities of one expiry from volatility at the money, risk reversals and strangles.

    Call and put volatilities are atm + b + rr / 2 and atm + b - rr / 2. For a smile strangle b is the quote.
    For a market strangle b is such that the put and the call of that delta at the volatility atm + quote cost
    together as much as at their volatilities on the smile. Between its points the smile is Clark's: the
    logarithm of the volatility is the polynomial through all points in N(ln(F / K) / (atm sqrt(t))).

    Args:
        atm: Volatility at the money; decimal, like all volatilities here.
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
        ArgumentError: A volatility is not between 0 and 10, a delta has no strike, or no smile meets the
            strangles.
        PrecisionError: Double precision is off, and market strangles have to be met.
    """
    conventions = conventions or FxConventions()
    deltas, reversals, quotes = (np.asarray(x, float) for x in (deltas, risk_reversals, butterflies))

    def strikes_of(put_vols: np.ndarray, call_vols: np.ndarray) -> Decimals:
        calls = np.arange(2 * len(deltas)) >= len(deltas)
        vols = np.concatenate([put_vols, call_vols])
        if not (min(atm, *vols) > 0 and max(atm, *vols) < HIGHEST):
            raise ArgumentError(
                f"atm={atm:g}, risk_reversals={reversals.tolist()}, butterflies={quotes.tolist()}: give "
                f"volatilities {min(atm, *vols):g} to {max(atm, *vols):g}, expected 0 to {HIGHEST:g}. "
                "Volatilities are decimals: 0.2 is 20 %."
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
    """The b of `fx_smile` with which market strangles cost as much on the smile as quoted, shape (n,).

    Args:
        atm: Volatility at the money.
        quotes: Market strangles, shape (n,).
        k: Log-moneyness of their puts, then of their calls, shape (2 n,).
        forward: Domestic currency per unit of foreign.
        maturity: Years.
        points: The smile with a given b.

    Raises:
        ArgumentError: The iteration finds no such smile.
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
        f"No smile meets the market strangles {quotes.tolist()} at the money {atm:g} in {maturity:g} years. "
        "If they are smile strangles, pass FxConventions(butterfly='smile')."
    )


def _clark(smile: FxSmile, k: Decimals, forward: float, stdev: float) -> Decimals:
    """Volatility at log-moneyness k: the exponential of Clark's polynomial in a delta of fixed volatility."""
    nodes = _normal(-np.log(smile.strike / forward) / stdev)
    coefficients = np.linalg.solve(np.vander(nodes), np.log(smile.vol))
    return np.exp(np.polyval(coefficients, _normal(-k / stdev)))


def _adjusted_k(log_size: Decimals, sign: Decimals, stdev: Decimals, k: Decimals) -> Decimals:
    """Log-moneyness of premium-adjusted deltas, by Newton steps on k + ln N(phi d2) - ln |delta|.

    That function is concave in k, so steps from where it is negative never pass the root. For calls the
    strike of the unadjusted delta is such a start, above the larger root; for puts the first step leads to
    such a start. A slope of a call that turns positive means that there is no root: nan.

    Args:
        log_size: ln |delta| of the forward delta, any shape, all broadcast.
        sign: phi, 1 for a call and -1 for a put.
        stdev: Volatility times the root of the maturity.
        k: Start.
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
    """The factor from a forward delta to the delta of the conventions."""
    return np.asarray(foreign_discount if conventions.delta == "spot" else 1.0)


def _normal(x: ArrayLike) -> Decimals:
    """Normal distribution function, accurate in relative terms far below 0 too."""
    return _map(lambda y: 0.5 * math.erfc(-y / math.sqrt(2)), x)


def _map(function: Callable[[float], float], x: ArrayLike) -> Decimals:
    """The values of a function of one number at each entry."""
    return cast(np.ndarray, np.vectorize(function, otypes=[float])(x))
