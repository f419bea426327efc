"""The gallery: at most three lines a task, the outputs that its pages show, values calculated by others."""

import re

import numpy as np
import pytest
from _pytest.mark import ParameterSet
from gallery import CHECKS
from gallery.tasks import FOLDER, MOST_LINES, STYLE, Task, indexed, run, tasks
from PIL import Image

TASKS = tasks()
# They load or compile programs that no other task has; the others take 8 seconds together.
SLOW = {
    "Draw the smile of a model",
    "Digital options and probabilities",
    "Start from many points",
    "Start from yesterday's fit",
    "Compare models",
    "Plot a fit",
    "Fit a model to Bitcoin options",
    "Fit a volatility surface",
    "Draw a volatility surface",
    "Check a surface for arbitrage",
    "Draw total variance",
    "The density that option prices imply",
    "Local volatility",
    "Fair strikes of variance swaps",
    "Fit many DataFrames at once",
    "Box plots of parameters",
    "Prices of many models by vmap",
    "The gradient through a fit",
    "A vega ladder through a fit",
    "Quotes with a known truth",
    "A cube of volatilities in a training loop",
}
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\w)")
LARGEST_PICTURE = 40_000  # bytes


def agree(text: str, expected: str) -> bool:
    """Whether two outputs have the same words, and numbers that agree to 1e-4, small ones to 2e-6."""
    words = [" ".join(NUMBER.sub(" # ", one).split()) for one in (text, expected)]
    here, there = (np.array([float(x) for x in NUMBER.findall(one)]) for one in (text, expected))
    return words[0] == words[1] and np.allclose(here, there, rtol=1e-4, atol=2e-6)


def marked(task: Task) -> ParameterSet:
    """A task as a parameter of a test; those whose programs take long to compile are slow."""
    marks = [pytest.mark.slow] if task.title in SLOW else []
    return pytest.param(task, id=task.anchor, marks=marks)


@pytest.mark.parametrize("task", [marked(task) for task in TASKS])
def test_a_task_shows_what_its_page_says(task, tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    with matplotlib.rc_context(STYLE):
        shown = run(task)
    assert agree(shown.text, task.output), f"run `make gallery`; the task now shows\n{shown.text}"
    CHECKS[task.title](shown)


def test_every_task_is_checked_and_short():
    assert len(TASKS) >= 25 and {task.title for task in TASKS} == set(CHECKS)
    assert len({task.anchor for task in TASKS}) == len(TASKS)
    for task in TASKS:
        lines = [line for line in task.code.splitlines() if line.strip()]
        assert 1 <= len(lines) <= MOST_LINES, task.title
        assert max(map(len, lines)) <= 110 and ";" not in task.code, task.title
        assert task.sentence.endswith(".") and bool(task.output) != bool(task.picture), task.title


def test_pictures_are_those_of_the_code():
    pictures = {task.picture[0]: (task.picture[1], task) for task in TASKS if task.picture}
    assert set(pictures) == {path.name for path in (FOLDER / "images").glob("*.png")} and len(pictures) >= 6
    for name, (alternative, task) in pictures.items():
        path = FOLDER / "images" / name
        with Image.open(path) as image:
            assert image.info["Source"] == task.digest, f"{name} was drawn by other code: run `make gallery`"
        assert path.stat().st_size <= LARGEST_PICTURE and len(alternative) > 30


def test_the_index_lists_every_task():
    assert (FOLDER / "index.md").read_text(encoding="utf-8") == indexed(TASKS), "run `make gallery`"


def test_numbers_are_compared():
    assert agree("a 1.00001\n  b", "a  1.0 b") and agree("x 3e-8", "x 4e-8")
    assert not agree("a 1.01", "a 1.0") and not agree("a 1.0", "b 1.0")
    assert not agree("-1.0 nan", "1.0 nan") and not agree("1.0 2.0", "1.0")
