"""Histories of parameters: arithmetic of known answer, and statsmodels' Kalman filter."""

import numpy as np
import pytest

import neutral as nt
from neutral.diagnostics import local_level, stability, start_agreement


def test_steps_roughness_and_bounds_of_a_history():
    path = np.array([[1.0, 0.5], [2.0, 0.01], [np.nan, 0.5], [4.0, 0.5], [8.0, 0.99]])
    found = stability(path, ("a", "b"), [(0.0, np.inf), (0.0, 1.0)])
    np.testing.assert_allclose(found.changes[:, 0], [1.0, 2.0, 4.0])
    np.testing.assert_allclose(found.relative_changes[:, 0], [1.0, 1.0, 1.0])
    # steps 1, 2, 4; quartiles of 1, 2, 4, 8 are 1.75 and 5
    assert found.roughness[0] == pytest.approx(2.0 / 3.25)
    assert found.drift[0] == pytest.approx((7 / 3) / (np.std([1, 2, 4], ddof=1) / np.sqrt(3)))
    assert found.z_scores[0] == pytest.approx((8 - 7 / 3) / np.std([1, 2, 4], ddof=1))
    assert np.isnan(found.near_bound[0]) and found.near_bound[1] == 0.5
    assert "near a bound 50%" in str(found) and found.rows()[0]["change"] == 4.0


@pytest.mark.parametrize("days", [0, 1])
def test_a_history_of_one_day_determines_nothing(days):
    found = stability(np.full((days, 2), 0.3))
    assert found.reason == f"at least 2 days with a fit are needed, got {days}."
    assert "stability cannot be determined" in str(found) and found.rows() == []
    assert np.all(np.isnan(found.roughness))
    level = local_level(np.full(days, 0.3), 0.1)
    assert level.reason == f"at least 2 days with a fit and a standard error are needed, got {days}."
    assert "cannot be determined" in str(level) and np.isnan(level.state_variance)


def test_two_days_have_a_step_and_no_spread():
    found = stability([1.0, 1.5])
    assert "near a bound" not in str(found)
    assert found.changes.tolist() == [[0.5]] and np.isnan(found.drift[0]) and np.isnan(found.z_scores[0])
    constant = stability(np.ones(5))
    assert np.isnan(constant.roughness[0]) and np.isnan(constant.z_scores[0])
    with pytest.raises(nt.ArgumentError, match="as many names and bounds"):
        stability(np.ones((5, 2)), ("a",))


def test_starts_agree_or_do_not():
    ends = [[1.00, 0.50], [1.01, 0.52], [1.02, 0.49], [9.0, 9.0]]
    found = start_agreement(ends, [2.0, 2.001, 3.0, np.nan], ("kappa", "rho"))
    assert found.converged == 3 and found.parameter == "rho" and found.spread == pytest.approx(0.03 / 0.5)
    assert found.share == pytest.approx(2 / 3)
    alone = start_agreement(ends, [2.0, np.nan, np.nan, np.nan])
    assert alone.reason == "at least 2 starts must converge, got 1 of 4." and np.isnan(alone.spread)
    with pytest.raises(nt.ArgumentError, match="ends must be"):
        start_agreement([1.0], [1.0])


@pytest.fixture(scope="module")
def walk():
    """A random walk seen through noise that differs from day to day, with gaps."""
    rng = np.random.default_rng(8)
    level = 2.0 + np.cumsum(0.1 * rng.standard_normal(120))
    errors = rng.uniform(0.05, 0.4, 120)
    path = level + errors * rng.standard_normal(120)
    path[[0, 17, 18, 60]] = np.nan
    return path, errors


def their_smoother(path, errors, variance):
    """statsmodels' exactly diffuse Kalman smoother of the same state space."""
    module = pytest.importorskip("statsmodels.tsa.statespace.kalman_smoother")
    model = module.KalmanSmoother(k_endog=1, k_states=1)
    model.bind(np.asarray(path)[:, None])
    model["design"] = model["transition"] = model["selection"] = np.eye(1)
    model["obs_cov"] = (np.asarray(errors) ** 2)[None, None]
    model["state_cov"] = np.full((1, 1), variance)
    model.initialize_diffuse()
    return model.smooth()


def test_filter_and_smoother_are_statsmodels(walk):
    path, errors = walk
    found, theirs = local_level(path, errors, 0.01), their_smoother(path, errors, 0.01)
    first = 1  # the first day has no fit
    np.testing.assert_allclose(found.filtered[first:], theirs.filtered_state[0, first:], atol=1e-8)
    np.testing.assert_allclose(
        found.filtered_variance[first:], theirs.filtered_state_cov[0, 0, first:], atol=1e-8
    )
    np.testing.assert_allclose(found.smoothed, theirs.smoothed_state[0], atol=1e-8)
    np.testing.assert_allclose(found.smoothed_variance, theirs.smoothed_state_cov[0, 0], atol=1e-8)
    known = np.isfinite(found.innovations)
    assert known.sum() == 115  # of 116 fits the first surprises nobody
    theirs_standard = theirs.standardized_forecasts_error[0]
    np.testing.assert_allclose(found.innovations[known], theirs_standard[known], atol=1e-8)
    diffuse = 0.5 * np.log(2.0 * np.pi)  # statsmodels counts the constant of the diffuse day
    assert found.log_likelihood == pytest.approx(np.sum(theirs.llf_obs) + diffuse, abs=1e-8)


def test_state_variance_is_the_most_likely(walk):
    optimize = pytest.importorskip("scipy.optimize")
    path, errors = walk
    best = optimize.minimize_scalar(
        lambda x: -np.sum(their_smoother(path, errors, np.exp(x)).llf_obs),
        bounds=(-8.0, 0.0),
        method="bounded",
    )
    assert local_level(path, errors).state_variance == pytest.approx(np.exp(best.x), rel=1e-3)


def test_constant_parameter_has_no_state_noise():
    # errors much larger than the scatter: the level stands still at the mean by precision
    errors = np.array([1.0, 2.0, 1.0, 2.0])
    path = np.array([1.0, 1.2, 0.9, 1.1])
    found = local_level(path, errors)
    weights = errors**-2.0
    assert found.state_variance == 0.0
    np.testing.assert_allclose(found.smoothed, np.sum(weights * path) / weights.sum(), rtol=1e-12)
    assert found.filtered_variance[-1] == pytest.approx(1.0 / weights.sum())
    assert "level" in str(found)


def test_exact_fits_are_their_own_level():
    path = np.array([1.0, 1.5, 1.2, 1.9])
    found = local_level(path, 0.0)
    np.testing.assert_allclose(found.smoothed, path)
    assert found.state_variance == pytest.approx(np.mean(np.diff(path) ** 2), rel=1e-6)
    with pytest.raises(nt.ArgumentError, match="nor 0 where a standard error is 0"):
        local_level(path, 0.0, 0.0)
    with pytest.raises(nt.ArgumentError, match="standard errors not negative"):
        local_level(path, -1.0)
