"""The calibration engine: its Jacobian, its batches, what compiling it costs, and its diagnostic."""

import jax
import numpy as np
import pytest
from registry import HAND_DIFFERENTIATED, MODELS

import neutral as nt

BATCH, T, STRIKES = 8, 10, 20
# A transcendental function costs about as much as 25 multiply-adds on a CPU (5 ns against 0.2).
TRANSCENDENTAL = 25.0
MOST = {"heston": 2.5, "bates": 3.0, "svcj": 5.0}


def problem(name, batch=BATCH, maturities=T, strikes=STRIKES):
    moved = 1 + 0.01 * np.arange(batch)
    model = jax.tree.map(lambda x: np.multiply.outer(moved, np.asarray(x)), MODELS[name]())
    t = np.tile(np.linspace(0.05, 2, maturities), (batch, 1))
    stdev = 0.2 * np.sqrt(t)
    k = stdev[..., None] * np.linspace(-2.5, 2.5, strikes)
    engine = nt.Lewis(48)
    return engine, model, jax.jit(engine.grid)(k, t, stdev, np.full_like(t, 3.0)), k, t


# Bates and DoubleHeston add what SVCJ and PiecewiseHeston have too
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in ("bates", "svcj", "double_heston")))
        for name in HAND_DIFFERENTIATED
    ],
)
def test_jacobian_is_that_of_automatic_differentiation(name):
    engine, model, grid, k, t = problem(name, 2, 6, 16)
    price, jacobian = jax.jit(engine.prices_and_jacobian)(model, grid)
    pushed = jax.jit(lambda model, way, grid: jax.jvp(lambda m: engine.prices(m, grid), (model,), (way,)))
    leaves, tree = jax.tree.flatten(model)
    for i, slope in enumerate(jax.tree.leaves(jacobian)):
        for entry in np.ndindex(leaves[i].shape[1:]):  # of a parameter with an axis
            way = [np.zeros_like(x) for x in leaves]
            way[i][:, *entry] = 1.0
            again, moved = pushed(model, jax.tree.unflatten(tree, way), grid)
            assert np.allclose(price, again, rtol=1e-13, atol=1e-16)
            assert np.allclose(slope[..., *entry], moved, rtol=1e-10, atol=1e-14)
    single = jax.tree.map(lambda x: x[0], model)
    for rows in (slice(0, 3), slice(3, 6)):
        for columns in (slice(0, 8), slice(8, 16)):
            part = k[0][rows, columns]
            expected = nt.price(single, 1.0, np.exp(part), t[0][rows, None], part >= 0)
            assert np.allclose(price[0][rows, columns], expected, atol=1e-7)


@pytest.mark.parametrize("name", ["heston", pytest.param("bates", marks=pytest.mark.slow), "svcj"])
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
    strikes, t = 100 * np.exp(np.linspace(-0.1, 0.05, 8)), np.array([[1 / 52], [2 / 52], [4 / 52]])
    info = nt.price_info(hard, 100.0, strikes, t, engine=nt.Lewis(64))
    error = np.abs(np.asarray(info.price) - np.asarray(nt.price(hard, 100.0, strikes, t)))
    wrong = error > 1e-8 * np.maximum(100.0, strikes)
    assert wrong[0].any() and np.all(np.asarray(info.status)[wrong] == nt.PriceStatus.inaccurate)
