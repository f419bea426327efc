"""The border for tables: a table of any library becomes one of pandas with four types of columns.

narwhals reads pandas, polars (eager and lazy), pyarrow and other libraries; a mapping of names to columns is
a table as well. Nothing beyond this file depends on the library from which a table came.
"""

import hashlib
from collections.abc import Mapping, Sized
from datetime import UTC, datetime
from datetime import date as Date
from datetime import time as Time
from typing import Any, cast

import narwhals as nw
import numpy as np
import pandas as pd

from ..errors import ArgumentError
from .tables import AnyTable as AnyTable
from .tables import are_records, are_rows, is_batch

MIDNIGHT = Time(0)


def is_table(data: object) -> bool:
    """Whether `pandas_frame` accepts the data; paths, arrays and single columns are no tables."""
    return isinstance(data, Mapping) or _is_frame(_narwhal(_native(data)))


def pandas_frame(data: object) -> pd.DataFrame:
    """Convert a table to pandas. The table that is passed in is not changed.

    Args:
        data: An `AnyTable`. Named levels of a pandas index become columns. A mapping has columns of equal
            length, and single values, which are repeated.

    Returns:
        A new table with an index that counts from 0. Its columns are numbers (float64, or int64 without
        gaps), booleans without gaps, times (UTC, microseconds; times without a time zone are taken to be in
        UTC) or text. A missing value is nan, NaT or, in text, missing.

    Raises:
        ArgumentError: The data is no table, columns differ in length, or two columns have one name.
    """
    table = _table(data)
    columns = {str(name): _plain_column(table[name]) for name in table.columns}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(table)))


def numpy_columns(data: object) -> dict[str, np.ndarray]:
    """Convert the columns of a table to arrays of numpy, each of shape (rows,), by name.

    Args:
        data: As for `pandas_frame`.

    Returns:
        Numbers, booleans, times (datetime64[us], UTC), spans of time (timedelta64[us]) or objects that are
        text. A missing value is nan, NaT or, in text, nan or None.

    Raises:
        ArgumentError: As for `pandas_frame`.
    """
    data = _native(data)
    if isinstance(data, pd.DataFrame):  # the most frequent one takes no detour
        frame = _checked(data)
        return {str(name): _array(cast(pd.Series, frame[name])) for name in frame.columns}
    table = _table(data)
    return {str(name): _array(_plain_column(table[name])) for name in table.columns}


def with_columns(data: AnyTable, columns: Mapping[str, np.ndarray]) -> Any:
    """Return a table of the library of another one, with its index, and with further columns.

    Args:
        data: A table of pandas, polars, pyarrow or another library, or a mapping of columns.
        columns: Arrays of shape (rows,), by name; a column that exists is replaced.

    Returns:
        A table of the same library; pandas for a mapping, rows and records.
    """
    native = _native(data)
    if isinstance(native, pd.DataFrame):
        return native.assign(**columns)
    table = nw.from_native(cast(Any, native))
    if isinstance(table, nw.LazyFrame):
        table = table.collect()
    added = [nw.new_series(name, values, backend=table.implementation) for name, values in columns.items()]
    return table.with_columns(*added).to_native()


def table_sha256(frame: pd.DataFrame) -> str:
    """Compute the SHA-256 of the content of a table, hexadecimal.

    The same content gives the same digest whichever library it comes from: columns are taken in the order of
    their names, every number as a float64 (little-endian), every time as microseconds since 1970, and every
    text in UTF-8 after its length.

    Args:
        frame: The result of `pandas_frame`.
    """
    digest = hashlib.sha256()
    for name in sorted(map(str, frame.columns)):
        values = cast(pd.Series, frame[name])
        digest.update(f"{len(name.encode())}:{name}:{len(values)}:".encode())
        for part in _canonical(values):
            digest.update(part)
    return digest.hexdigest()


def _table(data: object) -> "nw.DataFrame[Any]":
    """Return a table as one of narwhals, with the named levels of a pandas index as columns."""
    native = _native(data)
    if isinstance(native, pd.DataFrame):
        native = _checked(native)
    table = _narwhal(native)
    if isinstance(table, nw.LazyFrame):
        table = table.collect()
    if not isinstance(table, nw.DataFrame):
        raise ArgumentError(
            f"expected a table of pandas, polars, pyarrow or a mapping of columns, got {type(data).__name__}."
        )
    return table


def _native(data: object) -> object:
    """Return a table that narwhals reads, or other data as they are."""
    if isinstance(data, Mapping):
        return _from_mapping(data)
    if are_rows(data) or are_records(data):
        return pd.DataFrame(cast(Any, data))
    if is_batch(data):
        from pyarrow import RecordBatch, Table

        return Table.from_batches([data]) if isinstance(data, RecordBatch) else data
    return data


def _narwhal(data: object) -> Any:
    """Return a table as one of narwhals, and other data as they are."""
    try:
        return nw.from_native(cast(Any, data), pass_through=True)
    except nw.exceptions.DuplicateError:
        _check_names([str(name) for name in getattr(data, "column_names", getattr(data, "columns", []))])
        raise


def _array(values: pd.Series) -> np.ndarray:
    """Convert a column of pandas to an array."""
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fiubm":
        return values.to_numpy()
    plain = values if values.dtype == "str" else _plain_column(nw.from_native(values, series_only=True))
    if isinstance(plain.dtype, pd.DatetimeTZDtype):
        return plain.dt.tz_localize(None).to_numpy()
    return plain.to_numpy(object) if plain.dtype == "str" else plain.to_numpy()


def _is_frame(data: object) -> bool:
    return isinstance(data, nw.DataFrame | nw.LazyFrame)


def _from_mapping(columns: Mapping[str, object]) -> pd.DataFrame:
    """Make a table of a mapping of columns."""
    arrays = {name: values for name, values in columns.items() if _has_length(values)}
    try:
        if arrays:
            index = pd.RangeIndex(len(cast(list[object], next(iter(arrays.values())))))
            plain = {
                name: _unlabelled(values) if name in arrays else values for name, values in columns.items()
            }
            return pd.DataFrame(plain, index=index)
        return pd.DataFrame({name: [value] for name, value in columns.items()})
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"the columns do not make a table: {error}.") from error


def _unlabelled(values: object) -> np.ndarray | list[object]:
    """Return the values of a column without an index, by which pandas would reorder them."""
    return values if isinstance(values, np.ndarray) and values.ndim == 1 else list(cast(list[object], values))


def _has_length(values: object) -> bool:
    return (
        isinstance(values, Sized) and not isinstance(values, str | bytes) and getattr(values, "ndim", 1) > 0
    )


def _check_names(names: list[str]) -> None:
    """Refuse a table that names a column twice."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ArgumentError(f"the table names a column twice: {', '.join(repeated)}. Rename one of them.")


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the named levels of its index as columns, after a check of the names."""
    _check_names([str(name) for name in frame.columns])
    names = [name for name in frame.index.names if name is not None and name not in frame.columns]
    plain = frame.reset_index(level=names) if names else frame
    return plain.reset_index(drop=True).set_axis([str(name) for name in plain.columns], axis="columns")


def _plain_column(values: "nw.Series[Any]") -> pd.Series:
    """Convert a column to numbers, booleans, times or text."""
    dtype = values.dtype
    if dtype.is_decimal():
        return pd.Series(values.cast(nw.Float64).to_numpy(), dtype="float64")
    if dtype.is_integer() and not values.is_null().any():
        return pd.Series(values.to_numpy().astype("int64"))
    if dtype.is_numeric():
        return pd.Series(values.cast(nw.Float64).to_numpy(), dtype="float64")
    listed = pd.Series(values.to_list(), dtype=object)
    if dtype.is_temporal() and dtype not in (nw.Duration, nw.Time):
        zone = getattr(dtype, "time_zone", None)
        return _times(listed) if zone in (None, "UTC") else _zoned(listed)
    if dtype == nw.Duration:
        return listed.astype("timedelta64[us]")
    if dtype == nw.Boolean:
        filled = listed.where(listed.notna(), np.nan)
        return filled.astype("float64" if filled.isna().any() else "bool")
    return listed.where(listed.notna(), None).astype("str") if _is_text(listed) else _mixed(listed)


def _zoned(listed: pd.Series) -> pd.Series:
    """Convert times with a zone other than UTC; those that UTC would move to another day stay text.

    Those that are all at midnight stay text too, since they may mean days or moments.
    """
    known = listed.dropna()
    midnights = len(known) > 0 and all(moment.utcoffset() and moment.time() == MIDNIGHT for moment in known)
    if midnights or any(moment.astimezone(UTC).date() != moment.date() for moment in known):
        return listed.map(lambda moment: moment.isoformat(), na_action="ignore").astype("str")
    return _times(listed)


def _times(listed: pd.Series) -> pd.Series:
    return pd.to_datetime(listed, utc=True, errors="coerce").dt.as_unit("us")


def _is_text(listed: pd.Series) -> bool:
    return bool(listed.map(lambda value: isinstance(value, str) or pd.isna(value)).all())


def _mixed(listed: pd.Series) -> pd.Series:
    """Convert a column of Python objects, such as dates, or numbers beside text."""
    if listed.map(lambda value: isinstance(value, Date) or pd.isna(value)).all():
        zoned = listed.map(lambda value: isinstance(value, datetime) and value.tzinfo is not None)
        return _zoned(listed) if zoned[listed.notna()].all() else _times(listed)
    try:
        numbers = cast(pd.Series, pd.to_numeric(listed))
        return numbers if numbers.dtype != object else listed.astype("str")
    except (ValueError, TypeError, OverflowError):
        return listed.where(listed.notna(), None).astype("str")


def _canonical(values: pd.Series) -> list[bytes]:
    """Return the bytes of a column in the form that is hashed."""
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return [b"time", values.dt.as_unit("us").astype("int64").to_numpy().astype("<i8").tobytes()]
    if values.dtype.kind == "m":
        return [b"span", values.astype("int64").to_numpy().astype("<i8").tobytes()]
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.to_numpy(float).astype("<f8")
        return [b"number", np.where(np.isnan(numbers), np.nan, numbers).tobytes()]
    texts = ["" if pd.isna(value) else f"{len(str(value).encode())}:{value}" for value in values]
    return [b"text", "\0".join(texts).encode()]
