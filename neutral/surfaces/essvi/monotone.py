"""The coordinates of a fit: the rises, from expiry to expiry, of three sequences that must not fall.

eSSVI smiles are free of calendar arbitrage where the slopes of both wings, up = psi (1 + rho) and
down = psi (1 - rho), and the width tau = theta / psi do not fall with maturity (Hendriks and Martini 2019).
They are free of butterfly arbitrage where tau >= max(up, down) / 4 and up, down <= 4, which is the condition
psi^2 (1 + |rho|) <= 4 theta, psi (1 + |rho|) <= 4 of Gatheral and Jacquier (2014, theorem 4.2). These are the
surfaces of the global parametrisation of Mingone (2022). Here the coordinates are the rises of both wings,
and how far theta is above its least value: each condition is the lower bound of one coordinate, so that a
solver with bounds can end on it, and no coordinate has a kink between its bounds.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from ...typing import Flags, Numbers, Real
from .global_parametrisation import Cap
from .slice import theta_min

_STEEPEST = 4.0  # largest up and down
_ROUND = 1e-3  # relative width of rounded maxima: a solver would stall at the kink of a sharp one
_LEAST_START = 5e-3  # least slope of each wing of the first smile, in its unit, so that |rho| < 1
_FREE = 1e6  # upper bound of a coordinate that has none


class Monotone(NamedTuple):
    """Units and bounds of the increments of T expiries; a padded expiry repeats the one before it."""

    known: Bool[Numbers, " T"]  # whether the expiry has a smile
    wing: Float[Numbers, " T"]  # unit of increments of both wings
    level: Float[Numbers, " T"]  # unit of increments of theta

    def bounds(self) -> tuple[Float[Numbers, " n"], Float[Numbers, " n"]]:
        """Lower and upper bounds of the coordinates, (3 T,) each."""
        first = self.known & (jnp.cumsum(self.known) == 1)
        least = jnp.where(first, _LEAST_START, 0.0)
        most = _STEEPEST / self.wing
        free = jnp.full_like(least, _FREE)
        return jnp.concatenate([least, least, 0.0 * least]), jnp.concatenate([most, most, free])

    def free(self) -> Bool[Numbers, " n"]:
        """Coordinates that may move, (3 T,)."""
        return jnp.tile(self.known, 3)

    def smiles(self, y: Float[Numbers, " n"], cap: Cap) -> Float[Numbers, "3 T"]:
        """theta, psi and rho psi, (3, T), of coordinates (3 T,)."""
        up_rise, down_rise, rise = jnp.split(y, 3)
        up = self._wings(up_rise)
        down = self._wings(down_rise)
        begun = jnp.cumsum(self.known) > 0
        psi = jnp.where(begun, 0.5 * (up + down), 1.0)

        def grow(tau: Real, step: tuple[Real, Real, Real]) -> tuple[Real, Real]:
            psi, floor, rise = step
            theta = psi * _round_maximum(tau, floor) + rise
            return theta / psi, theta

        _, theta = jax.lax.scan(grow, jnp.zeros(()), (psi, least_width(up, down, cap), rise * self.level))
        return jnp.stack([jnp.where(begun, theta, 1.0), psi, jnp.where(begun, 0.5 * (up - down), 0.0)])

    def _wings(self, rises: Float[Numbers, " T"]) -> Float[Numbers, " T"]:
        """Slopes of a wing: each rise takes its share of what is left to the steepest slope."""
        return _STEEPEST * (1.0 - jnp.cumprod(1.0 - self.wing / _STEEPEST * rises))

    def corner_curvature(
        self,
        gradient: Float[Numbers, " n"],
        cap: Cap,
        smiles: Float[Numbers, "3 T"],
        chain: Float[Numbers, "3 T n"],
    ) -> Float[Numbers, "n n"]:
        """What the rounded maxima add to the curvature of a cost, (3 T, 3 T), where that is positive.

        Where two bounds of theta meet it is a hundred times the curvature that Gauss-Newton has, and a solver
        without it goes to and fro across the bend.

        Args:
            gradient: Of the cost in the coordinates, (3 T,).
            cap: As in `smiles`.
            smiles: theta, psi and rho psi at the coordinates, (3, T).
            chain: Their derivatives in the coordinates, (3, T, 3 T).
        """

        def arguments(smiles: Real) -> Real:
            """Both arguments of the maximum in tau, then both of the maximum in the least width."""
            theta, psi, tilt = smiles
            begun = jnp.cumsum(self.known) > 0
            up = jnp.where(begun, psi + tilt, 0.0)
            down = jnp.where(begun, psi - tilt, 0.0)
            tau = _before(jnp.where(begun, theta / psi, 0.0))
            return jnp.stack([tau, least_width(up, down, cap), up, down])

        tau, floor, up, down = arguments(smiles)
        slopes = jax.vmap(lambda along: jax.jvp(arguments, (smiles,), (along,))[1], -1, -1)(chain)
        # each rise of theta acts as a rise of the maximum beside it would
        push = smiles[1] / self.level * jnp.split(gradient, 3)[2]
        below = 0.25 * push * _slope(tau, floor) if cap == "sufficient" else jnp.zeros_like(push)
        return _bend(push, tau, floor, slopes[0], slopes[1]) + _bend(below, up, down, slopes[2], slopes[3])

    def coordinates(
        self, up: Float[Numbers, " T"], down: Float[Numbers, " T"], tau: Float[Numbers, " T"], cap: Cap
    ) -> Float[Numbers, " n"]:
        """Coordinates of the nearest surface that is free, from sequences (T,) that need not be monotone."""
        lower, upper = self.bounds()
        least = jnp.sum(lower[: self.known.size] * self.wing)
        up = self._rising(jnp.clip(up, least, 0.999 * _STEEPEST))
        down = self._rising(jnp.clip(down, least, 0.999 * _STEEPEST))
        floor = least_width(up, down, cap)
        tau = jax.lax.cummax(jnp.maximum(jnp.where(self.known, tau, 0.0), floor))
        rise = 0.5 * (up + down) * (tau - _round_maximum(_before(tau), floor)) / self.level
        y = jnp.concatenate([self._rises(up), self._rises(down), rise])
        return jnp.where(self.free(), jnp.clip(y, lower, upper), 0.0)

    def _rising(self, slopes: Float[Numbers, " T"]) -> Float[Numbers, " T"]:
        """Slopes of a wing made monotone; a padded expiry repeats the one before it."""
        return jax.lax.cummax(jnp.where(self.known, slopes, 0.0))

    def _rises(self, slopes: Float[Numbers, " T"]) -> Float[Numbers, " T"]:
        """The inverse of `_wings`."""
        return (slopes - _before(slopes)) / (1.0 - _before(slopes) / _STEEPEST) / self.wing


def least_width(up: Float[Numbers, " T"], down: Float[Numbers, " T"], cap: Cap) -> Float[Numbers, " T"]:
    """Least tau of smiles free of butterfly arbitrage, (T,); 0 where there is no smile yet."""
    if cap == "sufficient":
        return 0.25 * _round_maximum(up, down)
    psi = 0.5 * (up + down)
    some = psi > 0.0
    rho = jnp.where(some, 0.5 * (up - down) / jnp.where(some, psi, 1.0), 0.0)
    psi = jnp.where(some, psi, 1.0)
    return jnp.where(some, theta_min(psi, rho) / psi, 0.0)


def _round_maximum(a: Real, b: Real) -> Real:
    """The larger of two, without the kink: never less, and at most `_ROUND` of it more."""
    return 0.5 * (a + b + jnp.sqrt((a - b) ** 2 + (_ROUND * (a + b)) ** 2 + 1e-300))


def _slope(a: Real, b: Real) -> Real:
    """Derivative of the rounded maximum in b."""
    return jax.grad(lambda b: jnp.sum(_round_maximum(a, b)))(b)


def _bend(
    push: Float[Numbers, " T"],
    a: Float[Numbers, " T"],
    b: Float[Numbers, " T"],
    in_a: Float[Numbers, "T n"],
    in_b: Float[Numbers, "T n"],
) -> Float[Numbers, "n n"]:
    """Sum over T of the second derivatives (n, n) of rounded maxima of a and b, times push where positive.

    The Hessian of the rounded maximum in (a, b) has rank one: 2 r^2 / root^3 times the square of
    (b da - a db), with r = `_ROUND`. `in_a` and `in_b` are the derivatives of a and b.
    """
    root = jnp.sqrt((a - b) ** 2 + (_ROUND * (a + b)) ** 2)
    some = root > 0.0
    size = jnp.where(some, 2.0 * _ROUND**2 * jnp.maximum(push, 0.0) / jnp.where(some, root, 1.0) ** 3, 0.0)
    turn = b[:, None] * in_a - a[:, None] * in_b
    return jnp.einsum("tn,t,tm->nm", turn, size, turn)


def isotonic(x: Float[Numbers, " T"], weight: Float[Numbers, " T"]) -> Float[Numbers, " T"]:
    """Nondecreasing sequence nearest by weighted least squares: the max-min of means (Barlow et al. 1972)."""
    total = jnp.append(0.0, jnp.cumsum(weight))
    mass = jnp.append(0.0, jnp.cumsum(weight * x))
    span = total[None, 1:] - total[:-1, None]
    mean = (mass[None, 1:] - mass[:-1, None]) / jnp.where(span > 0.0, span, 1.0)
    # rows are the first places of blocks and columns their last; blocks without weight decide nothing
    mean = jnp.where((span > 0.0) & _upper(x.size), mean, jnp.inf)
    least = jax.lax.cummin(mean, axis=1, reverse=True)
    return jnp.max(jnp.where(_upper(x.size), least, -jnp.inf), axis=0)


def _upper(size: int) -> Flags:
    row = jnp.arange(size)
    return row[:, None] <= row[None, :]


def _before(x: Float[Numbers, " T"]) -> Float[Numbers, " T"]:
    return jnp.append(0.0, x[:-1])
