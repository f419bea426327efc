"""Every error that the package raises on purpose descends from `NeutralError`."""


class NeutralError(Exception):
    """The root of the package's own errors. The message is one line: what is wrong, and how to fix it."""


class ArgumentError(NeutralError, ValueError):
    """An argument is wrong. The message names it and says what was given and what is accepted."""


class DataError(NeutralError, ValueError):
    """A file or a table cannot be used. The message names the file and the column."""


class PrecisionError(NeutralError, RuntimeError):
    """The answer needs double precision, and single precision is in use."""


class CalibrationError(NeutralError):
    """A calibration that had to converge did not converge."""
