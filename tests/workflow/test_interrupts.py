"""The first Ctrl-C keeps what is finished, and the second one ends the process at once."""

import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("typer")

from neutral.cli.interrupts import collected  # noqa: E402 - without typer this file is skipped

BUSY = """
import hashlib
from neutral.cli.interrupts import collected

def work(items):
    for item in items:
        print("busy", flush=True)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # compiled code, which never looks for signals
        yield item

collected(range(3), work)
"""


def test_the_second_one_ends_compiled_code_too():
    with subprocess.Popen(
        [sys.executable, "-c", BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().strip() == b"busy"
        process.send_signal(signal.SIGINT)
        told = process.stderr.readline() + process.stderr.readline()
        assert b"press Ctrl-C again to stop at once" in told
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130 and b"stopped" in process.stderr.read()


@pytest.mark.parametrize(
    ("place", "results", "left_out"), [(1, [0], True), (2, [0, 1], True), (3, [0, 1, 2], False)]
)
def test_items_are_left_out_only_where_there_are_more(capfd, place, results, left_out):
    def work(items):
        for done, item in enumerate(items, 1):
            if done == place:
                signal.raise_signal(signal.SIGINT)
            yield item

    before = signal.getsignal(signal.SIGINT)
    assert collected(range(3), work) == (results, left_out)
    assert signal.getsignal(signal.SIGINT) is before
    time.sleep(0.1)
    assert "press Ctrl-C again" in capfd.readouterr().err


@pytest.mark.parametrize("module", ["neutral", "neutral.cli"])
def test_the_command_as_a_module(module):
    shown = subprocess.run(
        [sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.startswith("neutral ")
