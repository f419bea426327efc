"""Tenors as dates of expiry: counted, broken, of business days, IMM dates and dates themselves."""

import pandas as pd
import pytest
import QuantLib as ql

from neutral import ArgumentError
from neutral.market.loaders.tenors import expiry_of

FRIDAY = pd.Timestamp("2024-03-01", tz="UTC")
ENDS = {
    "ON": "2024-03-04",
    "o/n": "2024-03-04",
    "TN": "2024-03-05",
    "S/N": "2024-03-06",
    "1D": "2024-03-02",
    "1w": "2024-03-08",
    "2 weeks": "2024-03-15",
    "18M": "2025-09-01",
    "1Y6M": "2025-09-01",
    "1y 6m": "2025-09-01",
    "12 months": "2025-03-01",
    "30y": "2054-03-01",
    "2024-09-03": "2024-09-03",
    "20240903": "2024-09-03",
    "2024-09-03T10:00:00": "2024-09-03",
}


@pytest.mark.parametrize("tenor", ENDS)
def test_a_tenor_ends_on_its_day(tenor):
    assert expiry_of(tenor, FRIDAY) == pd.Timestamp(ENDS[tenor], tz="UTC")


def test_imm_dates_are_quantlibs():
    for start in pd.date_range("2024-03-01", periods=60, freq="11D", tz="UTC"):
        day = ql.Date(start.day, start.month, start.year)
        for number in (1, 2, 3):
            day = ql.IMM.nextDate(day, True)
            found = expiry_of(f"IMM{number}", start)
            assert (found.year, found.month, found.day) == (day.year(), day.month(), day.dayOfMonth())


@pytest.mark.parametrize("start, end", [("2024-03-02", "2024-03-04"), ("2024-03-04", "2024-03-05")])
def test_overnight_leaves_out_weekends(start, end):
    assert expiry_of("ON", pd.Timestamp(start, tz="UTC")) == pd.Timestamp(end, tz="UTC")


def test_without_a_date_days_are_counted_plainly():
    thursday = pd.Timestamp(0, tz="UTC")
    assert [(expiry_of(x, thursday, dated=False) - thursday).days for x in ("ON", "TN", "SN")] == [1, 2, 3]
    for tenor in ("IMM1", "2024-09-03"):
        with pytest.raises(
            ArgumentError, match="needs the quote date, which the file does not state; pass date="
        ):
            expiry_of(tenor, thursday, dated=False)


@pytest.mark.parametrize(
    "tenor", ["", "nan", "3", "0.5y", "1x", "1m1m", "03/04/2025", "-1m", "1000m", "IMM", "0d"]
)
def test_other_tenors_are_refused(tenor):
    with pytest.raises(ArgumentError, match="is unknown; expected ON, TN, SN, a number and d, w, m or y"):
        expiry_of(tenor, FRIDAY)


def test_impossible_days_are_refused():
    with pytest.raises(ArgumentError, match="no day of the calendar"):
        expiry_of("2024-02-30", FRIDAY)
    with pytest.raises(ArgumentError, match="not after the quote date"):
        expiry_of("2024-03-01", FRIDAY)
    last = pd.Timestamp("9999-12-31", tz="UTC")
    for tenor in ("ON", "1d", "1m", "999y", "IMM1"):
        with pytest.raises(ArgumentError, match="ends beyond the year 9999"):
            expiry_of(tenor, last)
