"""Tables of results."""

import numpy as np
import pytest

import neutral as nt
from neutral.diagnostics import stability
from neutral.presentation.frame import entries, frame_of_arrays


def test_rows_are_those_of_the_callers_index():
    frame = frame_of_arrays({"a": np.array([1.0, 2.0]), "b": 3.0}, index=["x", "y"])
    assert list(frame.index) == ["x", "y"] and list(frame["b"]) == [3.0, 3.0]
    with pytest.raises(nt.ArgumentError, match="one label per row, 2, got 3"):
        frame_of_arrays({"a": np.zeros(2)}, index=[1, 2, 3])


def test_a_grid_has_one_level_per_axis():
    frame = frame_of_arrays({"a": np.arange(6.0).reshape(2, 3), "t": np.array([[0.1], [0.2]])})
    assert frame.loc[(1, 2), "a"] == 5.0 and list(frame["t"]) == [0.1] * 3 + [0.2] * 3


def test_entries_of_an_axis_are_columns():
    split = entries({"kappa": np.zeros(2), "increments": np.ones((2, 2))}, 1)
    assert list(split) == ["kappa", "increments[0]", "increments[1]"]


def test_a_result_without_rows_states_its_reason():
    assert list(stability([1.0, 2.0, 4.0]).to_frame()["parameter"]) == ["0"]
    empty = stability([1.0]).to_frame()
    assert empty.empty and "at least 2 days" in empty.attrs["reason"]


def test_greeks_estimates_and_prices_become_tables():
    greeks = nt.greeks(nt.Black(0.2), 100.0, [90.0, 100.0], 0.5, order=("vanna",))
    frame = greeks.to_frame(index=["low", "high"])
    assert list(frame) == [
        *("price", "delta", "gamma", "vega", "theta", "net_delta", "vanna", "d_sigma", "status"),
    ]
    assert frame.loc["high", "delta"] == greeks.delta[1] and set(frame["status"]) == {"accurate"}
    vols = nt.implied_vol_info([12.0, -1.0], 100.0, 100.0, 0.5).to_frame()
    assert np.isnan(vols["vol"][1]) and "below intrinsic" in vols["message"][1]
    info = nt.price_info(nt.Black(0.2), 100.0, [90.0, 100.0], 0.5).to_frame()
    assert list(info) == ["price", "status", "error_estimate"] and len(info) == 2
    estimate = nt.Estimate(np.ones(2), np.full(2, 0.1)).to_frame()
    assert list(estimate) == ["price", "standard_error"]
