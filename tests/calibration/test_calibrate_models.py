"""Calibration of models whose parameters are joined or have an axis, from starts of the data."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from registry import log_cf
from synthetic import TRUTH, heston_surface

import neutral as nt
from neutral.calibration import batch

ENGINE = nt.Lewis(48)
RECIPE = nt.PiecewiseHeston(breakpoints=(0.4,))


def programs():
    return len(batch.PROGRAMS)


@pytest.fixture(scope="module")
def surfaces():
    return nt.stack([heston_surface(0.01, seed) for seed in range(2)])


@pytest.mark.heavy
def test_breakpoints_are_kept_and_compile_nothing_anew(surfaces):
    fits = nt.calibrate_batch(RECIPE, surfaces, engine=ENGINE, workers=1)
    assert np.all(fits.converged) and fits.model.kappa.shape == (2, 2)
    np.testing.assert_array_equal(fits.model.breakpoints, [[0.4], [0.4]])
    assert fits.names == (
        "breakpoints[0]",
        "v0",
        "kappa[0]",
        "kappa[1]",
        "theta[0]",
        "theta[1]",
        "sigma_v[0]",
        "sigma_v[1]",
        "rho[0]",
        "rho[1]",
    )
    before = programs()
    other = nt.PiecewiseHeston(breakpoints=(1.0,))
    held = nt.calibrate_batch(
        other,
        surfaces,
        engine=ENGINE,
        workers=1,
        fixed={"rho": -0.5, "kappa[1]": 2.0},
        bounds={"sigma_v[0]": (0.0, 0.3)},
        prior=nt.Tikhonov(1e-3, weights={"theta": 1.0}),
    )
    assert programs() == before
    np.testing.assert_array_equal(held.model.breakpoints, [[1.0], [1.0]])
    np.testing.assert_allclose(held.model.rho, -0.5, rtol=1e-13)
    np.testing.assert_allclose(held.model.kappa[:, 1], 2.0, rtol=1e-13)
    assert np.all(held.model.sigma_v[:, 0] <= 0.3 * (1 + 1e-12)) and np.all(held.loss > fits.loss)
    assert "sigma_v[0]" in held[0].bounds_hit


@pytest.mark.mistyped
def test_arguments_that_name_no_parameter_are_refused(surfaces):
    with pytest.raises(
        nt.ArgumentError, match=r"pass an instance, such as neutral.PiecewiseHeston\(breakpoints"
    ):
        nt.calibrate(nt.PiecewiseHeston, surfaces[0])
    with pytest.raises(
        nt.ArgumentError, match=r"no parameter kappa\[2\]; accepted: breakpoints\[0\], v0, kappa"
    ):
        nt.calibrate(RECIPE, surfaces[0], fixed={"kappa[2]": 1.0})
    with pytest.raises(nt.ArgumentError, match="fixed rho takes one number or 2, got"):
        nt.calibrate(RECIPE, surfaces[0], fixed={"rho": (0.1, 0.2, 0.3)})  # pyright: ignore[reportArgumentType]
    with pytest.raises(nt.ArgumentError, match="a start must have 1 entries of breakpoints"):
        nt.calibrate(RECIPE, surfaces[0], starts=[nt.PiecewiseHeston.typical()])


@pytest.mark.parametrize(
    "recipe", [nt.DoubleHeston, RECIPE, nt.VarianceGamma], ids=["double", "pieces", "vg"]
)
def test_a_nested_start_prices_as_the_simpler_model(recipe):
    simple = nt.Black(0.3) if recipe is nt.VarianceGamma else nt.Heston(**TRUTH)
    both = jax.tree.map(lambda x: np.stack([x, 1.1 * x]), simple)
    start = nt.nested_start(recipe, both)
    z, t = np.array([3.0 - 0.5j, 0.2 - 0.5j]), np.array([0.3, 2.0])
    for i in range(2):
        one, same = (jax.tree.map(lambda x, i=i: jnp.asarray(x)[i], model) for model in (start, both))
        np.testing.assert_allclose(log_cf(one, z, t), log_cf(same, z, t), rtol=1e-12)
    again = nt.nested_start(nt.Shifted(recipe), start)
    jax.tree.map(np.testing.assert_array_equal, again, start)


@pytest.mark.heavy
def test_a_fixed_parameter_of_a_joint_condition_keeps_its_value(surfaces):
    fit = nt.calibrate(nt.NIG, surfaces[0], engine=ENGINE, fixed={"alpha": 9.0})
    assert fit.converged and fit.model.alpha == pytest.approx(9.0, rel=1e-13)


OWN = {
    "kou": nt.Kou,
    "vg": nt.VarianceGamma,
    "nig": nt.NIG,
    "double_heston": nt.DoubleHeston,
    "pw_heston": nt.PiecewiseHeston(breakpoints=(0.25, 1.0)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_a_model_s_own_quotes_come_back(name):
    """Quotes of the default engine at typical values, to the error that the calibration engine tells."""
    recipe = OWN[name]
    truth = (recipe if isinstance(recipe, type) else type(recipe)).typical()
    t = np.array([0.1, 0.25, 0.5, 1.0, 1.5, 3.0])
    k = np.linspace(-1.5, 1.0, 12) * 0.25 * np.sqrt(t)[:, None]
    prices = np.stack(
        [np.asarray(nt.price(truth, 1.0, np.exp(k), t[:, None], kind)) for kind in ("call", "put")]
    )
    surface = nt.QuoteSurface.from_arrays(t, k, prices, prices - 1e-5, prices + 1e-5)
    result = nt.calibrate(recipe, surface, engine=nt.Lewis(128))
    assert result.converged and np.max(np.abs(result.residuals)) < 1e-8 + result.quadrature_error
    for field in dataclasses.fields(truth):
        np.testing.assert_allclose(getattr(result.model, field.name), getattr(truth, field.name), rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_a_shift_goes_on_every_model(surfaces, name):
    recipe = nt.Shifted(OWN[name])
    result = nt.calibrate_batch(recipe, surfaces, engine=ENGINE, workers=1)
    assert np.all(result.converged) and result.model.increments.shape == surfaces.t.shape
    one = jax.tree.map(lambda x: x[0], result.model)
    residuals = np.asarray(nt.price_surface(one, surfaces[0]) - surfaces[0].prices)[surfaces[0].mask]
    np.testing.assert_allclose(residuals, result.residuals[0][surfaces[0].mask], atol=1e-7)
