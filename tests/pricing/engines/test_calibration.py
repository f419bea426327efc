"""Every solver with every engine on one shipped snapshot: the same fit, by different integrals and routes."""

import functools

import jax
import numpy as np
import pytest

import neutral as nt
from neutral.market import Split, build_surface, list_snapshots, load_deribit, sample_folder

# Settings that leave less than 1e-6 of the loss to the quadrature, on every model here: more nodes than the
# default ones, the damping that every model admits, and twice the grid, for jumps at short maturities.
ENGINES = {
    "lewis": nt.Lewis(128),
    "carr_madan": nt.CarrMadan(2048, alpha=-0.5),
    "cos": nt.COS(),
}
SOLVERS = {
    "levenberg_marquardt": nt.LevenbergMarquardt(gtol=1e-8),
    "adam_lbfgs": nt.AdamLBFGS(gtol=1e-8),
}
pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("engines")]


@functools.cache
def snapshot():
    quotes = load_deribit(list_snapshots(sample_folder())[0], currency="BTC")
    return build_surface(quotes, split=Split(seed=178))[0]


@functools.cache
def fit(recipe, solver, engine):
    return nt.calibrate(recipe, snapshot(), engine=ENGINES[engine], solver=SOLVERS[solver])


def assert_same(fit, reference):
    assert fit.converged and fit.gradient_norm <= 1e-8 and fit.quadrature_error < 1e-7
    assert float(fit.loss) == pytest.approx(float(reference.loss), rel=1e-6)
    for here, there in zip(jax.tree.leaves(fit.model), jax.tree.leaves(reference.model), strict=True):
        assert float(here) == pytest.approx(float(there), rel=1e-5)


@pytest.mark.parametrize(
    ("solver", "engine"),
    [
        pytest.param("levenberg_marquardt", "carr_madan", marks=pytest.mark.slow),
        pytest.param("levenberg_marquardt", "cos", marks=pytest.mark.slow),
        ("adam_lbfgs", "lewis"),
        pytest.param("adam_lbfgs", "carr_madan", marks=pytest.mark.slow),
        pytest.param("adam_lbfgs", "cos", marks=pytest.mark.slow),
    ],
)
def test_heston_is_the_same_by_every_solver_and_engine(solver, engine):
    assert_same(fit(nt.Heston, solver, engine), fit(nt.Heston, "levenberg_marquardt", "lewis"))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["carr_madan", "cos"])
def test_svcj_is_the_same_by_every_engine(engine):
    assert_same(fit(nt.SVCJ, "levenberg_marquardt", engine), fit(nt.SVCJ, "levenberg_marquardt", "lewis"))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["carr_madan", "cos"])
def test_a_batch_is_a_loop_and_follows_the_quotes(engine):
    """`calibrate_batch` takes every engine, and so does the derivative of a fit in a quote."""
    surface, options = snapshot(), {"engine": ENGINES[engine], "solver": SOLVERS["levenberg_marquardt"]}
    batch = nt.calibrate_batch(nt.Heston, [surface], **options, chunk=1, workers=1)
    alone = fit(nt.Heston, "levenberg_marquardt", engine)
    assert np.allclose(batch.coordinates[0], alone.coordinates, rtol=1e-9, atol=1e-12)

    def level(prices, engine):
        return nt.calibrate(nt.Heston, surface.with_prices(prices), engine=engine).model.theta

    slopes = [
        jax.jit(jax.grad(level), static_argnums=1)(surface.prices, ENGINES[e]) for e in (engine, "lewis")
    ]
    assert np.allclose(*slopes, rtol=1e-5, atol=1e-7 * np.max(np.abs(slopes[1])))


def test_a_fit_outside_the_strip_says_so():
    """Damping 12 needs a moment of order 13, which Heston's model does not have on these quotes."""
    result = nt.calibrate(nt.Heston, snapshot(), engine=nt.CarrMadan(256, alpha=12.0))
    assert result.status in (nt.CalibrationStatus.refused, nt.CalibrationStatus.nonfinite)
    assert not result.converged and not np.isfinite(result.quadrature_error)
    if result.status == nt.CalibrationStatus.refused:
        assert "strip" in nt.CalibrationStatus.refused.message


def test_only_engines_with_a_grid_calibrate():
    with pytest.raises(nt.ArgumentError, match=r"Lewis\(\), CarrMadan\(\) or COS\(\)"):
        nt.calibrate(nt.Heston, snapshot(), engine=nt.Contour())  # pyright: ignore[reportArgumentType]
