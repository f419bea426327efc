"""Static arbitrage among quotes: planted violations are found and named, clean quotes are left alone."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from neutral.market.cleaning import arbitrage_reasons

MATURITIES = (1 / 12, 0.25, 0.5, 1.0, 2.0)
FORWARDS = (100.5, 101.0, 102.5, 104.0, 109.0)
RATE = 0.03
MONEYNESS = np.exp(np.linspace(-0.3, 0.3, 27))
HALF_SPREAD = 0.004


def smile(k, t):
    """An SSVI surface (Gatheral and Jacquier 2014), free of static arbitrage: total variance."""
    theta, rho = 0.04 * t, -0.4
    phi = 0.8 / np.sqrt(theta)
    return 0.5 * theta * (1 + rho * phi * k + np.sqrt((phi * k + rho) ** 2 + 1 - rho**2))


def normalised_call(x, t):
    k = np.log(x)
    stdev = np.sqrt(smile(k, t))
    d1 = -k / stdev + 0.5 * stdev
    return ndtr(d1) - x * ndtr(d1 - stdev)


def chain(moneyness=MONEYNESS, half_spread=HALF_SPREAD) -> Any:
    """135 out-of-the-money quotes at five maturities, with their mids."""
    rows = []
    for t, forward in zip(MATURITIES, FORWARDS, strict=True):
        x, unit = moneyness, np.exp(-RATE * t) * forward
        call = normalised_call(x, t)
        kind = x >= 1.0
        rows.append(
            pd.DataFrame(
                {
                    "expiry_datetime": pd.Timestamp("2026-01-02", tz="UTC")
                    + pd.Timedelta(days=round(365 * t)),
                    "maturity": t,
                    "strike": forward * x,
                    "kind": kind,
                    "mid": unit * np.where(kind, call, call - 1 + x),
                    "forward": forward,
                    "discount": np.exp(-RATE * t),
                }
            )
        )
    return quoted(pd.concat(rows, ignore_index=True), half_spread)


def quoted(frame, half_spread=HALF_SPREAD) -> Any:
    return frame.assign(bid_price=frame["mid"] - half_spread, ask_price=frame["mid"] + half_spread)


def at(maturity, strike_place):
    return 27 * maturity + strike_place


# butterflies: two mids too high, one too low; calendars: one below the earlier expiry's price at the same
# moneyness, one above the later expiry's
PLANTED = {
    at(1, 10): "butterfly",
    at(3, 15): "butterfly",
    at(4, 20): "butterfly",
    at(2, 6): "calendar",
    at(3, 22): "calendar",
    at(0, 2): "intrinsic",
    at(2, 25): "mid price is not above 0",
}


def planted() -> Any:
    frame = chain()
    unit = frame["forward"] * frame["discount"]
    mid = frame["mid"].to_numpy(copy=True)
    for row, change in ((at(1, 10), 0.25), (at(3, 15), -0.25), (at(4, 20), 0.12)):
        mid[row] += change
    early = at(1, 6)
    mid[at(2, 6)] = mid[early] / unit[early] * unit[at(2, 6)] - 0.05
    late = at(4, 22)
    mid[at(3, 22)] = mid[late] / unit[late] * unit[at(3, 22)] + 0.05
    # an in-the-money call in the place of the put
    row = at(0, 2)
    frame.loc[row, "kind"] = True
    mid[row] = frame["discount"][row] * (frame["forward"][row] - frame["strike"][row]) - 0.05
    mid[at(2, 25)] = -0.01
    return quoted(frame.assign(mid=mid))


def test_planted_violations_are_refused_and_nothing_else():
    frame = planted()
    assert len(frame) == 135
    reasons = arbitrage_reasons(frame)
    assert set(np.flatnonzero(reasons)) == set(PLANTED)
    for row, kind in PLANTED.items():
        assert kind in reasons[row]


def test_a_reason_names_legs_and_sizes():
    frame = chain()
    row = at(1, 10)
    frame.loc[row, ["bid_price", "ask_price"]] += 0.2
    reasons = arbitrage_reasons(frame)
    assert set(np.flatnonzero(reasons)) == {row}
    below, strike, above = frame["strike"][[row - 1, row, row + 1]]
    share = (above - strike) / (above - below)
    gain = (
        frame["bid_price"][row]
        - share * frame["ask_price"][row - 1]
        - (1 - share) * frame["ask_price"][row + 1]
    )
    assert f"put {strike:g} of 2026-04-03 sold at bid" in reasons[row]
    assert f"put {below:g} of 2026-04-03 and put {above:g} of 2026-04-03 at ask" in reasons[row]
    assert f"gains {gain:.6g} ({gain / HALF_SPREAD:.3g} half-spreads)" in reasons[row]


def test_of_two_equal_legs_the_wider_goes():
    frame = pd.DataFrame(
        {
            "expiry_datetime": pd.Timestamp("2026-04-03", tz="UTC"),
            "maturity": 0.25,
            "strike": [100.0, 110.0],
            "kind": True,
            "bid_price": [3.0, 3.5],
            "ask_price": [3.1, 3.9],
            "forward": 100.0,
            "discount": 1.0,
        }
    )
    assert [bool(r) for r in arbitrage_reasons(frame)] == [False, True]
    assert [bool(r) for r in arbitrage_reasons(frame.assign(ask_price=[3.45, 3.6]))] == [True, False]


def test_clean_quotes_stay_in_any_order_and_unit():
    frame = chain()
    assert not arbitrage_reasons(frame).any()
    assert not arbitrage_reasons(frame.sample(frac=1.0, random_state=1).reset_index(drop=True)).any()
    unit = frame["forward"] * frame["discount"]
    coin = frame.assign(**{n: frame[n] / unit for n in ("bid_price", "ask_price")}, discount=1.0)
    assert not arbitrage_reasons(coin, "coin").any()


@pytest.mark.parametrize("seed", range(5))
def test_noise_inside_the_spread_is_no_arbitrage(seed):
    frame = chain()
    noise = np.random.default_rng(seed).uniform(-0.99, 0.99, len(frame)) * HALF_SPREAD
    mid = np.maximum(frame["mid"] + noise, 1e-5)
    assert not arbitrage_reasons(quoted(frame.assign(mid=mid))).any()


def test_calendars_compare_equal_moneyness():
    """A call that loses value with maturity at equal strike, on a falling forward curve, is no violation."""
    frame = chain(half_spread=1e-6)
    falling = {t: 100.0 * np.exp(-0.2 * t) for t in MATURITIES}
    scale = frame["maturity"].map(falling) / frame["forward"]
    scaled = {n: frame[n] * scale for n in ("strike", "forward", "bid_price", "ask_price")}
    assert not arbitrage_reasons(frame.assign(**scaled)).any()


def test_parity_is_checked_and_doubt_of_the_forward_respected():
    frame = chain()
    row = at(2, 15)
    put = frame.loc[[row]].assign(kind=False)
    intrinsic = put["discount"] * (put["strike"] - put["forward"])
    both = pd.concat([frame, quoted(put.assign(mid=put["mid"] + intrinsic))], ignore_index=True)
    assert not arbitrage_reasons(both).any()
    both.loc[135, ["bid_price", "ask_price"]] += 0.2
    reasons = arbitrage_reasons(both)
    assert np.flatnonzero(reasons).tolist() == [135] and "parity" in reasons[135]
    assert not arbitrage_reasons(both.assign(forward_sd=0.2)).any()


def test_every_refusal_is_needed():
    """Put back, any refused quote of a noisy chain violates again."""
    rng = np.random.default_rng(7)
    frame = chain()
    frame = quoted(frame.assign(mid=np.maximum(frame["mid"] + rng.normal(0, 0.02, len(frame)), 0.01)))
    reasons = arbitrage_reasons(frame)
    left = frame[reasons == ""]
    assert 0 < len(left) < len(frame)
    assert not arbitrage_reasons(left.reset_index(drop=True)).any()


def test_a_reason_names_the_forward_as_a_leg():
    """A call at 60 of a forward of 100 may not cost less than 40, nor may one at 80 cost more than half of
    the forward and that at 160 together."""
    frame = pd.DataFrame(
        {
            "expiry_datetime": pd.Timestamp("2026-03-27", tz="UTC"),
            "strike": [80.0, 160.0],
            "kind": True,
            "bid_price": [51.0, 0.5],
            "ask_price": [51.5, 0.9],
            "forward": 100.0,
        }
    )
    reasons = arbitrage_reasons(frame)
    assert "sold at bid against the forward and call 160 of 2026-03-27 at ask" in max(reasons, key=len)
