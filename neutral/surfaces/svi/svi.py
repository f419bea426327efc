"""Raw SVI (Gatheral 2004): one smile of five parameters, its jump-wings form and exact butterfly test."""

import math
from typing import TYPE_CHECKING, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike

from ...errors import ArgumentError
from ...models.parameters import Interval, Positive, Unbounded, param
from ...numerics.compiled import compiled
from ...options.arbitrage import durrleman
from ...presentation.frame import frame_of_rows
from ...typing import Real, Scalar
from ..base import call_on_points

if TYPE_CHECKING:
    import pandas as pd

_MOST_WIDTH = 1e8  # of b sigma over the variance at the money; beyond it, rounding leaves no digit of a
_HALVINGS = 40  # bisection steps towards the nearest smile free of butterfly arbitrage


class JumpWings(NamedTuple):
    """Jump-wings parameters of SVI (Gatheral and Jacquier 2014, equation 3.5).

    Traders can read them off a smile, and they change little with maturity.
    """

    v: float
    """Variance at the money, 1/yr."""
    psi: float
    """Slope at the money of sqrt(w): half of w' / sqrt(w)."""
    p: float
    """Slope of the left (put) wing over sqrt(w(0))."""
    c: float
    """Slope of the right (call) wing over sqrt(w(0))."""
    v_min: float
    """Smallest variance of the smile, 1/yr."""


@compiled
def _derivatives(smile: "SVI", k: Real) -> tuple[Real, Real, Real]:
    x = k - smile.m
    root = jnp.sqrt(x * x + smile.sigma**2)
    w = smile.a + smile.b * (smile.rho * x + root)
    return w, smile.b * (smile.rho + x / root), smile.b * smile.sigma**2 / root**3


class SVI(eqx.Module):
    """One smile, w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2)), k the log-forward moneyness.

    The formula is equation 3.1 of Gatheral and Jacquier (2014).
    """

    a: Scalar = param(Unbounded(), "level of total variance")
    b: Scalar = param(Positive(), "mean of the wings' slopes")
    rho: Scalar = param(Interval(-1.0, 1.0), "tilt: slopes of the wings are b (1 +- rho)")
    m: Scalar = param(Unbounded(), "shift in k")
    sigma: Scalar = param(Positive(), "width of the bend, > 0")

    def to_frame(self) -> "pd.DataFrame":
        """Return a table of one row with the parameters `a`, `b`, `rho`, `m` and `sigma`."""
        return frame_of_rows([dict(zip(("a", "b", "rho", "m", "sigma"), self._numbers(), strict=True))])

    def derivatives(self, k: ArrayLike) -> tuple[Real, Real, Real]:
        """Compute w, dw/dk and d2w/dk2 at log-forward moneyness k, any shape."""
        return call_on_points(lambda k: _derivatives(self, k), k=k)

    def total_variance(self, k: ArrayLike) -> Real:
        """Compute total implied variance at log-forward moneyness k, any shape."""
        return self.derivatives(k)[0]

    def durrleman(self, k: ArrayLike) -> Real:
        """Compute Durrleman's function g, any shape; it is negative where there is butterfly arbitrage."""
        return durrleman(k, *self.derivatives(k))

    def jump_wings(self, t: float) -> JumpWings:
        """Compute the jump-wings parameters at a maturity of t years."""
        a, b, rho, m, sigma = self._numbers()
        w = a + b * (math.hypot(m, sigma) - rho * m)
        slope = b * (rho - m / math.hypot(m, sigma))
        root = math.sqrt(w)
        low = a + b * sigma * math.sqrt(1.0 - rho**2)
        return JumpWings(
            v=w / t,
            psi=0.5 * slope / root,
            p=b * (1.0 - rho) / root,
            c=b * (1.0 + rho) / root,
            v_min=low / t,
        )

    @classmethod
    def from_jump_wings(cls, wings: JumpWings, t: float) -> "SVI":
        """Build the smile with given jump-wings parameters (Gatheral and Jacquier 2014, lemma 3.2).

        Args:
            wings: Parameters with p, c > 0, 0 < v_min < v and psi inside (-p/2, c/2), not 0.
            t: Maturity in years, > 0.

        Returns:
            The smile.

        Raises:
            ArgumentError: no smile has these parameters, or they do not determine it.
        """
        v, psi, p, c, v_min = wings
        if not (
            0 < p < math.inf and 0 < c < math.inf and 0 < v_min < v < math.inf and 0 < t < math.inf
        ) or not (-0.5 * p < psi < 0.5 * c):
            raise ArgumentError(
                f"No SVI smile has the jump wings {wings} at t = {t}; they must satisfy p, c, t > 0, "
                "0 < v_min < v and -p/2 < psi < c/2. A smile whose minimum is at the money (v_min = v, "
                "psi = 0) is not determined by them."
            )
        root = math.sqrt(v * t)
        b = 0.5 * root * (c + p)
        rho = (c - p) / (c + p)
        bend = rho - 2.0 * psi * root / b  # m / sqrt(m^2 + sigma^2)
        # (v - v_min) t / b = -rho m + sqrt(m^2 + sigma^2) - sigma sqrt(1 - rho^2), linear in the length
        # below; its factor is 1 - cos of the difference of two angles, here without cancellation
        flat = math.sqrt(1.0 - bend**2)
        unit = 2.0 * math.sin(0.5 * (math.asin(bend) - math.asin(rho))) ** 2
        if not unit * v * _MOST_WIDTH > v - v_min:
            raise ArgumentError(
                f"The jump wings {wings} do not determine a smile: psi is so near to 0 that the minimum is "
                "at the money, where the variance is v and not v_min."
            )
        length = (v - v_min) * t / (b * unit)
        sigma = flat * length
        return cls(
            a=v_min * t - b * sigma * math.sqrt(1.0 - rho**2), b=b, rho=rho, m=bend * length, sigma=sigma
        )

    def butterfly(self) -> tuple[float, float]:
        """Compute the minimum of Durrleman's function g over all k: an exact test of butterfly arbitrage.

        With k = m + sigma sinh(u) and y = e^u, g is a ratio of polynomials in y, and its extremes are among
        the roots of a third polynomial, the numerator of its derivative. The smile is free of butterfly
        arbitrage if the smallest g is not negative (Gatheral and Jacquier 2014, lemma 2.2); Martini and
        Mingone (2022) describe the same smiles by their parameters.

        Returns:
            The smallest g and its k; g is -inf if a wing is steeper than 2 (Lee 2004) or total variance is
            not positive everywhere.
        """
        a, b, rho, m, sigma = self._numbers()
        if b * (1.0 + abs(rho)) > 2.0:
            return -math.inf, math.copysign(math.inf, rho)
        if a + b * sigma * math.sqrt(1.0 - rho**2) <= 0.0:
            return -math.inf, m - rho * sigma / math.sqrt(1.0 - rho**2)
        top, bottom = self._durrleman_ratio()
        extremes = (top.deriv() * bottom - top * bottom.deriv()).roots()
        y = np.abs(extremes[extremes.real > 0.0])
        k = np.concatenate([m + 0.5 * sigma * (y - 1.0 / y), [m, 0.0]])
        g = np.asarray(self.durrleman(k))
        # in a wing of slope s, g tends to 1/4 - s^2 / 16
        steep = 0.25 * (b * np.array([rho - 1.0, rho + 1.0])) ** 2
        g = np.append(g, 0.25 - 0.25 * steep)
        k = np.append(k, [-math.inf, math.inf])
        worst = int(np.argmin(g))
        return float(g[worst]), float(k[worst])

    def _durrleman_ratio(self) -> tuple[Polynomial, Polynomial]:
        """Compute numerator and denominator of g as polynomials in y."""
        a, b, rho, m, sigma = self._numbers()
        y = Polynomial([0.0, 1.0])
        square = Polynomial([1.0, 0.0, 1.0])  # 1 + y^2
        w = a * y + 0.5 * b * sigma * (rho * (y**2 - 1.0) + square)  # y w(k)
        slope = rho * square + y**2 - 1.0  # w'(k) (y^2 + 1) / b
        k = 2.0 * m * y + sigma * (y**2 - 1.0)  # 2 y k
        top = square * (4.0 * w * square - b * k * slope) ** 2
        top = top - b**2 * slope**2 * w * (4.0 * y + w) * square + 64.0 * b / sigma * y**3 * w**2
        return top, 16.0 * w**2 * square**3

    def repaired(self, t: float) -> "SVI":
        """Return the smile, or if it has butterfly arbitrage, the nearest smile without on a line.

        The line, in jump-wings parameters, leads to a smile with the same level and slope at the money and
        the same left wing but without butterfly arbitrage (Gatheral and Jacquier 2014, section 5.1).

        Args:
            t: Maturity in years, > 0.

        Returns:
            A smile free of butterfly arbitrage.

        Raises:
            ArgumentError: the end of the line has butterfly arbitrage too, because its wings are too steep.
        """
        if self.butterfly()[0] >= 0.0:
            return self
        wings = self.jump_wings(t)
        start = np.array(wings)
        c = wings.p + 2.0 * wings.psi
        v_min = wings.v * 4.0 * wings.p * c / (wings.p + c) ** 2
        end = np.array(wings._replace(c=c, v_min=v_min))

        def smile_at(share: float) -> SVI | None:
            """Return the smile at a share of the line, or None if it has butterfly arbitrage."""
            mix = JumpWings._make(float(x) for x in start + share * (end - start))
            try:
                smile = SVI.from_jump_wings(mix, t)
            except ArgumentError:
                return None
            return smile if smile.butterfly()[0] >= 0.0 else None

        best = smile_at(1.0)
        if best is None:
            raise ArgumentError(
                "The smile cannot be repaired with its left wing unchanged, because that wing is too steep."
            )
        low = 0.0
        high = 1.0
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            smile = smile_at(middle)
            if smile is None:
                low = middle
            else:
                high = middle
                best = smile
        return best

    def _numbers(self) -> tuple[float, float, float, float, float]:
        return float(self.a), float(self.b), float(self.rho), float(self.m), float(self.sigma)
