"""The judge of readers finds what is wrong: each fault that it looks for is put in, and it says so."""

import dataclasses

import numpy as np
import pytest
from layouts import LAYOUTS
from layouts.judge import judge
from layouts.markets import EXPIRIES, SPX, STOCK, options

CASE = LAYOUTS["end_of_day"].case()
BID, ASK = CASE.names["bid"], CASE.names["ask"]


def test_a_right_file_is_right(tmp_path):
    verdict = judge(CASE, tmp_path)
    assert verdict.kind == "right", str(verdict)


@pytest.mark.parametrize(
    "wrong, words",
    [
        (SPX.changed(vol=0.2015), "volatility"),
        (SPX.changed(spot=5010.0), "forward"),
        (SPX.changed(vols=((EXPIRIES[0], 0.2), (EXPIRIES[1].replace(day=28), 0.22))), "no expiry"),
        (SPX.changed(settlement="coin"), "settlement"),
        (SPX.changed(exercise="american"), "exercise"),
        (SPX.changed(asset="AAPL", vol=0.5), "volatility"),
    ],
)
def test_another_truth_is_found_wrong(wrong, words, tmp_path):
    truth = dataclasses.replace(CASE.truths[0], market=wrong)
    verdict = judge(CASE.changed(truths=(truth,)), tmp_path)
    assert verdict.kind == "wrong" and words in verdict.detail, str(verdict)


def test_an_underlying_that_no_snapshot_has_is_lost(tmp_path):
    other = dataclasses.replace(CASE.truths[0], market=SPX.changed(asset="RUT"))
    verdict = judge(CASE.changed(truths=(*CASE.truths, other)), tmp_path)
    assert verdict.kind == "wrong" and "lost in silence" in verdict.detail


def test_what_is_refused_has_its_reason(tmp_path):
    verdict = judge(CASE.changed(frame=CASE.frame.drop(columns="strike")), tmp_path)
    assert verdict.kind == "refused" and "strike" in verdict.detail


def test_american_prices_are_above_european_ones_and_equal_for_calls():
    american = np.array([option.price for option in options(STOCK)])
    european = np.array([option.price for option in options(STOCK.changed(exercise="european"))])
    is_call = np.array([option.is_call for option in options(STOCK)])
    assert np.allclose(american[is_call], european[is_call], rtol=1e-9)
    assert (american[~is_call] > european[~is_call]).all()
