"""Reads the JSON answers of market data interfaces as tables: one row per record, one column per field."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from ...errors import DataError

LARGEST = 1 << 27
"""Bytes of the largest JSON text that is read; its objects take several times that in memory."""
MOST_FIELDS = 1000  # of all records together
WRAPPERS = ("result", "data", "list", "rows")  # fields that contain the records, or the next wrapper
SHOWN = 10  # largest number of fields that a message lists
BLANKS = re.compile(r"[\ufeff \t\r\n]*")  # with the byte order mark

Record = dict[str, object]


def json_frame(path: Path, text: str) -> pd.DataFrame:
    """Parse JSON text into a table.

    The text is one answer, a list of answers, or one answer after the other (JSON lines). An answer is a list
    of records, or an object with such a list in a field of `WRAPPERS`. The other fields of that object, such
    as the time of the answer, belong to each of its records unless the record has the field itself. Fields
    that contain lists or objects are left out.

    Args:
        path: The file, for messages.
        text: The text.

    Returns:
        A table with names as in the file; columns are float64, or text with missing values.

    Raises:
        DataError: The text is too large, is not JSON, has no records, or has too many fields.
    """
    if len(text) > LARGEST:
        raise DataError(
            f"{path}: the JSON text has {len(text):,} characters; at most {LARGEST:,} are read. Divide the "
            "file into smaller ones, or convert it to CSV."
        )
    try:
        answers = list(_documents(text))
        records = [record for answer in answers for record in _records(answer, {})]
    except RecursionError as error:
        raise DataError(
            f"{path}: the JSON text is nested too deeply to be records of options; expected a list of "
            "objects, one for each option."
        ) from error
    except ValueError as error:
        raise DataError(
            f"{path}: this is not readable JSON: {error}. The file may have been cut off; save the answer "
            "again."
        ) from error
    if not records:
        raise DataError(
            f"{path}: the JSON text has no records; expected a list of objects, one for each option, "
            f"alone or in a field {' or '.join(WRAPPERS)}. {_seen(answers)}Save the answer of the interface "
            "unchanged."
        )
    names = list(dict.fromkeys(name for record in records for name in record))
    if len(names) > MOST_FIELDS:
        raise DataError(
            f"{path}: the records have {len(names):,} different fields, so they are no options; at most "
            f"{MOST_FIELDS:,} are read."
        )
    return pd.DataFrame({_plain(name): _column([record.get(name) for record in records]) for name in names})


def _documents(text: str) -> Iterator[object]:
    """Decode the JSON documents that follow one another in a text; whole numbers become floats."""
    decoder = json.JSONDecoder(parse_int=float)  # int refuses numbers of thousands of digits
    end = 0
    while (start := _after_blanks(text, end)) < len(text):
        value, end = decoder.raw_decode(text, start)
        yield value


def _after_blanks(text: str, start: int) -> int:
    """Return the position of the next character that is not blank."""
    blanks = BLANKS.match(text, start)
    return blanks.end() if blanks else start


def _records(value: object, shared: Record) -> Iterator[Record]:
    """Return the records in a value, with the fields of the objects around them."""
    if isinstance(value, list):
        for item in value:
            yield from _records(item, shared)
    elif isinstance(value, dict):
        inner = [value[name] for name in WRAPPERS if isinstance(value.get(name), list | dict)]
        outer = shared | {name: entry for name, entry in value.items() if not isinstance(entry, list | dict)}
        if inner:
            for entry in inner:
                yield from _records(entry, outer)
        elif not set(WRAPPERS) & set(value):  # an answer without records is not a record itself
            yield outer


def _column(values: list[object]) -> pd.Series:
    """Make a column of floats, or of text if a value is text; lists and objects cannot occur."""
    if all(value is None or isinstance(value, float) for value in values):
        return pd.Series(values, dtype="float64")
    words = [None if value is None else _plain(value) for value in values]
    return pd.Series(words, dtype="str")


def _plain(value: object) -> str:
    """Convert a value to text that can be stored; JSON may contain halves of characters, which cannot."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _seen(answers: list[object]) -> str:
    """Say which fields the first answer has, if it is an object; interfaces report errors in this way."""
    first = answers[0] if answers else None
    if not isinstance(first, Mapping) or not first:
        return ""
    shown = ", ".join(_plain(name)[:40] for name in list(first)[:SHOWN])
    return f"The file has the fields {shown}. "
