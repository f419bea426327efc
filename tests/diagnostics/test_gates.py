"""Every limit crossed once, by a hair; what is not measured never passes."""

import math

import numpy as np
import pytest
from synthetic import heston_surface

import neutral as nt
from neutral.diagnostics import fit_measurements, load_limits, worst_outcome

# set, measurement, number that keeps the limit, number that breaks it, outcome then, and its reason
TABLE = [
    ("quotes", "removed_share", 0.15, 0.151, "warn", "at most 0.15: cleaning removes so many"),
    ("quotes", "butterfly_share", 0.05, 0.051, "warn", "at most 0.05: the quotes of a maturity contradict"),
    ("quotes", "iv_failure_share", 0.03, 0.031, "warn", "at most 0.03: prices lie outside of their bounds"),
    ("quotes", "largest_iv", 1.0, 1.01, "warn", "at most 1: a volatility this high"),
    ("quotes", "smallest_iv", 0.02, 0.019, "warn", "at least 0.02: a volatility this low"),
    ("objective", "v0_bound_ratio", 2.0, 1.9, "warn", "between 2 and 10: the bounds of spot variance"),
    ("objective", "v0_bound_ratio", 10.0, 10.1, "warn", "between 2 and 10: the bounds of spot variance"),
    ("objective", "least_quotes_per_maturity", 5, 4, "warn", "at least 5: a maturity has too few quotes"),
    ("objective", "weight_ratio", 50.0, 50.1, "warn", "at most 50: one quote decides the fit"),
    ("search", "converged", 1, 0, "fail", "at least 1: the fit is not at a stationary point"),
    ("search", "hit_max_steps", 0, 1, "fail", "at most 0: the search ran out of steps"),
    ("search", "simpler_model", 0, 1, "warn", "at most 0: the model that was asked for has not converged"),
    ("search", "local_gain", 0.01, 0.009, "warn", "at least 0.01: the local stage improves next to nothing"),
    ("search", "seconds", 120.0, 121.0, "warn", "at most 120: the fit takes too long"),
    ("fit", "iv_rmse_bp", 14.9, 50.1, "fail", "at most 50: the fit is too coarse for any use"),
    ("fit", "worst_maturity_iv_rmse_bp", 80.0, 80.1, "fail", "at most 80: the model misses a maturity"),
    ("fit", "parameters_at_bound", 0, 1, "warn", "at most 0: the model is too poor"),
    ("fit", "feller_ratio", 0.3, 0.29, "warn", "at least 0.3: variance clings to zero"),
    ("fit", "kappa_change", 0.5, 0.745, "warn", "at most 0.5: kappa jumps from day to day"),
    ("fit", "rho_change", 0.15, 0.151, "warn", "at most 0.15: the skew jumps"),
    ("fit", "systematic_residuals", 0, 1, "warn", "at most 0: the residuals have a shape"),
    ("plausibility", "v0_over_short_variance", 2.0, 2.1, "warn", "between 0.5 and 2: spot variance is far"),
    ("plausibility", "theta_over_long_variance", 0.5, 0.4, "warn", "between 0.5 and 2: long-run variance"),
    ("plausibility", "kappa", 5.0, 5.1, "warn", "between 0.5 and 5: mean reversion is out"),
    ("plausibility", "kappa", 0.5, 0.49, "warn", "between 0.5 and 5: mean reversion is out"),
    ("plausibility", "sigma_v", 1.5, 1.51, "warn", "between 0.1 and 1.5: volatility of variance"),
    ("plausibility", "sigma_v", 0.1, 0.09, "warn", "between 0.1 and 1.5: volatility of variance"),
    ("plausibility", "rho", -0.9, -0.91, "warn", "between -0.9 and -0.3: the correlation is out"),
    ("plausibility", "rho", -0.3, -0.29, "warn", "between -0.9 and -0.3: the correlation is out"),
    ("storage", "write_failures", 0, 1, "fail", "at most 0: a record was not stored"),
    ("storage", "missing_fields", 0, 1, "fail", "at most 0: a stored record is not complete"),
    ("storage", "clock_skew_seconds", 1.0, 1.1, "fail", "at most 1: the order of the records"),
    ("heston", "starts_converged", 1, 0, "fail", "at least 1: no start has led to a fit"),
    ("heston", "least_open_interest", 101, 100, "warn", "above 100: quotes with little open interest"),
    ("heston", "start_spread", 0.049, 0.05, "fail", "below 0.05: starts end in different places"),
    ("heston", "condition_number", 199.0, 200.0, "warn", "below 200: some combination of parameters"),
    ("heston", "fold_variation", 0.29, 0.3, "warn", "below 0.3: the error depends on which quotes"),
    ("heston", "feller_ratio", 1.0, 0.99, "warn", "at least 1: variance can reach zero"),
    ("heston", "price_error", 0.019, 0.02, "fail", "below 0.02: liquid options are mispriced"),
    ("sabr", "converged", 1, 0, "fail", "at least 1: the fit is not at a stationary point"),
    ("sabr", "iv_rmse_bp", 49.9, 50.0, "fail", "below 50: the smile is not met"),
    ("sabr", "parameter_change", 0.19, 0.2, "fail", "below 0.2: the parameters jump"),
    ("sabr", "arbitrage_violations", 0, 1, "fail", "at most 0: the smile admits arbitrage"),
    ("sabr", "milliseconds_per_pair", 499.0, 500.0, "warn", "below 500: the fit of a pair takes too long"),
    ("sabr", "failure_rate", 0.009, 0.01, "warn", "below 0.01: too many fits fail"),
    ("segments", "least_forward_variance", 1e-6, 0.0, "fail", "above 0: the variance of a segment"),
    ("segments", "least_total_variance_step", 1e-6, 0.0, "fail", "above 0: total variance does not rise"),
    ("segments", "segment_jump", 0.3, 0.31, "fail", "at most 0.3: neighbouring segments"),
    ("segments", "least_segment_feller_ratio", 1.0, 0.9, "warn", "at least 1: variance can reach zero in a"),
    ("slv", "converged", 1, 0, "fail", "at least 1: the fit is not at a stationary point"),
]
USES = {"market_making": 15.0, "vanilla_hedging": 30.0, "exotics": 50.0}


def gates_of(limits, measure, number):
    """By name, the gates of one measurement."""
    gates = nt.evaluate_gates({measure: number}, "market_making", sets=[limits])
    return {gate.name: gate for gate in gates if gate.measure == measure}


@pytest.mark.parametrize("limits, measure, keeps, breaks, outcome, reason", TABLE)
def test_each_limit_is_kept_and_broken(limits, measure, keeps, breaks, outcome, reason):
    before, after = (gates_of(limits, measure, x) for x in (keeps, breaks))
    assert {gate.outcome for gate in before.values()} == {"pass"}
    told = [gate for gate in after.values() if f"{measure} is {breaks:.6g}, but it must" in gate.reason]
    assert [gate.outcome for gate in told if reason in gate.reason] == [outcome]


@pytest.mark.parametrize("use, limit", USES.items())
@pytest.mark.parametrize("limits", ["fit", "slv"])
def test_errors_are_held_against_the_use(use, limit, limits):
    for number, outcome in ((limit - 0.1, "pass"), (limit, "fail")):
        gates = nt.evaluate_gates({"iv_rmse_bp": number}, use, sets=limits)
        (gate,) = [gate for gate in gates if gate.name == "volatility error for the use"]
        assert gate.outcome == outcome and f"must be below {limit:g}" in gate.reason
    assert str(gate).startswith(
        f"fail: volatility error for the use: iv_rmse_bp is {limit:g}, but it must be below"
    )


def test_the_table_has_every_limit():
    crossed = {row[:2] for row in TABLE} | {("fit", "iv_rmse_bp"), ("slv", "iv_rmse_bp")}
    assert {(limit.set, limit.measure) for limit in load_limits()} == crossed


def test_what_is_not_measured_never_passes():
    names = {limit.measure for limit in load_limits()}
    for measurements, words in (({}, "is not measured"), (dict.fromkeys(names, math.nan), "is not a number")):
        gates = nt.evaluate_gates(measurements, "exotics")
        assert len(gates) == len(load_limits())
        assert {gate.outcome for gate in gates} == {"cannot be determined"}
        assert all(words in gate.reason for gate in gates)


def test_the_gravest_outcome_counts():
    gates = nt.evaluate_gates({"kappa": 1.0, "sigma_v": 9.0}, "exotics", sets=["plausibility"])
    assert worst_outcome(gates) == "cannot be determined"
    by_measure = {gate.measure: gate for gate in gates}
    assert worst_outcome([by_measure["kappa"], by_measure["sigma_v"]]) == "warn"
    assert worst_outcome([by_measure["kappa"]]) == "pass"
    assert worst_outcome([]) == "cannot be determined"
    broken = nt.evaluate_gates({"converged": 0.0}, "exotics", sets=["search"])
    assert worst_outcome(broken) == "fail"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ({}, "hedging"),
            "there is no application hedging; accepted: exotics, market_making, vanilla_hedging",
        ),
        (({"iv_rmse": 1.0}, "exotics"), "there is no measurement iv_rmse; accepted: .*iv_rmse_bp"),
    ],
)
def test_unknown_names_are_refused(arguments, message):
    with pytest.raises(nt.ArgumentError, match=message):
        nt.evaluate_gates(*arguments)
    with pytest.raises(nt.ArgumentError, match="there is no set fx"):
        nt.evaluate_gates({}, "exotics", sets=["fx"])


GATE = '[[gate]]\nset = "own"\nname = "x"\nmeasure = "x"\nmeaning = "too much"\n'


def test_limits_of_one_s_own(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(GATE + 'otherwise = "warn"\nat_most = 3\n')
    (gate,) = nt.evaluate_gates({"x": 4.0, "kappa": 1.0}, "exotics", limits=load_limits(file))
    assert gate.outcome == "warn" and gate.reason == "x is 4, but it must be at most 3: too much"


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "has no \\[\\[gate\\]\\]"),
        ("gate = 1", "has no \\[\\[gate\\]\\]"),
        ("[[gate", "cannot be read"),
        (GATE + 'otherwise = "warn"\n', "gate 1: needs .* and one of below"),
        (GATE + 'otherwise = "warn"\nat_most = 1\nbelow = 2\n', "and one of below"),
        (GATE + 'otherwise = "pass"\nat_most = 1\n', "otherwise must be 'warn' or 'fail'"),
        (GATE + 'otherwise = "warn"\nat_most = "1"\n', "at_most must be a finite number"),
        (GATE + 'otherwise = "warn"\nat_most = nan\n', "at_most must be a finite number"),
        (GATE + 'otherwise = "warn"\nat_most = 1' + "0" * 400, "at_most must be a finite number"),
        (GATE + 'otherwise = "warn"\nbetween = [2, 1]\n', "between: two, in order"),
        (
            GATE + 'otherwise = "warn"\nbelow = { exotics = 1 }\n',
            "a table with one for each of market_making",
        ),
        (GATE.replace('"x"', "1", 1) + 'otherwise = "warn"\nat_most = 1\n', "must be text"),
    ],
)
def test_a_faulty_file_is_refused(text, message, tmp_path):
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(nt.DataError, match=message):
        load_limits(tmp_path / "own.toml")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(nt.DataError, match="cannot be read"):
        load_limits(tmp_path / "none.toml")


@pytest.mark.slow
def test_measurements_of_a_fit():
    surface, engine = heston_surface(), nt.Lewis(48)
    found = fit_measurements(nt.diagnose(nt.calibrate(nt.Heston, surface, engine=engine), surface))
    assert set(found) <= {limit.measure for limit in load_limits()}
    scale = np.asarray(np.maximum(surface.spread, 0.01 * surface.vol * surface.vega))[
        np.asarray(surface.train)
    ]
    assert found["weight_ratio"] == pytest.approx(float(np.max(scale**-2) / np.median(scale**-2)))
    assert found["converged"] == 1.0 and found["hit_max_steps"] == 0.0
    assert found["iv_rmse_bp"] < 0.1 and found["worst_maturity_iv_rmse_bp"] >= found["iv_rmse_bp"]
    assert found["least_quotes_per_maturity"] == 16 and found["parameters_at_bound"] == 0
    assert found["kappa"] == pytest.approx(1.8, rel=1e-3) and found["rho"] == pytest.approx(-0.6, rel=1e-3)
    assert found["feller_ratio"] == pytest.approx(2 * 1.8 * 0.07 / 0.7**2, rel=1e-3)
    long = np.asarray(surface.stdev)[-1] ** 2 / np.asarray(surface.t)[-1]
    assert found["theta_over_long_variance"] == pytest.approx(0.07 / long, rel=1e-3)
    few = surface.mask & (np.arange(8) < 2) & (np.arange(4) < 2)[:, None]
    short = nt.calibrate(nt.Heston, surface, engine=engine, mask=few)
    found = fit_measurements(nt.diagnose(short, surface))
    assert found["least_quotes_per_maturity"] == 4
