import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

typer = pytest.importorskip("typer")

from neutral import cli  # noqa: E402 - without typer this file is skipped
from neutral.errors import DataError  # noqa: E402
from neutral.shipped import configuration  # noqa: E402

COMMANDS = {"demo", "calibrate", "surface", "cube", "pipeline", "report", "import", "configs", "price"}


def run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["neutral", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0  # pyright: ignore[reportReturnType]


def test_version(monkeypatch, capsys):
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"neutral {importlib.metadata.version('neutral')}\n"


def help_texts() -> Iterator[tuple[str, str | None]]:
    """The help text of every command, argument and option, with its place."""
    root = typer.main.get_command(cli.app)
    for command in (root, *root.commands.values()):
        yield command.name, command.help
        for parameter in command.params:
            yield f"{command.name} {parameter.name}", getattr(parameter, "help", None)


TEXTS = dict(help_texts())


def test_every_command_is_there():
    root = typer.main.get_command(cli.app)
    assert set(root.commands) == COMMANDS
    assert len(TEXTS) > 40


@pytest.mark.parametrize("place", TEXTS)
def test_every_command_and_option_has_help_in_full_sentences(place):
    """It starts with a capital, ends with a full stop, is no fragment, and refers to nothing above it."""
    text = TEXTS[place]
    assert text, "no help"
    words = " ".join(text.split())
    assert re.match(r"[A-Z]", words) and words.endswith("."), words
    assert len(words.split()) >= 4, words
    assert not re.match(r"(Of|Or|And|Likewise|As|So|Also the same)\b", words), words
    assert not re.search(r"\b(likewise|ditto|gone on with|anew)\b", words), words


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_prints_its_help(monkeypatch, capsys, command):
    assert run(monkeypatch, command, "--help") == 0
    assert re.search(rf"Usage: .* {command} ", capsys.readouterr().out)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_help_has_examples_and_exit_codes(command):
    epilog = typer.main.get_command(cli.app).commands[command].epilog
    assert "Examples:" in epilog and f"neutral {command}" in epilog and "Exit codes" in epilog


def test_configurations_are_listed_explained_and_printed(monkeypatch, capsys):
    assert run(monkeypatch, "configs") == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert set(lines) == {"deribit", "gates", "heston_index", "markets", "svcj_deribit"}
    assert all(text.startswith("For ") and text.endswith(".") for text in lines.values())
    assert run(monkeypatch, "configs", "markets") == 0
    assert capsys.readouterr().out == configuration("markets").read_text()
    assert run(monkeypatch, "configs", "market") == 2
    assert "no shipped configuration is named 'market'; expected one of deribit" in capsys.readouterr().err


def test_underlyings_are_chosen_by_either_name(monkeypatch, capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("--currency", "--underlying"):
        code = run(monkeypatch, "surface", str(tmp_path / "empty"), "--out", str(tmp_path), name, "BTC")
        assert code == 2 and "no snapshot in it" in capsys.readouterr().err


def test_no_command_prints_help(monkeypatch, capsys):
    assert run(monkeypatch) in (0, 2)
    assert "demo" in capsys.readouterr().out


def test_wrong_use_is_exit_code_2(monkeypatch, capsys, tmp_path):
    file = tmp_path / "file"
    file.touch()
    for arguments in (["no-such-command"], ["demo", "--no-such-option"], ["demo", "--out", str(file)]):
        assert run(monkeypatch, *arguments) == 2
        assert capsys.readouterr().err


def test_own_errors_are_one_line(monkeypatch, capsys):
    def fail() -> None:
        raise DataError("quotes.csv: no column bid_price")

    monkeypatch.setattr(cli, "app", fail)
    assert run(monkeypatch) == 2
    assert capsys.readouterr().err == "neutral: quotes.csv: no column bid_price\n"


def test_without_typer_the_remedy_is_named():
    code = "import sys; sys.modules['typer'] = None; import neutral.cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "neutral: the command line needs typer; run pip install 'neutral[cli]'.\n"


def test_without_pyarrow_the_remedy_is_named(tmp_path):
    (tmp_path / "in.csv").touch()
    code = "import sys; sys.modules['pyarrow'] = None; from neutral import cli; sys.argv = {}; cli.main()"
    for arguments in (
        ["calibrate", "in.csv", "--out", "out", "--no-page"],
        ["import", "in.csv", "--out", "out"],
    ):
        command = [sys.executable, "-c", code.format(["neutral", *arguments])]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr == "neutral: tables of results need pyarrow; run pip install 'neutral[io]'.\n"


def test_the_module_is_the_command():
    command = [sys.executable, "-m", "neutral.cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == f"neutral {importlib.metadata.version('neutral')}\n"


@pytest.mark.slow
def test_demo_calibrates_the_shipped_snapshots(tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "neutral.cli", "demo", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=900)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if "svcj++" in line]
    assert [line[:4] for line in lines] == [[name, "svcj++", "12", "12"] for name in ("BTC", "ETH")]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count('<figure class="chart"') == 5  # the shares inside, and smiles and parameters of both
    assert all(f"{name}: svcj++ fits best" in page for name in ("BTC", "ETH"))
