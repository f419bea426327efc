"""Times of expiry against the calendar of the exchange, and options on their last day."""

import math
import warnings
from datetime import UTC, date, datetime
from statistics import NormalDist

import exchange_calendars
import numpy as np
import pandas as pd
import pytest

import neutral as nt
from neutral.errors import ArgumentError
from neutral.market import Filters, prepare
from neutral.market.expiry_times import closes_early, lifetimes, third_friday, trading_day, utc_time
from neutral.market.filters import EXPIRED
from neutral.market.loaders.equity_chains import ChainOptions


def utc(root: str, day: str | None, settlement_time: str | None = None) -> str:
    """The time of expiry of one option, as text."""
    dates = pd.Series(pd.to_datetime([day], utc=True))
    return str(nt.expiry_times(dates, root, settlement_time)[0])[:16]


# the opening is 13:30 UTC in summer and 14:30 in winter, the close 20:00 and 21:00
KNOWN = {
    ("SPX", "2024-03-15"): "2024-03-15 13:30",
    ("^SPX", "2024-03-15"): "2024-03-15 13:30",
    ("SPXW", "2024-03-15"): "2024-03-15 20:00",
    ("SPX", "2024-03-18"): "2024-03-18 20:00",
    ("SPX", "2024-12-20"): "2024-12-20 14:30",
    ("SPX", "2025-04-17"): "2025-04-17 13:30",  # the Thursday before Good Friday
    ("SPX", "2026-06-18"): "2026-06-18 13:30",  # the Thursday before Juneteenth
    ("SPX", "2014-04-19"): "2014-04-17 13:30",  # a Saturday after Good Friday
    ("SPX", "2012-12-22"): "2012-12-21 14:30",
    ("AAPL", "2024-11-29"): "2024-11-29 18:00",  # the day after Thanksgiving ends at 13:00
    ("AAPL", "2024-03-15"): "2024-03-15 20:00",
    ("VIX", "2024-03-20"): "2024-03-20 13:30",
    ("SX5E", "2024-03-15"): "2024-03-15 11:00",
    ("NIFTY", "2024-03-28"): "2024-03-28 10:00",
}


@pytest.mark.parametrize("option", KNOWN)
def test_known_times(option):
    assert utc(*option) == KNOWN[option]


def test_a_stated_time_goes_first():
    assert utc("SPX", "2024-03-15", "pm") == "2024-03-15 20:00"
    assert utc("SPXW", "2024-03-15", "AM") == "2024-03-15 13:30"
    assert utc("BTC", "2024-03-16", "08:00 UTC") == "2024-03-16 08:00"
    assert utc("SPX", None) == "NaT"


@pytest.mark.parametrize("text", ["noon", "08:00", "25:00 UTC", "08:00 Atlantis", "08:00 UTC daily"])
def test_other_texts_are_refused(text):
    with pytest.raises(ArgumentError, match="'am', 'pm', or a time of day"):
        utc("SPX", "2024-03-15", text)
    with pytest.raises(ArgumentError, match="'am', 'pm', or a time of day"):
        ChainOptions(settlement_time=text)


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-05", "1700-03-19"])
def test_days_without_options_are_no_errors(day):
    dates = pd.Series(np.array([day], "datetime64[us]"))
    assert len(nt.expiry_times(dates, "SPX")) == 1
    with pytest.raises(ArgumentError, match="roots"):
        nt.expiry_times(dates, pd.Series(["SPX", "SPXW"]))


@pytest.mark.mistyped
def test_other_types_are_refused():
    with pytest.raises(ArgumentError, match="pandas Series"):
        nt.expiry_times(["2024-03-15"], "SPX")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match="'am', 'pm', or a time of day"):
        utc("SPX", "2024-03-15", 8)  # pyright: ignore[reportArgumentType]


def test_roots_of_one_date_are_apart():
    dates = pd.Series(pd.to_datetime(["2024-03-15"] * 3, utc=True), index=[5, 6, 7])
    times = nt.expiry_times(dates, pd.Series(["SPX", "SPXW", "SPX"], index=[5, 6, 7]))
    assert times.index.tolist() == [5, 6, 7]
    assert times.dt.hour.tolist() == [13, 20, 13]
    stated = pd.Series(["AM", "pm", None], index=[5, 6, 7])
    assert nt.expiry_times(dates, "XSP", stated).dt.hour.tolist() == [13, 20, 20]


def test_days_of_the_exchange():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses what newer versions of pandas deprecate
        calendar = exchange_calendars.get_calendar("XNYS", start="2010-01-01", end="2035-12-31")
        closes = calendar.closes.dt.tz_convert(calendar.tz)
    sessions = [day.date() for day in calendar.sessions]
    early = [day for day, close in zip(sessions, closes, strict=True) if close.hour < 16]
    assert [day for day in sessions if closes_early(day)] == early and len(early) > 50
    thirds = [trading_day(third_friday(year, month)) for year in range(2010, 2036) for month in range(1, 13)]
    assert set(thirds) <= set(sessions)
    assert sum(day.weekday() == 3 for day in thirds) > 5


def test_dates_alone_are_whole_days():
    dates = pd.Series(pd.to_datetime(["2024-03-15", None, "2024-03-07"], utc=True))
    expiries, days = lifetimes(dates, datetime(2024, 3, 8, tzinfo=UTC), "SPX")
    assert expiries is dates
    np.testing.assert_array_equal(days, [7.0, np.nan, -1.0])


def test_times_of_quotes_in_the_zone_of_the_exchange():
    quoted = datetime(2024, 3, 8, 15, 45, tzinfo=UTC)
    assert utc_time(quoted, "America/New_York") == datetime(2024, 3, 8, 20, 45, tzinfo=UTC)
    day = datetime(2024, 3, 8, tzinfo=UTC)
    assert utc_time(day, "America/New_York") == day and utc_time(quoted, None) == quoted
    with pytest.raises(ArgumentError, match="timezone='Eastern'"):
        ChainOptions(timezone="Eastern")


def test_times_of_day_count_hours():
    dates = pd.Series(pd.to_datetime(["2024-03-08", "2024-03-15"], utc=True))
    expiries, days = lifetimes(dates, datetime(2024, 3, 8, 15, 30, tzinfo=UTC), "SPX")
    assert expiries.dt.hour.tolist() == [21, 13]  # clocks change on 10 March
    np.testing.assert_allclose(days, [5.5 / 24, 7 - 2 / 24], rtol=1e-14)


def black(strike: float, stdev: float, kind: str) -> float:
    """Black's price (1976) at forward 100."""
    d1 = math.log(100.0 / strike) / stdev + stdev / 2
    cdf = NormalDist().cdf
    call = 100.0 * cdf(d1) - strike * cdf(d1 - stdev)
    return call if kind == "call" else call - 100.0 + strike


ROWS = [
    f"XYZ,{{time}},{expiry},{kind},{strike},{price - 0.01:.4f},{price + 0.01:.4f}"
    for expiry, t in (("2024-03-08", 5.5 / 24 / 365), ("2024-03-15", (7 + 4.5 / 24) / 365))
    for kind in ("call", "put")
    for strike in (99.0, 99.5, 100.0, 100.5, 101.0)
    for price in [black(strike, 0.2 * math.sqrt(t), kind)]
]


def test_an_option_of_today_keeps_its_hours(tmp_path):
    """Quoted at 20 % volatility 5.5 hours before the close: read so, and gone after the close."""

    def read(time: str, **options):
        path = tmp_path / "chain.csv"
        lines = [
            "symbol,quote_datetime,expiration,type,strike,bid,ask",
            *(row.format(time=time) for row in ROWS),
        ]
        path.write_text("\n".join(lines))
        return nt.load_equity_chain(path, rates=0.0, exercise="european", **options)

    live = read("2024-03-08T15:30:00")
    assert set(live.frame["refused"]) == {""}
    kept, _ = prepare(live, Filters(min_quotes=1, min_maturity=0.0, max_relative_spread=9.0))
    assert sorted(set(kept["maturity"] * 365 * 24)) == pytest.approx([5.5, 7 * 24 + 4.5])
    vols = nt.implied_vol(
        kept["mid_price_clean"].to_numpy(),
        kept["forward"].to_numpy(),
        kept["strike"].to_numpy(),
        kept["maturity"].to_numpy(),
        kind=kept["kind"].to_numpy(),
    )
    assert np.nanmedian(vols) == pytest.approx(0.2, abs=1e-4)  # prices have four decimals
    same = read("2024-03-08T10:30:00", timezone="America/New_York")
    assert same.snapshot_ts == live.snapshot_ts
    np.testing.assert_array_equal(same.frame["maturity"], live.frame["maturity"])
    late = read("2024-03-08T21:30:00")
    live_rows = late.frame["refused"].to_numpy() == ""
    assert (late.frame["refused"].to_numpy() == EXPIRED).sum() == 10
    assert np.min(late.frame["maturity"].to_numpy()[live_rows]) > 0


def test_a_third_friday():
    assert third_friday(2024, 3) == date(2024, 3, 15)
    assert third_friday(2024, 11) == date(2024, 11, 15)
