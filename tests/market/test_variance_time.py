"""Quotes read with a variance clock: volatility in its time, rates and forwards in calendar time."""

import math
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

import neutral as nt
from neutral.errors import ArgumentError, DataError
from neutral.market import Filters, build_surface, in_clock, list_snapshots, prepare, sample_folder
from neutral.market.variance_time import NO_VARIANCE, SAME_VARIANCE

FRIDAY = "2024-03-08"
EXPIRIES = ("2024-03-11", "2024-03-15", "2024-06-21")
RATE = 0.05
VOL = 0.2
TRADING = nt.VarianceClock(weekend=0.0)
DAY = np.timedelta64(1, "D")
LOOSE = Filters(min_quotes=1, max_relative_spread=9.0, min_maturity=0.0)


def black(forward: float, strike: float, stdev: float, kind: str) -> float:
    """Black's undiscounted price (1976)."""
    d1 = math.log(forward / strike) / stdev + stdev / 2
    cdf = NormalDist().cdf
    call = forward * cdf(d1) - strike * cdf(d1 - stdev)
    return call if kind == "call" else call - forward + strike


@pytest.fixture
def chain(tmp_path):
    """European options priced at one volatility of trading time, discounted over calendar time."""
    rows = ["quote_date,underlying,underlying_last,expiration,type,strike,bid,ask"]
    for expiry in EXPIRIES:
        days = (pd.Timestamp(expiry) - pd.Timestamp(FRIDAY)).days
        # weekdays after Friday, counted by numpy, in years of 365 x 5 / 7 weekdays
        tau = np.busday_count(np.datetime64(FRIDAY) + DAY, np.datetime64(expiry) + DAY) / (365 * 5 / 7)
        discount = np.exp(-RATE * days / 365)
        for strike in (97.0, 99.0, 100.0, 101.0, 103.0):
            for kind in ("call", "put"):
                price = discount * black(100.0 / discount, strike, VOL * math.sqrt(tau), kind)
                rows.append(
                    f"{FRIDAY},SPX,100,{expiry},{kind},{strike},{price - 1e-3:.9f},{price + 1e-3:.9f}"
                )
    path = tmp_path / "spx.csv"
    path.write_text("\n".join(rows))
    return path


def test_variance_is_in_clock_time_and_discounting_in_calendar_time(chain):
    quotes = nt.load_equity_chain(chain, rates=RATE, clock=TRADING)
    kept, _ = prepare(quotes, LOOSE)
    days = np.array([3, 7, 105])
    np.testing.assert_allclose(np.unique(kept["maturity"]) * 365, days, rtol=1e-14)
    np.testing.assert_allclose(np.unique(kept["variance_time"]) * 365 * 5 / 7, [1, 5, 75], rtol=1e-13)
    np.testing.assert_allclose(kept["discount"].unique(), np.exp(-RATE * days / 365), rtol=1e-14)
    np.testing.assert_allclose(kept["forward"].unique(), 100 * np.exp(RATE * days / 365), rtol=1e-6)
    surface, _ = build_surface(quotes, LOOSE)
    np.testing.assert_allclose(np.asarray(surface.vol)[surface.mask], VOL, rtol=2e-4)
    np.testing.assert_allclose(
        surface.t[:3], [1 / 365 * 7 / 5, 5 / 365 * 7 / 5, 75 / 365 * 7 / 5], rtol=1e-13
    )


def test_forwards_without_rates_do_not_depend_on_the_clock(chain):
    plain = nt.load_equity_chain(chain)
    clocked = nt.open_source(chain).quotes("SPX", clock=TRADING)
    one, other = (prepare(quotes, LOOSE)[0] for quotes in (plain, clocked))
    assert (
        list(other)
        == [*list(one)[: list(one).index("refused") + 1], "variance_time"]
        + list(one)[list(one).index("refused") + 1 :]
    )
    for name in ("maturity", "forward", "discount", "discount_sd"):
        np.testing.assert_array_equal(one[name], other[name])


def test_in_calendar_time_monday_looks_cheap(chain):
    """One day of variance over three calendar days."""
    surface, _ = build_surface(nt.load_equity_chain(chain, rates=RATE), LOOSE)
    expected = VOL * np.sqrt(np.array([1, 5, 75]) * 7 / 5 / [3, 7, 105])
    for row, vol in enumerate(expected):
        of_expiry = np.asarray(surface.mask)[:, row]
        np.testing.assert_allclose(np.asarray(surface.vol)[:, row][of_expiry], vol, rtol=2e-4)


def test_calendar_time_changes_nothing(chain):
    plain = nt.load_equity_chain(chain, rates=RATE)
    for clock in (None, nt.VarianceClock(), nt.VarianceClock(holidays=["2024-03-29"], holiday=1.0)):
        pd.testing.assert_frame_equal(
            nt.load_equity_chain(chain, rates=RATE, clock=clock).frame, plain.frame, check_exact=True
        )


def test_every_kind_of_file_takes_a_clock(tmp_path):
    deribit = list_snapshots(sample_folder())[0]
    quotes = nt.load_deribit(deribit, "BTC", clock=TRADING)
    expected = TRADING.years(quotes.snapshot_ts, quotes.frame["expiry_datetime"])
    np.testing.assert_array_equal(quotes.frame["variance_time"], expected)
    assert quotes.clock is TRADING
    surface = tmp_path / "idx_20240308.csv"
    # 3 and 7 days, the second with few digits: the 7th day is 99.9 % past
    surface.write_text("spot,T,strike,iv\n100,0.00821917808219178,100,0.2\n100,0.01918,100,0.2\n")
    tau = nt.load_surface(surface, clock=TRADING).frame["variance_time"] * 365 * 5 / 7
    np.testing.assert_allclose(tau, [1.0, 5.0], atol=1e-3)
    fx = tmp_path / "eurusd.csv"
    fx.write_text(
        "date,pair,spot,r_domestic,r_foreign,tenor,atm,rr25,ms25\n2024-03-08,EURUSD,1.09,.05,.03,3d,8,-.1,.2\n"
    )
    tau = nt.load_fx_vols(fx, clock=TRADING).frame["variance_time"] * 365 * 5 / 7
    np.testing.assert_allclose(tau, 1.0, rtol=1e-13)


def test_expiries_without_variance_of_their_own_are_refused(tmp_path):
    path = tmp_path / "xyz.csv"
    days = ("2024-03-09", "2024-03-11", "2024-03-15", "2024-03-16", "2024-03-17", "2024-03-07")
    lines = [f"2024-03-08,XYZ,{day},call,100,1,1.1" for day in days]
    path.write_text("\n".join(["quote_date,underlying,expiration,type,strike,bid,ask", *lines]))
    frame = nt.load_equity_chain(path, rates=0.0, clock=TRADING).frame
    assert frame["refused"].tolist()[:5] == [NO_VARIANCE, "", "", SAME_VARIANCE, SAME_VARIANCE]
    assert "expired" in frame["refused"].iloc[5]
    half = nt.load_equity_chain(path, rates=0.0, clock=nt.VarianceClock(weekend=0.5)).frame
    assert (half["refused"].iloc[:5] == "").all()


@pytest.mark.mistyped
def test_what_is_no_clock_is_refused(chain):
    with pytest.raises(ArgumentError, match="clock='XNYS' is not accepted"):
        in_clock(nt.load_equity_chain(chain), "XNYS")  # pyright: ignore[reportArgumentType]


def test_quotes_without_a_date_are_refused(tmp_path):
    undated = tmp_path / "undated.csv"
    undated.write_text("spot,T,strike,iv\n100,0.5,100,0.2\n")
    with pytest.raises(DataError, match="needs the date of the quotes; pass date="):
        nt.load_surface(undated, clock=TRADING)
