"""The first screen of the README: its length, its figures, and the output of its code."""

import contextlib
import importlib.util
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:e-?\d+)?$")
LIKE = 1e-3  # relative; another model, loss or set of quotes moves the parameters by more than 1 %


def report():
    """The script that writes the figures."""
    spec = importlib.util.spec_from_file_location("report", ROOT / "benchmarks" / "report.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_figures_are_those_of_the_results():
    assert report().stale() == []


def test_a_figure_that_was_changed_is_found():
    module = report()
    for path, write in module.FILES.items():
        text = path.read_text("utf-8")
        row = module.beside()[0]
        assert row.rival in text
        changed = text.replace(f"| {row.rival} |", "| 999 ms |")
        assert changed != text == write(changed)


@pytest.mark.parametrize(
    ("value", "text"), [(1.021e-3, "1.0 ms"), (0.2015, "202 ms"), (3.467e-8, "35 ns"), (9.96, "10 s")]
)
def test_durations_have_two_digits_or_more(value, text):
    assert report().seconds(value) == text


def test_the_first_screen_is_short():
    lines = README.read_text("utf-8").split("\n")
    assert lines.index("## Read on") <= 46


def same(shown: str, printed: str) -> bool:
    """Whether two lines have the same words, and numbers that agree."""
    left = shown.split()
    right = printed.split()
    return len(left) == len(right) and all(map(same_word, left, right))


def same_word(shown: str, printed: str) -> bool:
    if NUMBER.match(shown) and NUMBER.match(printed):
        return float(printed) == pytest.approx(float(shown), rel=LIKE)
    return shown == printed


def test_lines_that_differ_are_found():
    assert same("v0 0.15169 1/yr", "v0   0.15170   1/yr")
    assert not same("v0 0.15169 1/yr", "v0 0.1530 1/yr")
    assert not same("v0 0.15169 1/yr", "kappa 0.15169 1/yr")


@pytest.mark.heavy
def test_the_code_prints_what_the_readme_shows():
    text = README.read_text("utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (shown,) = re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, str(README), "exec"), {"__name__": "__main__"})
    lines = iter(printed.getvalue().split("\n"))
    for line in shown.rstrip("\n").split("\n"):
        assert any(same(line, other) for other in lines), f"not printed, or not in this order: {line}"
