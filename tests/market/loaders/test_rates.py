"""Interest rates: both layouts, calendar days between dates, discount factors, bootstrapped swaps."""

import datetime

import numpy as np
import pandas as pd
import pytest

from neutral import ArgumentError, DataError, flat_rate, load_rates
from neutral.market.loaders.rates import discount_factors, swap_discounts

POINTS = "date,fed_funds_pct\n2020-01-01,1.5\n2020-01-11,2.5\n2020-01-13,2.4\n"
COMMAS = "\ufeffDate;Rate\r\n2020-01-13;2,4\r\n2020-01-01;1,5\r\n2020-01-11;2,5\r\n"


@pytest.fixture
def write(tmp_path):
    def write(text: str):
        path = tmp_path / "rates.csv"
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write


ROUNDING = 365 * 2.3e-16  # what 365 factors near 1 lose here


def continuous(percent):
    """365 days of daily compounding at an act/360 rate."""
    return np.log((1 + percent / 36000) ** 365)


@pytest.mark.parametrize("text", [POINTS, COMMAS], ids=["commas", "semicolons"])
def test_days_between_dates_are_those_of_a_filled_calendar(write, text):
    rates = load_rates(write(text))
    known = pd.Series([1.5, 2.5, 2.4], index=pd.to_datetime(["2020-01-01", "2020-01-11", "2020-01-13"]))
    calendar = known.resample("D").asfreq().interpolate("time")
    for day, percent in calendar.items():
        assert rates.rate(day) == pytest.approx(continuous(percent), abs=ROUNDING)  # pyright: ignore


def test_dates_outside_take_the_nearest_rate_and_say_so(write):
    rates = load_rates(write(POINTS))
    assert rates.rate("2019-06-01") == pytest.approx(continuous(1.5), abs=ROUNDING)
    assert rates.rate(datetime.date(2021, 1, 1)) == pytest.approx(continuous(2.4), abs=ROUNDING)
    assert [rates.covers(day) for day in ("2019-12-31", "2020-01-01", "2020-01-13", "2020-01-14")] == [
        False,
        True,
        True,
        False,
    ]


def test_discount_factors():
    rates = flat_rate(0.03)
    np.testing.assert_allclose(rates.discount("2020-02-03", [0.0, 2.0]), [1.0, np.exp(-0.06)], rtol=1e-15)
    np.testing.assert_array_equal(flat_rate(-0.5).discount("2020-02-03", [0.0, 8000.0]), [1.0, np.nan])
    maturity = np.array([0.5, np.nan])
    assert np.isnan(discount_factors(None, "2020-02-03", maturity)).all()
    np.testing.assert_array_equal(
        discount_factors(0.03, "2020-02-03", maturity), discount_factors(rates, "1999-01-01", maturity)
    )


FAULTS = {
    "no rate": ("date,price\n2020-01-01,1\n", "'fed_funds_pct' or 'rate'"),
    "empty": ("", "is empty"),
    "header only": ("date,rate\n", "no rows"),
    "not a number": ("date,rate\n2020-01-01,1\n2020-01-02,x\n", "line 3"),
    "no date": ("date,rate\n2020-01-01,1\n,2\n", "line 3"),
    "american dates": (
        "date,rate\n01/02/2020,1\n",
        "'01/02/2020' can be read as MM/DD/YYYY and as DD/MM/YYYY",
    ),
    "beyond any market's": ("date,rate\n2020-01-01,1\n2020-01-02,-2e4\n", "line 3 has the rate -20000 %"),
    "damaged": ("date,rate\n2020-01-01,1\n2020-01-02,-1e308\n", "line 3"),
    "twice": ("date,rate\n2020-01-01,1\n2020-01-01,2\n", "2020-01-01 occurs twice"),
}


@pytest.mark.parametrize("text, message", FAULTS.values(), ids=FAULTS)
def test_faults_are_told(write, text, message):
    path = write(text)
    with pytest.raises(DataError) as caught:
        load_rates(path)
    assert str(path) in str(caught.value) and message in str(caught.value)


def test_a_rate_is_a_number():
    with pytest.raises(ArgumentError, match="rate=nan"):
        flat_rate(float("nan"))


def test_swaps_are_worth_nothing_on_their_own_curve():
    tenors, percent = np.array([0.25, 1.0, 2.0, 3.0, 5.0]), np.array([5.3, 5.2, 4.8, 4.5, 4.2])
    years = np.arange(1, 6)
    factors = swap_discounts(tenors, percent, years)
    for tenor, par in zip(tenors[1:], percent[1:], strict=True):
        paid = years <= tenor
        fixed = par / 100 * 365 / 360 * factors[paid].sum()
        assert fixed == pytest.approx(1 - factors[paid][-1], abs=1e-15)
    assert swap_discounts(tenors, percent, np.array(0.25)) == pytest.approx(1 / (1 + 0.053 * 91.25 / 360))


def test_a_swap_of_one_year_counts_where_no_tenor_states_it():
    """Tenors of half a year and of two years: par rates are linear between, so 5 % at one year."""
    factors = swap_discounts(np.array([0.5, 2.0]), np.array([4.5, 6.0]), np.array([0.5, 1.0, 2.0]))
    act = 365 / 360
    one = 1 / (1 + 0.05 * act)
    assert factors[0] == pytest.approx(1 / (1 + 0.045 * 0.5 * act), abs=1e-15)
    assert factors[1] == pytest.approx(one, abs=1e-15)
    assert factors[2] == pytest.approx((1 - 0.06 * act * one) / (1 + 0.06 * act), abs=1e-15)


def test_history_of_the_fed_funds_rate(market_data):
    daily = load_rates(market_data / "rates" / "fed_funds_daily.csv.gz")
    monthly = load_rates(market_data / "rates" / "fed_funds_semicolon.csv")
    assert (len(daily.day), len(monthly.day)) == (25_783, 301)
    assert (np.diff(daily.day) == 1).all()
    firsts = pd.to_datetime(monthly.day, unit="D")
    for first in firsts[::25]:
        assert daily.rate(first) == pytest.approx(monthly.rate(first), abs=1e-15)
    assert daily.rate("2025-01-31") == pytest.approx(continuous(4.33), abs=ROUNDING)
    assert not daily.covers("2025-02-01")
