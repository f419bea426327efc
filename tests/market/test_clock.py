"""The variance clock against counts by hand, QuantLib's calendars, and an integral over seconds."""

import datetime

import exchange_calendars
import numpy as np
import pandas as pd
import pytest
import QuantLib as ql
from hypothesis import given, settings
from hypothesis import strategies as st

import neutral as nt
from neutral.errors import ArgumentError

FRIDAY, MONDAY = "2024-03-08", "2024-03-11"
TRADING = nt.VarianceClock(weekend=0.0)
NYSE = nt.VarianceClock(
    weekend=0.0,
    holidays=["2024-03-29", "2024-05-27"],
    session=("09:30", "16:00"),
    timezone="America/New_York",
    days_a_year=252,
)


def test_calendar_time_is_the_default():
    clock = nt.VarianceClock()
    assert clock.is_calendar and clock.year == 365.0
    assert clock.years("2024-03-08T16:00Z", "2024-03-11T08:00Z") == pytest.approx(64 / 24 / 365, rel=1e-14)
    assert clock.years_of_days(FRIDAY, MONDAY) == 3 / 365


@pytest.mark.parametrize("weekend", [0.0, 0.25, 1.0])
def test_whole_days_over_a_weekend(weekend):
    """From the end of Friday to the end of Monday: a Saturday, a Sunday and a Monday."""
    clock = nt.VarianceClock(weekend=weekend, days_a_year=100)
    assert clock.years_of_days(FRIDAY, MONDAY) == pytest.approx((1 + 2 * weekend) / 100, rel=1e-14)
    # a year of the default has the average of a week
    assert nt.VarianceClock(weekend=weekend).year == pytest.approx(365 * (5 + 2 * weekend) / 7, rel=1e-14)


def test_the_variance_of_a_weekend_without_weight_is_that_of_trading_time():
    """One volatility of trading time: options over a weekend are worth as many trading hours."""
    vol = 0.2
    over = TRADING.years("2024-03-08T12:00Z", "2024-03-11T12:00Z")
    within = TRADING.years("2024-03-06T12:00Z", "2024-03-07T12:00Z")
    assert vol**2 * over == vol**2 * within == pytest.approx(vol**2 * 7 / (5 * 365), rel=1e-13)


def test_counts_of_business_days_are_those_of_quantlib():
    calendar = ql.UnitedStates(ql.UnitedStates.NYSE)
    first, last = datetime.date(2020, 1, 1), datetime.date(2029, 12, 31)
    listed = calendar.holidayList(ql.Date.from_date(first), ql.Date.from_date(last), False)
    clock = nt.VarianceClock(weekend=0.0, holidays=[day.to_date() for day in listed], days_a_year=252)
    counter = ql.Business252(calendar)
    days = [first + datetime.timedelta(days=n) for n in range(0, 3600, 11)]
    ours = clock.years_of_days(days[0], np.array(days))
    start = ql.Date.from_date(days[0])
    theirs = []
    for day in days:
        end = ql.Date.from_date(day)
        # ours leaves out the first day and counts the last, as both stand for their ends
        moved = calendar.isBusinessDay(end) - calendar.isBusinessDay(start)
        theirs.append(counter.yearFraction(start, end) + moved / 252)
    np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-15)


def speed(clock: nt.VarianceClock, at: pd.Timestamp) -> float:
    """Days of variance per second by the words of the documentation, for `NYSE` with nights."""
    local = at.tz_convert(clock.timezone)
    if local.weekday() >= 5:
        return clock.weekend / 86_400
    if local.date().isoformat() in clock.holidays:
        return clock.holiday / 86_400
    close = 13 if local.date().isoformat() in clock.early_closes else 16
    hours = 6.5 if close == 16 else 3.5
    if datetime.time(9, 30) <= local.time() < datetime.time(close):
        return (1 - clock.night) / (6.5 * 3600)
    return clock.night / ((24 - hours) * 3600)


def test_hours_are_an_integral_over_time():
    """Across weekends, a holiday, an early close and a change of summer time, summed minute by minute."""
    clock = nt.VarianceClock(
        weekend=0.1,
        holidays=["2024-11-28"],
        holiday=0.3,
        session=("09:30", "16:00"),
        night=0.2,
        early_closes={"2024-11-29": "13:00"},
        timezone="America/New_York",
        days_a_year=252,
    )
    minutes = pd.date_range("2024-11-26T20:00Z", "2024-12-02T14:30Z", freq="min")
    expected = sum(60 * speed(clock, at) for at in minutes[:-1]) / 252
    assert clock.years(minutes[0], minutes[-1]) == pytest.approx(expected, rel=1e-11)


def test_a_day_of_summer_time_has_its_own_hours():
    """10 March 2024 has 23 hours in New York, over which the weight of a Sunday is even."""
    clock = nt.VarianceClock(weekend=0.5, timezone="America/New_York", days_a_year=1)
    assert clock.years("2024-03-10T05:00Z", "2024-03-11T04:00Z") == pytest.approx(0.5, rel=1e-14)
    assert clock.years("2024-03-10T05:00Z", "2024-03-10T06:00Z") == pytest.approx(0.5 / 23, rel=1e-13)


def test_a_session_alone_counts_trading_hours():
    hour = 1 / (6.5 * 252)
    # Friday 15:00 to Monday 10:30 in New York, whose clocks change in between
    assert NYSE.years("2024-03-08T20:00Z", "2024-03-11T14:30Z") == pytest.approx(2 * hour, rel=1e-12)
    assert NYSE.years("2024-03-09T00:00Z", "2024-03-11T13:30Z") == 0.0
    # Thursday to Monday over Good Friday
    assert NYSE.years("2024-03-28T20:00Z", "2024-04-01T20:00Z") == pytest.approx(1 / 252, rel=1e-12)


def test_events_and_weights():
    plain = nt.VarianceClock(weekend=0.0, days_a_year=252)
    earnings = nt.VarianceClock(weekend=0.0, days_a_year=252, events={"2024-05-22T20:20:00Z": 4.0})
    before, after = "2024-05-22T20:19:59Z", "2024-05-22T20:20:00Z"
    gap = earnings.years(before, after) - plain.years(before, after)
    assert gap == pytest.approx(4 / 252, rel=1e-12)
    assert earnings.years(after, "2024-06-01") == plain.years(after, "2024-06-01")
    meeting = nt.VarianceClock(weekend=0.0, days_a_year=252, events={"2024-06-12": 1.5})
    assert meeting.years_of_days("2024-06-11", "2024-06-12") == pytest.approx(2.5 / 252, rel=1e-13)
    assert meeting.years("2024-06-12", "2024-06-12T12:00") == pytest.approx(1.25 / 252, rel=1e-13)
    half = nt.VarianceClock(weekend=0.0, days_a_year=252, weights={"2024-07-05": 0.5, "2024-07-06": 2.0})
    assert half.years_of_days("2024-07-04", "2024-07-07") == pytest.approx(2.5 / 252, rel=1e-13)


def test_an_event_after_the_close_counts_for_the_next_day():
    clock = nt.VarianceClock(
        weekend=0.0,
        session=("09:30", "16:00"),
        timezone="America/New_York",
        events={"2024-05-22T20:20:00Z": 4.0},
    )
    quiet = clock.years_of_days("2024-05-21", "2024-05-22") * clock.year
    loud = clock.years_of_days("2024-05-22", "2024-05-23") * clock.year
    assert (quiet, loud) == pytest.approx((1.0, 5.0), rel=1e-13)


def test_other_weekends():
    riyadh = nt.VarianceClock(weekend=0.0, weekend_days=("Friday", "Saturday"), days_a_year=1)
    assert riyadh.years_of_days("2024-03-07", "2024-03-10") == 1.0


def test_years_broadcast_and_keep_missing_times():
    ends = np.array(["2024-03-11T08:00", "NaT", "2024-03-12T08:00"], "datetime64[us]")
    years = TRADING.years(np.array(["2024-03-08", "2024-03-09"], "datetime64[us]")[:, None], ends)
    assert years.shape == (2, 3) and np.isnan(years[:, 1]).all() and np.isfinite(years[:, [0, 2]]).all()
    series = pd.Series(pd.to_datetime(["2024-03-11T08:00", None], utc=True))
    np.testing.assert_array_equal(TRADING.years("2024-03-08", series), years[0, :2])
    days = TRADING.years_of_days("2024-03-08", series)
    assert days[0] * TRADING.year == pytest.approx(1.0) and np.isnan(days[1])


ROUNDING = 1e-13  # years; sums of 20,000 days of variance are rounded at 4e-12 days

# made in the tests: strategies must draw no random numbers, as checks of types at run time do
FIELDS = st.builds(
    dict,
    weekend=st.floats(0, 2),
    holiday=st.floats(0, 2),
    holidays=st.sets(st.dates(datetime.date(2023, 1, 1), datetime.date(2025, 12, 31)), max_size=5),
    session=st.just(("09:30", "16:00")),
    night=st.floats(0, 1),
    weights=st.dictionaries(
        st.dates(datetime.date(2023, 1, 1), datetime.date(2025, 12, 31)), st.floats(0, 5), max_size=4
    ),
    events=st.dictionaries(
        st.datetimes(datetime.datetime(2023, 1, 1), datetime.datetime(2025, 12, 31)),
        st.floats(0, 9),
        max_size=4,
    ),
    timezone=st.sampled_from(["UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata"]),
)
TIMES = st.datetimes(datetime.datetime(2022, 12, 1), datetime.datetime(2026, 2, 1))


@settings(max_examples=40, deadline=None)
@given(FIELDS, st.lists(TIMES, min_size=3, max_size=8))
def test_time_does_not_run_back_and_intervals_add_up(fields, times):
    clock = nt.VarianceClock(**fields)
    times = np.array(sorted(times), "datetime64[us]")
    steps = clock.years(times[:-1], times[1:])
    assert (steps >= -ROUNDING).all()
    assert steps.sum() == pytest.approx(float(clock.years(times[0], times[-1])), rel=1e-10, abs=10 * ROUNDING)
    days = times.astype("datetime64[D]")
    whole = clock.years_of_days(days[:-1], days[1:])
    assert (whole >= -ROUNDING).all()
    assert whole.sum() == pytest.approx(
        float(clock.years_of_days(days[0], days[-1])), rel=1e-10, abs=10 * ROUNDING
    )


@settings(max_examples=20, deadline=None)
@given(FIELDS, TIMES, st.lists(st.floats(0, 1.9), min_size=1, max_size=5))
def test_the_map_from_calendar_time_is_the_clock(fields, start, t):
    clock = nt.VarianceClock(**fields)
    times, tau = clock.time_map(start, years=2.0)
    assert (np.diff(times) > 0).all() and (np.diff(tau) >= 0).all() and times[0] == tau[0] == 0.0
    t = np.round(np.array(t) * 365 * 24) / (365 * 24)  # whole hours, which are apart from events
    ends = np.datetime64(start, "us") + np.round(t * 365 * 86_400e6).astype("timedelta64[us]")
    if start != start.replace(hour=0, minute=0, second=0, microsecond=0):
        np.testing.assert_allclose(np.interp(t, times, tau), clock.years(start, ends), rtol=1e-6, atol=1e-9)


@pytest.mark.filterwarnings("ignore")  # exchange_calendars uses what newer versions of pandas deprecate
def test_a_clock_of_an_exchange():
    clock = nt.VarianceClock.from_exchange("XNYS", "2024-01-01", "2025-12-31")
    assert (clock.session, clock.timezone) == (("09:30", "16:00"), "America/New_York")
    # 252 sessions in 2024; three of them close at 13:00
    days = clock.years_of_days("2024-01-01", "2024-12-31") * clock.year
    assert days == pytest.approx(252 - 3 * 3 / 6.5, rel=1e-12)
    assert len(exchange_calendars.get_calendar("XNYS", start="2024-01-01", end="2024-12-31").sessions) == 252
    with pytest.raises(ArgumentError, match="no holidays for 2026-01-02"):
        clock.years("2025-12-01", "2026-01-02T15:00Z")
    with pytest.raises(ArgumentError, match="'XXXX' is unknown"):
        nt.VarianceClock.from_exchange("XXXX")
    with pytest.raises(ArgumentError, match="opens on the day before"):
        nt.VarianceClock.from_exchange("CMES")


WRONG = {
    "weekend": (-0.1, "weekend=-0.1"),
    "holiday": (float("nan"), "holiday=nan"),
    "night": (0.5, "belong to a session"),
    "session": (("16:00", "09:30"), "a later close"),
    "early_closes": ({"2024-11-29": "13:00"}, "belong to a session"),
    "timezone": ("New York", "timezone='New York'"),
    "holidays": (["2024-13-01"], "'2024-13-01' is not a date"),
    "weights": ({"2024-01-02": True}, "weights=True"),
    "events": ({"tomorrow": 1.0}, "'tomorrow' is not a date"),
    "weekend_days": (("sonntag",), "weekend_days=('sonntag',)"),
    "days_a_year": (0, "days_a_year=0"),
    "covers": (["2024-01-01", "soon"], "'soon' is not a date"),
    "covers ": (["2024-01-01"], "a first and a last date"),
    "session ": (("09:30Z", "16:00"), "without a zone"),
    "weights ": ([0.5], "expected a mapping"),
    "holidays ": ("2024-03-29", "expected a list"),
}


@pytest.mark.mistyped
@pytest.mark.parametrize("name", WRONG)
def test_wrong_fields_are_named(name):
    value, message = WRONG[name]
    with pytest.raises(ArgumentError) as refusal:
        nt.VarianceClock(**{name.strip(): value})
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    "value", ["soon", *(pytest.param(x, marks=pytest.mark.mistyped) for x in (3.5, [None, "x"], object()))]
)
def test_wrong_times_are_refused(value):
    with pytest.raises(ArgumentError):
        TRADING.years("2024-01-01", value)


def test_wrong_shapes_and_lengths_are_refused():
    days = np.arange("2024-01-01", "2024-01-04", dtype="datetime64[D]")
    with pytest.raises(ArgumentError, match=r"start \(3,\), end \(2,\)"):
        TRADING.years(days, days[:2])
    for years in (0.0, float("nan"), 1e6):
        with pytest.raises(ArgumentError, match="years="):
            TRADING.time_map(FRIDAY, years)


@pytest.mark.parametrize("clock", [TRADING, NYSE])
def test_the_ends_of_the_calendar_are_times_too(clock):
    ends = np.array(["0001-01-01T00:00", "9999-12-31T23:59"], "datetime64[us]")
    assert np.isfinite(clock.years("2024-01-01T12:00", ends)).all()
    assert np.isfinite(clock.years_of_days("2024-01-01", ends)).all()
