"""Defines the errors that the package raises on purpose, subclasses of `NeutralError`, and its warning."""

import re

LONGEST_WORD = 200  # characters of a message without a blank


class NeutralError(Exception):
    """The base class of the package's errors. The message says what is wrong, and how to fix it."""

    def __init__(self, message: str = ""):
        # a damaged file may hold a name or a value of any length, which nobody reads to its end
        super().__init__(re.sub(rf"(\S{{{LONGEST_WORD // 2}}})\S{{{LONGEST_WORD // 2},}}", r"\1...", message))


class ArgumentError(NeutralError, ValueError):
    """An argument is wrong. The message names it, and says what it was and what is accepted."""


class DataError(NeutralError, ValueError):
    """A file or a table cannot be used. The message names the file, and the wrong line or column if any."""


class PrecisionError(NeutralError, RuntimeError):
    """The computation needs double precision, and single precision is in use."""


class ForkError(NeutralError, RuntimeError):
    """A process that was forked after a computation cannot compute, because JAX's threads are not in it."""


class CalibrationError(NeutralError):
    """A calibration that was called with `throw=True` did not converge."""


class QuoteWarning(UserWarning):
    """Some quotes were refused, or contradict each other; the message says how many and why."""
