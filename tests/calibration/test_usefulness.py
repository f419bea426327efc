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
