"""A fit of no use has a status of its own, alike in one fit and in a batch."""

import jax
import numpy as np
import pytest
from synthetic import heston_surface

import neutral as nt
from neutral.options import black


@pytest.fixture(scope="module")
def ordinary():
    return heston_surface()


@pytest.fixture(scope="module")
def noise(ordinary):
    """Prices at random between the bounds of no-arbitrage, which no market has."""
    k = np.stack([ordinary.k, ordinary.k])
    is_call = np.array([True, False])[:, None, None]
    low, high = np.asarray(black.intrinsic(k, is_call)), np.where(is_call, 1.0, np.exp(k))
    prices = low + np.random.default_rng(0).uniform(0.01, 0.99, k.shape) * (high - low)
    return nt.QuoteSurface.from_arrays(ordinary.t, ordinary.k, prices, warn=False)


@pytest.mark.parametrize("recipe", [nt.Black, pytest.param(nt.Heston, marks=pytest.mark.slow)])
def test_random_prices_give_a_fit_of_no_use(ordinary, noise, recipe):
    useless = nt.calibrate(recipe, noise)
    assert useless.status == nt.CalibrationStatus.useless and not useless.converged
    assert useless.gradient_norm <= 1e-6  # a stationary point, nevertheless
    assert "beyond those of any market" in useless.summary()
    assert nt.calibrate(recipe, ordinary).converged
    with pytest.raises(nt.CalibrationError, match="check the units"):
        nt.calibrate(recipe, noise, throw=True)


def test_a_batch_says_the_same_to_the_last_bit(ordinary, noise):
    batch = nt.calibrate_batch(nt.Heston, [ordinary, noise])
    assert list(batch.to_frame()["status"]) == ["converged", "useless"]
    assert "1 useless" in batch.summary()
    for i, surface in enumerate((ordinary, noise)):
        one = nt.calibrate(nt.Heston, surface)
        jax.tree.map(np.testing.assert_array_equal, batch[i].model, one.model)
        assert batch.status[i] == one.status


def test_black_s_model_on_a_steep_smile_is_of_use():
    t = np.array([0.2, 0.25, 0.3, 0.35])
    k = np.repeat(np.linspace(-0.4, 0.3, 8)[None], 4, axis=0)
    vols = 0.2 - 0.5 * k + 0.4 * k**2  # 46 % at the lowest strike, 9 % at the highest
    call = np.asarray(black.price(k, vols * np.sqrt(t)[:, None]))
    steep = nt.QuoteSurface.from_arrays(t, k, np.stack([call, call + np.expm1(k)]), warn=False)
    assert nt.calibrate(nt.Black, steep).converged


def smile(vol, factor):
    """A chain of Heston's volatilities times a factor."""
    t, k = np.repeat([0.1, 0.25, 0.5, 1.0], 7), np.tile(np.linspace(-0.3, 0.3, 7), 4)
    model = nt.Heston(v0=vol**2, kappa=1.5, theta=1.25 * vol**2, sigma_v=0.6, rho=-0.7)
    vols = nt.implied_vol(nt.price(model, 1.0, np.exp(k), t), 1.0, np.exp(k), t)
    return {"forward": np.ones(28), "strike": np.exp(k), "maturity": t, "vol": factor * np.asarray(vols)}


@pytest.mark.parametrize("factor", [10.0, 12.5, 16.0])
def test_volatilities_in_another_unit_pin_the_parameters(factor):
    fit = nt.calibrate(nt.Heston, smile(0.2, factor))
    assert len(fit.bounds_hit) >= 3
    assert fit.status == nt.CalibrationStatus.useless and "units" in fit.summary()
    assert nt.calibrate(nt.Heston, smile(0.2, 1.0)).converged


def test_a_bound_of_the_caller_that_costs_little_leaves_the_fit_of_use(ordinary):
    fit = nt.calibrate(
        nt.Heston, ordinary, bounds={"kappa": (1.9, 3.0), "rho": (-0.55, 0.0), "theta": (0.071, 0.2)}
    )
    assert len(fit.bounds_hit) >= 2 and fit.converged


def test_refused_quotes_that_are_most_of_the_table_are_told_with_their_cause():
    table = smile(0.2, 1.0)
    call = np.asarray(black.price(np.log(table["strike"]), table.pop("vol") * np.sqrt(table["maturity"])))
    strike = table["strike"]
    is_call = strike >= 1.0
    price = np.where(is_call, call, call - (1.0 - strike))
    swapped = table | {"price": price, "kind": ~is_call}
    with pytest.warns(nt.QuoteWarning, match=r"24 of 28 .* which quotes are calls and which are puts"):
        surface = nt.QuoteSurface.from_quotes(swapped)
    assert "Warning: the fit is of 4 of 28 quotes" in nt.calibrate(nt.Black, surface).summary()


@pytest.mark.parametrize(
    ("recipe", "free"), [(nt.Heston, 5), pytest.param(nt.Bates, 8, marks=pytest.mark.slow)]
)
def test_fewer_strikes_than_parameters_are_told(recipe, free):
    one = {"forward": [100.0], "strike": [100.0], "maturity": [0.5], "vol": [0.2]}
    fit = nt.calibrate(recipe, one)
    assert f"Warning: 1 strike cannot determine {free} parameters" in fit.summary()
    assert f"{free} parameters, which other" in nt.calibrate_batch(recipe, [one])[0].summary()
