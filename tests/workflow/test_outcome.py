"""Statuses in tables of results: those of fits are distinct from those of snapshots."""

import pandas as pd

from neutral.calibration import CalibrationStatus
from neutral.workflow import summarise
from neutral.workflow.outcome import LOST, REFUSED, status_text

NUMBERS = ("n_test", "mae_test", "rmse_test", "inside_train", "inside_test", "steps")
ERRORS = dict.fromkeys(NUMBERS, float("nan"))


def row(status: str) -> dict[str, object]:
    """A row of the table of fits, of a fit that did not converge."""
    names = {"snapshot_ts": "2026-01-01T00:00:00Z", "currency": "BTC", "model": "heston"}
    return {**names, "status": status, "converged": False, "message": "", **ERRORS}


def test_every_status_of_a_fit_has_a_text_of_its_own():
    texts = [status_text(status) for status in CalibrationStatus]
    assert len({*texts, REFUSED, LOST}) == len(CalibrationStatus) + 2


def test_a_fit_that_the_engine_refuses_has_failed_and_its_snapshot_is_not_refused():
    summary = summarise(pd.DataFrame([row(status_text(CalibrationStatus.refused)), row(REFUSED)]))
    (line,) = summary.lines
    assert (line.refused, line.not_converged, line.lost) == (1, 1, 0)
    assert not summary.complete
