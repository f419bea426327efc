"""Diagnostics of one small fit, and their arithmetic on numbers of known answer."""

import dataclasses

import chex
import equinox as eqx
import jax
import numpy as np
import pytest
from synthetic import heston_surface
from traces import programs

import neutral as nt
from neutral.diagnostics import Sensitivities, fit_measurements
from neutral.diagnostics.identifiability import from_jacobian
from neutral.diagnostics.linearisation import _linearise
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
    return nt.diagnose(result, surface)


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


CONTRADICTIONS = {
    "engine": nt.Lewis(64),
    "loss": nt.Loss("vega"),
    "prior": nt.Tikhonov(1e-3),
    "fixed": {"rho": -0.5},
    "bounds": {"rho": (-0.9, 0.0)},
    "mask": np.arange(8) < 5,
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_arguments_that_contradict_the_calibration_are_refused(result, surface, name):
    value = CONTRADICTIONS[name]
    value = surface.mask & value if name == "mask" else value
    message = f"contradict the calibration of the result: {name}. Leave them out"
    with pytest.raises(nt.ArgumentError, match=message):
        nt.diagnose(result, surface, **{name: value})
    with pytest.raises(nt.ArgumentError, match=message):
        nt.profile(result, surface, "kappa", **{name: value})


def test_arguments_of_the_calibration_may_be_given_again(surface):
    given = {
        "engine": nt.Lewis(16),
        "loss": nt.Loss("vega"),
        "prior": nt.Tikhonov(1e-4, nt.Black(0.3), {"sigma": 1.0}),
        "bounds": {"sigma": (0.1, 0.9)},
        "mask": surface.mask & (np.arange(8) < 5),
    }
    fit = nt.calibrate(nt.Black, surface, **given)
    again = nt.diagnose(fit, surface, **given)
    chex.assert_trees_all_equal(again.fit.at, nt.diagnose(fit, surface).fit.at)
    # the quotes that a calibration takes by default are no contradiction
    plain = nt.calibrate(nt.Black, surface, engine=given["engine"])
    assert nt.diagnose(plain, surface, mask=surface.train, fixed={}).fit.reason == ""


def test_solvers_share_one_linearisation(surface):
    fits = [
        nt.calibrate(nt.Black, surface, engine=nt.Lewis(16), solver=solver, search=nt.Search(screening=steps))
        for solver, steps in ((nt.LevenbergMarquardt(), 3), (nt.LevenbergMarquardt(max_steps=50), 4))
    ]
    nt.diagnose(fits[0], surface)
    before = programs(_linearise)
    nt.diagnose(fits[1], surface)
    assert programs(_linearise) == before


def test_a_result_without_request_says_what_to_give(result, surface):
    old = dataclasses.replace(result, request=None)
    message = "has no request.*or calibrate again"
    with pytest.raises(nt.ArgumentError, match=message):
        nt.diagnose(old, surface)
    with pytest.raises(nt.ArgumentError, match=message):
        nt.profile(old, surface, "kappa")
    with pytest.raises(nt.ArgumentError, match=message):
        nt.sensitivities(old, surface, lambda model: model.kappa)
    with pytest.raises(nt.ArgumentError, match="with these arguments .*pass engine, loss, prior"):
        nt.diagnose(old, surface, engine=ENGINE, loss=nt.Loss("vega"))
    chex.assert_trees_all_equal(
        nt.diagnose(old, surface, engine=ENGINE).fit.at, nt.diagnose(result, surface).fit.at
    )


def test_a_result_brings_its_own_surface(result, surface):
    expected = nt.diagnose(result, surface).fit.at
    chex.assert_trees_all_equal(nt.diagnose(result).fit.at, expected)
    with pytest.raises(nt.ArgumentError, match="has no quotes.*diagnose.result, surface"):
        nt.diagnose(dataclasses.replace(result, surface=None))


def test_another_surface_is_refused(result, surface):
    with pytest.raises(nt.ArgumentError, match="surface must be"):
        nt.diagnose(result, nt.stack([surface, surface]))
    with pytest.raises(nt.ArgumentError, match="pass the surface that was calibrated"):
        nt.diagnose(result, heston_surface(noise=0.01, seed=1))
    with pytest.raises(nt.ArgumentError, match="there is no argument solver; accepted: engine, loss"):
        nt.bootstrap(result, surface, solver=nt.LevenbergMarquardt())  # pyright: ignore[reportCallIssue]


def lost(surface, result):
    """A healthy fit whose numbers are all replaced by nan."""
    nothing = jax.tree.map(lambda x: x * np.nan if np.asarray(x).dtype == float else x, result)
    return dataclasses.replace(nothing, names=result.names, request=result.request), surface


def few(surface, result):
    mask = surface.mask & (np.arange(8) < 2) & (np.arange(4) < 2)[:, None]
    return nt.calibrate(nt.Heston, surface, engine=ENGINE, mask=mask), surface


def weightless(surface, result):
    light = eqx.tree_at(lambda s: s.weight, surface, np.zeros_like(surface.weight))
    return nt.calibrate(nt.Heston, light, engine=ENGINE), light


def met(surface, result):
    exact = surface.with_prices(np.asarray(result.prices))
    return nt.calibrate(nt.Heston, exact, engine=ENGINE), exact


def stopped(surface, result):
    return eqx.tree_at(lambda r: r.status, result, np.asarray(1)), surface


BAD = {
    lost: "A residual of a fitted quote is not finite.",
    few: "4 strikes for 5 parameters leave no degrees of freedom to estimate the noise.",
    weightless: "There is no quote of any weight to fit",
    met: "the model fits every quote exactly, so the noise is unknown.",
    stopped: "The fit has not converged.",
}


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_what_cannot_be_determined_says_so(spoil, surface, result):
    bad, quotes = spoil(surface, result)
    found = nt.diagnose(bad, quotes)
    reasons = {
        "uncertainty": found.uncertainty.reason,
        "influence": found.influence.reason,
        "profile": nt.profile(bad, quotes, "kappa").reason,
        "bootstrap": nt.bootstrap(bad, quotes).reason,
    }
    assert {part: BAD[spoil] in reason for part, reason in reasons.items()} == dict.fromkeys(reasons, True)
    assert str(found).count("cannot be determined") >= 3
    assert found.rows()["parameters"] == [] and found.rows()["influence"] == []
    assert np.isnan(found.identifiability.noise)
    with pytest.raises(nt.ArgumentError, match="cannot be determined"):
        found.uncertainty.standard_errors()
    numbers = fit_measurements(found)
    if spoil is not met:
        ladder = nt.sensitivities(bad, quotes, lambda m: m.kappa)
        assert "cannot be determined" in str(ladder) and np.all(np.isnan(ladder.vols))
        assert not numbers["condition_number"] < np.inf
    if spoil in (lost, few, weightless):
        assert np.isnan(numbers["iv_rmse_bp"]) and np.isnan(numbers["worst_maturity_iv_rmse_bp"])


def test_noise_that_is_none_gives_no_certainty(result, surface):
    found = nt.diagnose(result, surface, noise=0.0).uncertainty
    assert found.reason == "the noise is 0 for every quote."


def test_one_maturity_tells_no_long_run_variance(surface):
    mask = surface.mask & (np.arange(4) == 1)[:, None]
    one = nt.calibrate(nt.Heston, surface, engine=ENGINE, mask=mask)
    found = nt.diagnose(one, surface)
    assert found.identifiability.effective_rank < 5
    assert np.isnan(fit_measurements(found)["theta_over_long_variance"])


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
        "kappa and theta trade off: only kappa*theta is determined",
        "theta and kappa trade off: only theta*kappa is determined",
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
    for freedom in (1, 5, 300):
        assert quantile(0.9, freedom) == pytest.approx(stats.t.ppf(0.95, freedom), rel=1e-12)
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
    with pytest.raises(nt.ArgumentError, match="two series of one length"):
        nt.diebold_mariano(np.ones(3), np.ones(4))


def test_mean_s_interval():
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(9).gamma(2.0, size=200)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=3000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    np.testing.assert_allclose(nt.bootstrap_mean(values), theirs, atol=0.03)


def test_every_part_is_a_table(diagnosis, result, surface):
    assert list(diagnosis.to_frame()["parameter"]) == list(result.names)
    wider = diagnosis.uncertainty.to_frame(level=0.99)
    assert np.all(wider["low"] < diagnosis.to_frame()["low"])
    assert diagnosis.to_frame("residuals")["quotes"][0] == 64
    influence = diagnosis.influence.to_frame()
    assert len(influence) == 64 and influence["leverage"].sum() == pytest.approx(5.0, rel=1e-9)
    assert list(diagnosis.identifiability.to_frame()["singular_value"]) == list(
        diagnosis.identifiability.singular_values
    )
    with pytest.raises(nt.ArgumentError, match="part must be one of parameters, .*, got 'fit'"):
        diagnosis.to_frame("fit")


def test_residuals_without_bid_and_ask_say_so(surface):
    mids = nt.QuoteSurface.from_arrays(surface.t, surface.k, surface.prices)
    text = str(nt.diagnose(nt.calibrate(nt.Heston, mids, engine=ENGINE), mids).residuals)
    assert "no quote has both bid and ask" in text and "nan" not in text


def test_a_ladder_is_a_table_of_quotes(surface):
    numbers = np.arange(2.0 * surface.prices.size).reshape(2, *surface.prices.shape)
    parts = {"vols": numbers, "prices": 2 * numbers, "weights": 3 * numbers, "forwards": np.zeros((2, 4))}
    pair = Sensitivities(np.zeros(2), center={}, surface=surface, **parts)
    frame = pair.to_frame()
    np.testing.assert_array_equal(frame["d_price[1]"], 2 * numbers[1][surface.mask])
    np.testing.assert_array_equal(frame["k"], np.stack([surface.k] * 2)[surface.mask])
    parts = {name: part[0] for name, part in parts.items()}
    one = Sensitivities(np.zeros(()), center={}, surface=surface, **parts).to_frame()
    assert list(one) == ["kind", "maturity", "k", "d_vol", "d_price", "d_weight"]
