"""Messages for a terminal: no sentence twice, options in place of arguments, no control characters."""

import sys

import pytest

from neutral.workflow.inputs.archive import nothing_readable
from neutral.workflow.messages import Once, for_command_line, printable

BOTH = 'State it: columns={"tenor": "..."} or --columns tenor=....'
LISTED = 'Map them, such as columns={"date": "d", "ignore": ["x", "y z"]}. The kinds are: a.'


def test_a_sentence_is_told_once():
    once = Once()
    assert once("a.csv: no kind fits. Rename the columns. The kinds are: x.y, z.").endswith("z.")
    assert once("b.csv: no kind fits. Rename the columns. The kinds are: x.y, z.") == "b.csv: no kind fits."
    message = str(nothing_readable([f"{name}.csv: is junk. {LISTED}" for name in "abc"]))
    assert message.count("The kinds are") == 1 and message.endswith("b.csv: is junk. c.csv: is junk.")


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (BOTH, "State it: --columns tenor=...."),
        (
            LISTED,
            "Map them, such as --columns date=d --columns ignore=x --columns 'ignore=y z'. The kinds are: a.",
        ),
        ("columns={'a': 3} and columns={it is torn} stay", "columns={'a': 3} and columns={it is torn} stay"),
        ("line 1\nline 2", "line 1\nline 2"),
    ],
)
def test_arguments_are_options_on_the_command_line(message, shown):
    assert for_command_line(message) == shown


@pytest.mark.parametrize(
    "name", ["a\x1b[31m.csv", "a\r.csv", "a\nb.csv", "a\x9b2J.csv", "a\u202evsc.csv", "a\udcff.csv"]
)
def test_what_moves_the_cursor_is_written_out(name):
    assert printable(name).isprintable() and "\\" in printable(name) and printable(name).isascii()
    assert printable("é 1 % $.csv") == "é 1 % $.csv"


@pytest.mark.parametrize("command", ["calibrate", "surface", "pipeline"])
def test_commands_name_junk_files_once(monkeypatch, tmp_path, capsys, command):
    pytest.importorskip("typer")
    from neutral import cli

    for name in ("a", "b", "c\x1b[2J"):
        (tmp_path / f"{name}.csv").write_text("x,y\n1,2\n")
    config = ["--config", "heston_index"] if command == "pipeline" else []
    arguments = [command, str(tmp_path), "--out", str(tmp_path / "out"), "--no-page", *config]
    monkeypatch.setattr(cli.options, "start_jax", lambda: None)
    monkeypatch.setattr(sys, "argv", ["neutral", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    shown = capsys.readouterr()
    last = shown.err.splitlines()[-1]
    assert stop.value.code == 2 and last.startswith("neutral: no input file can be read: a.csv: ")
    assert last.count("The accepted kinds are") == 1 and "b.csv: the header (x, y) fits no kind" in last
    assert "--columns date=quote_datetime" in last and "columns={" not in shown.err
    assert "c\\x1b[2J.csv" in last and "\x1b" not in shown.err + shown.out
    assert "a.csv: a.csv" not in shown.err and "- a" not in shown.err
