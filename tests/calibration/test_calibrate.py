from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from synthetic import TRUTH, heston_surface

import neutral as nt

ENGINE = nt.Lewis(48)
TIGHT = nt.LevenbergMarquardt(gtol=1e-11)


@pytest.fixture(scope="module")
def surface():
    return heston_surface()


@pytest.fixture(scope="module")
def noisy():
    return heston_surface(noise=0.01)


def fit(surface, recipe: Any = nt.Heston, **options):
    return nt.calibrate(recipe, surface, engine=ENGINE, **options)


def test_bounds_from_the_data():
    surfaces = [heston_surface(), heston_surface(v0=0.09)]
    one, both = nt.data_bounds(surfaces[0]), nt.data_bounds(nt.stack(surfaces))
    low, high = one["v0"]
    assert low < TRUTH["v0"] < high and high == pytest.approx(4.0 * low)
    assert both["v0"][0] == one["v0"][0] and both["v0"][1] > high
    assert one["rho"] == (-0.99, -0.01) and one["kappa"] == (0.01, 10.0) and one["sigma_v"] == (0.01, 3.0)
    empty = eqx.tree_at(lambda s: s.mask, surfaces[0], np.zeros_like(surfaces[0].mask))
    with pytest.raises(nt.ArgumentError, match="got none with a variance"):
        nt.data_bounds(empty)


@pytest.mark.heavy
def test_true_parameters_come_back(surface):
    result = fit(surface)
    assert result.converged and result.loss < 1e-12 and result.quadrature_error < 1e-8
    for name, value in TRUTH.items():
        assert getattr(result.model, name) == pytest.approx(value, rel=2e-6), name
    assert "converged" in result.summary() and "Heston(" in result.summary()
    table = result.to_frame()
    assert table.loc[0, "status"] == "converged" and table.loc[0, "rho"] == pytest.approx(-0.6, rel=1e-5)


@pytest.mark.heavy
def test_gradient_through_the_fit_is_what_refitting_says(noisy):
    direction = np.random.default_rng(3).standard_normal(noisy.prices.shape) * noisy.prices

    def kappa(prices):
        return fit(noisy.with_prices(prices), solver=TIGHT).model.kappa

    both = jax.jit(jax.value_and_grad(kappa))
    _, gradient = both(jnp.asarray(noisy.prices))
    step = 3e-4
    at = {n: float(both(noisy.prices + n * step * direction)[0]) for n in (-2, -1, 1, 2)}
    refitted = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step)
    assert float(jnp.sum(gradient * direction)) == pytest.approx(refitted, rel=1e-6)


def test_gradient_is_masked_where_the_fit_has_not_converged(noisy):
    def sigma(prices):
        result = fit(noisy.with_prices(prices), nt.Black, solver=nt.LevenbergMarquardt(max_steps=1))
        return result.model.sigma, result.status

    gradient, status = jax.jit(jax.grad(sigma, has_aux=True))(jnp.asarray(noisy.prices))
    assert status == nt.CalibrationStatus.max_steps and np.all(gradient == 0)


@pytest.mark.heavy
def test_fixed_parameters_bounds_and_masks(noisy):
    free = fit(noisy)
    held = fit(noisy, fixed={"kappa": 2.5}, bounds={"rho": (-0.5, 0.0)})
    assert held.model.kappa == pytest.approx(2.5, rel=1e-13)
    assert held.bounds_hit == ("rho",) and held.model.rho == pytest.approx(-0.5, rel=1e-13)
    assert held.converged and held.loss > free.loss
    mask = noisy.mask & (np.arange(4) < 3)[:, None]
    part = fit(noisy, mask=mask)
    changed = noisy.with_prices(np.where(mask, noisy.prices, 0.5 * noisy.prices))
    np.testing.assert_array_equal(fit(changed, mask=mask).coordinates, part.coordinates)
    assert not np.array_equal(part.coordinates, free.coordinates)
    assert np.all(part.residuals[~mask] != 0)


@pytest.mark.heavy
def test_priors_pull_and_are_reported_apart(noisy):
    center = nt.Heston(**(TRUTH | {"kappa": 4.0}))
    plain = fit(noisy)
    pulled = fit(noisy, prior=nt.Tikhonov(10.0, center, {"kappa": 1.0}))
    assert plain.prior_loss == 0 and pulled.prior_loss > 0
    assert plain.model.kappa < pulled.model.kappa < 4.0 and pulled.loss > plain.loss
    feller = fit(noisy, prior=[nt.FellerPenalty(100.0)])
    assert plain.model.feller_ratio < feller.model.feller_ratio < 1.0 + 1e-6


@pytest.mark.mistyped
def test_refusals(surface):
    with pytest.raises(nt.ArgumentError, match="recipe must be a model class"):
        nt.calibrate("heston", surface)
    with pytest.raises(nt.ArgumentError, match="there is no parameter sigma; accepted: v0, kappa"):
        nt.calibrate(nt.Heston, surface, fixed={"sigma": 0.2})
    with pytest.raises(nt.ArgumentError, match="fixed kappa = 80.0 lies outside its bounds"):
        nt.calibrate(nt.Heston, surface, fixed={"kappa": 80.0})
    with pytest.raises(nt.ArgumentError, match=r"bounds of rho must ascend inside its domain \[-1, 1\]"):
        nt.calibrate(nt.Heston, surface, bounds={"rho": (0.5, 2.0)})
    with pytest.raises(nt.ArgumentError, match="a start must be a Heston, got SVCJ"):
        nt.calibrate(nt.Heston, surface, starts=[nt.SVCJ.typical()])
    with pytest.raises(nt.ArgumentError, match="prior must be one Tikhonov"):
        nt.calibrate(nt.Heston, surface, prior=0.5)
    with pytest.raises(nt.ArgumentError, match="use calibrate_batch"):
        nt.calibrate(nt.Heston, nt.stack([surface, surface]))
    with pytest.raises(nt.ArgumentError, match="use calibrate for it"):
        nt.calibrate_batch(nt.Heston, surface)
    with pytest.raises(nt.ArgumentError, match="engine must be Lewis"):
        nt.calibrate(nt.Heston, surface, engine=nt.Contour())  # pyright: ignore[reportArgumentType]


def test_throw_says_what_happened(noisy):
    with pytest.raises(nt.CalibrationError, match="Stopped at max_steps"):
        fit(noisy, nt.Black, solver=nt.LevenbergMarquardt(max_steps=1), throw=True)


def test_prices_on_the_surface_are_the_model_s(surface):
    prices = nt.price_surface(nt.Heston(**TRUTH), surface)
    np.testing.assert_allclose(prices, surface.prices, atol=1e-10)
