"""Diagnostics of one small fit, and their arithmetic on numbers of known answer."""

import equinox as eqx
import jax
import numpy as np
import pytest
from synthetic import heston_surface

import neutral as nt
from neutral.diagnostics.identifiability import from_jacobian
from neutral.diagnostics.residuals import patterns
from neutral.diagnostics.uncertainty import quantile, satterthwaite

ENGINE = nt.Lewis(48)


@pytest.fixture(scope="module")
def surface():
    return heston_surface(noise=0.01)


@pytest.fixture(scope="module")
def result(surface):
    return nt.calibrate(nt.Heston, surface, engine=ENGINE)


@pytest.fixture(scope="module")
def diagnosis(result, surface):
    return nt.diagnose(result, surface, engine=ENGINE)


def test_diagnosis_reads_and_tabulates(diagnosis, result):
    text = str(diagnosis)
    assert all(word in text for word in ("converged", "condition number", "kappa", "residuals", "influence"))
    rows = diagnosis.rows()
    assert [row["parameter"] for row in rows["parameters"]] == list(result.names)
    assert rows["residuals"][0]["quotes"] == 64
    assert sum(row["quotes"] for row in rows["residuals"][1:]) == 64
    assert rows["influence"][0]["cook"] >= rows["influence"][-1]["cook"] > 0


def test_leverages_sum_to_the_parameters(diagnosis):
    leverage = diagnosis.influence.leverage
    assert np.nansum(leverage) == pytest.approx(5.0, rel=1e-9)
    assert np.all((leverage >= 0) & (leverage <= 1))


def test_other_arguments_than_the_fit_s_are_refused(result, surface):
    with pytest.raises(nt.ArgumentError, match="give engine, loss, prior"):
        nt.diagnose(result, surface, engine=ENGINE, mask=surface.mask & (np.arange(8) < 5))
    with pytest.raises(nt.ArgumentError, match="surface must be"):
        nt.diagnose(result, nt.stack([surface, surface]), engine=ENGINE)


def test_what_cannot_be_determined_says_so(result, surface):
    lost = jax.tree.map(lambda x: x * np.nan if np.asarray(x).dtype == float else x, result)
    bad = type(result)(**(vars(lost) | {"status": np.asarray(4), "names": result.names}))
    found = nt.diagnose(bad, surface, engine=ENGINE)
    assert "identifiability cannot be determined: There is no quote" in str(found)
    assert "residuals cannot be determined" in str(found) and found.rows()["parameters"] == []
    with pytest.raises(nt.ArgumentError, match="cannot be determined"):
        found.uncertainty.standard_errors()
    few = surface.mask & (np.arange(8) < 2) & (np.arange(4) < 2)[:, None]
    short = nt.calibrate(nt.Heston, surface, engine=ENGINE, mask=few)
    found = nt.diagnose(short, surface, engine=ENGINE, mask=few)
    assert "4 strikes" in found.uncertainty.reason or "not converged" in found.uncertainty.reason
    assert np.isnan(found.identifiability.noise)


def test_quotes_without_weight_determine_nothing(surface):
    still = eqx.tree_at(lambda s: s.weight, surface, np.zeros_like(surface.weight))
    found = nt.diagnose(nt.calibrate(nt.Heston, still, engine=ENGINE), still, engine=ENGINE)
    for part in (found.identifiability, found.uncertainty, found.influence):
        assert part.reason == "No quote that was fitted has any weight."
    assert np.isnan(found.identifiability.condition_number)


def test_a_direction_without_effect_is_named():
    rng = np.random.default_rng(1)
    product, other = rng.standard_normal((2, 40))
    kappa, theta = 2.0, 0.05
    jacobian = np.stack([product / kappa, product / theta, other], axis=1)
    found = from_jacobian(
        jacobian, np.array([kappa, theta, 1.0]), ("kappa", "theta", "rho"), logarithmic=[True, True, False]
    )
    assert found.effective_rank == 2 and found.condition_number > 1e12
    assert found.findings[0].text in (
        "kappa and theta trade off: only kappa*theta is seen",
        "theta and kappa trade off: only theta*kappa is seen",
    )
    again = from_jacobian(jacobian[::-1], found.sizes, found.names)
    np.testing.assert_allclose(again.singular_values, found.singular_values, rtol=1e-12, atol=1e-12)


def test_information_and_correlation_are_those_of_least_squares():
    jacobian = np.random.default_rng(2).standard_normal((50, 3))
    found = from_jacobian(jacobian, np.array([1.0, 10.0, 0.1]), ("a", "b", "c"), noise=0.1)
    covariance = np.linalg.inv(jacobian.T @ jacobian) * 0.01
    np.testing.assert_allclose(np.linalg.inv(found.information), covariance, rtol=1e-10)
    spread = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(found.correlation, covariance / np.outer(spread, spread), rtol=1e-10)


def test_patterns_are_named():
    rng = np.random.default_rng(5)
    x = np.broadcast_to(np.linspace(-1.5, 1.5, 9), (2, 6, 9))
    t = np.broadcast_to(np.linspace(0.1, 2.0, 6)[:, None], x.shape)
    noise = 0.001 * rng.standard_normal(x.shape)
    assert [p.name for p in patterns(noise, x, t)] == ["random"]
    assert [p.name for p in patterns(noise + 0.01 * x**2, x, t)] == ["wing"]
    assert [p.name for p in patterns(noise + 0.01 * np.sin(9 * t), x, t)] == ["maturity"]
    both = patterns(noise + 0.01 * x**2 + 0.01 * np.sin(9 * t), x, t)
    assert {p.name for p in both} == {"maturity", "wing"}
    assert patterns(np.full(x.shape, np.nan), x, t) == ()


def test_quantiles_are_student_s():
    stats = pytest.importorskip("scipy.stats")
    for freedom in (5, 27, 300):
        assert quantile(0.9, freedom) == pytest.approx(stats.t.ppf(0.95, freedom), rel=1e-3)
    assert quantile(0.9) == pytest.approx(stats.norm.ppf(0.95), rel=1e-12)


def test_degrees_of_freedom_of_two_groups_are_published():
    n0, n1 = 4, 23
    group = np.repeat([0.0, 1.0], [n0, n1])
    basis, upper = np.linalg.qr(np.stack([np.ones(n0 + n1), group], axis=1))
    pulls = np.linalg.solve(upper, basis.T)  # of the mean of the first group, and of the difference
    # Imbens and Kolesar 2016, of a binary regressor
    difference = (n0 + n1) ** 2 * (n0 - 1) * (n1 - 1) / (n1**2 * (n1 - 1) + n0**2 * (n0 - 1))
    np.testing.assert_allclose(satterthwaite(pulls, basis), [n0 - 1, difference], rtol=1e-12)
    assert satterthwaite(0.0 * pulls[0], basis) == np.inf


def test_comparison_is_that_of_least_squares_with_robust_errors():
    api = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(7)
    shocks = rng.standard_normal((2, 200))
    first, second = np.cumsum(shocks, axis=1) * 0.05 + 1.0
    found = nt.diebold_mariano(first, second, lags=4)
    fit = api.OLS(first - second, np.ones(200)).fit(
        cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": False}
    )
    assert found.mean == pytest.approx(fit.params[0], rel=1e-12)
    assert found.statistic == pytest.approx(fit.tvalues[0], rel=1e-10)
    assert found.probability == pytest.approx(fit.pvalues[0], rel=1e-8)


def test_comparison_of_independent_losses_is_the_plain_t_statistic():
    difference = np.random.default_rng(8).standard_normal(50) + 0.3
    found = nt.diebold_mariano(difference, np.zeros(50), lags=0)
    assert found.statistic == pytest.approx(difference.mean() / (difference.std() / np.sqrt(50)), rel=1e-12)
    assert np.isnan(nt.diebold_mariano(np.ones(9), np.zeros(9)).statistic)
    with pytest.raises(nt.ArgumentError, match="two series of one length"):
        nt.diebold_mariano(np.ones(3), np.ones(4))


def test_mean_s_interval():
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(9).gamma(2.0, size=200)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=3000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    np.testing.assert_allclose(nt.bootstrap_mean(values), theirs, atol=0.03)
    assert np.all(np.isnan(nt.bootstrap_mean([1.0])))
