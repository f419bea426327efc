"""Old quotes: by their age, over snapshots, and over strikes."""

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neutral.errors import ArgumentError, DataError
from neutral.market import (
    Filters,
    Quotes,
    list_snapshots,
    load_deribit,
    load_equity_chain,
    prepare,
    refuse_stale,
)
from neutral.market.staleness import stale_reasons

TAKEN = datetime(2024, 3, 4, 15, 0, tzinfo=UTC)
STRIKES = np.arange(90.0, 111.0, 5.0)


def snapshot(minutes: int = 0, spot: float = 100.0, ask_added: float = 0.0, **columns) -> Quotes:
    """Calls on one expiry, quoted `minutes` after `TAKEN`."""
    price = np.maximum(spot - STRIKES, 0.0) + 2.0
    frame = pd.DataFrame(
        {
            "timestamp": pd.Timestamp(TAKEN + timedelta(minutes=minutes)),
            "expiry_datetime": pd.Timestamp("2024-04-19", tz="UTC"),
            "option_type": "call",
            "strike": STRIKES,
            "maturity": 0.126,
            "bid_price": price,
            "ask_price": price + 0.1 + ask_added,
            "futures_price": spot,
            "discount": 1.0,
        }
    ).assign(**columns)
    time = TAKEN + timedelta(minutes=minutes)
    return Quotes(frame, "XYZ", time, Path("x.csv"), "365", "", settlement="cash", spot=spot)


def ages(*minutes: float) -> list[datetime]:
    return [TAKEN - timedelta(minutes=m) for m in minutes]


def test_old_quotes_are_refused_with_their_age():
    quotes = snapshot(quote_time=[*ages(0, 10, 20, 2000), pd.NaT])
    reasons = stale_reasons(quotes, Filters(max_quote_age=900.0))
    assert reasons.tolist() == [
        "",
        "",
        "the quote is 20 min old, above 15 min",
        "the quote is 1.4 d old, above 15 min",
        "the time of the quote is missing",
    ]
    assert (stale_reasons(quotes, Filters()) == "").all()
    kept, rejected = prepare(quotes, Filters(min_quotes=1, max_quote_age=900.0, max_relative_spread=9.0))
    assert (len(kept), len(rejected)) == (2, 3)


def test_timestamps_of_rows_are_times_of_quotes():
    quotes = snapshot(timestamp=ages(0, 1, 2, 3, 60))
    assert (stale_reasons(quotes, Filters(max_quote_age=300.0)) != "").tolist() == [False] * 4 + [True]


def test_a_date_alone_takes_the_last_quote_as_now():
    day = datetime(2024, 3, 4, tzinfo=UTC)
    quotes = dataclasses.replace(snapshot(quote_time=ages(0, 10, 20, 30, 40)), snapshot_ts=day)
    old = stale_reasons(quotes, Filters(max_quote_age=1500.0))
    assert (old != "").tolist() == [False, False, False, True, True]


def test_a_source_without_times_of_quotes_says_so():
    with pytest.raises(DataError, match="no times of their own, so max_quote_age cannot be tested"):
        prepare(snapshot(), Filters(min_quotes=1, max_quote_age=900.0))
    with pytest.raises(DataError, match="no times of their own"):
        prepare(snapshot(quote_time=pd.NaT), Filters(max_quote_age=900.0))
    with pytest.raises(ArgumentError, match="max_quote_age=-1"):
        Filters(max_quote_age=-1)


def test_a_column_of_times_in_a_file(tmp_path):
    path = tmp_path / "XYZ.csv"
    path.write_text(
        "quote_date,last_update,expiration,type,strike,bid,ask\n"
        "2024-03-04,2024-03-04T20:00:00Z,2024-04-19,call,100,1,1.1\n"
        "2024-03-04,2024-03-04T14:00:00-05:00,2024-04-19,put,100,1,1.1\n"
        "2024-03-04,,2024-04-19,put,95,1,1.1\n"
    )
    quotes = load_equity_chain(path, rates=0.0)
    reasons = stale_reasons(quotes, Filters(max_quote_age=600.0)).tolist()
    assert reasons == ["", "the quote is 1 h old, above 10 min", "the time of the quote is missing"]


def test_an_unchanged_quote_is_stale_once_the_underlying_has_moved():
    first, second = snapshot(0, 100.0), snapshot(5, 101.0)
    frame = snapshot(10, 102.0).frame
    frame.loc[3, ["bid_price", "ask_price"]] = first.frame.loc[3, ["bid_price", "ask_price"]]
    stuck = second.frame.copy()
    stuck.loc[3, ["bid_price", "ask_price"]] = first.frame.loc[3, ["bid_price", "ask_price"]]
    # quotes at strike 110 are 2.0 in all snapshots, because their intrinsic value is 0
    earlier = [first, dataclasses.replace(second, frame=stuck)]
    marked = refuse_stale(dataclasses.replace(snapshot(10, 102.0), frame=frame), earlier)
    reason = "stale: bid and ask unchanged since 2024-03-04T15:00:00Z"
    assert marked.frame["refused"].tolist() == ["", "", "", reason, reason]
    kept, rejected = prepare(marked, Filters(min_quotes=1, max_relative_spread=9.0))
    assert rejected["reason"].tolist() == [reason] * 2 and len(kept) == 3


def test_nothing_is_stale_without_a_move_or_without_history():
    earlier = [snapshot(0), snapshot(5)]
    assert "refused" not in refuse_stale(snapshot(10), earlier).frame
    assert "refused" not in refuse_stale(snapshot(10, 110.0), []).frame
    one = refuse_stale(snapshot(10, 110.0), [snapshot(0, 100.0), snapshot(5, 100.0, ask_added=0.01)])
    assert set(one.frame["refused"]) == {""}


def test_a_quote_that_was_not_listed_before_is_new():
    before = snapshot(0, 100.0)
    listed = dataclasses.replace(before, frame=before.frame.iloc[:4])
    *_, before, new = refuse_stale(snapshot(5, 101.0), [listed]).frame["refused"]
    assert before != "" and new == ""


def test_histories_out_of_order_or_without_a_price_are_refused():
    with pytest.raises(DataError, match="in order of time"):
        refuse_stale(snapshot(5, 101.0), [snapshot(5)])
    other = dataclasses.replace(snapshot(0), currency="ABC")
    with pytest.raises(DataError, match="one underlying, got ABC, XYZ"):
        refuse_stale(snapshot(5, 101.0), [other])
    blind = dataclasses.replace(snapshot(5, futures_price=np.nan), spot=np.nan)
    with pytest.raises(DataError, match="no price of the underlying"):
        refuse_stale(blind, [snapshot(0)])


def test_real_snapshots_have_few_unchanged_quotes():
    snapshots = [load_deribit(path, "BTC", "365") for path in list_snapshots(_samples())]
    marked = refuse_stale(snapshots[1], [snapshots[0]])
    frame = marked.frame
    stale = np.array(frame["refused"] != "")
    both = frame.merge(snapshots[0].frame, on="instrument_name", suffixes=("", "_before"))
    same = (both["bid_price"] == both["bid_price_before"]) & (both["ask_price"] == both["ask_price_before"])
    assert stale.sum() == np.sum(same & (both["bid_price"] > 0)) > 0


def _samples() -> Path:
    from neutral.market import sample_folder

    return sample_folder()


def test_equal_quotes_at_many_strikes():
    quotes = snapshot()
    quotes.frame.loc[1:4, ["bid_price", "ask_price"]] = [3.0, 3.1]
    reasons = stale_reasons(quotes, Filters(max_equal_strikes=3))
    assert reasons[0] == "" and set(reasons[1:]) == {
        "stale: bid and ask are the same at 4 neighbouring strikes"
    }
    assert (stale_reasons(quotes, Filters(max_equal_strikes=4)) == "").all()
    puts = quotes.frame.assign(option_type=["call", "put"] * 2 + ["call"])
    apart = dataclasses.replace(quotes, frame=puts)
    assert (stale_reasons(apart, Filters(max_equal_strikes=2)) == "").all()
    zero = dataclasses.replace(quotes, frame=quotes.frame.assign(bid_price=0.0, ask_price=0.1))
    assert (stale_reasons(zero, Filters(max_equal_strikes=1)) == "").all()
