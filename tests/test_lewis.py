"""The calibration engine: its Jacobian, its batches, what compiling it costs, and its diagnostic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from registry import HAND_DIFFERENTIATED, MODELS

import neutral as nt

BATCH, T, STRIKES = 8, 10, 20
# A transcendental function costs about as much as 25 multiply-adds on a CPU (5 ns against 0.2).
TRANSCENDENTAL = 25.0
MOST = {"heston": 2.5, "bates": 3.0, "svcj": 5.0}


def problem(name, batch=BATCH):
    model = jax.tree.map(lambda x: x * (1 + 0.01 * jnp.arange(batch)), MODELS[name]())
    t = jnp.broadcast_to(jnp.linspace(0.05, 2, T), (batch, T))
    stdev = 0.2 * jnp.sqrt(t)
    k = stdev[..., None] * jnp.linspace(-2.5, 2.5, STRIKES).reshape(1, 1, -1)
    engine = nt.Lewis(48)
    return engine, model, engine.grid(k, t, stdev, jnp.full_like(t, 3.0)), k, t


@pytest.mark.parametrize("name", HAND_DIFFERENTIATED)
def test_jacobian_is_that_of_automatic_differentiation(name):
    engine, model, grid, k, t = problem(name, 2)
    price, jacobian = jax.jit(engine.prices_and_jacobian)(model, grid)
    assert np.allclose(price, engine.prices(model, grid), rtol=1e-13, atol=1e-16)
    for i, (x, slope) in enumerate(zip(jax.tree.leaves(model), jax.tree.leaves(jacobian), strict=True)):
        direction = [jnp.zeros_like(y) for y in jax.tree.leaves(model)]
        direction[i] = jnp.ones_like(x)
        tangent = jax.tree.unflatten(jax.tree.structure(model), direction)
        _, moved = jax.jvp(lambda m: engine.prices(m, grid), (model,), (tangent,))
        assert np.allclose(slope, moved, rtol=1e-10, atol=1e-14)
    single = jax.tree.map(lambda x: x[0], model)
    expected = nt.price(single, 1.0, jnp.exp(k[0]), t[0][:, None], np.asarray(k[0] >= 0))
    assert np.allclose(price[0], expected, atol=1e-7)


@pytest.mark.parametrize("name", MOST)
def test_price_with_jacobian_costs_a_few_prices(name):
    """Above these ratios XLA's fusion has begun to compute the characteristic function once per consumer."""
    engine, model, grid, *_ = problem(name)

    def cost(f):
        analysis = jax.jit(f).lower(model, grid).compile().cost_analysis()
        assert analysis is not None
        return analysis["flops"] + TRANSCENDENTAL * analysis["transcendentals"]

    assert cost(engine.prices_and_jacobian) < MOST[name] * cost(engine.prices)


def test_diagnostic_is_true_where_nodes_are_too_few():
    """Vol-of-vol 3 at correlation -0.99 and one week is out of reach of 64 nodes: it must say so."""
    hard = nt.Heston(v0=0.04, kappa=0.01, theta=0.04, sigma_v=3.0, rho=-0.99)
    strikes = 100 * np.exp(np.linspace(-0.1, 0.05, 12))
    info = nt.price_info(hard, 100.0, strikes, 1 / 52, engine=nt.Lewis(64))
    wrong = np.abs(info.price - nt.price(hard, 100.0, strikes, 1 / 52)) > 1e-8 * np.maximum(100.0, strikes)
    assert wrong.any() and np.all(np.asarray(info.status)[wrong] == nt.PriceStatus.inaccurate)
