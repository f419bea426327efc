"""Years between dates: QuantLib's by every day count, dates of every library, times of the day, errors."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import QuantLib as ql

import neutral as nt
from neutral.times import years_to

RULES = {
    "ACT/365F": ql.Actual365Fixed(),
    "act/360": ql.Actual360(),
    "ACT/365.25": ql.Actual36525(),
    "Act/Act ISDA": ql.ActualActual(ql.ActualActual.ISDA),
    "30/360": ql.Thirty360(ql.Thirty360.BondBasis),
    "30E/360": ql.Thirty360(ql.Thirty360.EurobondBasis),
}
QUOTED = "2026-01-14"
DAYS = [dt.date(2026, 3, 27), dt.date(2026, 6, 26)]
COLUMNS = {
    "dates": DAYS,
    "texts": [str(day) for day in DAYS],
    "timestamps": [pd.Timestamp(day) for day in DAYS],
    "numpy": np.array(DAYS, "datetime64[D]"),
    "series": pd.Series(pd.to_datetime(DAYS)),
    "series with a zone": pd.Series(pd.to_datetime(DAYS, utc=True)),
    "index": pd.DatetimeIndex(DAYS),
    "series of Arrow": pd.Series(DAYS, dtype="date32[pyarrow]"),
    "series of texts": pd.Series([str(day) for day in DAYS]),
    "polars": pl.Series(DAYS),
    "polars with a zone": pl.Series(DAYS).cast(pl.Datetime("us", "UTC")),
    "polars texts": pl.Series([str(day) for day in DAYS]),
    "arrow": pa.array(DAYS),
    "arrow chunks": pa.chunked_array([DAYS[:1], DAYS[1:]]),
    "spans": [dt.timedelta(days=72), dt.timedelta(days=163)],
    "series of spans": pd.Series(pd.to_timedelta([72, 163], unit="D")),
}


def ql_date(day: dt.date) -> ql.Date:
    return ql.Date(day.day, day.month, day.year)


def random_days(count: int) -> list[dt.date]:
    """Days of which a third are at the end of a month, where rules differ."""
    rng = np.random.default_rng(3)
    days = [dt.date(2019, 1, 1) + dt.timedelta(days=int(x)) for x in rng.integers(0, 4000, count)]
    return [day if i % 3 else (day.replace(day=1) - dt.timedelta(days=1)) for i, day in enumerate(days)]


@pytest.mark.parametrize("name", RULES)
def test_day_counts_are_quantlibs(name):
    days = random_days(600)
    start, end = days[:300], days[300:]
    expected = [
        RULES[name].yearFraction(ql_date(a), ql_date(b))
        if a <= b
        else -RULES[name].yearFraction(ql_date(b), ql_date(a))
        for a, b in zip(start, end, strict=True)
    ]
    forward = np.array(start) <= np.array(end)
    years = nt.year_fraction(start, end, name)
    np.testing.assert_allclose(years[forward], np.array(expected)[forward], rtol=1e-13, atol=1e-14)
    if not name.startswith("30"):  # the rule for the 31st treats both ends differently
        np.testing.assert_allclose(years, expected, rtol=1e-13, atol=1e-14)


@pytest.mark.filterwarnings("ignore")  # exchange_calendars uses what newer versions of pandas deprecate
def test_business_days_are_quantlibs():
    days = [day for day in random_days(800) if day.year < 2025]
    start, end = np.array(days[:150]), np.array(days[150:300])
    new_york = ql.Business252(ql.UnitedStates(ql.UnitedStates.NYSE))
    brazil = ql.Brazil()
    holidays = [
        dt.date(x.year(), x.month(), x.dayOfMonth())
        for x in brazil.holidayList(ql.Date(1, 1, 2018), ql.Date(1, 1, 2031), False)
    ]
    for rule, calendar in ((new_york, "XNYS"), (ql.Business252(brazil), holidays)):
        expected = [
            np.sign((b - a).days) * rule.yearFraction(ql_date(min(a, b)), ql_date(max(a, b)))
            for a, b in zip(start, end, strict=True)
        ]
        years = nt.year_fraction(start, end, "BUS/252", calendar=calendar)
        np.testing.assert_allclose(years, expected, rtol=1e-14, atol=0.0)


@pytest.mark.parametrize("tenor", ["1d", "2w", "1m", "3m", "18M", "1y6m", "10Y"])
def test_tenors_end_where_quantlibs_periods_do(tenor):
    for start in (dt.date(2024, 1, 31), dt.date(2024, 2, 29), dt.date(2026, 1, 14)):
        end = ql.NullCalendar().advance(ql_date(start), ql.Period(tenor), ql.Unadjusted)
        assert nt.year_fraction(start, tenor) == (end - ql_date(start)) / 365


@pytest.mark.parametrize("kind", COLUMNS)
def test_dates_of_every_library(kind):
    expected = np.array([72, 163]) / 365
    np.testing.assert_allclose(nt.year_fraction(QUOTED, COLUMNS[kind]), expected, rtol=1e-15)
    np.testing.assert_allclose(years_to(COLUMNS[kind], QUOTED), expected, rtol=1e-15)


def test_numbers_stay_years():
    for numbers in (0.5, [0.5, None], np.array([1, 2]), pd.Series([0.5]), pl.Series([0.5, None])):
        assert years_to(numbers) is numbers


def test_the_time_of_the_day_counts_where_the_end_has_one():
    quoted = "2026-01-14T14:00"
    assert nt.year_fraction(quoted, "2026-01-14T16:00") == 2 / 24 / 365
    assert nt.year_fraction(quoted, "2026-01-14T16:00", "ACT/360") == 2 / 24 / 360
    assert nt.year_fraction(QUOTED, "2026-01-14T16:00Z") == 16 / 24 / 365
    assert nt.year_fraction(quoted, "2026-01-16") == 2 / 365  # a date alone: whole days
    assert nt.year_fraction(quoted, "2026-01-14T11:00-05:00") == 2 / 24 / 365  # in New York
    assert nt.year_fraction(quoted, "2026-01-16T16:00", "30/360") == 2 / 360
    assert nt.year_fraction(quoted, dt.timedelta(hours=36)) == 1.5 / 365
    for late in ("2026-01-14T20:00-05:00", "2026-01-14T00:00+01:00"):  # 14 January there, not in UTC
        assert nt.year_fraction(late, "2026-01-16") == 2 / 365
        assert nt.year_fraction(pd.Timestamp(late), "2d") == 2 / 365
        assert nt.year_fraction("2026-01-12", late[:10] + late[10:].replace("20", "00")) == 2 / 365
    midnight = pd.Series(["2026-01-16", "2026-07-16"], dtype="datetime64[us, Europe/Berlin]")
    np.testing.assert_allclose(nt.year_fraction("2026-01-14", midnight), np.array([2, 183]) / 365, rtol=1e-15)
    summer = pd.Series(pd.to_datetime(["2026-06-26 16:00"])).dt.tz_localize("America/New_York")
    np.testing.assert_allclose(nt.year_fraction("2026-06-26", summer), 20 / 24 / 365, rtol=1e-15)


def test_missing_dates_give_nan_and_shapes_broadcast():
    years = nt.year_fraction([[QUOTED], [None]], [None, "2026-03-27"])
    np.testing.assert_allclose(years, [[np.nan, 72 / 365], [np.nan, np.nan]], rtol=1e-15)
    holidays = nt.year_fraction([QUOTED, None], "2026-01-16", "BUS/252", calendar=["2026-01-15"])
    np.testing.assert_allclose(holidays, [1 / 252, np.nan], rtol=1e-15)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (QUOTED, "2026-03-27", "ACT/364"),
            "day_count='ACT/364' is unknown; expected one of ACT/365F, ACT/360",
        ),
        ((QUOTED, "2026-03-27", "BUS/252"), "needs calendar=: the name of an exchange such as 'BVMF'"),
        (("soon", "2026-03-27"), "start must be a date or time, such as '2026-03-27'.*got 'soon'"),
        ((45000, "2026-03-27"), "start must be a date or time.*got the number 45000"),
        ((QUOTED, "2026-02-30"), "end: tenor '2026-02-30' is no day of the calendar"),
        ((QUOTED, ["3m", "0.5y"]), "end: tenor '0.5y' is unknown; expected ON, TN"),
        ((QUOTED, [object()]), "end must be a date or time.*got <object"),
        (([QUOTED] * 2, ["2026-03-27"] * 3), r"Shapes do not broadcast"),
        (([QUOTED] * 2, np.array(["2026-03-27"] * 3, "M8[D]")), r"Shapes do not broadcast: start \(2,\)"),
    ],
)
def test_wrong_dates_are_named(arguments, message):
    with pytest.raises(nt.ArgumentError, match=message):
        nt.year_fraction(*arguments)


@pytest.mark.filterwarnings("ignore")
def test_an_unknown_exchange_is_named():
    with pytest.raises(
        nt.ArgumentError, match="calendar='NOWHERE' is unknown; expected a name such as 'XNYS'"
    ):
        nt.year_fraction(QUOTED, "2026-03-27", "BUS/252", calendar="NOWHERE")
    with pytest.raises(nt.ArgumentError, match="calendar must be a date or time"):
        nt.year_fraction(QUOTED, "2026-03-27", "BUS/252", calendar=["new year"])


def test_maturities_that_are_dates_need_the_quote_date():
    with pytest.raises(
        nt.ArgumentError, match="maturity has dates or tenors, such as '3m', and the quote date"
    ):
        years_to("3m")
