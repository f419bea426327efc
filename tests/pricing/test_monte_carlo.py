"""Monte Carlo: prices within their errors, a bias of second order, the grid of times."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neutral as nt
from neutral.options import black

T = np.array([0.1, 0.4, 1.0])


def essvi():
    return nt.ESSVI(T, 0.04 * T, 0.7 * np.sqrt(0.04 * T), np.full(3, -0.5))


def mixture():
    theta = np.stack([0.03 * T, 0.09 * T])
    psi = np.array([[0.5], [0.9]]) * np.sqrt(theta)
    rho = np.array([[-0.3], [0.1]]) * np.ones(3)
    weights, place = np.array([0.6, 0.4]), np.array([1.03, 0.955])
    return nt.ESSVIMixture(weights, place / (weights @ place), nt.ESSVI(np.stack([T, T]), theta, psi, rho))


FLAT = nt.LocalVolatility(lambda k, t: jnp.full_like(k, 0.09))


def test_flat_volatility_is_black():
    k = np.array([-0.2, 0.0, 0.3])
    flat = nt.LocalVolatility(lambda k, t: jnp.full_like(k, 0.09))
    for kind in ("call", "put"):
        found = nt.monte_carlo(
            flat, k, 0.5, jax.random.key(3), kind=kind, paths=2**14, grid=nt.time_grid(0.5, 4)
        )
        exact = np.asarray(black.price(k, 0.3 * np.sqrt(0.5), kind == "call"))
        assert np.all(np.abs(found.price - exact) < 3.0 * np.asarray(found.standard_error))
        assert np.all(np.asarray(found.standard_error) < 0.01)


@pytest.mark.slow
def test_the_standard_error_is_the_scatter_of_runs(keys):
    flat = nt.LocalVolatility(lambda k, t: jnp.full_like(k, 0.09))
    runs = [
        nt.monte_carlo(flat, 0.1, 0.5, key, paths=512, chunk=128, grid=np.array([0.0, 0.5]))
        for key in keys(200)
    ]
    scatter = np.std([run.price for run in runs])
    # of a standard deviation from 200 runs 5 % is one standard error
    assert np.mean([run.standard_error for run in runs]) == pytest.approx(scatter, rel=0.15)


@pytest.mark.slow
def test_the_scheme_is_of_second_order():
    # the same Brownian path of 16 steps in fewer: what is left is the error of time alone
    skewed = nt.LocalVolatility(lambda k, t: 0.16 * (1.0 + 0.8 * jnp.tanh(2.0 * k + t)))
    z = np.random.default_rng(1).standard_normal((2**18, 16))
    z = jnp.asarray(np.concatenate([z, -z]))
    means = []
    for steps in (1, 2, 4, 16):
        own = np.sqrt(steps / 16) * jnp.sum(jnp.reshape(z, (z.shape[0], steps, -1)), axis=-1)
        x = skewed.start(jnp.full(z.shape[0], 0.5))
        for i in range(steps):
            x = skewed.step(x, jnp.asarray(i / steps), jnp.asarray(1.0 / steps), own[:, i : i + 1])
        means.append(float(jnp.mean(jnp.maximum(jnp.exp(x) - 1.0, 0.0))))
    errors = np.abs(np.array(means[:3]) - means[3])
    assert errors[0] / errors[1] > 3.0 and errors[1] / errors[2] > 2.5


def test_the_grid_of_times():
    grid = nt.time_grid([1.0, 0.1, 0.4], 16)
    assert grid[0] == 0.0 and np.all(np.isin(T, grid)) and np.all(np.diff(grid) > 0)
    assert np.max(np.diff(np.sqrt(grid))) <= 1.0 / 16 + 1e-12 and 17 <= grid.size <= 20
    with pytest.raises(nt.ArgumentError, match="above 0"):
        nt.time_grid([-1.0])
    scheme = nt.LocalVolatility(lambda k, t: jnp.full_like(k, 0.09))
    with pytest.raises(nt.ArgumentError, match="contain every maturity"):
        nt.monte_carlo(scheme, 0.0, 0.5, jax.random.key(0), grid=np.array([0.0, 1.0]))
    with pytest.raises(nt.ArgumentError, match="kind"):
        nt.monte_carlo(scheme, 0.0, 0.5, jax.random.key(0), kind="both")
    with pytest.raises(nt.ArgumentError, match="chunk"):
        nt.monte_carlo(scheme, 0.0, 0.5, jax.random.key(0), chunk=3)


@pytest.mark.slow
@pytest.mark.parametrize("make", [essvi, mixture])
def test_local_volatility_reprices_its_surface(make, keys):
    surface = make()
    t = np.array([0.05, 0.4, 0.7, 1.3])[:, None]
    k = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])[None] * np.sqrt(np.asarray(surface.total_variance(0.0, t)))
    exact = np.asarray(surface.price(k, t)) + np.where(k < 0, np.expm1(k), 0.0)
    first, second = keys(2)
    found = []
    for steps, key in ((32, first), (64, first), (64, second)):
        grid = nt.time_grid(np.concatenate([t[:, 0], T]), steps)
        found.append(
            nt.monte_carlo(surface.local_volatility(), k, t, key, kind=k >= 0, grid=grid, paths=2**17)
        )
    for run in found:
        away = (np.asarray(run.price) - exact) / np.asarray(run.standard_error)
        assert np.max(np.abs(away)) < 3.0 and np.sqrt(np.mean(away**2)) < 1.5
    # half the steps moves the mean of the errors by less than the noise of both
    coarse, fine = (
        np.mean((np.asarray(run.price) - exact) / np.asarray(run.standard_error)) for run in found[:2]
    )
    assert abs(coarse - fine) < 1.0


@pytest.mark.slow
def test_a_mixture_starts_at_its_multipliers(keys):
    surface = mixture()
    wrong = nt.LocalVolatility(surface.local_variance_at)
    right = surface.local_volatility()
    exact = float(surface.price(0.0, 0.1))
    away = []
    for scheme in (wrong, right):
        run = nt.monte_carlo(scheme, 0.0, 0.1, keys(1)[0], paths=2**15)
        away.append(abs(float(run.price) - exact) / float(run.standard_error))
    assert away[1] < 3.0 < away[0]


@pytest.mark.mistyped
@pytest.mark.parametrize(
    "make", [lambda: None, lambda: 0, lambda: np.zeros(2), lambda: jax.random.split(jax.random.key(0))]
)
def test_what_is_no_random_key_is_refused(make):
    with pytest.raises(nt.ArgumentError, match=r"one random key, got .*key=jax\.random\.key\(0\)"):
        nt.monte_carlo(FLAT, 0.0, 0.5, make())
    with pytest.raises(nt.ArgumentError, match="one random key, got None"):
        nt.monte_carlo(FLAT, 0.0, 0.5)


def test_keys_of_both_styles_give_the_same_paths():
    keys = (jax.random.key(3), jax.random.PRNGKey(3), np.asarray(jax.random.PRNGKey(3)))
    prices = [float(nt.monte_carlo(FLAT, 0.0, 0.5, key, paths=64, chunk=64).price) for key in keys]
    assert prices[0] == prices[1] == prices[2]
