"""The pipeline on three days of a generated chain whose truth and whose bad quotes are known."""

import json

import numpy as np
import pandas as pd
import pytest
from traces import programs
from worked_example import DAYS, NOISE, PLANTED, VIOLATED, chain

from neutral.calibration.batch import PROGRAMS
from neutral.calibration.calibrate import _solve
from neutral.diagnostics import linearisation
from neutral.shipped import sample_folder
from neutral.workflow.pipeline.config import PipelineConfig, load_pipeline_config
from neutral.workflow.pipeline.records import OF_A_FIT, Records
from neutral.workflow.pipeline.run import pipeline_files, run_market, run_pipeline
from neutral.workflow.pipeline.stages import STAGES

CONFIG = load_pipeline_config("heston_index")
GATES = {
    "preprocess": ["removed_share", "butterfly_share", "iv_failure_share", "largest_iv", "smallest_iv"]
    + ["least_open_interest"],
    "configure": ["v0_bound_ratio", "least_quotes_per_maturity", "weight_ratio"],
    "optimise": ["converged", "hit_max_steps", "simpler_model", "seconds", "starts_converged"],
    "validate": ["iv_rmse_bp", "iv_rmse_bp", "worst_maturity_iv_rmse_bp", "parameters_at_bound"]
    + ["feller_ratio", "kappa_change", "rho_change", "systematic_residuals", "v0_over_short_variance"]
    + ["theta_over_long_variance", "kappa", "sigma_v", "rho", "start_spread", "condition_number"]
    + ["fold_variation", "feller_ratio", "price_error"],
    "store": ["write_failures", "missing_fields", "clock_skew_seconds"],
}

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("pipeline")]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("pipeline")
    return run_pipeline(pipeline_files([], CONFIG), out, CONFIG), out


def test_the_shipped_chains_are_the_generated_ones():
    for date in DAYS:
        shipped = pd.read_csv(sample_folder("index") / f"spx_{date.replace('-', '')}.csv")
        made = chain(date)
        pd.testing.assert_frame_equal(shipped, made, check_exact=False, rtol=1e-9, check_dtype=False)


def test_planted_violations_are_refused_and_nothing_else(done):
    (first, second, third), _ = done[0]
    assert len(first.rejected) == len(second.rejected) == 0
    quotes = chain(VIOLATED)
    places = [
        int(
            np.flatnonzero(np.isclose(quotes["strike"], row.strike) & np.isclose(quotes["T"], row.maturity))[
                0
            ]
        )
        for row in third.rejected.itertuples()
    ]
    assert sorted(places) == sorted(PLANTED)
    for place, reason in zip(places, third.rejected["reason"], strict=True):
        assert PLANTED[place] in reason
    assert third.record["n_options"] == 128


def test_fits_are_at_the_noise_floor_and_know_how_well(done):
    """The truth is within four standard errors; of later days the way from yesterday's fit to the truth."""
    before = None
    for run, (_, truth) in zip(done[0].runs, DAYS.values(), strict=True):
        record = run.record
        assert record["converged"] and 0.85 * NOISE < record["iv_rmse"] < 1.15 * NOISE
        for name, value in record["parameters"].items():
            true, reach = float(getattr(truth, name)), 4.0 * record["standard_errors"][name]
            ends = sorted((true, before["parameters"][name] if before else true))
            assert ends[0] - reach < value < ends[1] + reach
        before = record


def test_every_stage_is_timed_and_judged(done):
    for run in done[0].runs:
        assert [stage.name for stage in run.stages] == list(STAGES)
        assert all(stage.seconds > 0.0 and not stage.reason for stage in run.stages)
        for stage in run.stages:
            assert [gate.measure for gate in stage.gates] == GATES[stage.name]
    first, second, third = (run.outcome for run in done[0].runs)
    assert (first, second, third) == ("cannot be determined", "pass", "warn")
    unknown = [g for s in done[0].runs[0].stages for g in s.gates if g.outcome == "cannot be determined"]
    assert [gate.measure for gate in unknown] == ["kappa_change", "rho_change"]
    assert all("for lack of an earlier fit" in gate.reason for gate in unknown)


def test_records_are_complete_and_come_back(done):
    (runs, history), out = done
    assert [one["timestamp"][:10] for one in history] == list(DAYS)
    for run, stored in zip(runs, Records(out).history(), strict=True):
        assert stored == json.loads(json.dumps(dict(run.record)))
        assert all(stored[name] is not None for name in OF_A_FIT)
        assert np.shape(stored["covariance"]) == (5, 5)
        assert stored["half_life"] == pytest.approx(np.log(2.0) / stored["parameters"]["kappa"])
    (refused,) = out.glob("records/*.refused.csv")
    assert len(pd.read_csv(refused)["reason"].dropna()) == len(PLANTED)
    table = pd.read_csv(out / "records.csv")
    assert table["kappa"].tolist() == [one["parameters"]["kappa"] for one in history]
    assert {"kappa_se", "condition_number", "sha256", "config_hash", "outcome"} <= set(table)


def test_a_later_day_is_pulled_to_the_one_before_and_compiles_nothing(done, tmp_path):
    runs, _ = done[0]
    assert runs[0].record["prior_loss"] == 0.0 < runs[1].record["prior_loss"]
    functions = (_solve, linearisation._linearise)
    before = [programs(function) for function in functions]
    batches = len(PROGRAMS)
    again = run_pipeline(pipeline_files([], CONFIG), tmp_path, CONFIG)
    assert [run.record["parameters"] for run in again.runs] == [run.record["parameters"] for run in runs]
    assert [programs(function) for function in functions] == before
    assert len(PROGRAMS) == batches


def test_the_last_markets_stay_in_memory(done, tmp_path):
    files = pipeline_files([], CONFIG)
    short = run_pipeline(files, tmp_path, CONFIG, keep=1).runs
    assert [run.diagnosis is not None for run in short] == [False, False, True]
    assert [run.outcome for run in short] == [run.outcome for run in done[0].runs]


def test_a_full_disk_fails_the_stage_and_not_the_fit(done, tmp_path, monkeypatch):
    records = Records(tmp_path)

    def full(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("neutral.durable._write", full)
    run = run_market(done[0].runs[-1].market, CONFIG, records)
    assert run.record["converged"] and run.outcome == "fail"
    assert "No space left on device" in run.stages[-1].reason and "cannot write" in run.stages[-1].reason


def test_too_few_quotes_for_the_folds_are_told(done, tmp_path):
    market = done[0].runs[-1].market
    few = PipelineConfig.model_validate(CONFIG.model_dump() | {"validation": {"folds": 120}})
    gates = {gate.measure: gate for gate in run_market(market, few, Records(tmp_path)).stages[3].gates}
    assert gates["fold_variation"].outcome == "cannot be determined"
    assert "for lack of quotes" in gates["fold_variation"].reason
