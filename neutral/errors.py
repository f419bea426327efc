"""Defines the errors that the package raises on purpose, subclasses of `NeutralError`, and its warning."""

import re

LONGEST_WORD = 200  # characters of a message without a blank
LONGEST = 2400  # characters of a message


class NeutralError(Exception):
    """The base class of the package's errors. The message states what is wrong, and how to fix it."""

    def __init__(self, message: str = ""):
        message = " ".join(line.strip() for line in message.splitlines())  # a cell may have line breaks
        # a damaged file may contain names and values of any length, which nobody reads to their end
        half = LONGEST_WORD // 2
        message = re.sub(rf"(\S{{{half}}})\S{{{half},}}", r"\1...", message)
        if len(message) > LONGEST:
            message = f"{message[: LONGEST // 2]} ... {message[-LONGEST // 2 :]}"  # what to do is at the end
        super().__init__(message)


class ArgumentError(NeutralError, ValueError):
    """An argument is wrong. The message names it, and states what it was and what is accepted."""


class DataError(NeutralError, ValueError):
    """A file or a table cannot be used. The message names the file, and the wrong line or column if any."""


class PrecisionError(NeutralError, RuntimeError):
    """The computation needs double precision, and single precision is in use."""


class ForkError(NeutralError, RuntimeError):
    """A process that was forked after a computation cannot compute, because JAX's threads are not in it."""


class CalibrationError(NeutralError):
    """A calibration that was called with `throw=True` did not converge."""


class QuoteWarning(UserWarning):
    """Some quotes were refused, or contradict each other; the message states how many and why."""
