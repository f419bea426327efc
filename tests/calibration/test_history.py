"""The course of a fit: the points that the winning run evaluated."""

import numpy as np
import pytest
from synthetic import heston_surface

import neutral as nt

SOLVERS = {
    "levenberg_marquardt": nt.LevenbergMarquardt(max_steps=60),
    "adam_lbfgs": nt.AdamLBFGS(max_steps=90),
}


@pytest.fixture(params=SOLVERS.values(), ids=SOLVERS.keys())
def solver(request):
    return request.param


@pytest.fixture(scope="module")
def surface():
    return heston_surface(noise=0.01)


def fit(surface, solver, **options):
    return nt.calibrate(nt.Shifted(nt.Black), surface, engine=nt.Lewis(16), solver=solver, **options)


def test_the_course_ends_in_the_fit(surface, solver):
    plain, result = fit(surface, solver), fit(surface, solver, history=True)
    assert plain.history is None and result.converged
    np.testing.assert_allclose(result.coordinates, plain.coordinates, rtol=1e-9)
    history = result.history
    steps = int(result.steps)  # one start
    assert history.loss.shape == history.gradient_norm.shape == history.damping.shape == (solver.max_steps,)
    assert history.parameters.shape == (solver.max_steps, len(result.names))
    for part in (history.loss, history.gradient_norm, history.parameters):
        assert np.all(np.isfinite(part[:steps])) and np.all(np.isnan(part[steps:]))
    best = int(np.argmin(history.loss[:steps]))
    # the result's numbers come from another evaluation at the same point
    assert history.loss[best] == pytest.approx(float(result.loss + result.prior_loss), rel=1e-9)
    assert history.gradient_norm[best] == pytest.approx(float(result.gradient_norm), rel=1e-9)
    assert history.loss[best] < history.loss[0] and history.gradient_norm[best] < history.gradient_norm[0]
    np.testing.assert_allclose(history.parameters[best, 0], result.model.base.sigma, rtol=1e-13)
    np.testing.assert_allclose(history.parameters[best, 1:], result.model.increments, rtol=1e-13, atol=1e-18)


def test_only_levenberg_marquardt_has_a_damping(surface, solver):
    result = fit(surface, solver, history=True)
    damping = result.history.damping[: int(result.steps)]
    if isinstance(solver, nt.AdamLBFGS):
        assert np.all(np.isnan(damping))
    else:
        assert damping[0] == solver.damping and np.all(damping > 0) and damping[-1] < damping[0]


def test_a_run_out_of_steps_fills_its_history(surface):
    short = nt.LevenbergMarquardt(max_steps=3)
    history = fit(surface, short, history=True).history
    assert np.all(np.isfinite(history.loss)) and history.loss.shape == (3,)


@pytest.mark.slow
def test_a_batch_has_a_history_of_each_fit(surface, solver):
    stack = nt.stack([surface, heston_surface(noise=0.01, seed=1)])
    results = nt.calibrate_batch(nt.Black, stack, engine=nt.Lewis(16), solver=solver, history=True)
    assert results.history.loss.shape == (2, solver.max_steps)
    one = nt.calibrate(nt.Black, stack[1], engine=nt.Lewis(16), solver=solver, history=True)
    np.testing.assert_allclose(results[1].history.loss, one.history.loss, rtol=1e-7)


def test_of_two_starts_the_winner_s_course_is_kept(surface):
    """The far start loses; the course is that of the fit's own start, screening and final run in one."""
    starts = [nt.Black(2.0), nt.Black(0.2)]
    result = nt.calibrate(
        starts[0],
        surface,
        engine=nt.Lewis(16),
        starts=starts[1:],
        search=nt.Search(screening=2),
        history=True,
    )
    history = result.history
    steps = int(np.sum(np.isfinite(history.loss)))
    assert 2 < steps < int(result.steps)
    assert np.nanmin(history.loss) == pytest.approx(float(result.loss), rel=1e-9)
    assert any(history.parameters[0, 0] == pytest.approx(float(x.sigma), rel=1e-12) for x in starts)
