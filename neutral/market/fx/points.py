"""The points of a smile that is quoted by delta, and the polynomial in delta between them (Clark 2011)."""

import dataclasses
from typing import NamedTuple

import numpy as np

from ...errors import ArgumentError
from .conventions import FxConventions
from .deltas import Decimals, at_the_money, log_strike, normal, strike_from_delta

HIGHEST = 10.0  # upper bound of volatilities, decimal


class FxSmile(NamedTuple):
    """The options of a smile in order of ascending strike, shape (points,) each."""

    strike: np.ndarray
    vol: np.ndarray  # decimal
    is_call: np.ndarray  # bool; the option at the money counts as a call


@dataclasses.dataclass(frozen=True, eq=False)
class WingQuotes:
    """What is quoted for one expiry, but for the strangles: n deltas, each with a put and a call."""

    atm: float  # volatility at the money, decimal
    deltas: np.ndarray  # absolute, shape (n,)
    reversals: np.ndarray  # volatility of the call less that of the put, shape (n,)
    forward: float  # domestic currency per unit of foreign
    maturity: float  # years
    conventions: FxConventions
    foreign_discount: float

    @property
    def signed_deltas(self) -> np.ndarray:
        """The deltas of the puts, then of the calls, shape (2 n,)."""
        return np.concatenate([-self.deltas, self.deltas])

    @property
    def is_call(self) -> np.ndarray:
        """The kinds of these options, shape (2 n,)."""
        return self.signed_deltas > 0

    @property
    def root(self) -> float:
        """The square root of the maturity."""
        return float(np.sqrt(self.maturity))

    def vols(self, b: np.ndarray) -> np.ndarray:
        """Return the volatilities of puts, atm + b - rr / 2, and calls, (..., n) to (..., 2 n)."""
        half = 0.5 * self.reversals
        return self.atm + np.concatenate([b - half, b + half], axis=-1)

    def log_strikes(self, vols: np.ndarray) -> np.ndarray:
        """Return ln(K / F) of puts and calls with these volatilities, nan where there is no strike."""
        return log_strike(
            delta=self.signed_deltas,
            vol=vols,
            maturity=self.maturity,
            is_call=self.is_call,
            conventions=self.conventions,
            foreign_discount=self.foreign_discount,
        )

    def is_ordered(self, b: np.ndarray) -> np.ndarray:
        """Whether strikes are in the order of their deltas, puts below the money, (..., n) to (...)."""
        outward = np.argsort(-self.deltas)
        middle = np.log(at_the_money(self.atm, 1.0, self.maturity, self.conventions))
        puts, calls = np.split(self.log_strikes(self.vols(b)) - middle, 2, axis=-1)
        distances = np.stack([-puts[..., outward], calls[..., outward]], axis=-2)
        return np.asarray((np.diff(distances, axis=-1, prepend=0.0) > 0).all(axis=(-2, -1)))

    def strikes(self, vols: np.ndarray) -> Decimals:
        """Return the strikes of puts and calls with these volatilities, shape (2 n,).

        Raises:
            ArgumentError: A volatility is not between 0 and 10, or a delta has no strike.
        """
        every = [self.atm, *vols]
        if not (min(every) > 0 and max(every) < HIGHEST):
            raise ArgumentError(
                f"atm={self.atm:g}, risk_reversals={self.reversals.tolist()} and the butterflies give "
                f"volatilities of {min(every):g} to {max(every):g}; expected values above 0 and "
                f"below {HIGHEST:g}. Volatilities are decimals: 0.2 is 20 %."
            )
        return strike_from_delta(
            delta=self.signed_deltas,
            vol=vols,
            forward=self.forward,
            maturity=self.maturity,
            is_call=self.is_call,
            conventions=self.conventions,
            foreign_discount=self.foreign_discount,
        )

    def smile(self, b: np.ndarray) -> FxSmile:
        """Return the smile in which volatilities are those of `vols`; raises as `strikes` does."""
        vols = self.vols(b)
        middle = at_the_money(self.atm, self.forward, self.maturity, self.conventions)
        strike = np.append(self.strikes(vols), middle)
        order = np.argsort(strike)
        is_call = np.append(self.is_call, True)
        return FxSmile(strike=strike[order], vol=np.append(vols, self.atm)[order], is_call=is_call[order])

    @np.errstate(over="ignore")  # between strikes that nearly meet the polynomial may be of any size
    def smile_vols(self, b: np.ndarray, k: np.ndarray) -> np.ndarray:
        """Return the volatilities of many smiles at the log-moneyness k.

        Args:
            b: One butterfly per delta for each smile, shape (smiles, n).
            k: Log-moneyness, shape (m,).

        Returns:
            Shape (smiles, m); nan where there is no smile.
        """
        vols = self.vols(b)
        usable = ((vols > 0) & (vols < HIGHEST)).all(axis=-1, keepdims=True)
        vols = np.where(usable, vols, self.atm)
        middle = np.log(at_the_money(self.atm, 1.0, self.maturity, self.conventions))
        column = np.full((len(b), 1), 1.0)
        points = np.concatenate([self.log_strikes(vols), middle * column], axis=-1)
        values = np.log(np.concatenate([vols, self.atm * column], axis=-1))
        return np.where(usable, np.exp(_polynomial(points, values, k, self.atm * self.root)), np.nan)


def smile_vol(smile: FxSmile, k: Decimals, forward: float, stdev: float) -> np.ndarray:
    """Return the volatility of a smile at log-moneyness k: exp of Clark's polynomial (2011, chapter 3).

    The logarithm of the volatility is the polynomial through all points in N(ln(F / K) / stdev).

    Args:
        smile: The points.
        k: ln(K / F), shape (m,).
        forward: Domestic currency per unit of foreign.
        stdev: Volatility at the money x square root of the maturity.
    """
    points = np.log(smile.strike / forward)
    return np.exp(_polynomial(points[None], np.log(smile.vol)[None], np.asarray(k), stdev)[0])


@np.errstate(invalid="ignore", divide="ignore", over="ignore")  # equal strikes have no polynomial
def _polynomial(points: np.ndarray, values: np.ndarray, k: np.ndarray, stdev: float) -> np.ndarray:
    """Evaluate at k, shape (m,), the polynomials in N(-k / stdev) through points, shape (smiles, points).

    Lagrange's form needs no system of equations, which would lose digits where points are close.
    """
    nodes = np.asarray(normal(-points / stdev))
    x = np.asarray(normal(-k / stdev))
    total = np.zeros((len(points), len(k)))
    for j in range(points.shape[1]):
        others = np.delete(nodes, j, axis=1)
        factors = (x[None, :, None] - others[:, None, :]) / (nodes[:, j, None] - others)[:, None, :]
        total = total + values[:, j, None] * factors.prod(axis=-1)
    return total
