"""Derivatives of the outputs of fitted surfaces, in quotes and anchors, against refits."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from polished import Polished
from synthetic import surface_quotes

import neutral as nt
from neutral.options import black
from neutral.quotes.stack import pad
from neutral.surfaces.essvi.fit import as_surface

T = np.array([0.1, 0.4, 1.0])
THETA, PSI, RHO = np.array([0.005, 0.018, 0.04]), np.array([0.06, 0.11, 0.16]), np.array([-0.5, -0.45, -0.4])
K_OUT, T_OUT = np.array([-0.2, 0.0, 0.1]), np.array([0.2, 0.7, 1.2])
ROBUST = nt.Loss("spread", "soft_l1", 0.4)


@pytest.fixture(scope="module")
def truth():
    return nt.ESSVI(T, THETA, PSI, RHO)


def quoted(surface, noise=0.002, mask: Any = True):
    return surface_quotes(surface, T, np.linspace(-2.0, 2.0, 8), noise=noise, seed=1, mask=mask)


def outputs_of(surface):
    """Volatilities, prices, densities and local variances at a few points, and the surface's own numbers."""
    names = ("implied_vol", "price", "density", "local_variance")
    return [getattr(surface, name)(K_OUT, T_OUT) for name in names] + [
        x for x in jax.tree.leaves(getattr(surface, "components", surface)) if jnp.shape(x)[-1:] == T.shape
    ]


def small_change(quotes):
    rng = np.random.default_rng(2)
    return jnp.asarray(1e-4 * rng.standard_normal(quotes.prices.shape) * np.asarray(quotes.prices))


def assert_slopes(outputs, at, change, h=4e-3):
    """Derivatives along a change agree with refits, by central differences of fourth order, to 1e-6."""
    _, slopes = jax.jvp(outputs, (at,), (change,))
    assert slopes
    refits = [outputs(at + step * h * change) for step in (2.0, 1.0, -1.0, -2.0)]
    for slope, far, up, down, back in zip(slopes, *refits, strict=True):
        if jnp.issubdtype(jnp.result_type(up), jnp.floating):
            difference = np.asarray(8.0 * (up - down) - (far - back)) / (12.0 * h)
            atol = 1e-6 * np.max(np.abs(difference))
            np.testing.assert_allclose(slope, difference, rtol=0.0, atol=atol)


@pytest.mark.parametrize("case", ["quotes", "anchor", "few strikes"])
@pytest.mark.slow
def test_essvi_follows_its_quotes(truth, case):
    mask = np.ones((2, 3, 8), bool)
    mask[:, 1, :3] = mask[:, 1, 5:] = case != "few strikes"
    quotes = quoted(truth, mask=mask)
    anchor = nt.ESSVI(T, 1.1 * THETA, PSI, RHO) if case == "anchor" else None

    def fit(prices):
        return nt.fit_essvi(quotes.with_prices(prices), ROBUST, anchor=anchor, solver=Polished())

    assert fit(quotes.prices).converged
    assert_slopes(lambda prices: outputs_of(fit(prices)), jnp.asarray(quotes.prices), small_change(quotes))


@pytest.mark.slow
def test_essvi_follows_its_anchor(truth):
    quotes = quoted(truth)

    def outputs(theta):
        anchor = nt.ESSVI(T, theta, PSI, RHO)
        return outputs_of(nt.fit_essvi(quotes, anchor=anchor, strength=0.1, solver=Polished()))

    assert_slopes(outputs, jnp.asarray(1.1 * THETA), jnp.asarray([1e-3, -2e-3, 4e-3]), 1e-2)


@pytest.fixture(scope="module")
def mixture():
    theta = np.stack([0.03 * T, 0.09 * T])
    psi = np.array([[0.5], [0.9]]) * np.sqrt(theta)
    rho = np.array([[-0.3], [0.1]]) * np.ones(3)
    weights, place = np.array([0.6, 0.4]), np.array([1.03, 0.955])
    return nt.ESSVIMixture(weights, place / (weights @ place), nt.ESSVI(np.stack([T, T]), theta, psi, rho))


@pytest.mark.parametrize("components", ["two", "auto"])
@pytest.mark.slow
def test_a_mixture_follows_its_quotes(mixture, truth, components):
    one = components == "auto"  # the second component is dropped: derivatives are those of the one
    quotes = quoted(truth if one else mixture, noise=0.004 if one else 0.001)

    def fit(prices):
        moved = quotes.with_prices(prices)
        return nt.fit_surface(moved, ROBUST, components=components, solver=Polished())

    base = fit(quotes.prices)
    assert base.converged and (float(base.weights[1]) == 0.0) == one
    at, change = jnp.asarray(quotes.prices), small_change(quotes)
    assert_slopes(lambda prices: [fit(prices).weights, *outputs_of(fit(prices))], at, change)
    # reverse mode is the transpose
    slope = jax.grad(lambda prices: jnp.sum(fit(prices).implied_vol(K_OUT, T_OUT)))(at)
    _, along = jax.jvp(lambda prices: jnp.sum(fit(prices).implied_vol(K_OUT, T_OUT)), (at,), (change,))
    assert float(jnp.sum(slope * change)) == pytest.approx(float(along), rel=1e-9)


def test_an_expiry_that_is_not_there_has_no_derivative(truth):
    t, known = jnp.append(T, 2.0), jnp.append(np.ones(T.size, bool), False)
    smiles = jnp.stack([jnp.append(x, 1.0) for x in (THETA, PSI, RHO * PSI)])
    zero, count = jnp.zeros(()), jnp.zeros((), int)
    done = nt.SurfaceFit(count, zero, zero, count, zero, jnp.zeros(3 * t.size, bool))
    slope = jax.grad(lambda x: as_surface(t, x, known, done).implied_vol(0.1, 0.25))(smiles)
    alone = jax.grad(lambda x: nt.ESSVI(T, x[0], x[1], x[2] / x[1]).implied_vol(0.1, 0.25))(smiles[:, :-1])
    np.testing.assert_allclose(slope[:, :-1], alone, rtol=1e-14)
    assert not np.any(slope[:, -1])


@pytest.mark.slow
def test_padding_changes_no_derivative(truth):
    quotes = quoted(truth)
    wide = pad(quotes, T.size + 2, quotes.k.shape[1] + 3)

    def at_the_money(quotes, prices):
        return nt.fit_essvi(quotes.with_prices(prices), ROBUST).implied_vol(0.0, 0.25)

    slopes, padded = (jax.grad(at_the_money, argnums=1)(one, one.prices) for one in (quotes, wide))
    assert np.all(np.isfinite(padded)) and np.abs(slopes).max() > 0.1
    np.testing.assert_allclose(padded[:, : T.size, : quotes.k.shape[1]], slopes, rtol=1e-6, atol=1e-9)
    assert not np.any(padded[:, T.size :]) and not np.any(padded[..., quotes.k.shape[1] :])


@pytest.mark.slow
@pytest.mark.parametrize("case", ["essvi", "mixture"])
def test_a_surface_follows_weights_and_forwards(truth, mixture, case):
    quotes = quoted(mixture, 0.001) if case == "mixture" else quoted(truth, 0.01)
    z = np.random.default_rng(3).standard_normal(quotes.weight.shape)

    def outputs(h):
        moved = quotes.with_weights(quotes.weight * jnp.exp(h[0] * z))
        moved = moved.with_forwards(moved.forward * jnp.exp(h[1] * z[0, :, 0]))
        if case == "mixture":
            return outputs_of(nt.fit_surface(moved, ROBUST, components="two", solver=Polished()))
        return outputs_of(nt.fit_essvi(moved, ROBUST, solver=Polished()))

    for change in ([1.0, 0.0], [0.0, 1e-4]):
        assert_slopes(outputs, jnp.zeros(2), jnp.array(change))


def ladder_and_refits(quotes, fit, **options):
    """Derivatives of volatilities along a change of all quoted ones, and those of refits."""

    def value(surface):
        return surface.implied_vol(K_OUT, T_OUT)

    result = fit(quotes, **options)
    found = nt.sensitivities(result, quotes, value, **options)
    np.testing.assert_array_equal(found.value, value(result))
    direction = np.random.default_rng(6).standard_normal(quotes.vol.shape)
    is_call = np.broadcast_to(np.array([True, False])[:, None, None], direction.shape)
    root, k = np.sqrt(np.asarray(quotes.t))[:, None], np.stack([quotes.k, quotes.k])

    def refitted(h):
        return value(
            fit(quotes.with_prices(black.price(k, (quotes.vol + h * direction) * root, is_call)), **options)
        )

    at = {n: np.asarray(refitted(n * 5e-6)) for n in (-2, -1, 1, 2)}
    refits = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / 6e-5
    return found, np.sum(found.vols * direction, axis=(-3, -2, -1)), refits


@pytest.mark.slow
@pytest.mark.parametrize("case", ["essvi", "anchored", "mixture"])
def test_vega_ladder_of_a_surface_is_bump_and_refit(truth, mixture, case):
    quotes = quoted(mixture if case == "mixture" else truth, 0.001)
    options: dict[str, Any] = {"loss": ROBUST, "solver": Polished()}
    if case == "mixture":
        options |= {"components": "two"}
    if case == "anchored":
        options |= {"anchor": nt.ESSVI(T, 1.1 * THETA, PSI, RHO), "strength": 0.1}
    fit = nt.fit_surface if case == "mixture" else nt.fit_essvi
    found, along, refits = ladder_and_refits(quotes, fit, **options)
    np.testing.assert_allclose(along, refits, rtol=1e-6, atol=1e-6 * np.abs(refits).max())
    assert found.forwards.shape == (3, 3) and len(found.rows()) == 48
    assert set(found.center) == ({"theta", "psi", "rho"} if case == "anchored" else set())
    if case == "anchored":
        change = np.array([1e-3, -2e-3, 4e-3])

        def refitted(h):
            moved: dict[str, Any] = options | {"anchor": nt.ESSVI(T, 1.1 * THETA + h * change, PSI, RHO)}
            return np.asarray(nt.fit_essvi(quotes, **moved).implied_vol(K_OUT, T_OUT))

        refits = (8 * (refitted(0.01) - refitted(-0.01)) - (refitted(0.02) - refitted(-0.02))) / 0.12
        atol = 1e-6 * np.abs(refits).max()
        np.testing.assert_allclose(found.center["theta"] @ change, refits, rtol=1e-6, atol=atol)


@pytest.mark.slow
def test_no_ladder_of_a_surface_that_is_none(truth):
    quotes = quoted(truth)

    def value(surface):
        return surface.implied_vol(0.0, 0.5)

    solver = nt.LevenbergMarquardt(max_steps=1)
    found = nt.sensitivities(nt.fit_essvi(quotes, ROBUST, solver=solver), quotes, value, loss=ROBUST)
    assert "not converged" in found.reason and np.all(np.isnan(found.vols))
    assert "cannot be determined" in str(found)
    nothing = quotes.with_weights(np.zeros(quotes.weight.shape))
    found = nt.sensitivities(nt.fit_essvi(nothing), nothing, value)
    assert "no quote" in found.reason and np.all(np.isnan(found.weights))
    with pytest.raises(nt.ArgumentError, match="pass loss, cap, anchor"):
        nt.sensitivities(nt.fit_essvi(quotes, ROBUST), quotes, value)
    with pytest.raises(nt.ArgumentError, match="was not fitted"):
        nt.sensitivities(truth, quotes, value)
    with pytest.raises(nt.ArgumentError, match="CalibrationResult, ESSVI or ESSVIMixture"):
        nt.sensitivities(nt.Black(sigma=0.2), quotes, value)  # pyright: ignore[reportArgumentType]
