"""The least-squares problem of a mixture of eSSVI surfaces: coordinates, prices with Jacobian, and start."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from ...calibration.losses import Loss
from ...options import black
from ...typing import Numbers, Real
from .global_parametrisation import Cap
from .monotone import Monotone
from .problem import AbstractSetting, over_strikes
from .slice import variance_and_slopes


class Start(NamedTuple):
    """Components at the start, relative to the fit of a single surface; one entry per component."""

    theta: tuple[float, ...]  # factors of theta
    psi: tuple[float, ...]  # factors of psi
    turn: tuple[float, ...]  # shifts of rho
    weight: tuple[float, ...]  # weights, of sum 1


STARTS = {
    2: Start(theta=(0.8, 1.25), psi=(0.9, 1.1), turn=(-0.1, 0.15), weight=(0.57, 0.43)),
    3: Start(theta=(0.5, 1.0, 2.2), psi=(0.8, 1.0, 1.4), turn=(-0.2, 0.1, 0.3), weight=(0.4, 0.4, 0.2)),
}
_WIDEST = 6.0  # bound of the logarithms of ratios of weights
_FARTHEST = 2.0  # bound of the logarithms of ratios of multipliers
_MOST_RHO = 0.97  # largest |rho| of a start


class MixtureSetting(AbstractSetting):
    """A mixture: smiles of every component, with weights and multipliers that are constant in maturity.

    The n = 3 T J + 2 (J - 1) coordinates are those of the components' smiles, then log(alpha_j / alpha_0),
    then log(m_j / m_0). The L = 5 J numbers of a maturity are theta, psi and rho psi of each component, then
    alpha m, then log m.
    """

    loss: Loss
    cap: Cap = eqx.field(static=True)
    count: int = eqx.field(static=True)  # number J of components

    def bounds(
        self, space: Monotone
    ) -> tuple[Float[Numbers, " n"], Float[Numbers, " n"], Bool[Numbers, " n"]]:
        """See `AbstractSetting.bounds`."""
        lower, upper = space.bounds()
        ratio_bounds = jnp.repeat(jnp.array([_WIDEST, _FARTHEST]), self.count - 1)
        lower = jnp.concatenate([jnp.tile(lower, self.count), -ratio_bounds])
        upper = jnp.concatenate([jnp.tile(upper, self.count), ratio_bounds])
        return lower, upper, jnp.append(jnp.tile(space.free(), self.count), jnp.ones(ratio_bounds.size, bool))

    def split(
        self, y: Float[Numbers, " n"]
    ) -> tuple[Float[Numbers, "J m"], Float[Numbers, " J"], Float[Numbers, " J"]]:
        """Split into coordinates of the components (J, 3 T), weights (J,) and multipliers (J,)."""
        smiles = y[: -2 * (self.count - 1)]
        ratios = y[-2 * (self.count - 1) :]
        share, log_ratio = jnp.split(ratios, 2)
        alpha = jax.nn.softmax(jnp.append(0.0, share))
        m = jnp.exp(jnp.append(0.0, log_ratio))
        # divided so that sum alpha m = 1
        return smiles.reshape(self.count, -1), alpha, m / jnp.sum(alpha * m)

    def local(self, space: Monotone, y: Float[Numbers, " n"]) -> Float[Numbers, "L T"]:
        """See `AbstractSetting.local`; the rows are those of the components, then alpha m, then log m."""
        smiles, alpha, m = self.split(y)
        rows = jax.vmap(lambda y: space.smiles(y, self.cap))(smiles)
        size = rows.shape[-1]
        fixed = jnp.concatenate([alpha * m, jnp.log(m)])
        return jnp.concatenate([rows.reshape(-1, size), jnp.broadcast_to(fixed[:, None], (fixed.size, size))])

    def corner_curvature(
        self,
        space: Monotone,
        gradient: Float[Numbers, " n"],
        local: Float[Numbers, "L T"],
        chain: Float[Numbers, "L T n"],
    ) -> Float[Numbers, "n n"]:
        """See `AbstractSetting.corner_curvature`."""
        size = 3 * space.known.size
        total = jnp.zeros((gradient.size, gradient.size))
        for j in range(self.count):
            rows = slice(3 * j, 3 * j + 3)
            block = slice(j * size, (j + 1) * size)
            part = space.corner_curvature(gradient[block], self.cap, local[rows], chain[rows, :, block])
            total = total.at[block, block].set(part)
        return total

    def prices(
        self, k: Float[Numbers, "B T K"], local: Float[Numbers, "B L T"]
    ) -> tuple[Float[Numbers, "B T K"], Float[Numbers, "B L T K"]]:
        """See `AbstractSetting.prices`; a price is the sum of alpha m c(k - log m) over components."""
        count = self.count
        is_call = k >= 0.0
        share = local[:, 3 * count : 4 * count]
        log_ratio = local[:, 4 * count :]
        terms: list[Real] = []
        in_smiles: list[Real] = []
        in_shares: list[Real] = []
        in_places: list[Real] = []
        for j in range(count):
            (log_m,) = over_strikes(k, log_ratio[:, j : j + 1])
            value, inner, in_k = _shifted_prices(k - log_m, local[:, 3 * j : 3 * j + 3], is_call)
            (factor,) = over_strikes(k, share[:, j : j + 1])
            terms.append(factor * value)
            in_smiles.append(jnp.expand_dims(factor, 1) * inner)
            in_shares.append(value)
            in_places.append(-factor * in_k)
        slopes = [*in_smiles, jnp.stack(in_shares, axis=1), jnp.stack(in_places, axis=1)]
        return jnp.asarray(sum(terms)), jnp.concatenate(slopes, axis=1)

    def start(self, space: Monotone, smiles: Float[Numbers, "3 T"]) -> Float[Numbers, " n"]:
        """Compute starting coordinates from theta, psi, rho psi (3, T) of one eSSVI surface."""
        initial = STARTS[self.count]
        theta, psi, tilt = smiles
        rho = tilt / psi
        parts = []
        for level, width, turn in zip(initial.theta, initial.psi, initial.turn, strict=True):
            r = jnp.clip(rho + turn, -_MOST_RHO, _MOST_RHO)
            up = width * psi * (1.0 + r)
            down = width * psi * (1.0 - r)
            parts.append(space.coordinates(up, down, level * theta / (width * psi), self.cap))
        weight = jnp.log(jnp.asarray(initial.weight))
        return jnp.concatenate([*parts, weight[1:] - weight[0], jnp.zeros(self.count - 1)])


def _shifted_prices(
    k: Float[Numbers, "B T K"], smiles: Float[Numbers, "B 3 T"], is_call: Bool[Numbers, "B T K"]
) -> tuple[Float[Numbers, "B T K"], Float[Numbers, "B 3 T K"], Float[Numbers, "B T K"]]:
    """Compute prices (B, T, K), their derivatives in theta, psi, rho psi (B, 3, T, K), and those in k."""
    theta, psi, tilt = over_strikes(k, smiles)
    w, slopes = variance_and_slopes(k, theta, psi, tilt)
    s = jnp.sqrt(w)
    in_w = 0.5 * black.vega(k, s) / s  # dc/dw = dc/ds / (2 s)
    root = 2.0 * w - theta - tilt * k  # R = 2 w - L
    bend = 0.5 * (tilt + (psi * psi * k + theta * tilt) / root)  # dw/dk
    price = black.price(k, s, is_call)
    return price, jnp.stack([in_w * x for x in slopes], axis=1), black.slope_k(k, s, is_call) + in_w * bend
