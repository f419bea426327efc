"""Forwards and discount factors of cash-settled options from parity, on made-up and on real chains."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from parity_chain import (
    DAYS,
    DIVIDEND,
    LOOSE,
    RATE,
    SPOT,
    TAKEN,
    chain,
    forward,
    implied_forwards,
    prepare,
    quotes,
)

from neutral.errors import DataError
from neutral.market import Filters, Split, build_surface, list_snapshots
from neutral.market.build import MIXED
from neutral.market.cash_parity import WINDOW, _Pairs, _slope
from neutral.market.forwards import call_put_pairs, parity_forward
from neutral.market.loaders.deribit import quotes_of, read_snapshot


def truth(table):
    t = (table.index - pd.Timestamp(TAKEN)).days.to_numpy() / 365
    return forward(t), np.exp(-RATE * t), t


def test_exact_parity_gives_forward_discount_and_yield():
    frame = chain(noise=0.0).assign(discount=lambda f: np.exp(-RATE * f["maturity"]))
    table = implied_forwards(frame, SPOT).table
    expected, discount, _ = truth(table)
    assert table["forward"].to_numpy() == pytest.approx(expected, rel=1e-12)
    assert table["discount"].to_numpy() == pytest.approx(discount, rel=1e-12)
    assert table["dividend_yield"].to_numpy() == pytest.approx(DIVIDEND, abs=1e-9)
    assert (table["discount_sd"] == 0.0).all() and not table["mixed"].any()


def test_uncertainties_of_forward_and_discount_are_honest():
    missed, total = np.zeros(2), 0
    for seed in range(40):
        table = implied_forwards(chain(noise=0.5, seed=seed), SPOT, agreement=1e-3).table
        assert table["forward"].notna().all()
        expected, discount, _ = truth(table)
        missed += [
            np.sum(np.abs(table["forward"] - expected) > 1.96 * table["forward_sd"]),
            np.sum(np.abs(table["discount"] - discount) > 1.96 * table["discount_sd"]),
        ]
        total += len(table)
    # noise of half a half-spread is below what a spread is taken to mean, so coverage is above 95 %
    assert (missed / total <= 0.05).all()


def test_an_expiry_that_cannot_tell_its_rate_takes_its_neighbours():
    frame = chain(noise=0.2)
    week = frame["expiry_datetime"] == frame["expiry_datetime"].min()
    few = frame[~week | (np.abs(frame["strike"] / SPOT - 1) < 0.007)]
    table = implied_forwards(few, SPOT).table
    expected, discount, t = truth(table)
    assert table["pairs"].iloc[0] == 3  # 4980, 5000, 5020
    rate, sd = -np.log(table["discount"].iloc[0]) / t[0], table["discount_sd"].iloc[0] / t[0]
    assert abs(rate - RATE) < 1.96 * sd < 0.05
    assert table["forward"].iloc[0] == pytest.approx(expected[0], abs=1.96 * table["forward_sd"].iloc[0])


def test_outlying_pairs_are_rejected_with_their_reason():
    frame = chain(noise=0.2)
    clean = implied_forwards(frame).table
    stale = np.flatnonzero((frame["option_type"] == "call") & frame["strike"].isin([4960.0, 5020.0, 5100.0]))
    spoilt = frame.copy()
    spoilt.loc[stale, ["bid_price", "ask_price"]] += 40.0
    found = implied_forwards(spoilt)
    assert not found.table["mixed"].any()
    assert (found.table["rejected"] == 3).all()
    assert found.table["forward"].to_numpy() == pytest.approx(clean["forward"].to_numpy(), rel=2e-5)
    assert len(found.rejected) == 3 * len(DAYS)
    assert (
        found.rejected["reason"]
        .str.match(r"the pair is \+\d+\.\d\d bp from the forward, outside the 2 bp")
        .all()
    )


def test_a_reason_gives_the_distance_from_the_forward():
    frame = chain(noise=0.0).assign(discount=lambda f: np.exp(-RATE * f["maturity"]))
    stale = (frame["option_type"] == "call") & frame["strike"].isin([4960.0, 5100.0])
    frame.loc[stale, ["bid_price", "ask_price"]] += 40.0
    frame.loc[stale & (frame["strike"] == 5100.0), ["bid_price", "ask_price"]] -= 60.0
    rejected = implied_forwards(frame, agreement=3e-4).rejected
    assert len(rejected) == 2 * len(DAYS)
    t = (rejected["expiry_datetime"] - pd.Timestamp(TAKEN)).dt.days.to_numpy() / 365
    raised = np.where(rejected["strike"] == 4960.0, 40.0, -20.0)
    distance = 1e4 * raised * np.exp(RATE * t) / forward(t)
    assert rejected["reason"].tolist() == [
        f"the pair is {bp:+.2f} bp from the forward, outside the 3 bp in which most pairs lie"
        for bp in distance
    ]


def test_prices_without_a_spread_are_not_taken_as_exact():
    frame = chain(days=(91,), half_spread=0.0).assign(discount=lambda f: np.exp(-RATE * f["maturity"]))
    row = implied_forwards(frame).table.iloc[0]
    t = 91 / 365
    strike = frame["strike"].unique()
    near = strike[np.abs(strike / forward(t) - 1) <= WINDOW]
    # half of 1e-5 of the strike is the standard deviation of a pair
    weight = (np.exp(-RATE * t) / (0.5e-5 * near)) ** 2
    assert row["pairs"] == len(near) > 30
    assert row["forward_sd"] == pytest.approx(1 / np.sqrt(weight.sum()), rel=1e-9)


def test_the_window_moves_to_the_forward():
    """The strike where call and put are nearest is 103, the forward is 100."""
    strike = np.array([94.0, 95.0, 96.0, 103.0, 104.0, 105.0, 110.0])
    slope, sd = _slope(_Pairs(strike, 0.9 * (100.0 - strike), np.full(7, 0.01), 0.5), 2e-4)
    inside = strike[np.abs(strike / 100.0 - 1.0) <= WINDOW]
    assert len(inside) == 6
    assert slope == pytest.approx(0.9, rel=1e-12)
    assert sd == pytest.approx(0.01 / np.sqrt(np.sum((inside - inside.mean()) ** 2)), rel=1e-9)


def test_two_series_under_one_date_are_refused_and_not_averaged():
    frame = chain(noise=0.2)
    quarter = frame["expiry_datetime"] == pd.Timestamp(TAKEN) + pd.Timedelta(days=91)
    other = quarter & (frame["strike"] % 40 == 0) & (frame["option_type"] == "call")
    frame.loc[other, ["bid_price", "ask_price"]] += 3.0
    table = implied_forwards(frame).table
    assert table["mixed"].tolist() == [day == 91 for day in DAYS]
    assert table["forward"].isna().tolist() == [day == 91 for day in DAYS]
    kept, rejected = prepare(quotes(frame), LOOSE)
    assert len(kept) + len(rejected) == len(frame)
    assert (rejected.loc[rejected["maturity"] == 91 / 365, "reason"] == MIXED).all()
    assert not (kept["maturity"] == 91 / 365).any()


def test_a_stated_forward_counts():
    frame = chain(noise=0.5)
    frame["futures_price"] = forward(frame["maturity"])
    kept, _ = prepare(quotes(frame), LOOSE)
    assert (kept["forward_source"] == "futures").all()
    assert kept["forward"].to_numpy() == pytest.approx(forward(kept["maturity"].to_numpy()), rel=1e-12)


def test_a_surface_of_cash_quotes():
    frame = chain().assign(discount=lambda f: np.exp(-RATE * f["maturity"]))
    surface, rejected = build_surface(quotes(frame), LOOSE)
    assert surface.settlement == "cash"
    at = len(DAYS)
    assert np.asarray(surface.forward)[:at] == pytest.approx(forward(np.array(DAYS) / 365), rel=1e-12)
    assert np.asarray(surface.discount)[:at] == pytest.approx(np.exp(-RATE * np.array(DAYS) / 365), rel=1e-12)
    assert surface.quotes().price.size + len(rejected) == len(frame)


def test_columns_that_a_source_does_not_have_break_no_rule():
    frame = chain()
    kept, rejected = prepare(quotes(frame), dataclasses.replace(LOOSE, drop_synthetic=True))
    assert len(kept) == len(frame) and rejected.empty
    kept, _ = prepare(quotes(frame), dataclasses.replace(LOOSE, max_expiries=2))
    assert kept["expiry_datetime"].nunique() == 2
    counted = frame.assign(open_interest=np.where(frame["option_type"] == "call", 0.0, 1.0))
    _, rejected = prepare(quotes(counted), LOOSE)
    assert set(rejected["reason"]) == {"the open interest is missing or below 1"}


def test_a_reason_of_the_loader_comes_first():
    frame = chain().assign(refused="")
    frame.loc[3, ["refused", "bid_price"]] = ["mini option", np.nan]
    _, rejected = prepare(quotes(frame), LOOSE)
    assert rejected["reason"].tolist() == ["mini option"]


def test_a_random_split_draws_from_all_where_no_future_is_quoted():
    kept, _ = prepare(quotes(chain()), LOOSE, Split(seed=1))
    assert (kept["split"] == "train").sum() == int(0.7 * len(kept))
    assert not (kept["split"] == "extra").any()


def test_static_arbitrage_is_a_switch():
    frame = chain()
    row = int(np.flatnonzero((frame["option_type"] == "put") & (frame["strike"] == 4360.0))[0])
    frame.loc[row, ["bid_price", "ask_price"]] += 50.0
    assert prepare(quotes(frame), LOOSE)[1].empty
    kept, rejected = prepare(quotes(frame), dataclasses.replace(LOOSE, arbitrage=True))
    assert "parity" in rejected["reason"].loc[rejected["strike"] == 4360.0].iloc[0]
    assert len(kept) + len(rejected) == len(frame)


def test_no_usable_quote_is_one_clear_error():
    with pytest.raises(DataError, match="0 of .* pass the filters"):
        prepare(quotes(chain().assign(bid_price=np.nan)), LOOSE)
    with pytest.raises(DataError, match="0 of 0"):
        prepare(quotes(chain().iloc[:0]), LOOSE)


def spx(market_data) -> Any:
    """S&P 500 options; the file states no time, so a day before its first expiry is taken."""
    raw = pd.read_csv(market_data / "equity_chains" / "spx_yahoo_202605.csv.gz")
    taken = pd.Timestamp("2026-05-13T20:00Z")
    expiry = pd.to_datetime(raw["expiry"], utc=True) + pd.Timedelta(hours=20)
    return pd.DataFrame(
        {
            "timestamp": taken,
            "expiry_datetime": expiry,
            "option_type": raw["type"],
            "strike": raw["strike"],
            "maturity": (expiry - taken).dt.total_seconds() / (365 * 86400),
            "bid_price": raw["bid"],
            "ask_price": raw["ask"],
            "futures_price": np.nan,
            "discount": np.nan,
            "underlying_name": "SPX",
        }
    )


def test_index_options_agree_on_their_forwards(market_data):
    frame = spx(market_data)
    found = implied_forwards(frame, 7444.25)
    table = found.table
    checked = 0
    for expiry, rows in frame.groupby("expiry_datetime"):
        one = table.loc[expiry]
        if not one["forward"] > 0:
            assert one["mixed"] or one["pairs"] < 2
            continue
        strike, call_bid, call_ask, put_bid, put_ask = call_put_pairs(rows)
        own = strike + 0.5 * (call_bid + call_ask - put_bid - put_ask) / one["discount"]
        near = np.abs(strike / one["forward"] - 1) <= WINDOW
        out = found.rejected[found.rejected["expiry_datetime"] == expiry]
        rejected = np.isin(strike, out["strike"]) & near
        assert (out["reason"] != "").all() and rejected.sum() <= 0.15 * near.sum()
        low, high = np.quantile(own[near & ~rejected], [0.025, 0.975])
        assert high - low <= 2e-4 * one["forward"]
        checked += 1
    assert checked >= 40
    # the third Fridays with a morning and an afternoon series
    for date in ("2026-05-15", "2026-06-18", "2026-07-17", "2026-08-21"):
        assert table.loc[date, "mixed"].all()
    # rates of May 2026 are what the longer expiries say, and the short ones borrow
    t = (table.index - pd.Timestamp("2026-05-13T20:00Z")).total_seconds() / (365 * 86400)
    assert (-np.log(table["discount"]) / t).between(0.03, 0.05).all()


@pytest.mark.slow
def test_a_surface_of_index_options(market_data):
    frame = spx(market_data)
    filters = Filters(arbitrage=True)
    kept, rejected = prepare(quotes(frame, 7444.25), filters)
    assert len(kept) + len(rejected) == len(frame) and (rejected["reason"] != "").all()
    assert len(kept) > 11_000 and (kept["discount_sd"] > 0).all()
    surface, _ = build_surface(quotes(frame, 7444.25), filters)
    assert surface.quotes().price.size == len(kept)


@pytest.mark.slow
def test_recovered_forwards_cover_the_quoted_futures(market_data):
    """200 snapshots: recovered less quoted is within 1.96 combined uncertainties 95 % of the time."""
    distance = []
    for path in list_snapshots(market_data / "deribit" / "run"):
        snapshot = read_snapshot(path)
        for currency in snapshot.currencies:
            for _, rows in quotes_of(snapshot, currency).frame.groupby("expiry_datetime"):
                parity = parity_forward(*call_put_pairs(rows))
                quoted = rows["futures_price"].dropna()
                if parity.pairs >= 2 and len(quoted):
                    sd = np.hypot(parity.sd, quoted.std(ddof=0))
                    distance.append((parity.forward - quoted.median()) / sd)
    covered = np.mean(np.abs(distance) <= 1.96)
    assert len(distance) > 4000
    assert 0.95 <= covered <= 0.98


def test_without_pairs_the_forward_is_that_of_the_spot_where_rates_are_known():
    expiry = pd.to_datetime(["2026-07-02", "2026-07-02"], utc=True)
    quotes = pd.DataFrame(
        {
            "expiry_datetime": expiry,
            "maturity": 0.5,
            "option_type": ["call", "put"],
            "strike": [110.0, 90.0],
            "bid_price": [1.0, 1.0],
            "ask_price": [1.1, 1.1],
            "futures_price": np.nan,
        }
    )
    stated = implied_forwards(quotes.assign(discount=0.98), 100.0).table.iloc[0]
    assert stated["forward"] == pytest.approx(100.0 / 0.98) and stated["source"] == "spot"
    assert np.isnan(stated["forward_sd"])
    for frame, spot in ((quotes, 100.0), (quotes.assign(discount=0.98), np.nan)):
        row = implied_forwards(frame, spot).table.iloc[0]
        assert np.isnan(row["forward"]) and row["source"] == ""
