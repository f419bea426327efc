"""Writes tables of results as CSV files, in which no text is a formula for a spreadsheet."""

from pathlib import Path

import pandas as pd

from .. import durable
from ..times import TIME

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of texts that a spreadsheet might take for a formula."""


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a table, whole or not at all, with times in the format `TIME`.

    Raises:
        WriteError: The file cannot be written.
    """
    texts = [name for name in frame if pd.api.types.is_string_dtype(frame[name].dtype)]
    safe = frame.assign(**{name: frame[name].map(as_text) for name in texts})
    header = [str(as_text(str(name))) for name in frame]
    durable.write_text(path, safe.to_csv(index=False, header=header, date_format=TIME))


def as_text(value: object) -> object:
    """Return text with an apostrophe in front where a spreadsheet might take it for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
