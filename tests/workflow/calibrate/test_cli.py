import sys

import pytest
import workflow_fakes as fakes

pytest.importorskip("typer")

from neutral import cli  # noqa: E402 - without typer this file is skipped
from neutral.cli import options  # noqa: E402
from neutral.workflow import Progress, progress  # noqa: E402

MODEL_FITTER = "neutral.workflow.calibrate.run.model_fitter"


def no_page(store, path=None):
    """Writes no page, which would load JAX."""
    return path or store.folder / "report.html"


@pytest.fixture
def neutral(monkeypatch, tmp_path):
    """Runs the command line with fits that cost nothing; gives the exit code."""
    monkeypatch.setattr(options, "start_jax", lambda: None)
    monkeypatch.setattr(MODEL_FITTER, lambda: fakes.fake_fit)
    monkeypatch.setattr("neutral.workflow.pages.calibrate.write_report", no_page)
    monkeypatch.chdir(tmp_path)
    fakes.write_archive(tmp_path / "in", 4)

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["neutral", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0  # pyright: ignore[reportReturnType]

    return call


def test_done_is_0_with_a_table_and_a_line_per_block(neutral, capsys):
    assert (
        neutral("calibrate", "in", "--out", "out", "--model", "black", "--limit", "3", "--report", "sqlite")
        == 0
    )
    shown = capsys.readouterr()
    assert "BTC  black           3         3" in shown.out and "3 snapshots" in shown.out
    assert "out/calibration_results.sqlite" in shown.out
    assert "BTC block 0: 3/3" in shown.err


def test_options_reach_the_run(neutral, tmp_path, capsys):
    (tmp_path / "mine.toml").write_text('models = ["black"]\n[run]\nblock = 2\n')
    options = ["--config", "mine.toml", "--currency", "ETH", "--first-index", "5"]
    assert neutral("calibrate", "in", "--out", "out", *options) == 0
    shown = capsys.readouterr().err
    assert "ETH block 2: 1/4" in shown and "ETH block 4: 4/4" in shown and "BTC" not in shown
    assert neutral("calibrate", "in", "--out", "out", *options[2:]) == 2
    assert "models was" in capsys.readouterr().err
    assert neutral("calibrate", "in", "--out", "out", *options, "--no-resume") == 0
    assert (tmp_path / "out.previous-1").is_dir()


def test_a_refused_snapshot_is_0_and_a_failed_fit_1(neutral, monkeypatch, tmp_path, capsys):
    fakes.write_snapshot(tmp_path / "in", 1, strikes=range(70_000, 80_000, 3_000))
    assert neutral("calibrate", "in", "--out", "refused", "--model", "black") == 0
    shown = capsys.readouterr()
    assert "1 snapshots refused" in shown.err and "1 x refused: " in shown.out and "at least 50" in shown.out

    def failing(*arguments):
        fits = fakes.fake_fit(*arguments)
        object.__setattr__(fits[0]["black"], "converged", False)
        return fits

    monkeypatch.setattr(MODEL_FITTER, lambda: failing)
    assert neutral("calibrate", "in", "--out", "failed", "--model", "black") == 1


def test_a_file_that_cannot_be_read_is_1_and_2_where_no_file_can(neutral, tmp_path, capsys):
    """Each with its name and its reason, also with --currency; Deribit snapshots are read late."""
    (tmp_path / "in" / fakes.snapshot_name(1)).write_text("")
    assert neutral("calibrate", "in", "--out", "some", "--model", "black") == 1
    assert f"2 x refused: {fakes.snapshot_name(1)}: the file is empty" in capsys.readouterr().out
    assert neutral("calibrate", "in", "--out", "some", "--model", "black") == 1, "also from stored blocks"
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "noise.csv").write_bytes(b"\x00 noise")
    for more in ([], ["--currency", "BTC"]):
        assert neutral("calibrate", "junk", "--out", "none", *more) == 2
        message = capsys.readouterr().err
        assert "no input file can be read: noise.csv: line 1 has zero bytes" in message
        assert not (tmp_path / "none").exists()
    late = tmp_path / "junk" / fakes.snapshot_name(0)
    late.write_bytes(b"\x1f\x8b cut")
    assert neutral("calibrate", str(late), "--out", "none", "--model", "black") == 2
    assert f"{late.name}: this is a damaged gzip file" in capsys.readouterr().err


def test_folders_are_read_with_their_subfolders_but_not_results(neutral, tmp_path, capsys):
    deep = tmp_path / "in" / "2026" / "01"
    deep.mkdir(parents=True)
    fakes.write_snapshot(deep, 5)
    (deep / "._x.csv").write_text("companion")
    hidden = tmp_path / "in" / ".cache"
    hidden.mkdir()
    (hidden / "x.csv").write_text("no market data")
    out = tmp_path / "in" / "out"
    for _ in range(2):
        assert neutral("calibrate", "in", "--out", str(out), "--model", "black") == 0
        assert "5 snapshots" in capsys.readouterr().out
    assert fakes.read(out, "fits")["snapshot_ts"].nunique() == 5


def test_the_last_line_names_the_files(neutral, capsys):
    arguments = ["calibrate", "in", "--out", "out", "--model", "black", "--report", "sqlite"]
    assert neutral(*arguments) == 0
    files = "out/fits.parquet, out/quotes.parquet, out/calibration_results.sqlite"
    assert capsys.readouterr().out.splitlines()[-1] == f"Written: {files}, out/report.html"
    assert neutral(*arguments, "--no-page") == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"Written: {files}"


def test_missing_packages_are_named_before_any_fit(neutral, monkeypatch, tmp_path, capsys):
    for package, more, message in (
        (
            "xlsxwriter",
            ["--report", "xlsx"],
            "the workbook needs xlsxwriter; run pip install 'neutral[excel]'.",
        ),
        ("jinja2", [], "the page needs jinja2; run pip install 'neutral[cli]'."),
        ("pyarrow", ["--no-page"], "tables of results need pyarrow; run pip install 'neutral[io]'."),
    ):
        with monkeypatch.context() as patched:
            patched.setitem(sys.modules, package, None)
            assert neutral("calibrate", "in", "--out", "out", *more) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


def test_import_and_calibrate_continue_a_workbook(neutral, tmp_path, capsys):
    pytest.importorskip("xlsxwriter")
    pytest.importorskip("openpyxl")
    assert (
        neutral("calibrate", "in", "--out", "a", "--model", "black", "--limit", "2", "--report", "xlsx") == 0
    )
    assert neutral("import", "a/calibration_results.xlsx", "--out", "b") == 0
    shown = capsys.readouterr().out
    assert "BTC: 2 snapshots up to 2026-01-01 06:00 UTC" in shown
    assert shown.splitlines()[-1] == "Written: b/fits.parquet, b/quotes.parquet"
    assert neutral("calibrate", "in", "--out", "b", "--model", "black") == 0
    assert "4 snapshots; 4 pairs" in capsys.readouterr().out
    assert neutral("import", "in/none.xlsx", "--out", "c") == 2
    (tmp_path / "junk.xlsx").write_text("junk")
    assert neutral("import", "junk.xlsx", "--out", "c") == 2
    assert "junk.xlsx: cannot be read as a workbook" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["deribit", "deribit.toml"])
def test_a_configuration_is_found_by_its_name(neutral, name):
    assert neutral("calibrate", "in", "--out", "out", "--model", "black", "--config", name) == 0
    assert neutral("calibrate", "in", "--out", "out", "--model", "black") == 0, "the same configuration"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in"], "--out"),
        (["nowhere", "--out", "out"], "nowhere"),
        (["out-of-here", "--out", "out"], "out-of-here"),
        (["empty", "--out", "out"], "no snapshot"),
        (["in", "--out", "out", "--model", "sabr"], "svcj++"),
        (["in", "--out", "out", "--currency", "DOGE"], "BTC, ETH"),
        (["in", "--out", "out", "--report", "csv"], "xlsx, sqlite"),
        (["in", "--out", "out", "--limit", "0"], "limit"),
        (["in", "--out", "out", "--config", "mine.toml"], "unknown key speed"),
        (["in", "--out", "out", "--config", "mine"], "configuration: deribit, gates, heston_index, markets"),
        (["in", "--out", "out", "--config", "folder/deribit.toml"], "folder/deribit.toml: cannot be read"),
    ],
)
def test_wrong_use_is_2_and_leaves_nothing(neutral, tmp_path, capsys, arguments, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine.toml").write_text("speed = 1\n")
    assert neutral("calibrate", *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_ctrl_c_is_130_and_the_same_command_goes_on(neutral, monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("neutral.workflow.run_plan", interrupted)
        assert neutral("calibrate", "in", "--out", "out", "--model", "black") == 130
    assert "the same command continues" in capsys.readouterr().err
    assert neutral("calibrate", "in", "--out", "out", "--model", "black") == 0


def test_a_report_of_no_results_is_2(neutral, capsys):
    assert neutral("report", "in") == 2
    assert "has no results" in capsys.readouterr().err


def test_bars_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.shown() as show, progress.doing("fitting"):
        event = {"underlying": "BTC", "block": 0, "snapshots": 3, "done": 3, "total": 4, "seconds": 1.5}
        show(Progress(**event, not_converged=1, refused=2))
    text = capsys.readouterr().err
    assert "BTC" in text and "3/4" in text and "1 failed, 2" in text


def test_files_without_a_time_are_each_counted(neutral, tmp_path, capsys):
    """Two files that cannot be read beside one that can are two refusals, not a command without input."""
    for name in ("a", "b"):
        (tmp_path / "in" / f"{name}.csv").write_text("x,y\n1,2\n")
    for _ in range(2):
        assert neutral("calibrate", "in", "--out", "out", "--model", "black", "--limit", "6") == 1
        shown = capsys.readouterr()
        assert "a.csv: the header" in shown.out and "b.csv: the header" in shown.out
        assert "2 snapshots refused" in shown.err and shown.out.count("The accepted kinds") == 1
