"""Engines that calibrate: their grids, Jacobians, error estimates and refusals, for every such engine."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from registry import GRID_ENGINES, MODELS

import neutral as nt
from neutral.options import black
from neutral.pricing import CarrMadan

T = np.array([0.05, 0.5, 2.0])
DEVIATIONS = np.array([-2.0, -1.2, -0.6, -0.2, 0.2, 0.6, 1.2, 2.0])
# test_calibration.py has SVCJ with every engine, test_lewis.py all hand-written derivatives
QUICK = ("heston",)
NAMES = [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in MODELS]


def laid_out(model, engine, surfaces=2):
    """`surfaces` moved copies of a model as one with a leading axis, and the arguments of `grid`."""
    moved = 1 + 0.01 * np.arange(surfaces)
    models = jax.tree.map(lambda x: np.multiply.outer(moved, np.asarray(x)), model)
    # a market's deviation that is not the model's
    stdev = 1.1 * np.sqrt(np.asarray(model.total_variance(jnp.asarray(T))))
    rows = (T, stdev[:, None] * DEVIATIONS, stdev)
    t, k, stdev = (np.stack([x] * surfaces) for x in rows)
    return models, k, t, stdev, jax.jit(engine.grid)(k, t, stdev)


@pytest.mark.heavy
@pytest.mark.parametrize("engine", GRID_ENGINES.values(), ids=GRID_ENGINES)
@pytest.mark.parametrize("name", NAMES)
def test_prices_jacobian_batch_and_error_agree(name, engine):
    engine, model = engine(), MODELS[name]()
    models, k, t, stdev, grid = laid_out(model, engine)
    price, jacobian = jax.jit(engine.prices_and_jacobian)(models, grid)
    assert jax.tree.structure(jacobian) == jax.tree.structure(models)
    assert np.allclose(price, jax.jit(engine.prices)(models, grid), rtol=0, atol=1e-14)

    # each surface alone, without leading axes
    single = jax.jit(engine.prices)
    for i in range(2):
        alone, own_grid = jax.tree.map(lambda x: np.asarray(x)[i], (models, grid))  # noqa: B023
        assert np.allclose(single(alone, own_grid), price[i], rtol=0, atol=1e-14)

    # the Jacobian by automatic differentiation of the prices
    pushed = jax.jit(lambda way: jax.jvp(lambda m: engine.prices(m, grid), (models,), (way,))[1])
    leaves, tree = jax.tree.flatten(models)
    for i, slope in enumerate(jax.tree.leaves(jacobian)):
        for entry in np.ndindex(leaves[i].shape[1:]):  # of a parameter with an axis
            way = [np.zeros_like(x) for x in leaves]
            way[i][:, *entry] = 1.0
            moved = pushed(jax.tree.unflatten(tree, way))
            assert np.allclose(slope[..., *entry], moved, rtol=1e-9, atol=1e-13)

    # prices of the same engine laid out for the model itself, of the default one, and the errors told
    judged = jax.jit(engine.judge)(models, k, t, stdev, grid)
    assert np.allclose(judged.value, price, rtol=0, atol=1e-14) and np.all(np.isfinite(judged.error))
    assert not np.any(jax.jit(engine.refused)(models, grid))
    for i in range(2):
        alone = jax.tree.map(lambda x: np.asarray(x)[i], models)  # noqa: B023
        same = jax.jit(engine.otm)(alone, k[i], t[i])
        assert np.all(np.abs(same.value - price[i]) <= same.error + judged.error[i] + 1e-13)
        true = nt.price(alone, 1.0, np.exp(k[i]), t[i][:, None], k[i] >= 0)
        assert np.all(np.abs(np.asarray(true) - price[i]) <= np.asarray(judged.error[i]) + 1e-12)


@pytest.mark.parametrize("engine", GRID_ENGINES.values(), ids=GRID_ENGINES)
def test_one_grid_serves_many_models_and_moves_with_the_strikes(engine):
    """A leading axis of length 1 broadcasts; derivatives in the strikes are those of the price."""
    engine = engine()
    models, k, t, stdev, _ = laid_out(nt.Black(0.3), engine, surfaces=3)

    def total(k):
        grid = engine.grid(k[:1], t[:1], stdev[:1])
        return jnp.sum(engine.prices(models, grid)), engine.prices(models, grid)

    (_, price), slope = jax.jit(jax.value_and_grad(total, has_aux=True))(jnp.asarray(k))
    total_stdev = np.asarray(models.sigma)[:, None, None] * np.sqrt(t)[..., None]
    true = np.asarray(black.price(k, np.broadcast_to(total_stdev, k.shape), k >= 0))
    assert price.shape == (3, 3, 8) and np.allclose(price, true, rtol=0, atol=1e-9)
    by_hand = jax.grad(lambda k: jnp.sum(black.price(k, jnp.broadcast_to(total_stdev, k.shape), k >= 0)))
    assert np.allclose(slope[0], np.sum(by_hand(jnp.asarray(k)), axis=0), rtol=1e-6, atol=1e-7)


@pytest.mark.heavy
def test_a_damping_outside_the_strip_is_refused_with_an_infinite_error():
    """Moments of this model end at order 1.6 after a year; the default damping needs order 2.5."""
    model = nt.Heston(v0=0.7, kappa=1.0, theta=0.55, sigma_v=2.0, rho=0.9)
    for alpha, refused in ((1.5, [False, True, True]), (-0.5, [False, False, False])):
        engine = CarrMadan(alpha=alpha)
        t, stdev = np.array([[0.01, 1.0, 2.0]]), np.array([[0.08, 0.8, 1.1]])
        k = stdev[..., None] * DEVIATIONS
        lanes = jax.tree.map(lambda x: np.asarray(x)[None], model)
        grid = jax.jit(engine.grid)(k, t, stdev)
        judged = jax.jit(engine.judge)(lanes, k, t, stdev, grid)
        flags = np.asarray(jax.jit(engine.refused)(lanes, grid))
        assert np.array_equal(np.all(flags, axis=-1)[0], refused) and np.all(flags.any(-1) == flags.all(-1))
        assert np.array_equal(np.isinf(judged.error), flags)


@pytest.mark.slow
def test_a_range_and_a_grid_that_are_too_short_are_refused():
    model = jax.tree.map(lambda x: np.asarray(x)[None], nt.Black(0.2))
    t, stdev = np.array([[0.01, 1.0]]), np.array([[0.02, 0.2]])
    k = np.broadcast_to(np.array([-0.1, 0.0, 0.1, 3.0]), (1, 2, 4))
    cases = [
        (nt.COS(256, range=(-0.3, 0.3)), [[0, 0, 0, 0], [1, 1, 1, 1]]),
        (CarrMadan(), [[0, 0, 0, 1], [0, 0, 0, 0]]),
    ]
    for engine, expected in cases:
        grid = engine.grid(k, t, stdev)
        assert np.array_equal(engine.refused(model, grid)[0], np.array(expected, bool)), engine
        error = np.asarray(engine.judge(model, k, t, stdev, grid).error[0])
        assert np.all(np.isinf(error) >= np.array(expected, bool)), engine
