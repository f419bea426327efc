"""Every error that the package raises on purpose descends from `NeutralError`."""


class NeutralError(Exception):
    """Root of the package's own errors: bad input, told in one line, with the fix."""


class ArgumentError(NeutralError, ValueError):
    """A wrong argument: names it, says what came and what is accepted."""


class DataError(NeutralError, ValueError):
    """A file or table that cannot be used: names the file and the column."""


class PrecisionError(NeutralError, RuntimeError):
    """Single precision where the answer needs double precision."""


class CalibrationError(NeutralError):
    """A fit that had to converge has not."""
