"""Derivatives through a calibration, in all that it is made from, against refits."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from polished import Polished

import neutral as nt

HESTON = {"v0": 0.05, "kappa": 1.8, "theta": 0.07, "sigma_v": 0.7, "rho": -0.6}
JUMPS = {"lam": 0.8, "mu_y": -0.15, "sigma_y": 0.1}
MODELS = {
    "black": nt.Black(sigma=0.25),
    "heston": nt.Heston(**HESTON),
    "bates": nt.Bates(**HESTON, **JUMPS),
    "svcj": nt.SVCJ(**HESTON, **JUMPS, mu_v=0.08, rho_j=-0.4),
}
T = np.array([0.05, 0.15, 0.4, 1.0, 2.0, 3.0])
ENGINE, LOSS = nt.Lewis(96), nt.Loss("vega")


def quoted(model: Any, t: Any = T, count: int = 16, noise: float = 1e-3) -> nt.QuoteSurface:
    """Quotes out of the money, one strike of an expiry at its forward, with noise in volatility."""
    k = np.linspace(-2.5, 2.0, count)[None] * 0.27 * np.sqrt(t)[:, None]
    k -= k[:, np.argmin(np.abs(k[0]))][:, None] * (np.arange(t.size) == 1)[:, None]
    call = np.asarray(nt.price(model, 1.0, np.exp(k), t[:, None]))
    mask = np.stack([k >= 0, k < 0])
    surface = nt.QuoteSurface.from_arrays(t, k, np.stack([call, call + np.expm1(k)]), mask=mask)
    z = np.random.default_rng(4).standard_normal(mask.shape)
    return surface.with_prices(surface.prices + noise * np.asarray(surface.vega) * mask * z)


PARTS = ("prices", "weights", "forwards", "center", "strength")


def moved(surface: nt.QuoteSurface, h: Any) -> nt.QuoteSurface:
    """The surface after random changes of the size of h: of prices, weights and forwards."""
    z = np.random.default_rng(5).standard_normal(surface.prices.shape)
    surface = surface.with_prices(surface.prices + 0.01 * h[0] * np.asarray(surface.vega) * z)
    surface = surface.with_weights(surface.weight * jnp.exp(h[1] * z))
    return surface.with_forwards(surface.forward * jnp.exp(0.01 * h[2] * z[0, :, 0]))


def pull(center: Any, h: Any) -> nt.Tikhonov:
    """A prior after changes of the size of h: of center and strength. As strong as the noise, near enough."""
    center = jax.tree.map(lambda x: 1.1 * x * jnp.exp(h[3]), center)
    return nt.Tikhonov(1e-6 * jnp.exp(h[4]), center)


def slopes_and_refits(value: Any, step: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives at 0, and central differences of fourth order of refits, a row for each of the inputs."""
    both = jax.jit(lambda h, along: jax.jvp(value, (h,), (along,)))
    slopes, refits = [], []
    for along in jnp.eye(size):
        slopes.append(both(0.0 * along, along)[1])
        at = {n: np.asarray(both(n * step * along, along)[0]) for n in (-2, -1, 1, 2)}
        refits.append((8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step))
    return np.array(slopes), np.array(refits)


def test_black_follows_all_it_is_made_from():
    model, solver = MODELS["black"], Polished()
    surface = quoted(model, T[2:4], 4, noise=0.02)

    def value(h):
        fit = nt.calibrate(model, moved(surface, h), nt.Lewis(16), LOSS, pull(model, h), solver)
        return fit.model.sigma[None]

    slopes, refits = slopes_and_refits(value, 0.01, len(PARTS))
    np.testing.assert_allclose(slopes, refits, rtol=1e-6)
    assert np.all(slopes)


@pytest.mark.slow
@pytest.mark.parametrize("bounds", [None, {"rho": (-0.5, 0.5)}], ids=["inside", "on a bound"])
@pytest.mark.parametrize("name", ["heston", "bates", "svcj"])
def test_a_model_follows_all_it_is_made_from(name, bounds):
    model = MODELS[name]
    surface = quoted(model)

    def fit(h):
        prior = pull(model, h)
        return nt.calibrate(model, moved(surface, h), ENGINE, LOSS, prior, Polished(), bounds=bounds)

    def value(h):
        model = fit(h).model
        return jnp.append(nt.price(model, 1.0, jnp.array([0.9, 1.1]), 0.7), model.rho)

    assert fit(np.zeros(5)).bounds_hit == (("rho",) if bounds else ())
    slopes, refits = slopes_and_refits(value, 3e-3, len(PARTS))
    np.testing.assert_allclose(slopes, refits, rtol=1e-6)
    assert np.all(slopes[:, :-1]) and np.any(slopes[:, -1]) == (bounds is None)
