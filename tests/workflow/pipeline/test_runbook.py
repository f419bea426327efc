"""What is tried when a fit fails, step by step, with a replaced `calibrate`."""

import jax.numpy as jnp
import numpy as np
import pytest

from neutral.calibration import AdamLBFGS, CalibrationResult, CalibrationStatus, LevenbergMarquardt
from neutral.errors import NeutralError
from neutral.models import Bates, Black, Heston
from neutral.quotes.surface import QuoteSurface
from neutral.workflow.pipeline import runbook
from neutral.workflow.pipeline.config import PipelineConfig

STATUS = CalibrationStatus
CONFIG = PipelineConfig(model="bates", simpler=["heston", "black"])
OPTIONS = {"loss": None, "prior": None, "bounds": {}, "on_degenerate": "keep", "starts": []}
SURFACE = object.__new__(QuoteSurface)  # the replaced `calibrate` does not look at it
SETUP = runbook.Setup(SURFACE, options=dict.fromkeys(("bates", "heston", "black"), OPTIONS), before={})


def result_of(status, model):
    """A result with a status and nothing else that the pipeline reads."""
    result = object.__new__(CalibrationResult)
    fields = {"model": model, "status": jnp.asarray(int(status)), "steps": 7, "loss": np.float64(0.5)}
    for name, value in fields.items():
        object.__setattr__(result, name, value)
    return result


def play(monkeypatch, *outcomes):
    """Replace calibration: the calls end with the outcomes in order. Returns the list of their arguments."""
    calls = []
    left = list(outcomes)

    def calibrate(recipe, surface, **options):
        calls.append((recipe, options))
        outcome = left.pop(0) if left else STATUS.max_steps
        if isinstance(outcome, Exception):
            raise outcome
        return result_of(outcome, recipe)

    monkeypatch.setattr(runbook, "calibrate", calibrate)
    return calls


def test_a_fit_that_converges_ends_it(monkeypatch):
    calls = play(monkeypatch, STATUS.converged)
    accepted = runbook.fit(CONFIG, SETUP)
    assert len(calls) == 1 and accepted.model == "bates" and np.isnan(accepted.global_loss)
    assert accepted.log[0].startswith("as configured: bates: converged after 7 steps")


def test_every_step_is_taken_in_order_and_logged(monkeypatch):
    calls = play(monkeypatch, *[STATUS.stalled] * 5, STATUS.converged)
    accepted = runbook.fit(CONFIG, SETUP)
    assert [line.split(":")[0] for line in accepted.log] == [
        "as configured",
        "new starts",
        "more steps",
        "other solver",
        "simpler model",
        "simpler model",
    ]
    assert [recipe for recipe, _ in calls] == [Bates] * 4 + [Heston, Black]
    plain, anew, longer, other, *_ = (options for _, options in calls)
    assert plain["search"].explore is None and anew["search"].explore is not None
    assert isinstance(longer["solver"], LevenbergMarquardt)
    assert longer["solver"].max_steps == 10 * plain["solver"].max_steps
    assert isinstance(other["solver"], AdamLBFGS)
    assert accepted.model == "black" and accepted.result.converged


def test_what_never_converges_goes_to_people(monkeypatch):
    play(monkeypatch)
    accepted = runbook.fit(CONFIG, SETUP)
    assert not accepted.result.converged and accepted.model == "bates"
    assert accepted.log[-1] == runbook.ESCALATE and len(accepted.log) == 7


def test_bad_quotes_are_not_tried_again(monkeypatch):
    calls = play(monkeypatch, STATUS.bad_quotes)
    accepted = runbook.fit(CONFIG, SETUP)
    assert len(calls) == 1 and "bad_quotes" in accepted.log[0] and accepted.log[-1] == runbook.ESCALATE


def test_an_attempt_that_raises_is_logged_and_the_next_one_made(monkeypatch):
    play(monkeypatch, NeutralError("bounds are empty"), STATUS.converged)
    accepted = runbook.fit(CONFIG, SETUP)
    assert accepted.log[0] == "as configured: bates: bounds are empty" and accepted.result.converged
    play(monkeypatch, *[NeutralError("bounds are empty")] * 6)
    with pytest.raises(NeutralError, match="as configured: bates: bounds are empty; new starts.*escalate"):
        runbook.fit(CONFIG, SETUP)


def test_a_global_stage_comes_first_and_its_end_is_a_start(monkeypatch):
    config = PipelineConfig.model_validate(CONFIG.model_dump() | {"search": {"explore": "quasi_random"}})
    calls = play(monkeypatch, STATUS.max_steps, STATUS.converged)
    accepted = runbook.fit(config, SETUP)
    (_, wide), (_, local) = calls
    assert wide["search"].explore is not None and wide["solver"].max_steps == 1
    assert local["search"].explore is None and local["starts"] == [Bates]
    assert accepted.global_loss == 0.5
