"""Static arbitrage in prices: `arbitrage.py`."""

import numpy as np
import pytest
from references import load_reference

from neutral.errors import ArgumentError
from neutral.options import black
from neutral.options.arbitrage import violations

CASES = load_reference("static_arbitrage")


@pytest.mark.parametrize("case", CASES, ids=[case["tag"] for case in CASES])
def test_expiries_are_compared_at_equal_forward_moneyness(case):
    # comparing at equal strikes flags clean surfaces here, and misses arbitrage
    k, w = np.array(case["k_grid"]), np.array(case["total_variance_at_k"])
    calls = np.asarray(black.price(k[None], np.sqrt(w)))
    found = violations(k[None], calls)
    assert found.count(1e-12)["calendar"] == case["true_calendar_violations_on_k_grid"]
    assert (found.count(1e-12)["calendar"] == 0) == case["calendar_free"]
    assert found.bounds.max() == found.slope.max() == 0.0 and found.butterfly.max() < 1e-15


@pytest.mark.parametrize("case", CASES, ids=[case["tag"] for case in CASES])
def test_quotes_need_no_common_strikes(case):
    t = np.array(case["T"])[:, None]
    forward = case["S"] * np.exp((case["r"] - case["q"]) * t)
    k = np.log(np.array(case["K"]) / forward)
    calls = np.array(case["call"]) * np.exp(case["r"] * t) / forward
    found = violations(k, calls)
    assert found.count(1e-12)["butterfly"] == found.count(1e-12)["bounds"] == 0
    if case["calendar_free"]:
        assert found.count(1e-12)["calendar"] == 0


def test_each_violation_has_its_name_and_its_size():
    k = np.log(np.array([[0.8, 1.0, 1.2]] * 2))
    clean = np.array([[0.25, 0.10, 0.02], [0.26, 0.12, 0.04]])
    assert not any(violations(k, clean).count().values())
    bent = violations(k, clean + [[0.0, 0.04, 0.0], [0.0, 0.0, 0.0]])
    assert bent.butterfly[0, 1] == pytest.approx(0.14 - 0.135)
    assert bent.calendar[1, 1] == pytest.approx(0.02)
    low = violations(k, clean - [[0.0, 0.0, 0.0], [0.08, 0.0, 0.0]])
    assert low.bounds[1, 0] == pytest.approx(0.02) and low.calendar[1, 0] == pytest.approx(0.07)
    assert violations(k, clean + [[0.0, 0.0, 0.1], [0.0] * 3]).slope[0, 2] == pytest.approx(0.02)


def test_a_later_call_below_an_extended_chord_is_an_arbitrage():
    # the earlier calls at 0.9 and 1.0 leave at least 0.04 at 1.1
    k, calls = np.log([[0.9, 1.0, 5.0], [1.1, 2.0, 5.0]]), np.array([[0.16, 0.10, 0.0], [0.03, 0.0, 0.0]])
    found = violations(k, calls, [[True, True, False], [True, False, False]])
    assert found.calendar[1, 0] == pytest.approx(0.01) and found.count()["calendar"] == 1


def test_strikes_must_ascend():
    with pytest.raises(ArgumentError, match="row 0"):
        violations([[0.1, 0.0]], [[0.1, 0.2]])
    with pytest.raises(ArgumentError, match="maturities"):
        violations([0.1, 0.2], [0.2, 0.1])
