"""What is done where a fit fails, step by step; calibration itself is played."""

from types import SimpleNamespace

import numpy as np
import pytest

from neutral.calibration import AdamLBFGS, CalibrationStatus, LevenbergMarquardt
from neutral.errors import NeutralError
from neutral.models import Bates, Black, Heston
from neutral.workflow.pipeline import runbook
from neutral.workflow.pipeline.config import PipelineConfig

STATUS = CalibrationStatus
CONFIG = PipelineConfig(model="bates", simpler=["heston", "black"])
OPTIONS = {"loss": None, "prior": None, "bounds": {}, "on_degenerate": "keep", "starts": []}
SETUP = runbook.Setup(surface=None, options=dict.fromkeys(("bates", "heston", "black"), OPTIONS), before={})  # pyright: ignore


def play(monkeypatch, *outcomes):
    """Fits that end as told, one after another; what each was asked for."""
    asked, left = [], list(outcomes)

    def calibrate(recipe, surface, **options):
        asked.append((recipe, options))
        outcome = left.pop(0) if left else STATUS.max_steps
        if isinstance(outcome, Exception):
            raise outcome
        return SimpleNamespace(
            status=outcome, converged=outcome == STATUS.converged, steps=7, loss=np.float64(0.5), model=recipe
        )

    monkeypatch.setattr(runbook, "calibrate", calibrate)
    return asked


def test_a_fit_that_converges_ends_it(monkeypatch):
    asked = play(monkeypatch, STATUS.converged)
    fitted = runbook.fit(CONFIG, SETUP)
    assert len(asked) == 1 and fitted.model == "bates" and np.isnan(fitted.global_loss)
    assert fitted.log[0].startswith("as configured: bates: converged after 7 steps")


def test_every_step_is_taken_in_order_and_logged(monkeypatch):
    asked = play(monkeypatch, *[STATUS.stalled] * 5, STATUS.converged)
    fitted = runbook.fit(CONFIG, SETUP)
    assert [line.split(":")[0] for line in fitted.log] == [
        "as configured", "new starts", "more steps", "other solver", "simpler model", "simpler model",
    ]  # fmt: skip
    assert [recipe for recipe, _ in asked] == [Bates] * 4 + [Heston, Black]
    plain, anew, longer, other, *_ = (options for _, options in asked)
    assert plain["search"].explore is None and anew["search"].explore is not None
    assert isinstance(longer["solver"], LevenbergMarquardt)
    assert longer["solver"].max_steps == 10 * plain["solver"].max_steps
    assert isinstance(other["solver"], AdamLBFGS)
    assert fitted.model == "black" and fitted.result.converged


def test_what_never_converges_goes_to_people(monkeypatch):
    play(monkeypatch)
    fitted = runbook.fit(CONFIG, SETUP)
    assert not fitted.result.converged and fitted.model == "bates"
    assert fitted.log[-1] == runbook.ESCALATE and len(fitted.log) == 7


def test_bad_quotes_are_not_tried_again(monkeypatch):
    asked = play(monkeypatch, STATUS.bad_quotes)
    fitted = runbook.fit(CONFIG, SETUP)
    assert len(asked) == 1 and "bad_quotes" in fitted.log[0] and fitted.log[-1] == runbook.ESCALATE


def test_an_attempt_that_raises_is_logged_and_the_next_one_made(monkeypatch):
    play(monkeypatch, NeutralError("bounds are empty"), STATUS.converged)
    fitted = runbook.fit(CONFIG, SETUP)
    assert fitted.log[0] == "as configured: bates: bounds are empty" and fitted.result.converged
    play(monkeypatch, *[NeutralError("bounds are empty")] * 6)
    with pytest.raises(NeutralError, match="as configured: bates: bounds are empty; new starts.*escalate"):
        runbook.fit(CONFIG, SETUP)


def test_a_global_stage_comes_first_and_its_end_is_a_start(monkeypatch):
    config = PipelineConfig.model_validate(CONFIG.model_dump() | {"search": {"explore": "quasi_random"}})
    asked = play(monkeypatch, STATUS.max_steps, STATUS.converged)
    fitted = runbook.fit(config, SETUP)
    (_, wide), (_, local) = asked
    assert wide["search"].explore is not None and wide["solver"].max_steps == 1
    assert local["search"].explore is None and local["starts"] == [Bates]
    assert fitted.global_loss == 0.5
