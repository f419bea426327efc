"""Local variance is finite and not negative, far in the wings too, before, between and after expiries."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neutral as nt

T = np.array([0.02, 0.1, 0.5, 2.0])
TIMES = np.array([1e-6, 1e-3, 0.02, 0.05, 0.1, 0.3, 0.5, 1.0, 1.999, 2.0, 2.5, 10.0])


@eqx.filter_jit
def within_ten_deviations(surface, t):
    stdev = jnp.sqrt(surface.total_variance(0.0, t))[:, None]
    return surface.local_variance(jnp.linspace(-10.0, 10.0, 201)[None] * stdev, t[:, None])


def drawn(key, cap, count):
    """Random surfaces, steep and skewed ones among them."""
    width, middle = np.repeat([1.5, 1.0, 2.5], T.size), np.repeat([-0.3, -4.0, 0.0], T.size)
    z = jax.random.normal(key, (count, 3 * T.size))
    return jax.vmap(lambda z: nt.essvi_from_unconstrained(T, middle + width * z, cap))(z)


@pytest.mark.parametrize("cap", ["sufficient", pytest.param("exact", marks=pytest.mark.slow)])
def test_random_surfaces(cap, key):
    local = jax.vmap(lambda surface: within_ten_deviations(surface, TIMES))(drawn(key, cap, 100))
    assert np.all(np.isfinite(local)) and np.all(np.asarray(local) >= 0.0)


@pytest.mark.slow
def test_random_mixtures(keys):
    one, two = (drawn(key, "sufficient", 50) for key in keys(2))
    components = jax.tree.map(lambda *x: jnp.stack(x, 1), one, two)
    weights = np.stack([np.linspace(0.02, 0.98, 50), np.linspace(0.98, 0.02, 50)], axis=1)
    place = np.exp(0.1 * np.random.default_rng(0).standard_normal((50, 2)))
    multipliers = place / np.sum(weights * place, axis=1, keepdims=True)
    mixtures = nt.ESSVIMixture(weights, multipliers, components)
    local = jax.vmap(lambda surface: within_local(surface, TIMES))(mixtures)
    assert np.all(np.isfinite(local)) and np.all(np.asarray(local) >= 0.0)


def within_local(surface, t):
    """The same, in deviations of the wider component: the mixture's own take an inversion."""
    stdev = jnp.sqrt(jnp.max(jax.vmap(lambda one: one.total_variance(0.0, t))(surface.components), axis=0))
    return surface.local_variance(jnp.linspace(-10.0, 10.0, 201)[None] * stdev[:, None], t[:, None])


@pytest.mark.slow
def test_deribit_surfaces(market_data):
    from neutral.market import build_surface, load_deribit

    loss = nt.Loss("spread", "soft_l1", 0.4)
    files = sorted((market_data / "deribit" / "run").glob("*.csv.gz"))[::40]
    assert files
    for currency in ("BTC", "ETH"):
        stack = nt.stack([build_surface(load_deribit(file, currency=currency))[0] for file in files])
        # between, before and after the expiries, whatever these are
        known = np.sort(np.asarray(stack.t), axis=1)
        middle = 0.5 * (known[:, 1:] + known[:, :-1])
        t = np.concatenate(
            [1e-3 * known[:, :1], 0.5 * known[:, :1], known, middle, 3.0 * known[:, -1:]], axis=1
        )
        for method, scan in (("essvi", within_ten_deviations), ("mixture", within_local)):
            fits = nt.fit_surface_batch(stack, loss, method=method)  # pyright: ignore[reportArgumentType]
            local = np.asarray(jax.vmap(scan)(fits, np.sort(t, axis=1)))
            assert np.all(np.isfinite(local)) and np.all(local >= 0.0), f"{currency} {method}"
