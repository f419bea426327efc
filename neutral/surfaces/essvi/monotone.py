"""The coordinates of a fit: how far each of three sequences rises that must not fall.

eSSVI smiles are free of calendar arbitrage where the slopes of both wings, up = psi (1 + rho) and
down = psi (1 - rho), and the width tau = theta / psi do not fall with maturity; of butterfly arbitrage where
tau >= max(up, down) / 4 and up, down <= 4 (Gatheral and Jacquier 2014; Hendriks and Martini 2019). These are
the surfaces of Mingone's (2022) global parametrisation. Here the coordinates are the rises of both wings, and
what theta is above its least value: each condition is the lower bound of one coordinate, so that a solver
with bounds can end on it, and nothing bends in between.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ...typing import Flags, Real
from .global_parametrisation import Cap
from .slice import theta_min

_STEEPEST = 4.0  # of up and down
_ROUND = 1e-3  # where two bounds of theta meet a solver would stall at the kink
_LEAST_START = 5e-3  # of its unit: what each wing of the first smile rises at least, so that |rho| < 1


class Monotone(NamedTuple):
    """Units and bounds of the increments of T expiries; a padded expiry repeats the one before it."""

    known: Flags  # (T,)
    wing: Real  # (T,) unit of increments of both wings
    level: Real  # (T,) unit of increments of theta

    def bounds(self) -> tuple[Real, Real]:
        """Lower and upper bounds of the coordinates, (3 T,) each."""
        first = self.known & (jnp.cumsum(self.known) == 1)
        least = jnp.where(first, _LEAST_START, 0.0)
        most = _STEEPEST / self.wing
        free = jnp.full_like(least, 1e6)
        return jnp.concatenate([least, least, 0.0 * least]), jnp.concatenate([most, most, free])

    def free(self) -> Flags:
        """Coordinates that may move, (3 T,)."""
        return jnp.tile(self.known, 3)

    def smiles(self, y: Real, cap: Cap) -> Real:
        """theta, psi and rho psi, (3, T), of coordinates (3 T,)."""
        up, down, rise = jnp.split(y, 3)
        up, down = (_STEEPEST * (1.0 - jnp.cumprod(1.0 - self.wing / _STEEPEST * x)) for x in (up, down))
        begun = jnp.cumsum(self.known) > 0
        psi = jnp.where(begun, 0.5 * (up + down), 1.0)

        def grow(tau: Real, step: tuple[Real, Real, Real]) -> tuple[Real, Real]:
            psi, floor, rise = step
            theta = psi * _round_maximum(tau, floor) + rise
            return theta / psi, theta

        _, theta = jax.lax.scan(grow, jnp.zeros(()), (psi, least_width(up, down, cap), rise * self.level))
        return jnp.stack([jnp.where(begun, theta, 1.0), psi, jnp.where(begun, 0.5 * (up - down), 0.0)])

    def corner_curvature(self, gradient: Real, cap: Cap, smiles: Real, chain: Real) -> Real:
        """What the rounded maxima add to the curvature of a cost, (3 T, 3 T), where that is positive.

        Where two bounds of theta meet it is a hundred times what Gauss-Newton sees, and a solver that does
        not know of it goes to and fro across the bend.

        Args:
            gradient: Of the cost in the coordinates, (3 T,).
            cap: As in `smiles`.
            smiles: At the coordinates, (3, T).
            chain: Their slopes in the coordinates, (3, T, 3 T).
        """

        def pairs(smiles: Real) -> Real:
            theta, psi, tilt = smiles
            begun = jnp.cumsum(self.known) > 0
            up, down = (jnp.where(begun, psi + side * tilt, 0.0) for side in (1.0, -1.0))
            tau = _before(jnp.where(begun, theta / psi, 0.0))
            return jnp.stack([tau, least_width(up, down, cap), up, down])

        at = pairs(smiles)
        slopes = jax.vmap(lambda along: jax.jvp(pairs, (smiles,), (along,))[1], -1, -1)(chain)
        # each rise of theta acts as a rise of the maximum beside it would
        push = smiles[1] / self.level * jnp.split(gradient, 3)[2]
        below = 0.25 * push * _slope(*at[:2]) if cap == "sufficient" else jnp.zeros_like(push)
        return _bend(push, *at[:2], *slopes[:2]) + _bend(below, *at[2:], *slopes[2:])

    def coordinates(self, up: Real, down: Real, tau: Real, cap: Cap) -> Real:
        """Coordinates of the nearest surface that is free, from sequences (T,) that need not be monotone."""
        least = jnp.sum(self.bounds()[0][: self.known.size] * self.wing)
        up, down = (jnp.clip(x, least, 0.999 * _STEEPEST) for x in (up, down))
        up, down = (jax.lax.cummax(jnp.where(self.known, x, 0.0)) for x in (up, down))
        rises = [(x - _before(x)) / (1.0 - _before(x) / _STEEPEST) / self.wing for x in (up, down)]
        floor = least_width(up, down, cap)
        tau = jax.lax.cummax(jnp.maximum(jnp.where(self.known, tau, 0.0), floor))
        rise = 0.5 * (up + down) * (tau - _round_maximum(_before(tau), floor)) / self.level
        y = jnp.concatenate([*rises, rise])
        return jnp.where(self.free(), jnp.clip(y, *self.bounds()), 0.0)


def least_width(up: Real, down: Real, cap: Cap) -> Real:
    """Least tau of smiles free of butterfly arbitrage, (T,); 0 where there is no smile yet."""
    if cap == "sufficient":
        return 0.25 * _round_maximum(up, down)
    psi = 0.5 * (up + down)
    some = psi > 0.0
    psi, rho = jnp.where(some, psi, 1.0), jnp.where(some, 0.5 * (up - down) / jnp.where(some, psi, 1.0), 0.0)
    return jnp.where(some, theta_min(psi, rho) / psi, 0.0)


def _round_maximum(a: Real, b: Real) -> Real:
    """Never less than the larger of two, and no more than `_ROUND` of it above: without the kink."""
    return 0.5 * (a + b + jnp.sqrt((a - b) ** 2 + (_ROUND * (a + b)) ** 2 + 1e-300))


def _slope(a: Real, b: Real) -> Real:
    """Of the rounded maximum in b."""
    return jax.grad(lambda b: jnp.sum(_round_maximum(a, b)))(b)


def _bend(push: Real, a: Real, b: Real, in_a: Real, in_b: Real) -> Real:
    """Sum of the second derivatives (n, n) of rounded maxima, times push (T,), from slopes (T, n)."""
    root = jnp.sqrt((a - b) ** 2 + (_ROUND * (a + b)) ** 2)
    some = root > 0.0
    size = jnp.where(some, 2.0 * _ROUND**2 * jnp.maximum(push, 0.0) / jnp.where(some, root, 1.0) ** 3, 0.0)
    turn = b[:, None] * in_a - a[:, None] * in_b
    return jnp.einsum("tn,t,tm->nm", turn, size, turn)


def isotonic(x: Real, weight: Real) -> Real:
    """Weighted least-squares nondecreasing sequence (T,): the max-min of means (Barlow et al. 1972)."""
    total = jnp.append(0.0, jnp.cumsum(weight))
    mass = jnp.append(0.0, jnp.cumsum(weight * x))
    span = total[None, 1:] - total[:-1, None]
    mean = (mass[None, 1:] - mass[:-1, None]) / jnp.where(span > 0.0, span, 1.0)
    # rows: first of a block, columns: last; blocks without weight decide nothing
    mean = jnp.where((span > 0.0) & _upper(x.size), mean, jnp.inf)
    least = jax.lax.cummin(mean, axis=1, reverse=True)
    return jnp.max(jnp.where(_upper(x.size), least, -jnp.inf), axis=0)


def _upper(size: int) -> Flags:
    row = jnp.arange(size)
    return row[:, None] <= row[None, :]


def _before(x: Real) -> Real:
    return jnp.append(0.0, x[:-1])
