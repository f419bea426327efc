"""Answers in JSON become tables; every fault of the text is one error."""

import gzip
import json

import numpy as np
import pytest

from neutral import DataError, open_source
from neutral.market.loaders import json_records
from neutral.market.loaders.json_records import json_frame
from neutral.market.loaders.table import read_table

RECORD = {"symbol": "A", "bid": 1, "nested": {"vega": 2}, "flag": True, "none": None}


def frame(text, tmp_path):
    return json_frame(tmp_path / "answer.json", text)


@pytest.mark.parametrize(
    "answer",
    [
        [RECORD, RECORD],
        {"result": [RECORD, RECORD]},
        {"result": {"list": [RECORD, RECORD], "category": "option"}},
        {"data": [RECORD, RECORD], "code": "0"},
        [{"result": [RECORD]}, {"result": [RECORD]}],
    ],
)
def test_records_are_found_wherever_they_are(tmp_path, answer):
    table = frame(json.dumps(answer), tmp_path)
    assert table["symbol"].tolist() == ["A", "A"] and table["bid"].tolist() == [1.0, 1.0]
    assert table["flag"].tolist() == ["True", "True"]
    assert table["none"].isna().tolist() == [True, True]
    assert "nested" not in table


def test_fields_of_the_answer_belong_to_its_records(tmp_path):
    answers = [{"time": 1, "data": [{"a": 1}, {"a": 2, "time": 5}]}, {"time": 3, "data": [{"a": 4}]}]
    lines = "\ufeff" + "\n".join(map(json.dumps, answers)) + "\n"
    assert frame(lines, tmp_path).to_dict("list") == {"time": [1.0, 5.0, 3.0], "a": [1.0, 2.0, 4.0]}


def test_numbers_of_any_size_and_halves_of_characters_are_read(tmp_path):
    table = frame('[{"a": ' + "9" * 5000 + ', "b": "\\ud800", "c": NaN, "\\udfff": 1}]', tmp_path)
    assert table.to_dict("list") == {
        "a": [np.inf],
        "b": ["?"],
        "c": [pytest.approx(np.nan, nan_ok=True)],
        "?": [1],
    }


FAULTS = {
    "cut off": ('[{"a": 1}, {"a"', "not readable JSON: .* The file may have been cut off"),
    "no records": (
        '{"code": "51000", "msg": "no such family", "data": []}',
        "The file has the fields code, msg",
    ),
    "numbers": ("[[1, 2], [3, 4]]", "the JSON text has no records"),
    "empty": ("[]", "the JSON text has no records"),
    "deep": ("[" * 200_000, "nested too deeply"),
    "deep answers": ('{"data":' * 200_000, "nested too deeply"),
    "words after it": ('[{"a": 1}] and more', "not readable JSON"),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_faults(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        frame(text, tmp_path)
    assert "answer.json" in str(caught.value) and len(str(caught.value)) < 1000


def test_sizes_are_limited(tmp_path, monkeypatch):
    fields = "[" + ",".join(f'{{"a{i}": 1}}' for i in range(1001)) + "]"
    with pytest.raises(DataError, match="1,001 different fields"):
        frame(fields, tmp_path)
    monkeypatch.setattr(json_records, "LARGEST", 10)
    with pytest.raises(DataError, match="at most 10 are read. Divide the file"):
        frame(fields, tmp_path)


@pytest.mark.parametrize("compress", [gzip.compress, bytes])
def test_a_file_is_json_by_its_first_characters(tmp_path, compress):
    path = tmp_path / "answer"
    path.write_bytes(compress((" [ " + json.dumps({"T": 1, "note": "x" * 200_000}) + "]").encode()))
    table = read_table(path)
    assert list(table.frame) == ["t", "note"] and len(table.frame["note"][0]) == 200_000
    path.write_bytes(compress(b"[QUOTE_DATE], [STRIKE]\n2020-01-02, 5\n"))
    assert list(read_table(path).frame) == ["quote_date", "strike"]


def test_every_kind_of_file_may_be_json(tmp_path):
    rows = [{"date": "2020-01-02", "T": 0.5, "forward": 100, "strike": 90, "discount": 1, "bid": 1, "ask": 2}]
    path = tmp_path / "idx.json"
    path.write_text(json.dumps(rows))
    source = open_source(path)
    assert source.kind == "surface" and source.quotes().frame["strike"].tolist() == [90.0]
    path.write_text('[{"fruit": "apple"}]')
    with pytest.raises(DataError, match=r"the header \(fruit\) fits no kind of file"):
        open_source(path)
    path.write_text('[{"Bid": 1, "bid": 2}]')
    with pytest.raises(DataError, match="names a column twice: bid"):
        read_table(path)
