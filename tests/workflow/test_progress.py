"""Something new is shown from the first second on, as lines in a log and live on a terminal."""

import io
import re
import threading
import time

import pytest

from neutral.numerics.compiled import compiling
from neutral.workflow import progress
from neutral.workflow.progress import counted, display, doing, watch_compilations


class Screen(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(progress, "MOST_SILENCE", 0.2)


def lines(stream):
    """What was written after the times."""
    texts = stream.getvalue().splitlines()
    assert all(re.fullmatch(r"\[ *\d+ s\] .+", text) for text in texts)
    return [text.partition("] ")[2] for text in texts]


def test_a_log_has_a_line_at_once_and_then_one_after_each_silence(quick):
    stream = io.StringIO()
    with display(stream), doing("reading a.csv"):
        assert lines(stream) == ["reading a.csv"]
        with doing("compiling Heston", long=True):
            time.sleep(1.2)
    written = lines(stream)
    assert written[1] == "compiling Heston"
    assert len(written) > 3 and all(re.fullmatch(r"compiling Heston: \d s so far", x) for x in written[2:])
    assert stream.getvalue().isprintable() or stream.getvalue().replace("\n", "").isprintable()


def test_short_steps_do_not_fill_a_log():
    stream = io.StringIO()
    with display(stream):
        for i in range(100):
            with doing(f"step {i}"):
                pass
    assert lines(stream) == ["step 0"]


def test_nothing_is_written_without_a_step_or_without_a_display(quick):
    stream = io.StringIO()
    with doing("alone"), display(stream):
        time.sleep(0.6)
    assert stream.getvalue() == ""


def test_steps_of_threads_are_shown_and_end(quick):
    stream = io.StringIO()
    gate = threading.Event()

    def work():
        with doing("fitting BTC", long=True):
            gate.wait(10)

    with display(stream):
        thread = threading.Thread(target=work)
        thread.start()
        with doing("fitting ETH", long=True):
            pass
        time.sleep(0.8)
        gate.set()
        thread.join()
        written = lines(stream)
        time.sleep(0.6)
        assert lines(stream) == written  # no step, no lines
    assert sorted(written[:2]) == ["fitting BTC", "fitting ETH"] and written[-1].startswith("fitting BTC: ")


def test_compilations_name_what_and_where():
    stream = io.StringIO()
    with display(stream):
        watch_compilations("/home/ann/.cache/neutral/jax")
        with compiling("Heston"):
            pass
    with compiling("Bates"):  # after the display
        pass
    assert lines(stream) == ["compiling Heston (once; kept in /home/ann/.cache/neutral/jax)"]


def test_items_are_counted_within_a_display_and_alone():
    for inside in (True, False):
        stream = io.StringIO()
        if inside:
            with display(stream):
                assert list(counted(["a.csv", "b.csv"], "files")) == ["a.csv", "b.csv"]
        else:
            assert list(counted(["a.csv", "b.csv"], "files", stream)) == ["a.csv", "b.csv"]
        assert lines(stream) == ["a.csv (1 of 2 files)", "files: 1/2", "files: 2/2"]


def test_a_terminal_shows_steps_live_and_leaves_the_screen_as_it_was():
    stream = Screen()
    with display(stream):
        with doing("compiling Heston [once]", long=True):
            for _ in counted(["a.csv"], "files"):
                time.sleep(0.3)
        during = stream.getvalue()
    assert "compiling Heston [once]" in during and "a.csv (1 of 1 files)" in during and "0:00:0" in during
    assert stream.getvalue().endswith("\x1b[2K")  # the lines are erased


def test_an_error_in_a_step_ends_it(quick):
    stream = io.StringIO()
    with pytest.raises(ValueError, match="broken"), display(stream), doing("reading"):
        raise ValueError("broken")
    assert lines(stream) == ["reading"] and progress._displays == []


@pytest.mark.parametrize("kind", [io.StringIO, Screen])
def test_names_of_files_do_not_control_the_terminal(kind):
    stream = kind()
    with display(stream), doing("reading a\x1b[2Jb\x07.csv"):
        for _ in counted(["c\x9b2Jd.csv"], "e\x1b[31m files"):
            time.sleep(0.2)
    written = stream.getvalue()
    assert "\x1b[2J" not in written and "\x07" not in written and "\x9b" not in written
    assert "\x1b[31m files" not in written and "a\\x1b[2Jb\\x07.csv" in written
