"""A result knows what was asked of it, at no cost, under every transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from synthetic import heston_surface
from traces import programs

import neutral as nt
from neutral.calibration.calibrate import _solve
from neutral.calibration.request import Request
from neutral.diagnostics.linearisation import fits_of

ENGINE = nt.Lewis(16)
PRIOR = nt.Tikhonov(1e-4, nt.Black(0.3), {"sigma": 1.0})


@pytest.fixture(scope="module")
def surface():
    return heston_surface(noise=0.01)


@pytest.fixture(scope="module")
def surfaces(surface):
    return nt.stack([surface, heston_surface(noise=0.01, seed=1), heston_surface(v0=0.09)])


def test_a_result_holds_its_request(surface):
    mask = surface.mask & (np.arange(4) < 3)[:, None]
    result = nt.calibrate(
        nt.Black, surface, engine=ENGINE, prior=PRIOR, bounds={"sigma": (0.1, 0.9)}, mask=mask
    )
    request = result.request
    assert request.setting.engine == ENGINE and request.start is None
    assert request.prior.strength == PRIOR.strength and request.prior.weights == PRIOR.weights
    assert request.prior.center.sigma == PRIOR.center.sigma
    many = jax.tree.map(lambda x: x[None], result)  # every leaf is an array
    assert len(many) == 1 and many[0].request.setting == request.setting
    np.testing.assert_array_equal(request.mask, mask)
    np.testing.assert_allclose(result.request.lower, np.log(0.1 + 0.01 * nt.Black.typical().sigma))
    assert request.history is False and result.history is None


def test_other_numbers_compile_nothing(surface):
    nt.calibrate(nt.Black, surface, engine=ENGINE, prior=PRIOR)
    before = programs(_solve)
    prior = nt.Tikhonov(1e-2, nt.Black(0.2))
    nt.calibrate(nt.Black, surface, engine=ENGINE, prior=prior, bounds={"sigma": (0.1, 0.9)})
    assert programs(_solve) == before


def test_a_result_is_a_pytree_under_jit_grad_and_vmap(surface):
    def fit(prices, center=0.3):
        prior = nt.Tikhonov(1e-4, nt.Black(center), {"sigma": 1.0})
        return nt.calibrate(nt.Black, surface.with_prices(prices), engine=ENGINE, prior=prior)

    plain = fit(surface.prices)
    jitted = jax.jit(fit)(surface.prices)
    assert jitted.request.setting == plain.request.setting
    np.testing.assert_array_equal(jitted.request.lower, plain.request.lower)
    assert jax.jit(lambda result: result.model.sigma)(plain) == plain.model.sigma
    slope = jax.grad(lambda center: fit(surface.prices, center).model.sigma)(0.3)
    assert 0.0 < slope < 1.0
    many = jax.vmap(fit)(jnp.stack([jnp.asarray(surface.prices)] * 2))
    assert len(many) == 2 and many.request.precision.shape == (2, 1, 1)
    np.testing.assert_array_equal(many[1].request.precision, plain.request.precision)


def test_one_fit_of_a_batch_holds_its_own_request(surfaces):
    centers = nt.Black.with_lanes(sigma=np.array([0.2, 0.3, 0.4]))
    mask = np.asarray(surfaces.mask) & (np.arange(3)[:, None, None, None] != 1)
    mask[1] = surfaces.mask[1]
    results = nt.calibrate_batch(
        nt.Black, surfaces, engine=ENGINE, prior=nt.Tikhonov(1e-4, centers), mask=mask, workers=1
    )
    assert len(results) == 3
    for i in range(3):
        request = results[i].request
        assert request.prior.center.sigma == centers.sigma[i] and request.prior.strength == 1e-4
        assert request.lower.shape == (1,) and request.mask.shape == surfaces.mask.shape[1:]
        np.testing.assert_array_equal(request.mask, mask[i])
    np.testing.assert_array_equal(results[1:].request.prior.center.sigma, centers.sigma[1:])


def test_diagnostics_need_nothing_asked_twice(surface, surfaces):
    options = {"engine": ENGINE, "prior": PRIOR, "loss": nt.Loss("vega"), "bounds": {"sigma": (0.1, 0.9)}}
    result = nt.calibrate(nt.Black, surface, **options)
    (fit,), (told,) = fits_of(result, surface), fits_of(result, surface, **options)
    assert fit.reason == "" and fit.at.hessian > 0
    for own, other in zip(fit.at, told.at, strict=True):
        np.testing.assert_array_equal(own, other)
    results = nt.calibrate_batch(nt.Black, surfaces, **options, workers=1)
    fits = list(fits_of(results, surfaces))
    (alone,) = fits_of(results[2], surfaces[2])
    np.testing.assert_array_equal(fits[2].at.hessian, alone.at.hessian)
    assert fits[0].at.hessian != alone.at.hessian
    with pytest.raises(nt.ArgumentError, match="the loss of the result is"):
        list(fits_of(result, surfaces[2]))


@pytest.mark.parametrize("recipe", [nt.NIG, nt.Shifted(nt.NIG), nt.Heston], ids=["nig", "nig++", "heston"])
def test_fixing_a_parameter_later_is_fixing_it_at_once(surface, recipe):
    name = "alpha" if recipe is not nt.Heston else "kappa"
    at_once = Request.of(recipe, surface, fixed={name: 9.0})
    later = Request.of(recipe, surface).fixing({name: 9.0})
    assert later.setting.coordinates == at_once.setting.coordinates
    np.testing.assert_array_equal(later.fixed, at_once.fixed)
    np.testing.assert_array_equal(later.values, at_once.values)
    assert later.fixed.sum() == 1
    with pytest.raises(nt.ArgumentError, match="lies outside its bounds"):
        Request.of(recipe, surface).fixing({name: 1e9})


@pytest.mark.mistyped
def test_a_batch_of_nothing_and_a_search_of_another_type_are_refused(surface, surfaces):
    with pytest.raises(nt.ArgumentError, match="at least one surface"):
        nt.calibrate_batch(nt.Black, surfaces[:0])
    with pytest.raises(nt.ArgumentError, match="at least one surface"):
        nt.calibrate_batch(nt.Black, [])
    for search in (nt.QuasiRandom(), 3, "wide"):
        with pytest.raises(nt.ArgumentError, match="search must be a Search, got"):
            nt.calibrate(nt.Black, surface, search=search)  # pyright: ignore[reportArgumentType]
