"""Random tables of every layout: only the package's own errors, no row lost, no dependence on their order."""

import csv
import gzip
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neutral import NeutralError, load_equity_chain, load_fx_vols, load_rates, load_surface
from neutral.errors import DataError
from neutral.market import Filters, Quotes, load_deribit, prepare
from neutral.market.filters import quote_reasons

N_ROWS = 4  # always the same number, so that prices of volatilities are compiled once
WILD = ("", "nan", "x", "inf", "-1", "0", "1e400", "1e-320", "1e15", " 7 ", "True", "0x10", "1,5")


class Case(NamedTuple):
    """A layout: its loader, a plausible row, and the columns in which anything may stand."""

    load: Callable[[Path], Quotes]
    row: Mapping[str, str]
    wild: tuple[str, ...]
    step: str  # the column that tells rows apart
    steps: tuple[str, ...]
    per_row: int = 1  # options of a row of the file


DERIBIT = {
    "timestamp": "2026-01-15T15:34:52.5+00:00",
    "currency": "BTC",
    "option_type": "call",
    "strike": "90000",
    "expiry_datetime": "2026-01-30T08:00:00+00:00",
    "time_to_maturity": "0.0402",
    "bid_price": "0.06",
    "ask_price": "0.062",
    "futures_price": "95000",
    "vega": "50",
    "open_interest": "10",
}
LONG = {
    "date": "2020-01-02",
    "under": "SPX",
    "expiration": "2020-01-31",
    "strike": "95",
    "type": "C",
    "bid": "6",
    "ask": "6.2",
    "spot": "100",
    "iv": "0.2",
    "open interest": "5",
}
WIDE = {
    "[QUOTE_DATE]": "2020-01-02",
    "[UNDERLYING]": "SPX",
    "[UNDERLYING_LAST]": "100",
    "[EXPIRE_DATE]": "2020-01-31",
    "[STRIKE]": "95",
    "[C_BID]": "6",
    "[C_ASK]": "6.2",
    "[P_BID]": "1",
    "[P_ASK]": "1.2",
}
SURFACE = {"date": "2020-01-02", "spot": "100", "T": "0.5", "strike": "90", "zero_rate": "0.01", "iv": "0.2"}
FX = {
    "date": "2020-01-02",
    "pair": "EURUSD",
    "tenor": "1m",
    "spot": "1.1",
    "r_domestic": "0.01",
    "r_foreign": "0.02",
    "atm": "10",
    "rr25": "-1",
    "bf25": "0.2",
}
STRIKES = ("90", "95", "100", "105")
CASES = {
    "deribit": Case(
        lambda path: load_deribit(path),
        DERIBIT,
        ("option_type", "expiry_datetime", "time_to_maturity", "bid_price", "ask_price", "futures_price"),
        "strike",
        ("90000", "95000", "1e400", "100000"),
    ),
    "long chain": Case(
        lambda path: load_equity_chain(path),
        LONG,
        ("type", "bid", "ask", "spot", "iv", "open interest"),
        "strike",
        STRIKES,
    ),
    "wide chain": Case(
        lambda path: load_equity_chain(path),
        WIDE,
        ("[C_BID]", "[C_ASK]", "[P_BID]", "[P_ASK]", "[UNDERLYING_LAST]"),
        "[STRIKE]",
        STRIKES,
        2,
    ),
    "surface": Case(
        lambda path: load_surface(path), SURFACE, ("spot", "T", "zero_rate", "iv"), "strike", STRIKES
    ),
    "fx": Case(
        lambda path: load_fx_vols(path, spot=1.1),
        FX,
        ("r_domestic", "r_foreign", "atm", "rr25", "bf25"),
        "tenor",
        ("2w", "1m", "3M", "2y"),
        3,
    ),
}


class File(NamedTuple):
    """Cells, and how they are written."""

    names: list[str]
    rows: list[dict[str, str]]
    order: list[int]
    quoting: Any
    newline: str
    start: bytes  # byte order mark or nothing
    blank: int  # blank lines after each row
    zipped: bool

    def bytes(self, order: list[int]) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out, quoting=self.quoting, lineterminator=self.newline)
        writer.writerow(self.names)
        for i in order:
            writer.writerow([self.rows[i].get(name, "?") for name in self.names])
            out.write(self.newline * self.blank)
        data = self.start + out.getvalue().encode()
        return gzip.compress(data, mtime=0) if self.zipped else data


@st.composite
def files(draw, case: Case) -> File:
    changes = st.dictionaries(st.sampled_from(case.wild), st.sampled_from(WILD), max_size=3)
    rows = [{**case.row, case.step: step, **draw(changes)} for step in case.steps]
    extra = draw(st.sets(st.sampled_from(["note", "Ünits", "extra column"])))
    return File(
        names=draw(st.permutations([*case.row, *sorted(extra)])),
        rows=rows,
        order=draw(st.permutations(range(N_ROWS))),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        newline=draw(st.sampled_from(["\n", "\r\n"])),
        start=draw(st.sampled_from([b"", b"\xef\xbb\xbf"])),
        blank=draw(st.integers(0, 2)),
        zipped=draw(st.booleans()),
    )


def read(case: Case, path: Path, data: bytes) -> Quotes | str:
    """The quotes, or the message of the package's own error, which names the file."""
    path.write_bytes(data)
    try:
        return case.load(path)
    except NeutralError as error:
        assert str(path) in str(error)
        return str(error)


@pytest.mark.parametrize("name", CASES)
def test_a_plausible_table_loads(tmp_path, name):
    case = CASES[name]
    rows = [{**case.row, case.step: step} for step in case.steps]
    plain = File([*case.row], rows, [], csv.QUOTE_MINIMAL, "\n", b"", 0, False)
    quotes = read(case, tmp_path / "table.csv", plain.bytes([*range(N_ROWS)]))
    assert isinstance(quotes, Quotes) and len(quotes) == N_ROWS * case.per_row
    assert np.isfinite(quotes.frame["bid_price"].to_numpy()).sum() >= N_ROWS - 1


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_row_comes_back_in_any_order(tmp_path, name, data):
    case = CASES[name]
    file = data.draw(files(case))
    path = tmp_path / "table.csv"
    quotes = read(case, path, file.bytes([*range(N_ROWS)]))
    shuffled = read(case, path, file.bytes(file.order))
    if isinstance(quotes, str) or isinstance(shuffled, str):
        # faults are told by line, so only the fact is the same in another order
        assert isinstance(quotes, str) and isinstance(shuffled, str)
        return
    assert len(quotes) == len(shuffled) == N_ROWS * case.per_row
    assert len(quote_reasons(quotes.frame, Filters())) == len(quotes)
    places = [i * case.per_row + j for i in file.order for j in range(case.per_row)]
    assert shuffled.frame.equals(quotes.frame.iloc[places].reset_index(drop=True))
    assert (quotes.currency, quotes.snapshot_ts) == (shuffled.currency, shuffled.snapshot_ts)
    np.testing.assert_equal(quotes.spot, shuffled.spot)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_kept_and_rejected_are_all_rows(tmp_path, name, data):
    case = CASES[name]
    quotes = read(case, tmp_path / "table.csv", data.draw(files(case)).bytes([*range(N_ROWS)]))
    if isinstance(quotes, str):
        return
    try:
        kept, rejected = prepare(quotes, Filters(min_quotes=1), rate=0.01)
    except DataError as error:
        assert "at least 1 are needed" in str(error)
        return
    assert len(kept) + len(rejected) == len(quotes) and len(kept) > 0
    assert all(rejected["reason"].tolist())


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    percent=st.lists(st.sampled_from(["1.5", "-0.5", "1e-320", "1e15", *WILD]), min_size=1, max_size=5),
    data=st.data(),
)
def test_rates_do_not_depend_on_the_order(tmp_path, percent, data):
    rows = [f"2020-01-0{day},{value}" for day, value in enumerate(percent, start=1) if "," not in value]
    path = tmp_path / "rates.csv"

    def loaded(order: list[str]) -> Any:
        path.write_text("\n".join(["date,rate", *order]) + "\n")
        try:
            return load_rates(path)
        except DataError as error:
            assert str(path) in str(error)
            return None

    rates = loaded(rows)
    shuffled = loaded(data.draw(st.permutations(rows)))
    assert (rates is None) == (shuffled is None)
    if rates is not None:
        assert len(rates.day) == len(rows)
        np.testing.assert_array_equal(rates.day, shuffled.day)
        np.testing.assert_array_equal(rates.percent, shuffled.percent)
