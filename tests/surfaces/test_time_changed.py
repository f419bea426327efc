"""A surface in the time of a clock, seen in calendar time."""

import jax
import numpy as np
import pytest

import neutral as nt
from neutral.errors import ArgumentError

VOL = 0.2
START = "2024-03-08T12:00Z"  # a Friday
CLOCK = nt.VarianceClock(weekend=0.0, days_a_year=260.0)


class Smile(nt.VolSurface):
    """A volatility of 20 % at the money, and a smile."""

    def variance_at(self, k, t):
        return VOL**2 * t * (1.0 + k**2)


SMILE = Smile()


@pytest.fixture(scope="module")
def surface():
    return nt.TimeChangedSurface(SMILE, *CLOCK.time_map(START, years=2.0))


def calendar_years(hours: float) -> float:
    return hours / (24 * 365)


# hours after Friday noon, and the days of variance until then
WEEKEND = {6: 0.25, 12: 0.5, 36: 0.5, 60: 0.5, 72: 1.0, 84: 1.5, 180: 5.5, 168: 5.0}


def test_total_variance_is_that_of_the_clock(surface):
    hours = np.array(list(WEEKEND), float)
    tau = np.array(list(WEEKEND.values())) / 260
    k = np.array([[-0.1], [0.0], [0.05]])
    for name in ("total_variance", "price", "density"):
        ours = getattr(surface, name)(k, calendar_years(hours))
        np.testing.assert_allclose(ours, getattr(SMILE, name)(k, tau), rtol=1e-9, atol=1e-13)


def test_volatility_is_per_calendar_year(surface):
    """At the money the surface has 20 % per year of trading time."""
    hours = np.array(list(WEEKEND), float)
    expected = VOL * np.sqrt(np.array(list(WEEKEND.values())) / 260 / calendar_years(hours))
    np.testing.assert_allclose(surface.implied_vol(0.0, calendar_years(hours)), expected, rtol=1e-10)


def test_local_variance_is_zero_on_a_weekend_and_else_faster(surface):
    inside, outside = surface.local_variance(0.0, calendar_years(np.array([40.0, 80.0])))
    assert inside == 0.0
    tau = (1.0 + 8 / 24) / 260
    assert outside == pytest.approx(365 / 260 * float(SMILE.local_variance(0.0, tau)), rel=1e-9)


def test_before_any_variance_prices_are_intrinsic():
    """Quoted on a Saturday: nothing moves until Monday."""
    surface = nt.TimeChangedSurface(SMILE, *CLOCK.time_map("2024-03-09T12:00Z", years=1.0))
    t = calendar_years(24.0)
    assert surface.total_variance(-0.1, t) == 0.0
    np.testing.assert_allclose(surface.price(np.array([-0.1, 0.1]), t), [-np.expm1(-0.1), 0.0], rtol=1e-14)
    assert np.isfinite(jax.grad(lambda t: surface.price(0.1, t))(calendar_years(60.0)))


def test_beyond_the_map_time_goes_on_at_the_average_speed(surface):
    one, two = surface.total_variance(0.0, np.array([2.5, 3.0]))
    last = CLOCK.time_map(START, years=2.0)
    speed = last.variance_time[-1] / last.t[-1]
    assert float(two - one) == pytest.approx(0.5 * speed * VOL**2, rel=1e-12)


def test_a_table_reaches_beyond_a_map_that_ends_while_the_clock_stops():
    essvi = nt.ESSVI([0.05, 0.4], theta=[0.01, 0.04], psi=[0.09, 0.16], rho=[-0.5, -0.45])
    frame = nt.TimeChangedSurface(essvi, [0.0, 1.0, 2.0], [0.0, 0.1, 0.1]).to_frame()
    np.testing.assert_allclose(frame["maturity"], [0.5, 8.0], rtol=1e-14)


def test_a_saved_surface_is_read_back(tmp_path):
    essvi = nt.ESSVI(*(np.array(x) for x in ([0.25, 1.0], [0.01, 0.04], [0.09, 0.16], [-0.5, -0.45])))
    surface = nt.TimeChangedSurface(essvi, *CLOCK.time_map(START, years=0.1))
    nt.save(surface, tmp_path / "surface.json")
    back = nt.load(tmp_path / "surface.json")
    np.testing.assert_array_equal(back.variance_times, surface.variance_times)
    np.testing.assert_array_equal(back.surface.theta, essvi.theta)


@pytest.mark.parametrize(
    ("times", "tau"),
    [
        ([0.0, 1.0], [0.0]),
        ([0.0, 1.0], [0.0, 0.0]),
        ([0.0, 0.0, 1.0], [0.0, 0.1, 0.2]),
        ([0.1, 1.0], [0.0, 1.0]),
    ],
)
def test_other_tables_are_refused(times, tau):
    with pytest.raises(ArgumentError, match="times"):
        nt.TimeChangedSurface(SMILE, times, tau)
