"""The fit of a mixture of eSSVI surfaces as numbers: coordinates, prices with their Jacobian, start."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ...calibration.losses import Loss
from ...options import black
from ...typing import Flags, Real
from .global_parametrisation import Cap
from .monotone import Monotone
from .problem import AbstractSetting, over_strikes
from .slice import variance_and_slopes


class Start(NamedTuple):
    """Components relative to the surface of one: factors of theta and psi, change of rho, weights."""

    theta: tuple[float, ...]
    psi: tuple[float, ...]
    turn: tuple[float, ...]
    weight: tuple[float, ...]


STARTS = {
    2: Start((0.8, 1.25), (0.9, 1.1), (-0.1, 0.15), (0.57, 0.43)),
    3: Start((0.5, 1.0, 2.2), (0.8, 1.0, 1.4), (-0.2, 0.1, 0.3), (0.4, 0.4, 0.2)),
}
_WIDEST = 6.0  # of the logarithms of ratios of weights
_FARTHEST = 2.0  # of the logarithms of ratios of multipliers


class MixtureSetting(AbstractSetting):
    """A mixture: smiles of every component, and its weight and place, the same at all maturities."""

    loss: Loss
    cap: Cap = eqx.field(static=True)
    count: int = eqx.field(static=True)  # components, J

    def bounds(self, space: Monotone) -> tuple[Real, Real, Flags]:
        """See `AbstractSetting.bounds`."""
        lower, upper = space.bounds()
        more = jnp.repeat(jnp.array([_WIDEST, _FARTHEST]), self.count - 1)
        lower = jnp.concatenate([jnp.tile(lower, self.count), -more])
        upper = jnp.concatenate([jnp.tile(upper, self.count), more])
        return lower, upper, jnp.append(jnp.tile(space.free(), self.count), jnp.ones(more.size, bool))

    def split(self, y: Real) -> tuple[Real, Real, Real]:
        """Coordinates of the components (J, 3 T), weights (J,) and multipliers (J,)."""
        smiles, ratios = y[: -2 * (self.count - 1)], y[-2 * (self.count - 1) :]
        share, place = jnp.split(ratios, 2)
        alpha = jax.nn.softmax(jnp.append(0.0, share))
        m = jnp.exp(jnp.append(0.0, place))
        return smiles.reshape(self.count, -1), alpha, m / jnp.sum(alpha * m)

    def local(self, space: Monotone, y: Real) -> Real:
        """See `AbstractSetting.local`: rows of the components, then alpha m, then ln m."""
        smiles, alpha, m = self.split(y)
        rows = jax.vmap(lambda y: space.smiles(y, self.cap))(smiles)
        size = rows.shape[-1]
        fixed = jnp.concatenate([alpha * m, jnp.log(m)])
        return jnp.concatenate([rows.reshape(-1, size), jnp.broadcast_to(fixed[:, None], (fixed.size, size))])

    def corner_curvature(self, space: Monotone, gradient: Real, local: Real, chain: Real) -> Real:
        """See `AbstractSetting.corner_curvature`."""
        size = 3 * space.known.size
        whole = jnp.zeros((gradient.size, gradient.size))
        for j in range(self.count):
            rows, own = slice(3 * j, 3 * j + 3), slice(j * size, (j + 1) * size)
            part = space.corner_curvature(gradient[own], self.cap, local[rows], chain[rows, :, own])
            whole = whole.at[own, own].set(part)
        return whole

    def prices(self, k: Real, local: Real) -> tuple[Real, Real]:
        """See `AbstractSetting.prices`."""
        count, call = self.count, k >= 0.0
        share, place = local[:, 3 * count : 4 * count], local[:, 4 * count :]
        values, slopes = [], []
        for j in range(count):
            (log_m,) = over_strikes(k, place[:, j : j + 1])
            value, inner, in_k = _shifted_prices(k - log_m, local[:, 3 * j : 3 * j + 3], call)
            (factor,) = over_strikes(k, share[:, j : j + 1])
            values.append((factor, value, -factor * in_k))
            slopes.append(jnp.expand_dims(factor, 1) * inner)
        total = sum(factor * value for factor, value, _ in values)
        shares, places = (jnp.stack([row[i] for row in values], axis=1) for i in (1, 2))
        return jnp.asarray(total), jnp.concatenate([*slopes, shares, places], axis=1)

    def start(self, space: Monotone, one: Real) -> Real:
        """Coordinates from the smiles (3, T) of one eSSVI surface."""
        begin, (theta, psi, tilt) = STARTS[self.count], one
        rho = tilt / psi
        parts = []
        for level, width, turn in zip(begin.theta, begin.psi, begin.turn, strict=True):
            r = jnp.clip(rho + turn, -0.97, 0.97)
            up, down = (width * psi * (1.0 + side * r) for side in (1.0, -1.0))
            parts.append(space.coordinates(up, down, level * theta / (width * psi), self.cap))
        weight = jnp.log(jnp.asarray(begin.weight))
        return jnp.concatenate([*parts, weight[1:] - weight[0], jnp.zeros(self.count - 1)])


def _shifted_prices(k: Real, smiles: Real, is_call: Flags) -> tuple[Real, Real, Real]:
    """Prices at k (B, T, K), their slopes in theta, psi, rho psi (B, 3, T, K), and in k."""
    theta, psi, tilt = over_strikes(k, smiles)
    w, slopes = variance_and_slopes(k, theta, psi, tilt)
    s = jnp.sqrt(w)
    in_w = 0.5 * black.vega(k, s) / s
    root = 2.0 * w - theta - tilt * k
    bend = 0.5 * (tilt + (psi * psi * k + theta * tilt) / root)
    price = black.price(k, s, is_call)
    return price, jnp.stack([in_w * x for x in slopes], axis=1), black.slope_k(k, s, is_call) + in_w * bend
