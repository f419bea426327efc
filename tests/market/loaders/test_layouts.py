"""Option chains of many vendors: the same quotes come out of every layout, order of rows and kind of file."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from vendor_files import DAY, NEAR, VENDORS, WITHOUT_DATE, WITHOUT_UNDERLYING, chain, nse_bhavcopy, nse_udiff

from neutral import DataError, Quotes, load_equity_chain, open_source
from neutral.market import implied_forwards

ROWS = chain()


def written(table: pd.DataFrame, folder: Path, ending: str = ".csv") -> Path:
    path = folder / f"xyz_chain{ending}"
    if ending == ".parquet":
        table.to_parquet(path)
    elif ending == ".csv.gz":
        path.write_bytes(gzip.compress(table.to_csv(index=False).encode()))
    else:
        table.to_csv(path, index=False)
    return path


def same_quotes(quotes: Quotes, name: str = "XYZ") -> None:
    """The quotes are those of the chain, and their forwards those from which it was made."""
    frame: Any = quotes.frame
    assert (quotes.currency, quotes.settlement) == (name, "cash")
    assert f"{quotes.snapshot_ts:%Y-%m-%d}" == DAY and (frame["refused"] == "").all()
    assert "spot" not in frame and (np.isnan(quotes.spot) or quotes.spot in (100.0, 99.1))
    found = frame.assign(
        expiry=frame["expiry_datetime"].dt.strftime("%Y-%m-%d"),
        type=frame["option_type"].map({"call": "C", "put": "P"}),
        bid=frame["bid_price"],
        ask=frame["ask_price"],
    )
    found = found.sort_values(["expiry", "strike", "type"], ignore_index=True)[list(ROWS)]
    pd.testing.assert_frame_equal(found, ROWS, check_dtype=False, rtol=1e-12)
    forwards = implied_forwards(quotes.frame).table["forward"]
    np.testing.assert_allclose(forwards, list(NEAR.values()), atol=2e-3)


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_layout_gives_the_chain(vendor, tmp_path):
    table = VENDORS[vendor](ROWS)
    path = written(table, tmp_path, ".txt" if vendor == "optionsDX" else ".csv")
    date = DAY if vendor in WITHOUT_DATE else None
    quotes = load_equity_chain(path, date, rates=0.03)
    same_quotes(quotes)
    assert quotes.exercise == "american"
    source = open_source(path)
    assert source.kind == "equity chain" and [name for name, _ in source.snapshots] == ["XYZ"]


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("ending", [".csv.gz", ".parquet", "polars"])
def test_every_kind_of_file_and_table_gives_the_chain(vendor, ending, tmp_path):
    shuffled = VENDORS[vendor](ROWS).sample(frac=1, random_state=1)
    date = DAY if vendor in WITHOUT_DATE else None
    symbol = "xyz" if vendor in WITHOUT_UNDERLYING else None
    if ending == "polars":
        same_quotes(Quotes.from_frame(pl.DataFrame(shuffled.to_dict("list")), date, 0.03, symbol=symbol))
    else:
        same_quotes(load_equity_chain(written(shuffled, tmp_path, ending), date))


@pytest.mark.parametrize("time", [10**17, -(10**15), 7_000_000_000_000_000, 1, 1709586000])
def test_a_time_of_a_quote_of_no_market_is_refused_by_its_row(time, tmp_path):
    table = VENDORS["Tradier"](ROWS)
    table.loc[2, "bid_date"] = time
    with pytest.raises(DataError, match=f"row 3: bid_date .*{time}.* is no time between 2001 and 2200"):
        load_equity_chain(written(table, tmp_path))


def test_a_time_of_zero_says_that_a_contract_has_no_quote_yet(tmp_path):
    table = VENDORS["Tradier"](ROWS)
    table.loc[2, "bid_date"] = 0
    same_quotes(load_equity_chain(written(table, tmp_path), rates=0.03))


@pytest.mark.parametrize("make", [nse_bhavcopy, nse_udiff])
def test_settlement_prices_of_the_nse_are_mids(make, tmp_path):
    table = make(ROWS)
    quotes = load_equity_chain(written(table, tmp_path))
    frame: Any = quotes.frame
    assert (quotes.currency, quotes.exercise, len(frame)) == ("NIFTY", "european", len(ROWS))
    mid = frame.sort_values(["expiry_datetime", "strike", "option_type"])["bid_price"].to_numpy()
    np.testing.assert_allclose(mid, 0.5 * (ROWS["bid"] + ROWS["ask"]), rtol=1e-12)
    np.testing.assert_array_equal(frame["bid_price"], frame["ask_price"])
    # stocks of the same file are European too
    stock = written(table.replace("NIFTY", "RELIANCE"), tmp_path)
    assert load_equity_chain(stock).exercise == "european"


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.slow
def test_unknown_names_are_refused_with_the_map_to_write_or_read_with_it(vendor, tmp_path):
    """Each column of a role is renamed in turn: the file is refused with a reason, or read right."""
    table = VENDORS[vendor](ROWS)
    for name in table.columns:
        renamed = written(table.rename(columns={name: "QQQ_1"}), tmp_path)
        date = DAY if vendor in WITHOUT_DATE else None
        try:
            quotes = load_equity_chain(renamed, date)
        except DataError as error:
            assert "columns=" in str(error), (name, error)
            continue
        if name in ("bid_1545", "ask_1545"):  # both sides of the other time of the day
            frame: Any = quotes.frame
            np.testing.assert_allclose(frame["bid_price"].max(), 0.9 * ROWS["bid"].max(), rtol=1e-12)
            np.testing.assert_allclose(frame["ask_price"].max(), 0.9 * ROWS["ask"].max(), rtol=1e-12)
        else:
            same_quotes(quotes)
