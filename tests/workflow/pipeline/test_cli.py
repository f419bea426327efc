"""`neutral pipeline`: exit codes, what is printed, wrong use."""

import sys

import pytest

pytest.importorskip("typer")
pytest.importorskip("matplotlib")

from neutral import cli  # noqa: E402 - without typer this file is skipped
from neutral.cli import options  # noqa: E402
from neutral.shipped import sample_folder  # noqa: E402
from neutral.workflow.pipeline import run as pipeline  # noqa: E402


@pytest.fixture
def neutral(monkeypatch, tmp_path):
    """Runs the command in a folder of its own; gives the exit code."""
    monkeypatch.setattr(options, "start_jax", lambda: None)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["neutral", "pipeline", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0  # pyright: ignore[reportReturnType]

    return call


def test_what_cannot_be_read_is_2_with_a_line_a_record_and_a_page(neutral, tmp_path, capsys):
    (tmp_path / "noise.csv").write_bytes(b"\x00\xff garbage")
    assert neutral("noise.csv", "--config", "heston_index", "--out", "out") == 2
    told = capsys.readouterr()
    assert "noise.csv: fail, " in told.err and "files: 1/1" in told.err
    assert "no input file can be read: noise.csv: line 1 has zero bytes" in told.err
    assert told.out.strip() == "Written: out/records.parquet, out/report.html"
    assert "noise.csv" in (tmp_path / "out" / "report.html").read_text()
    assert len(list((tmp_path / "out" / "records").glob("*.json"))) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--config"),
        (["--config", "nothing.toml"], "nothing.toml: cannot be read"),
        (["--config", "heston_index", "nowhere"], "nowhere"),
        (["--config", "heston_index", "--model", "sabr"], "sabr"),
        (["--config", "heston_index", "--application", "fun"], "market_making"),
        (["--config", "heston_index", "empty"], "expected files named *.csv, *.csv.gz"),
        (
            ["--config", "mine.toml"],
            "unknown key speed; accepted in the file: data, filters, columns",
        ),
    ],
)
def test_wrong_use_is_2_and_leaves_nothing(neutral, tmp_path, capsys, arguments, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine.toml").write_text("speed = 1\n")
    assert neutral(*arguments, "--out", "out") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_ctrl_c_is_130_and_says_what_is_kept(neutral, monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "run_pipeline", interrupted)
    assert neutral("--config", "heston_index", "--out", "out") == 130
    assert (
        "records of finished markets are stored, and the same command with --resume"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(("outcome", "code"), [("fail", 1), ("pass", 0)])
def test_markets_that_are_left_out_count_for_the_exit_code(neutral, monkeypatch, tmp_path, outcome, code):
    record = {"outcome": outcome, "parameters": {}}
    monkeypatch.setattr(pipeline, "_stored", lambda market, *rest: record if market.readable else None)
    arguments = ("--config", "heston_index", "--out", "out", "--resume", "--no-page")
    assert neutral(str(sample_folder("index") / "spx_20240521.csv"), *arguments) == code
    (tmp_path / "noise.csv").write_bytes(b"\x00 noise")
    assert neutral(str(sample_folder("index") / "spx_20240521.csv"), "noise.csv", *arguments) == 1


def test_a_folder_that_cannot_be_written_is_2(neutral, tmp_path, capsys):
    (tmp_path / "out").write_text("a file")
    assert neutral("--config", "heston_index", "--out", "out/deeper") == 2
    assert "cannot write" in capsys.readouterr().err
