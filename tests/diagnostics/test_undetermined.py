"""Inputs that determine nothing: every part of the diagnostics says so, and none makes up a number."""

import numpy as np
import pytest
from synthetic import heston_surface

import neutral as nt
from neutral.diagnostics import (
    Candidate,
    criteria_of_losses,
    f_test,
    likelihood_ratio_test,
    local_level,
    log_score_weights,
    model_average,
    recommend,
    stability,
    stacking_weights,
    start_agreement,
)
from neutral.diagnostics.identifiability import from_jacobian
from neutral.diagnostics.uncertainty import inverse

NAN, INF = np.nan, np.inf
LOSSES = np.array([0.31, 0.74, 1.13, 0.52])
SINGULAR = np.ones((4, 3))


def gate(measure, number):
    return next(g for g in nt.evaluate_gates({measure: number}, "exotics") if g.measure == measure)


# part and input; a reason in words; what must be nan
TABLE = {
    "criteria, no loss": (lambda: criteria_of_losses([0.0, NAN], [1, 2], 9), "not finite", "aic bic hqic"),
    "criteria, two quotes": (lambda: criteria_of_losses([0.1], [1], 2), "too few", "aic aicc bic hqic"),
    "likelihood ratio, nan": (lambda: likelihood_ratio_test(NAN, -1.0, 1), "no finite", "probability"),
    "F, as many as parameters": (lambda: f_test(0.2, 0.1, 1, 5, 5), "leave no error", "probability"),
    "F, no error": (lambda: f_test(0.2, 0.0, 1, 2, 9), "leave no error", "probability"),
    "comparison, one day": (lambda: nt.diebold_mariano([1.0], [2.0]), "at least 3", "statistic"),
    "comparison, nan": (lambda: nt.diebold_mariano([NAN] * 9, LOSSES.repeat(3)[:9]), "at least 3", "mean"),
    "comparison, no variation": (
        lambda: nt.diebold_mariano(LOSSES, LOSSES - 0.1),
        "do not vary",
        "statistic probability",
    ),
    "mean, one day": (lambda: nt.bootstrap_mean([1.0]), "", "0 1"),
    "mean, no variation": (lambda: nt.bootstrap_mean([1.0, 1.0, NAN]), "", "0 1"),
    "stability, one day": (lambda: stability([0.3]), "at least 2", "roughness drift z_scores near_bound"),
    "stability, two days": (lambda: stability([0.3, 0.4]), "", "roughness drift z_scores"),
    "stability, even steps": (lambda: stability([0.1, 0.2, 0.3, 0.4]), "", "drift"),
    "stability, nothing moves": (lambda: stability([0.3] * 5), "", "roughness drift z_scores"),
    "stability, from zero": (lambda: stability([0.0, 0.1]), "", "relative_changes"),
    "starts, ends not finite": (
        lambda: start_agreement([[NAN], [NAN]], [1.0, 1.0]),
        "at least 2",
        "spread share",
    ),
    "level, one day": (lambda: local_level([0.3], 0.1), "at least 2", "smoothed state_variance"),
    "level, errors not known": (lambda: local_level([0.3, 0.4], NAN), "at least 2", "filtered innovations"),
    "recommendation, a perfect score": (
        lambda: recommend([Candidate("a", -INF), Candidate("b", 1.0)]),
        "is not known",
        "",
    ),
    "gate, infinite": (lambda: gate("feller_ratio", INF), "never passes", ""),
    "gate, one start": (lambda: gate("start_spread", NAN), "not a number", "number"),
    "Jacobian, nan": (
        lambda: from_jacobian(NAN * SINGULAR, np.ones(3), ("a", "b", "c")),
        "not finite",
        "condition_number",
    ),
    "Jacobian, zero": (
        lambda: from_jacobian(0.0 * SINGULAR, np.ones(3), ("a", "b", "c")),
        "no parameter",
        "condition_number",
    ),
    "Jacobian, one direction": (
        lambda: from_jacobian(SINGULAR, np.ones(3), ("a", "b", "c")),
        "",
        "correlation information",
    ),
    "covariance, singular": (lambda: inverse(SINGULAR.T @ SINGULAR), "", "0 1 2"),
    "walk forward, one day": (lambda: nt.walk_forward([nt.Heston], [heston_surface()]), "at least 2", ""),
}


@pytest.mark.parametrize("case", TABLE)
def test_nothing_is_made_up(case):
    make, why, unknown = TABLE[case]
    assert why or unknown, "a case must say what it expects"
    found = make()
    said = getattr(found, "reason", "") or " ".join(getattr(found, "reasons", ()))
    assert why in said
    for name in unknown.split():
        value = found[int(name)] if name.isdigit() else getattr(found, name)
        assert np.all(np.isnan(value)), name
    assert getattr(found, "outcome", "cannot be determined") == "cannot be determined"
    assert getattr(found, "model", None) is None


REFUSED = {
    "stacking, fewer quotes than models": (lambda: stacking_weights([[0.1, -0.1]]), "observations as models"),
    "stacking, no error": (lambda: stacking_weights(np.zeros((9, 2))), "every error is 0"),
    "log scores, infinite": (lambda: log_score_weights([[INF, 0.0]]), "complete observations as models"),
    "average, no weight": (lambda: model_average([1.0, 2.0], 0.1, [0.0, 0.0]), "weights must not be"),
    "average, no deviation": (lambda: model_average([1.0, 2.0], 0.0, 0.5), "deviations must be above 0"),
    "folds, one maturity": (
        lambda: nt.cross_validate([nt.Black], heston_surface(), folds=5, kind="expiries"),
        "5 groups of",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_compares_nothing_is_refused(case):
    make, why = REFUSED[case]
    with pytest.raises(nt.ArgumentError, match=why):
        make()
