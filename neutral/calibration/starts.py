"""Where a fit begins: from the market's variance at the money, short and long, never from luck."""

from typing import Any

import jax
import jax.numpy as jnp

from ..quote_surface import QuoteSurface
from ..typing import Real
from .coordinates import Coordinates, increment_unit, typical_of, unchecked

# Share of the market's variance left to diffusion, mean reversion, vol-of-vol over sqrt(variance),
# correlation, jump intensity, mean and width of jumps over sqrt(variance), variance jump over variance,
# slope rho_j.
_PLAIN = ((1.0, 3.0, 2.0, -0.4, 0.3, -0.2, 0.4, 0.3, -0.1),)
_WITH_JUMPS = (
    (0.75, 4.0, 2.0, -0.3, 1.0, -0.10, 0.4, 1.0, -0.1),
    (0.85, 8.0, 4.0, -0.3, 0.3, -0.20, 0.6, 2.0, -0.1),
    (0.60, 2.0, 1.0, -0.4, 4.0, -0.05, 0.2, 0.5, -0.1),
)


def data_starts(coordinates: Coordinates, surface: QuoteSurface) -> Real:
    """Starting vectors of one surface, shape (starts, size).

    Args:
        coordinates: Of the model to fit.
        surface: One surface, T maturities.
    """
    used = jnp.any(surface.mask, axis=(-3, -1))
    variance = surface.stdev**2 / surface.t
    short = jnp.min(jnp.where(used, surface.t, jnp.inf))
    long = jnp.max(jnp.where(used, surface.t, 0.0))
    near = jnp.sum(jnp.where(surface.t == short, variance, 0.0))
    far = jnp.sum(jnp.where(surface.t == long, variance, 0.0))
    level = jnp.sum(jnp.where(used, variance, 0.0)) / jnp.maximum(jnp.sum(used), 1)
    rows = _WITH_JUMPS if "mu_v" in coordinates.parameters else _PLAIN
    unit = increment_unit(surface)
    vectors = []
    for row in rows:
        model = _model(coordinates, row, near, far, level)
        vector = coordinates.vector(model, unit, surface.t)
        if coordinates.shifted:
            count = len(coordinates.parameters)
            vector = jnp.where(jnp.arange(coordinates.size) < count, vector, 0.1)
        vectors.append(vector)
    return jax.lax.stop_gradient(jnp.stack(vectors))


def _model(coordinates: Coordinates, row: tuple[float, ...], near: Real, far: Real, level: Real) -> Any:
    share, kappa, sigma_v, rho, lam, mu_y, sigma_y, mu_v, rho_j = row
    root = jnp.sqrt(level)
    known = {
        "sigma": root, "v0": share * near, "theta": share * far, "kappa": kappa,
        "sigma_v": jnp.minimum(sigma_v * root, 3.0), "rho": rho, "lam": lam,
        "mu_y": mu_y * root, "sigma_y": sigma_y * root, "mu_v": mu_v * level, "rho_j": rho_j,
    }  # fmt: skip
    typical = typical_of(coordinates.model)
    names = coordinates.parameters
    return unchecked(
        coordinates.model, {n: jnp.asarray(known.get(n, getattr(typical, n)), float) for n in names}
    )
