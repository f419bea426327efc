"""Criteria, tests, averages and recommendations of models against statsmodels, SciPy and arithmetic."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

import neutral as nt
from neutral.diagnostics import (
    Candidate,
    criteria_of_losses,
    f_test,
    information_criteria,
    likelihood_ratio_test,
    log_score_weights,
    model_average,
    pseudo_bma_weights,
    recommend,
    stacking_weights,
)

KINDS = ("aic", "aicc", "bic", "hqic")


@pytest.fixture(scope="module")
def regressions():
    """Two nested regressions, one with a column that does nothing."""
    api = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(3)
    x = np.column_stack([np.ones(40), rng.standard_normal((40, 3))])
    y = x[:, :3] @ [1.0, 0.5, 0.1] + 0.3 * rng.standard_normal(40)
    return api.OLS(y, x[:, :3]).fit(), api.OLS(y, x).fit()


def test_criteria_are_statsmodels(regressions):
    likelihoods = [fit.llf for fit in regressions]
    counts = [3, 4]
    found = information_criteria(likelihoods, counts, 40)
    from_losses = criteria_of_losses([fit.ssr / 40 for fit in regressions], counts, 40)
    for kind in KINDS:
        theirs = [fit.info_criteria(kind) for fit in regressions]
        np.testing.assert_allclose(getattr(found, kind), theirs, rtol=1e-12)
        with_scale = [fit.info_criteria(kind, dk_params=1) for fit in regressions]
        np.testing.assert_allclose(getattr(from_losses, kind), with_scale, rtol=1e-12)


def test_nested_tests_are_statsmodels(regressions):
    small, large = regressions
    statistic, probability, _ = large.compare_f_test(small)
    found = f_test(small.ssr / 40, large.ssr / 40, 1, 4, 40)
    assert found[::2] == pytest.approx((statistic, probability), rel=1e-10) and found.freedom == (1, 36)
    statistic, probability, _ = large.compare_lr_test(small)
    found = likelihood_ratio_test(small.llf, large.llf, 1)
    assert found[::2] == pytest.approx((statistic, probability), rel=1e-10) and found.freedom == (1,)


def test_weights_are_those_of_burnham_and_anderson():
    # deltas 0, 2, 4, 8: exp(-delta/2) over its sum
    found = information_criteria([-10.0, -10.0, -10.0, -10.0], [1, 2, 3, 5], 1000, "abcd")
    np.testing.assert_allclose(found.deltas("aic"), [0.0, 2.0, 4.0, 8.0], atol=1e-12)
    raw = np.exp([0.0, -1.0, -2.0, -4.0])
    np.testing.assert_allclose(found.weights("aic"), raw / raw.sum(), rtol=1e-12)
    assert [row["model"] for row in found.rows()] == list("abcd") and "aicc" in str(found)
    refusals = (nt.ArgumentError, TypeCheckError)  # the runtime type checker refuses first
    with pytest.raises(refusals, match="criterion must be one of 'aic'|parameter 'criterion'"):
        found.weights("dic")  # pyright: ignore[reportArgumentType]


def test_too_few_observations_determine_nothing():
    found = criteria_of_losses([0.1, 0.05, 0.0], [1, 3, 1], 5)
    assert found.reasons[0] == ""
    assert found.reasons[1] == "5 observations are too few for 4 parameters; at least 6 are needed."
    assert "not finite" in found.reasons[2]
    assert np.all(np.isnan([getattr(found, kind)[1:] for kind in KINDS]))
    np.testing.assert_array_equal(found.weights(), [1.0, np.nan, np.nan])
    assert "1 (4 parameters): cannot be determined" in str(found)
    with pytest.raises(nt.ArgumentError, match="must have one length"):
        information_criteria([1.0, 2.0], [1], 10)
    for test, why in (
        (f_test(1.0, 0.5, 1, 5, 5), "leave no error"),
        (f_test(0.5, 1.0, 1, 2, 9), "fits worse"),
        (likelihood_ratio_test(-1.0, -2.0, 1), "fits worse"),
        (likelihood_ratio_test(-2.0, -1.0, 0), "at least 1 additional parameter"),
        (likelihood_ratio_test(np.nan, -1.0, 1), "no finite likelihood"),
    ):
        assert why in test.reason and np.isnan(test.probability)


def test_stacking_is_the_quadratic_program():
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(5)
    common = rng.standard_normal((200, 1))
    errors = 0.01 * (common + rng.standard_normal((200, 4)) * [1.0, 0.8, 2.0, 0.9] + [0.0, 0.5, 0.0, -0.5])
    theirs = optimize.minimize(
        lambda w: np.mean((1e2 * errors @ w) ** 2),
        np.full(4, 0.25),
        method="SLSQP",
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0},
        options={"ftol": 1e-15},
    )
    np.testing.assert_allclose(stacking_weights(errors), theirs.x, atol=1e-5)


def test_stacking_of_independent_errors_weighs_by_inverse_variance():
    # orthogonal errors of mean squares 1, 4, 16: weights 16 : 4 : 1
    errors = np.kron(np.diag([1.0, 2.0, 4.0]), [[1.0], [-1.0]])
    gap = np.array([[np.nan, 1.0, 1.0]])
    found = stacking_weights(np.vstack([errors, gap]))
    np.testing.assert_allclose(found, np.array([16.0, 4.0, 1.0]) / 21.0, rtol=1e-12)
    with pytest.raises(
        nt.ArgumentError, match="as many complete observations as models, got .* for 3 models"
    ):
        stacking_weights(gap)


def test_log_scores_recover_the_shares_of_a_mixture():
    # each observation is possible under one model alone, so the shares themselves are the optimum
    which = np.repeat([0, 1, 2], [50, 30, 20])
    log_density = np.where(which[:, None] == np.arange(3), 0.0, -np.inf)
    unknown = np.array([[np.nan, 0.0, 0.0]])
    impossible = np.full((1, 3), -np.inf)
    found = log_score_weights(np.vstack([log_density, unknown, impossible]))
    np.testing.assert_allclose(found, [0.5, 0.3, 0.2], atol=1e-9)
    np.testing.assert_array_equal(pseudo_bma_weights([[0.0, -np.inf], [0.0, 0.0]]), [1.0, 0.0])
    with pytest.raises(nt.ArgumentError, match="every model rules some observation out"):
        pseudo_bma_weights(log_density)


def test_log_scores_meet_the_optimality_conditions():
    log_density = np.random.default_rng(6).standard_normal((100, 3)) + [0.0, 0.2, -3.0]
    weights = log_score_weights(log_density)
    density = np.exp(log_density)
    slope = np.mean(density / (density @ weights)[:, None], axis=0)
    assert slope.max() == pytest.approx(1.0, abs=1e-8) and weights.sum() == pytest.approx(1.0)
    assert np.all((weights < 1e-6) | (np.abs(slope - 1.0) < 1e-6))
    total = log_density.sum(axis=0)
    ratio = pseudo_bma_weights(log_density)
    assert np.log(ratio[0] / ratio[1]) == pytest.approx(total[0] - total[1])


def test_average_is_the_mixture():
    stats = pytest.importorskip("scipy.stats")
    mean, low, high = model_average(np.array([[0.0, 3.0]]), [1.0, 0.5], [0.25, 0.75], level=0.8)
    assert mean == pytest.approx([2.25])
    for end, share in ((low, 0.1), (high, 0.9)):
        mass = 0.25 * stats.norm.cdf(end) + 0.75 * stats.norm.cdf(end, 3.0, 0.5)
        assert mass == pytest.approx([share], abs=1e-12)
    with pytest.raises(nt.ArgumentError, match="deviations must be above 0"):
        model_average([0.0], [0.0], [1.0])


HESTON = Candidate("heston", -900.0, 0.2, 0.006, 0.01, 1.0, 0.1)
SVCJ = Candidate("svcj", -1000.0, 0.6, 0.004, 0.04, 0.8, 0.9)


def test_recommendation_weighs_five_criteria():
    found = recommend([HESTON, SVCJ])
    assert found.model == "heston" and len(found.reasons) == 6
    assert {name: list(rank) for name, rank in found.ranks.items()} == {
        "parsimony": [2, 1],
        "stability": [1, 2],
        "generalisation": [2, 1],
        "speed": [1, 2],
        "parameter risk": [1, 2],
    }
    assert "speed: seconds per converged fit heston 0.01, svcj 0.05" in found.reasons
    assert found.reasons[-1] == "mean rank over 5 of 5 criteria: heston 1.4, svcj 1.6"
    assert str(found).startswith("recommended: heston:") and found.rows()[1]["stability"] == 2


def test_recommendation_leaves_out_what_is_not_known():
    found = recommend([HESTON._replace(roughness=np.nan), SVCJ])
    assert "stability" not in found.ranks
    assert (
        "stability: cannot be determined, the roughness of the parameters of heston is not known"
        in found.reasons
    )
    assert found.model == "svcj" and "tied, svcj has the least out-of-sample error" in found.reasons[-1]
    nothing = recommend([Candidate("a"), Candidate("b")])
    assert nothing.model is None and nothing.reasons[-1] == "no criterion is known for all models"
    level = recommend(
        [Candidate("a", seconds=1.0, converged=1.0), Candidate("b", seconds=1.0, converged=1.0)]
    )
    assert level.model is None and "do not decide" in level.reasons[-1]
    stuck = recommend([HESTON, SVCJ._replace(converged=0.0)])
    assert "svcj inf" in stuck.reasons[3]
    with pytest.raises(nt.ArgumentError, match="two or more models of different names"):
        recommend([HESTON, HESTON])
