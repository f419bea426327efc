"""Filters, forwards and splits: every row ends in one table, and each rule gives its own reason."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import parity_chain
import pytest

from neutral.errors import ArgumentError, DataError, QuoteWarning
from neutral.market import Filters, Quotes, Split, build_surface, list_snapshots, load_deribit, prepare
from neutral.market.build import NO_FORWARD, surface_table
from neutral.market.filters import CONTRADICTED, REPEATED
from neutral.market.loaders.deribit import COLUMNS
from neutral.market.loaders.rates import flat_rate
from neutral.shipped import sample_folder

TAKEN = datetime(2026, 1, 15, 15, 34, 52, tzinfo=UTC)
FORWARD = 95_000.0
EXPIRIES = {"2026-01-30T08:00Z": 0.04, "2026-03-27T08:00Z": 0.19}
LOOSE = Filters(min_quotes=1)
ABOVE = Filters(min_quotes=1, min_price=0.003, allow_crossed=True)
NO_SYNTHETIC = Filters(min_quotes=1, drop_synthetic=True)


def table(strikes=range(80_000, 112_000, 2_000)) -> Any:
    """Calls and puts that obey parity at FORWARD exactly, 0.001 coin wide."""
    rows = []
    for expiry, maturity in EXPIRIES.items():
        for strike in strikes:
            time_value = 0.02 * np.exp(-(((strike - FORWARD) / 10_000) ** 2)) + 0.004
            for kind, sign in (("call", 1), ("put", -1)):
                mid = max(sign * (1 - strike / FORWARD), 0.0) + time_value
                rows.append(
                    {
                        "timestamp": pd.Timestamp(TAKEN),
                        "underlying_name": f"BTC-{expiry}",
                        "option_type": kind,
                        "strike": float(strike),
                        "expiry_datetime": pd.Timestamp(expiry),
                        "time_to_maturity": maturity,
                        "maturity": maturity,
                        "bid_price": mid - 5e-4,
                        "ask_price": mid + 5e-4,
                        "futures_price": FORWARD,
                        "vega": 50.0,
                        "open_interest": 10.0,
                        "currency": "BTC",
                    }
                )
    return pd.DataFrame(rows).reindex(columns=[*COLUMNS, "maturity"])


def quotes(frame: pd.DataFrame) -> Quotes:
    return Quotes(frame, "BTC", TAKEN, Path("snapshot.csv"), "file", "")


def changed(**values) -> Quotes:
    """The table with values of its first row replaced."""
    frame = table()
    for name, value in values.items():
        frame.loc[0, name] = value
    return quotes(frame)


def test_clean_quotes_all_pass():
    kept, rejected = prepare(quotes(table()))
    assert len(kept) == len(table()) and rejected.empty
    assert set(kept["forward"]) == {FORWARD} and set(kept["forward_sd"]) == {0.0}
    assert set(kept["forward_source"]) == {"futures"} and set(kept["split"]) == {"train"}
    np.testing.assert_allclose(kept["log_moneyness"], np.log(kept["strike"] / FORWARD), rtol=1e-15)
    np.testing.assert_allclose(kept["rel_spread"], 1e-3 / kept["mid_price_clean"], rtol=1e-9)


def test_order_does_not_depend_on_the_file():
    shuffled = table().sample(frac=1, random_state=1)
    one, other = prepare(quotes(table()))[0], prepare(quotes(shuffled))[0]
    pd.testing.assert_frame_equal(one, other)
    by_hand = one.sort_values(["expiry_datetime", "strike", "option_type"], ignore_index=True)
    pd.testing.assert_frame_equal(one, by_hand)


BROKEN = {
    "option type": (LOOSE, {"option_type": "straddle"}, "the option type is not call or put"),
    "no option type": (LOOSE, {"option_type": np.nan}, "the option type is not call or put"),
    "strike": (LOOSE, {"strike": 0.0}, "the strike is missing or not positive"),
    "no strike": (LOOSE, {"strike": np.nan}, "the strike is missing or not positive"),
    "expiry": (LOOSE, {"expiry_datetime": pd.NaT}, "the expiry is missing or not a date"),
    "no maturity": (LOOSE, {"maturity": np.nan}, "the maturity is missing"),
    "discount": (LOOSE, {"discount": 0.0}, "the discount factor is not between 1e-09 and 1e+09"),
    "tiny discount": (LOOSE, {"discount": 1e-320}, "the discount factor is not between 1e-09 and 1e+09"),
    "no bid": (LOOSE, {"bid_price": np.nan}, "the bid is missing"),
    "no ask": (LOOSE, {"ask_price": np.inf}, "the ask is missing"),
    "zero bid": (LOOSE, {"bid_price": 0.0}, "the bid is not above 0"),
    "zero ask": (LOOSE, {"ask_price": -1.0}, "the ask is not above 0"),
    "bid at the bound": (ABOVE, {"bid_price": 0.003, "ask_price": 0.004}, "the bid is not above 0.003"),
    "ask at the bound": (ABOVE, {"bid_price": 0.004, "ask_price": 0.003}, "the ask is not above 0.003"),
    "crossed": (LOOSE, {"bid_price": 0.3, "ask_price": 0.2}, "the ask is below the bid"),
    "28 seconds": (LOOSE, {"maturity": 28 / 86400 / 365.25}, "the maturity is below 0.00274 years"),
    "expired": (LOOSE, {"maturity": -0.1}, "the maturity is below 0.00274 years"),
    "long": (Filters(min_quotes=1, max_maturity=1.0), {"maturity": 1.5}, "the maturity is above 1 years"),
    "open interest": (LOOSE, {"open_interest": 0.9}, "the open interest is missing or below 1"),
    "no vega": (LOOSE, {"vega": np.nan}, "the vega is missing or below 0"),
    "wide": (LOOSE, {"bid_price": 0.1, "ask_price": 0.2}, "the spread is above 0.5 of the mid price"),
    "moneyness": (LOOSE, {"strike": 40_000.0}, "strike / forward is outside 0.5 to 2"),
    "synthetic": (NO_SYNTHETIC, {"underlying_name": "SYN.BTC-30JAN26"}, "the underlying is synthetic"),
}


@pytest.mark.parametrize(("filters", "values", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_each_rule_has_its_reason(filters, values, reason):
    given = changed(**values)
    kept, rejected = prepare(given, filters)
    assert rejected["reason"].tolist() == [reason]
    assert len(kept) == len(given) - 1


def test_rows_of_one_option_are_repeats_or_contradict_each_other():
    given = quotes(pd.concat([table(), table().iloc[:1]], ignore_index=True))
    kept, rejected = prepare(given, LOOSE)
    assert rejected["reason"].tolist() == [REPEATED] and len(kept) == len(table())
    kept, rejected = prepare(changed(option_type="put"), LOOSE)
    assert rejected["reason"].tolist() == [CONTRADICTED] * 2 and len(kept) == len(table()) - 2


HARMLESS = {
    "extreme volatility": (LOOSE, {"implied_volatility": 5.0}),
    "zero mark": (LOOSE, {"mark_price": 0.0}),
    "synthetic": (LOOSE, {"underlying_name": "SYN.BTC-30JAN26"}),
    "index": (NO_SYNTHETIC, {"underlying_name": "index_price"}),
    "bounds": (LOOSE, {"maturity": 1 / 365, "open_interest": 1.0, "vega": 0.0}),
    "widest": (LOOSE, {"bid_price": 0.1875, "ask_price": 0.3125}),
    "crossed": (Filters(min_quotes=1, allow_crossed=True), {"bid_price": 0.3, "ask_price": 0.2}),
}


@pytest.mark.parametrize(("filters", "values"), HARMLESS.values(), ids=HARMLESS.keys())
def test_what_is_no_fault_stays(filters, values):
    assert prepare(changed(**values), filters)[1].empty


def test_maturity_is_one_per_expiry():
    kept, _ = prepare(changed(maturity=0.05))
    assert kept.groupby("expiry_datetime")["maturity"].unique().map(list).tolist() == [[0.04], [0.19]]


def test_too_few_quotes_says_how_many_and_why():
    frame = table()
    frame.loc[frame.index[:40], "bid_price"] = np.nan
    with pytest.raises(
        DataError, match="24 of 64 BTC options pass .* at least 50 are needed.* 40 x the bid is missing"
    ):
        prepare(quotes(frame))


def test_guards_keep_the_expiries_with_most_interest_and_draw_by_seed():
    frame = table()
    frame.loc[frame["maturity"] > 0.1, "open_interest"] = 20.0
    kept, rejected = prepare(quotes(frame), Filters(min_quotes=1, max_expiries=1))
    assert set(kept["maturity"]) == {0.19} and len(kept) + len(rejected) == len(frame)
    drawn = [
        prepare(quotes(rows), Filters(min_quotes=1, max_quotes=20, sample_seed=seed))[0]
        for rows, seed in ((frame, 1), (frame.sample(frac=1, random_state=2), 1), (frame, 2))
    ]
    assert [len(rows) for rows in drawn] == [20, 20, 20]
    pd.testing.assert_frame_equal(drawn[0], drawn[1])
    assert not drawn[0].equals(drawn[2])


WRONG = {
    "min_maturity": -1.0,
    "max_maturity": 0.0,
    "min_open_interest": float("nan"),
    "min_vega": "1",
    "max_relative_spread": float("inf"),
    "moneyness": (2.0, 0.5),
    "min_quotes": 0,
    "max_expiries": 1.5,
    "max_quotes": 0,
    "sample_seed": -1,
}


@pytest.mark.parametrize(("name", "value"), WRONG.items(), ids=WRONG.keys())
@pytest.mark.mistyped
def test_filters_check_themselves(name, value):
    with pytest.raises(ArgumentError, match=name):
        Filters(**{name: value})


def test_row_without_futures_price_takes_its_expiry_s():
    kept, _ = prepare(changed(futures_price=np.nan))
    assert kept["forward_source"].value_counts().to_dict() == {"futures": 63, "expiry": 1}
    assert set(kept["forward"]) == {FORWARD}


def test_expiry_without_futures_price_takes_parity():
    frame = table()
    first = frame["maturity"] == 0.04
    frame.loc[first, ["futures_price", "underlying_name"]] = [np.nan, "index_price"]
    kept, rejected = prepare(quotes(frame))
    recovered = kept[kept["forward_source"] == "parity"]
    assert len(recovered) == int(first.sum()) and rejected.empty
    np.testing.assert_allclose(recovered["forward"], FORWARD, rtol=1e-12)
    assert np.all(recovered["forward_sd"] > 0)


def test_expiry_without_forward_is_rejected():
    frame = table()
    first = frame["maturity"] == 0.04
    frame.loc[first, "futures_price"] = np.nan
    frame = frame[~first | (frame["option_type"] == "call") | (frame["strike"] == 90_000)]
    kept, rejected = prepare(quotes(frame), LOOSE)
    assert set(rejected["reason"]) == {NO_FORWARD} and len(rejected) == 17
    assert len(kept) + len(rejected) == len(frame)


def test_surface_is_the_table():
    given = quotes(table())
    surface, rejected = build_surface(given)
    kept, _ = prepare(given)
    listed = surface.quotes()
    assert rejected.empty and surface.settlement == "coin"
    np.testing.assert_array_equal(listed.price, kept["mid_price_clean"])
    np.testing.assert_array_equal(listed.is_call, kept["kind"])
    np.testing.assert_allclose(listed.k, kept["log_moneyness"], rtol=0, atol=1e-15)
    assert listed.train.all()


def test_crossed_quotes_are_a_price_without_a_spread():
    crossed = changed(bid_price=0.3, ask_price=0.2)
    surface, _ = build_surface(crossed, dataclasses.replace(LOOSE, allow_crossed=True))
    assert np.isnan(surface.quotes().spread).sum() == 1


def test_shipped_snapshots_make_surfaces():
    paths = list_snapshots(sample_folder())[:3]
    assert len(paths) == 3
    for path in paths:
        for currency in ("BTC", "ETH"):
            given = load_deribit(path, currency)
            surface, rejected = build_surface(given, split=Split())
            listed = surface.quotes()
            assert len(listed.price) + len(rejected) == len(given)
            assert listed.train.sum() == int(0.7 * len(listed.price))


def test_quotes_count_by_a_power_of_their_open_interest():
    file = list_snapshots(sample_folder())[0]
    kept, _ = prepare(load_deribit(file, "BTC"))
    plain, weighted = surface_table(kept), surface_table(kept, 0.5)
    np.testing.assert_array_equal(plain["weight"], 1.0)
    np.testing.assert_allclose(weighted["weight"], np.sqrt(kept["open_interest"]), rtol=1e-6)


def test_rates_of_a_surface_are_a_number_or_a_history():
    quotes = parity_chain.quotes(parity_chain.chain())
    one, other, history = (
        build_surface(quotes, parity_chain.LOOSE, **rates)[0]
        for rates in ({"rate": 0.03}, {"rates": 0.03}, {"rates": flat_rate(0.03)})
    )
    known = np.any(np.asarray(one.mask), axis=(0, 2))
    np.testing.assert_allclose(one.discount[known], np.exp(-0.03 * one.t[known]), rtol=1e-14)
    assert one.discount.tolist() == other.discount.tolist() == history.discount.tolist()
    with pytest.raises(ArgumentError, match="rate= or rates=, not both"):
        build_surface(quotes, rate=0.03, rates=0.03)


@pytest.mark.parametrize(("spot", "factor"), [(50000.0, "0.1 times"), (500.0, "10 times")])
def test_a_spot_that_contradicts_parity_is_told_with_the_factor(spot, factor):
    wrong = parity_chain.quotes(parity_chain.chain(), spot=spot)
    with pytest.warns(QuoteWarning, match=f"the spot is {spot:g}, .* {factor} the spot"):
        build_surface(wrong, parity_chain.LOOSE)
    with pytest.raises(DataError, match=f"pass the filters.* {factor} the spot"):
        build_surface(wrong, Filters(min_quotes=10**6))
