"""The coordinates of a fit: the increments, from expiry to expiry, of three sequences that must not fall.

eSSVI smiles are free of calendar arbitrage if the slopes of both wings, up = psi (1 + rho) and
down = psi (1 - rho), and the width tau = theta / psi do not fall with maturity (Hendriks and Martini 2019).
They are free of butterfly arbitrage if tau >= max(up, down) / 4 and up, down <= 4, which are the conditions
psi^2 (1 + |rho|) <= 4 theta and psi (1 + |rho|) <= 4 of Gatheral and Jacquier (2014, theorem 4.2). These are
the surfaces of the global parametrisation of Mingone (2022). Here the coordinates are the increments of both
wings, and the excess of theta over its least value. Each condition is the lower bound of one coordinate, so
that a solver with bounds can end on it, and the surface is smooth in each coordinate between its bounds.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from ...typing import Flags, Numbers, Real
from .global_parametrisation import Cap
from .slice import theta_min

_STEEPEST = 4.0  # largest up and down
_ROUND = 1e-3  # relative width of smooth maxima; a solver would stall at the kink of an exact maximum
_LEAST_START = 5e-3  # least slope of each wing of the first smile, in units of `wing`, so that |rho| < 1
_FREE = 1e6  # numerical upper bound of a coordinate without one


class Monotone(NamedTuple):
    """Coordinates of T expiries with their units and bounds; a padded expiry repeats the one before it."""

    known: Bool[Numbers, " T"]  # True where the expiry has a smile
    wing: Float[Numbers, " T"]  # unit of increments of both wings
    level: Float[Numbers, " T"]  # unit of increments of theta

    def bounds(self) -> tuple[Float[Numbers, " n"], Float[Numbers, " n"]]:
        """Return lower and upper bounds of the coordinates, (3 T,) each."""
        first = self.known & (jnp.cumsum(self.known) == 1)
        least = jnp.where(first, _LEAST_START, 0.0)
        largest = _STEEPEST / self.wing
        free = jnp.full_like(least, _FREE)
        return jnp.concatenate([least, least, 0.0 * least]), jnp.concatenate([largest, largest, free])

    def free(self) -> Bool[Numbers, " n"]:
        """Flag the coordinates that are fitted, those of expiries with a smile, (3 T,)."""
        return jnp.tile(self.known, 3)

    def smiles(self, y: Float[Numbers, " n"], cap: Cap) -> Float[Numbers, "3 T"]:
        """Compute theta, psi and rho psi, (3, T), from coordinates (3 T,)."""
        up_rise, down_rise, rise = jnp.split(y, 3)
        up = self._wings(up_rise)
        down = self._wings(down_rise)
        has_started = jnp.cumsum(self.known) > 0
        psi = jnp.where(has_started, 0.5 * (up + down), 1.0)

        def grow(tau: Real, step: tuple[Real, Real, Real]) -> tuple[Real, Real]:
            psi, floor, rise = step
            theta = psi * _smooth_maximum(tau, floor) + rise
            return theta / psi, theta

        _, theta = jax.lax.scan(grow, jnp.zeros(()), (psi, least_width(up, down, cap), rise * self.level))
        return jnp.stack(
            [jnp.where(has_started, theta, 1.0), psi, jnp.where(has_started, 0.5 * (up - down), 0.0)]
        )

    def _wings(self, rises: Float[Numbers, " T"]) -> Float[Numbers, " T"]:
        """Compute slopes of a wing; each increment is a share of the distance to the steepest slope."""
        return _STEEPEST * (1.0 - jnp.cumprod(1.0 - self.wing / _STEEPEST * rises))

    def corner_curvature(
        self,
        gradient: Float[Numbers, " n"],
        cap: Cap,
        smiles: Float[Numbers, "3 T"],
        chain: Float[Numbers, "3 T n"],
    ) -> Float[Numbers, "n n"]:
        """Compute the positive part of the curvature that the smooth maxima add to a cost, (3 T, 3 T).

        Where two bounds of theta meet, it is a hundred times the Gauss-Newton curvature, and a solver that
        neglects it oscillates across the bend.

        Args:
            gradient: Gradient of the cost in the coordinates, (3 T,).
            cap: Butterfly condition, as in `smiles`.
            smiles: theta, psi and rho psi at the coordinates, (3, T).
            chain: Derivatives of `smiles` in the coordinates, (3, T, 3 T).

        Returns:
            The symmetric matrix, (3 T, 3 T).
        """

        def arguments(smiles: Real) -> Real:
            """Stack both arguments of the maximum in tau, then both of the maximum in the least width."""
            theta, psi, tilt = smiles
            has_started = jnp.cumsum(self.known) > 0
            up = jnp.where(has_started, psi + tilt, 0.0)
            down = jnp.where(has_started, psi - tilt, 0.0)
            tau = _previous(jnp.where(has_started, theta / psi, 0.0))
            return jnp.stack([tau, least_width(up, down, cap), up, down])

        tau, floor, up, down = arguments(smiles)
        slopes = jax.vmap(lambda along: jax.jvp(arguments, (smiles,), (along,))[1], -1, -1)(chain)
        # theta = psi maximum + level rise: derivatives in the maximum are psi / level times those in the rise
        push = smiles[1] / self.level * jnp.split(gradient, 3)[2]
        below = 0.25 * push * _slope(tau, floor) if cap == "sufficient" else jnp.zeros_like(push)
        return _bend(push, tau, floor, slopes[0], slopes[1]) + _bend(below, up, down, slopes[2], slopes[3])

    def coordinates(
        self, up: Float[Numbers, " T"], down: Float[Numbers, " T"], tau: Float[Numbers, " T"], cap: Cap
    ) -> Float[Numbers, " n"]:
        """Compute coordinates of an arbitrage-free surface near sequences (T,) that need not be monotone."""
        lower, upper = self.bounds()
        least = jnp.sum(lower[: self.known.size] * self.wing)
        up = self._rising(jnp.clip(up, least, 0.999 * _STEEPEST))
        down = self._rising(jnp.clip(down, least, 0.999 * _STEEPEST))
        floor = least_width(up, down, cap)
        tau = jax.lax.cummax(jnp.maximum(jnp.where(self.known, tau, 0.0), floor))
        rise = 0.5 * (up + down) * (tau - _smooth_maximum(_previous(tau), floor)) / self.level
        y = jnp.concatenate([self._rises(up), self._rises(down), rise])
        return jnp.where(self.free(), jnp.clip(y, lower, upper), 0.0)

    def _rising(self, slopes: Float[Numbers, " T"]) -> Float[Numbers, " T"]:
        """Make the slopes of a wing monotone; a padded expiry repeats the one before it."""
        return jax.lax.cummax(jnp.where(self.known, slopes, 0.0))

    def _rises(self, slopes: Float[Numbers, " T"]) -> Float[Numbers, " T"]:
        """Compute the increments of slopes, the inverse of `_wings`."""
        return (slopes - _previous(slopes)) / (1.0 - _previous(slopes) / _STEEPEST) / self.wing


def least_width(up: Float[Numbers, " T"], down: Float[Numbers, " T"], cap: Cap) -> Float[Numbers, " T"]:
    """Compute the least tau without butterfly arbitrage, (T,); 0 before the first smile."""
    if cap == "sufficient":
        return 0.25 * _smooth_maximum(up, down)
    psi = 0.5 * (up + down)
    positive = psi > 0.0
    rho = jnp.where(positive, 0.5 * (up - down) / jnp.where(positive, psi, 1.0), 0.0)
    psi = jnp.where(positive, psi, 1.0)
    return jnp.where(positive, theta_min(psi, rho) / psi, 0.0)


def _smooth_maximum(a: Real, b: Real) -> Real:
    """Compute a smooth maximum of two numbers >= 0, which exceeds the maximum by at most a share `_ROUND`."""
    return 0.5 * (a + b + jnp.sqrt((a - b) ** 2 + (_ROUND * (a + b)) ** 2 + 1e-300))


def _slope(a: Real, b: Real) -> Real:
    """Compute the derivative of the smooth maximum in b."""
    return jax.grad(lambda b: jnp.sum(_smooth_maximum(a, b)))(b)


def _bend(
    push: Float[Numbers, " T"],
    a: Float[Numbers, " T"],
    b: Float[Numbers, " T"],
    in_a: Float[Numbers, "T n"],
    in_b: Float[Numbers, "T n"],
) -> Float[Numbers, "n n"]:
    """Sum second derivatives (n, n) of smooth maxima of a and b over T, weighted by max(push, 0).

    The Hessian of the smooth maximum in (a, b) has rank one: it is 2 r^2 / root^3 times the square of
    (b da - a db), with r = `_ROUND`. `in_a` and `in_b` are the derivatives of a and b.
    """
    root = jnp.sqrt((a - b) ** 2 + (_ROUND * (a + b)) ** 2)
    positive = root > 0.0
    size = jnp.where(
        positive, 2.0 * _ROUND**2 * jnp.maximum(push, 0.0) / jnp.where(positive, root, 1.0) ** 3, 0.0
    )
    turn = b[:, None] * in_a - a[:, None] * in_b
    return jnp.einsum("tn,t,tm->nm", turn, size, turn)


def isotonic(x: Float[Numbers, " T"], weight: Float[Numbers, " T"]) -> Float[Numbers, " T"]:
    """Compute the nearest nondecreasing sequence in weighted least squares (Barlow et al. 1972).

    It is the max-min of weighted means over blocks of the sequence.
    """
    total = jnp.append(0.0, jnp.cumsum(weight))
    mass = jnp.append(0.0, jnp.cumsum(weight * x))
    span = total[None, 1:] - total[:-1, None]
    mean = (mass[None, 1:] - mass[:-1, None]) / jnp.where(span > 0.0, span, 1.0)
    # rows are the first positions of blocks, columns the last; blocks without weight have no effect
    mean = jnp.where((span > 0.0) & _upper(x.size), mean, jnp.inf)
    least = jax.lax.cummin(mean, axis=1, reverse=True)
    return jnp.max(jnp.where(_upper(x.size), least, -jnp.inf), axis=0)


def _upper(size: int) -> Flags:
    row = jnp.arange(size)
    return row[:, None] <= row[None, :]


def _previous(x: Float[Numbers, " T"]) -> Float[Numbers, " T"]:
    return jnp.append(0.0, x[:-1])
