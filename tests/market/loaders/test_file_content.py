"""What may be opened at all: regular files of a bounded size, however they are packed."""

import gzip
import os

import pytest

from neutral import DataError, open_source
from neutral.market.loaders import file_content
from neutral.workflow.inputs.archive import open_file

SURFACE = "T,forward,strike,iv\n0.5,100,90,0.2\n"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    assert "it is no regular file" in open_file(tmp_path / "a.csv").reason


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "a.csv").symlink_to(tmp_path / "a.csv")
    assert open_file(tmp_path / "a.csv").reason.startswith("a.csv: the file cannot be read")


def test_the_size_is_bounded_packed_or_not(tmp_path, monkeypatch):
    path = tmp_path / "abc.csv"
    path.write_bytes(gzip.compress((SURFACE + "0.5,100,95,0.2\n" * 1000).encode()))
    assert len(open_source(path).quotes().frame) == 1001
    monkeypatch.setattr(file_content, "LARGEST", 5000)
    with pytest.raises(DataError, match="unpacks to more than 5,000 bytes; at most .* divide it"):
        open_source(path)
    path.write_text(SURFACE + "0.5,100,95,0.2\n" * 1000)
    with pytest.raises(DataError, match="the file has 15,0.. bytes; at most .* divide it"):
        open_source(path)


@pytest.mark.parametrize(("text", "line"), [("T," * 60_000, 1), (SURFACE + "0" * 200_000 + "\n", 3)])
def test_a_line_without_end_is_no_table(tmp_path, text, line):
    path = tmp_path / "abc.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"line {line} has .* bytes, so this is no table of options"):
        open_source(path)


@pytest.mark.parametrize(
    "content",
    [SURFACE.encode(), gzip.compress(SURFACE.encode()), b"junk", b""],
    ids=["text", "gzip", "junk", "empty"],  # the same in every process
)
def test_a_parquet_file_that_is_none_is_named(tmp_path, content):
    path = tmp_path / "abc.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match="abc.parquet: this is not a Parquet file.*table.to_parquet"):
        open_source(path)
