"""The FFT engine: the paper's errors, the moments it needs, what it refuses, and its batches."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import records
from references import load_reference
from registry import MODELS

import neutral as nt
from neutral.options import black
from neutral.pricing import CarrMadan, PriceStatus

POSITIVE = nt.Heston(v0=0.7, kappa=1.0, theta=0.55, sigma_v=2.0, rho=0.9)  # moments end at 1.6 after a year
STRIKES = np.array([75.0, 80.0, 90.0, 100.0, 110.0, 120.0, 150.0])
T = np.array([[0.01], [0.05], [1.0]])  # 3 maturities by 7 strikes, as in the other tests: compiled once


def test_the_papers_setting_has_the_errors_of_linear_interpolation():
    """Black at 50 %, strikes to 3 standard deviations: dk^2 / (8 stdev sqrt(2 pi)) where dk is small."""
    years = np.array([1 / 8760, 6 / 8760, 1 / 365, 7 / 365, 30 / 365, 0.25])[:, None]
    stdev = 0.5 * np.sqrt(years)
    k = stdev * np.linspace(-3, 3, 301)
    info = nt.price_info(nt.Black(0.5), 1.0, np.exp(k), years, engine=CarrMadan.classic())
    error = np.asarray(info.price) - np.asarray(black.price(k, np.broadcast_to(stdev, k.shape)))
    worst = np.max(np.abs(error), axis=1)
    assert np.allclose(worst, [9.6e-4, 7.5e-4, 4.3e-4, 1.7e-4, 8.1e-5, 4.6e-5], rtol=0.03)
    # a chord lies above a convex price; only at one hour the integral itself is cut short
    assert np.all(error[1:] > -1e-8) and np.all(np.asarray(info.error_estimate) >= np.abs(error))
    assert np.all(info.status == PriceStatus.inaccurate)


def calls(strike, t):
    """Black's formula at 20 %, forward 100."""
    k, stdev = np.broadcast_arrays(np.log(strike / 100), 0.2 * np.sqrt(t))
    return 100 * np.asarray(black.price(k, stdev))


STRIPS = [row for row in load_reference("strip_cumulants") if row["model"] in records.MODELS]


def test_default_damping_is_refused_where_its_moment_is_infinite():
    """Every parameter set and maturity of the reference file: 1.5 needs the moment of order 2.5."""
    refused = 0
    for row in STRIPS:
        model, t = records.build(row["model"], row["params"]), np.asarray(float(row["T"]))
        infinite = row["moment_max"] is not None and row["moment_max"] <= 2.5
        if not infinite:
            CarrMadan().prepare(model, t)
            continue
        with pytest.raises(nt.ArgumentError, match="needs a finite moment of order 2.5") as error:
            CarrMadan().prepare(model, t)
        told = float(str(error.value).split("take alpha = ")[1].split(",")[0])
        assert CarrMadan(alpha=told).prepare(model, t) == CarrMadan(alpha=told)
        refused += 1
    assert refused >= 3


@pytest.mark.heavy
@pytest.mark.xdist_group("heston")
def test_a_refused_maturity_leaves_its_neighbours_alone():
    """Inside jit: nan and a status for it alone; prices and derivatives of the others are as without it."""

    def total(model, t):
        info = nt.price_info(model, 100.0, STRIKES, t, engine=CarrMadan())
        good = info.status == PriceStatus.accurate
        return jnp.sum(jnp.where(good, info.price, 0.0)), info

    program = jax.jit(jax.value_and_grad(total, has_aux=True))
    (_, info), slope = program(POSITIVE, T)
    assert np.all(np.isnan(info.price[2])) and np.all(np.isnan(info.error_estimate[2]))
    assert np.array_equal(np.asarray(info.status), np.repeat([0, 0, PriceStatus.refused], 7).reshape(3, 7))
    assert "default engine" in PriceStatus.refused.message
    (_, alone), slope_alone = program(POSITIVE, T[[0, 1, 1]])
    assert np.array_equal(info.price[:2], alone.price[:2])
    true = nt.price(POSITIVE, 100.0, STRIKES, T)
    assert np.allclose(info.price[:2], true[:2], rtol=0, atol=1e-7)
    for here, there in zip(jax.tree.leaves(slope), jax.tree.leaves(slope_alone), strict=True):
        assert np.isfinite(here) and np.isfinite(there) and here != there


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"N": 1023.0}, "N must be a whole number"),
        ({"N": 4}, "at least 12"),
        ({"N": 1023, "weights": "simpson"}, "even N, got 1023: take 1024"),
        ({"alpha": 0.0}, "neither 0 nor -1"),
        ({"alpha": -1.0}, "-0.5 is always admissible"),
        ({"alpha": np.nan}, "finite"),
        ({"eta": 0.0}, "eta must be finite and > 0"),
        ({"weights": "boole"}, "'trapezoid' or 'simpson'"),
        ({"interpolation": "septic"}, "linear, cubic, quintic"),
    ],
)
@pytest.mark.mistyped
def test_wrong_options_name_the_fix(options, told):
    with pytest.raises(nt.ArgumentError) as error:
        CarrMadan(**options)
    assert told in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("fractional", [False, True])
def test_far_strikes_one_strike_and_no_time(fractional):
    model, engine = nt.Black(0.2), CarrMadan(fractional=fractional)
    info = nt.price_info(model, 100.0, [90.0, 100.0, 1e5, 110.0, 115.0, 120.0, 130.0], T, engine=engine)
    true = calls(np.array([90.0, 100.0, 1e5, 110.0, 115.0, 120.0, 130.0]), T)
    status, found = np.asarray(info.status[1]), np.asarray(info.price[1])
    if not fractional:  # the fractional grid stretches to hold the strike, and says that it is too coarse
        assert status[2] == PriceStatus.refused and np.isnan(found[2])
        assert np.all(np.delete(status, 2) == PriceStatus.accurate)
    right = status == PriceStatus.accurate
    assert np.allclose(found[right], true[1][right], rtol=0, atol=1e-6)
    one = nt.price_info(model, 100.0, 105.0, T[:, 0], engine=engine)
    assert np.all(one.status == PriceStatus.accurate)
    assert np.allclose(one.price, calls(105.0, T)[:, 0], rtol=0, atol=1e-8)
    assert np.allclose(nt.price(model, 100.0, STRIKES, 0.0 * T, engine=engine), np.maximum(100 - STRIKES, 0))


def test_a_thousand_parameter_sets_in_one_call():
    engine, sets = CarrMadan(256), 1000
    sigma = np.linspace(0.1, 0.8, sets)
    t = np.tile([0.1, 0.5], (sets, 1))
    k = (sigma[:, None] * np.sqrt(t))[..., None] * np.linspace(-2, 2, 3)
    many = jax.tree.map(lambda x: jnp.asarray(sigma), nt.Black(0.2))
    found = jax.jit(engine.otm)(many, k, t)
    true = black.price(k, np.broadcast_to((sigma[:, None] * np.sqrt(t))[..., None], k.shape), k >= 0)
    assert found.value.shape == (1000, 2, 3) and np.max(np.abs(found.value - true)) < 1e-14


def test_greeks_of_black():
    found = nt.greeks(nt.Black(0.2), 100.0, STRIKES, T, engine=CarrMadan())
    k, stdev = np.broadcast_arrays(np.log(STRIKES / 100), 0.2 * np.sqrt(T))
    d1 = 0.5 * stdev - k / stdev
    density = np.exp(-0.5 * d1 * d1) / np.sqrt(2 * np.pi)
    assert np.allclose(found.gamma, density / (100 * stdev), rtol=1e-8, atol=1e-10)
    assert np.allclose(found.parameters["sigma"], 100 * density * np.sqrt(T), rtol=1e-8, atol=1e-8)


def test_a_refused_option_has_no_greeks():
    found = nt.greeks(nt.Black(0.2), 100.0, np.where(STRIKES == 90, 1e5, STRIKES), T, engine=CarrMadan())
    # the other strikes reach from 14 standard deviations below to 20 above
    for x in (found.price, found.delta, found.gamma, found.parameters["sigma"]):
        assert np.array_equal(np.isnan(x[0]), STRIKES == 90)


@pytest.mark.slow
@pytest.mark.xdist_group("heston")
def test_greeks_are_those_of_the_default_engine():
    model = MODELS["heston"]()
    found, true = (nt.greeks(model, 100.0, STRIKES, T, engine=e) for e in (CarrMadan(), None))
    for name in ("delta", "gamma", "theta"):
        assert np.allclose(getattr(found, name), getattr(true, name), rtol=1e-5, atol=1e-6), name
    for name, slope in true.parameters.items():
        assert np.allclose(found.parameters[name], slope, rtol=1e-6, atol=1e-6), name


def test_one_compiled_call_prices_many_models_on_the_whole_grid():
    """300 models, 5 maturities, 512 strikes: equal to single calls, and to the default engine."""
    engine, sets = CarrMadan(512, alpha=-0.5), 300
    share = np.linspace(0.0, 1.0, sets)
    models = nt.Heston.with_lanes(
        v0=0.02 + 0.1 * share,
        kappa=1.0 + share,
        theta=0.09 - 0.05 * share,
        sigma_v=0.3 + 0.4 * share,
        rho=-0.8 + 0.5 * share,
    )
    t = np.array([0.1, 0.25, 0.5, 1.0, 2.0])

    @jax.jit
    @chex.assert_max_traces(n=1)
    def many(models, t):
        return jax.vmap(engine.on_grid, in_axes=(0, None))(models, t)

    found = many(models, t)
    chex.assert_shape(tuple(found), (sets, 5, 512))
    many(jax.tree.map(lambda x: 1.01 * x, models), t)

    single = jax.jit(engine.on_grid)
    for i in (0, 149, 299):
        model = jax.tree.map(lambda x: np.asarray(x)[i], models)  # noqa: B023
        alone = single(model, t)
        for here, there in zip(found, alone, strict=True):
            assert np.allclose(here[i], there, rtol=1e-9, atol=1e-13, equal_nan=True)
        near = slice(224, 288)  # 1.6 deviations of 20 nodes each to either side of the forward
        true = nt.price(model, 1.0, np.exp(alone.k[:, near]), t[:, None])
        error = np.abs(alone.price[:, near] - np.asarray(true))
        assert np.all(error <= alone.error[:, near] + 1e-14) and np.max(error) < 1e-6
    # calls decrease with slopes between -1 and 0 wherever the grid vouches for them
    known = found.error < 1e-8
    slope = np.diff(found.price, axis=-1) / np.diff(np.exp(found.k), axis=-1)
    between = slope[known[..., 1:] & known[..., :-1]]
    assert np.mean(known) > 0.2 and np.all(between < 0) and np.all(between > -1)


def test_a_refused_maturity_has_no_prices_on_the_grid():
    found = jax.jit(CarrMadan(256).on_grid)(POSITIVE, T[:, 0])
    assert np.all(np.isnan(found.price[2])) and np.all(np.isinf(found.error[2]))
    assert np.isfinite(found.price[0]).any() and np.all(np.diff(found.k, axis=-1) > 0)
