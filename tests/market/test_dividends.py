"""Dividends by date: files and tables of them, and American chains turned into European ones with them."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from parity_chain import LOOSE
from quantlib_american import quantlib_dividend_price

import neutral as nt
from neutral.errors import ArgumentError, DataError
from neutral.market import DividendSchedule, Quotes, build_surface, load_dividends, prepare
from neutral.market.dividends import as_schedule
from neutral.market.quotes import UNKNOWN_DATE

TAKEN = datetime(2024, 3, 4, tzinfo=UTC)
RATE, VOL, CASH, EX_DAY, DAYS = 0.03, 0.25, 1.5, 60, 90
EX_DATE = "2024-05-03"


def chain(model, days=DAYS, strikes=(85.0, 92.0, 97.0, 100.0, 103.0, 108.0, 115.0)) -> Quotes:
    rows = []
    for strike in strikes:
        for kind in ("call", "put"):
            option = (strike, VOL, RATE, 0.0, kind == "call")
            dividends = [(EX_DAY, CASH)] if days >= EX_DAY else []
            mid = quantlib_dividend_price(option, days, dividends, model, (300, 500))
            rows.append((kind, strike, mid - 0.02, mid + 0.02))
    frame: Any = pd.DataFrame(rows, columns=["option_type", "strike", "bid_price", "ask_price"])
    taken = pd.Timestamp(TAKEN)
    frame = frame.assign(
        timestamp=taken,
        expiry_datetime=taken + pd.Timedelta(days=days),
        maturity=days / 365,
        futures_price=np.nan,
        underlying_name="XYZ",
    )
    return Quotes(
        frame, "XYZ", TAKEN, Path("made"), "365", "", settlement="cash", exercise="american", spot=100.0
    )


@pytest.mark.slow
@pytest.mark.parametrize("model", ["spot", "escrowed"])
def test_a_chain_across_a_dividend_has_the_volatility_it_was_made_with(model):
    dividends = DividendSchedule(as_schedule({EX_DATE: CASH}).frame, model)
    kept, rejected = prepare(chain(model), LOOSE, rate=RATE, dividends=dividends)
    # some options deep in the money are worth what their exercise gives
    assert len(kept) >= 12 and len(kept) + len(rejected) == 14
    forward = 100.0 * np.exp(RATE * DAYS / 365) - CASH * np.exp(RATE * (DAYS - EX_DAY) / 365)
    assert kept["forward"].to_numpy() == pytest.approx(forward, rel=2e-5)
    vols = nt.implied_vol(
        kept["mid_price_clean"].to_numpy(),
        kept["forward"].to_numpy(),
        kept["strike"].to_numpy(),
        DAYS / 365,
        kind=kept["kind"].to_numpy(bool),
        discount=kept["discount"].to_numpy(),
    )
    # Black's volatility of the forward is that of the escrowed model; that of the spot is larger by
    # about CASH / spot times EX_DAY / DAYS
    expected = VOL if model == "escrowed" else VOL * (1 + CASH / 100 * EX_DAY / DAYS)
    assert np.asarray(vols) == pytest.approx(expected, abs=5e-4)


@pytest.mark.slow
def test_without_a_spot_the_stated_dividends_are_added_to_the_first_forward():
    quotes = chain("escrowed")
    lost = Quotes(**{**vars(quotes), "spot": np.nan})
    dividends = DividendSchedule(as_schedule({EX_DATE: CASH}).frame, "escrowed")
    kept, _ = prepare(lost, LOOSE, rate=RATE, dividends=dividends)
    forward = 100.0 * np.exp(RATE * DAYS / 365) - CASH * np.exp(RATE * (DAYS - EX_DAY) / 365)
    assert kept["forward"].to_numpy() == pytest.approx(forward, rel=1e-4)


@pytest.mark.slow
def test_a_surface_takes_dividends_by_date():
    surface, _ = build_surface(chain("spot"), LOOSE, rate=RATE, dividends={date(2024, 5, 3): CASH})
    assert float(surface.expiries[0]) == pytest.approx(DAYS / 365)


def test_a_file_of_dividends(tmp_path):
    path = tmp_path / "dividends.csv"
    path.write_text(
        "Symbol,ex_date,amount,proportional\nxyz,2024-05-03,1.5,\nABC,2024-05-04,9,\n"
        "XYZ,2024-03-04,3,\nXYZ,2024-03-05,,0.01\n"
    )
    schedule = load_dividends(path, model="escrowed")
    ahead = schedule.upcoming(chain("escrowed", strikes=(100.0,)))
    assert ahead.times == pytest.approx([1 / 365, 60 / 365])
    assert ahead.cash.tolist() == [0.0, 1.5]
    assert ahead.proportional.tolist() == [0.01, 0.0]
    assert ahead.model == "escrowed"


FAULTS = {
    "no amount": ("ex_date,note\n2024-05-03,x\n", "no column of amounts; expected one of cash, amount"),
    "no date": ("cash\n1\n", "required column missing: 'ex_date' or"),
    "blank date": ("ex_date,cash\n,1\n", "dividend 1 has the date NaT"),
    "American date": ("ex_date,cash\n05/03/2024,1\n", "can be read as MM/DD/YYYY and as DD/MM/YYYY"),
    "text": ("ex_date,cash\n2024-05-03,one\n", "dividend 1 has the date .*cash nan"),
    "negative": ("ex_date,cash\n2024-05-03,-1\n", "cash -1.0"),
    "percent": ("ex_date,proportional\n2024-05-03,2\n", r"fraction of the price in \[0, 1\)"),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_faulty_file_is_refused(tmp_path, text, message):
    path = tmp_path / "dividends.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        load_dividends(path)
    assert str(path) in str(caught.value)


@pytest.mark.mistyped
def test_what_is_no_dividend_is_refused():
    for wrong in (1.5, {"soon": 1.0}, {"2024-05-03": "much"}, {"2024-05-03": -1.0}):
        with pytest.raises(ArgumentError, match="dividend"):
            as_schedule(wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match="'spot' or 'escrowed', got 'forward'"):
        DividendSchedule(as_schedule({EX_DATE: CASH}).frame, "forward")  # pyright: ignore[reportArgumentType]


def test_quotes_without_a_date_cannot_place_dividends():
    undated = Quotes(**{**vars(chain("spot", strikes=(100.0,))), "snapshot_ts": UNKNOWN_DATE})
    with pytest.raises(DataError, match="no date, so dividends cannot be placed"):
        as_schedule({EX_DATE: CASH}).upcoming(undated)
