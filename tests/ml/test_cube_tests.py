"""Both static tests of a cube, on surfaces whose arbitrage is known."""

import numpy as np
import pytest
from references import load_reference

from neutral.ml import CubeGrid, VolCube, sample_cube, summarise_cube

FLAT = [record for record in load_reference("static_arbitrage") if np.ptp(record["vol"], axis=1).max() == 0.0]


def cube_of(vol: np.ndarray, days: tuple[float, ...], moneyness: tuple[float, ...], carry: float) -> VolCube:
    """A cube of one date."""
    grid = CubeGrid(moneyness, days)
    t, m = grid.maturities[:, None], np.asarray(moneyness)[None]
    channels = [np.broadcast_to(x, vol.shape) for x in (t, vol, 100.0, carry, 100.0 * m)]
    return VolCube(np.stack(channels)[None], np.array(["2026-01-05"], "datetime64[s]"), np.array(["X"]), grid)


def test_there_are_surfaces_to_test():
    assert {record["calendar_free"] for record in FLAT} == {True, False}


@pytest.mark.parametrize("record", FLAT, ids=lambda record: record["tag"][:24])
def test_both_tests_on_known_surfaces(record):
    strikes = np.linspace(record["K"][0], record["K"][-1], 41)  # so dense that a grid sees what curves do
    days, moneyness = tuple(365.0 * t for t in record["T"]), tuple(strikes / record["S"])
    vol = np.repeat(np.asarray(record["vol"])[:, :1], strikes.size, axis=1)
    cube = cube_of(vol, days, moneyness, record["r"] - record["q"])
    summary = summarise_cube(cube)
    assert bool(summary.forward_moneyness.violating[0]) == (not record["calendar_free"])
    assert bool(summary.fixed_strike.violating[0]) == (record["fixed_strike_calendar_violations"] > 0)


def test_a_spike_is_found_where_it_is():
    vol = np.full((3, 5), 0.2)
    vol[1, 2] = 0.23
    cube = cube_of(vol, (30.0, 60.0, 90.0), (0.96, 0.98, 1.0, 1.02, 1.04), 0.0)
    summary = summarise_cube(cube)
    for test in (summary.forward_moneyness, summary.fixed_strike):
        assert test.violating[0] and test.counts["butterfly"][0] == 1
    assert "butterfly at 60 days, strike 1 of spot" in str(summary.forward_moneyness)
    assert "butterfly at 60 days, strike 1 of spot" in str(summary.fixed_strike)


def test_a_date_with_a_hole_is_counted_and_not_tested():
    vol = np.full((2, 3), 0.2)
    vol[0, 0] = np.nan
    summary = summarise_cube(cube_of(vol, (30.0, 60.0), (0.9, 1.0, 1.1), 0.0))
    assert summary.incomplete == 1 and "1 surfaces, 1 of them without some volatility" in str(summary)
    assert "0 violating" in str(summarise_cube(sample_cube([])))
