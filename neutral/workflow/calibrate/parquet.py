"""Writes Parquet files atomically with checksums, and verifies every byte when reading."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ... import durable
from ...errors import DataError
from .rows import columns_of

_TYPES = {
    "text": pa.string(),
    "flag": pa.bool_(),
    "count": pa.int64(),
    "real": pa.float64(),
    "reals": pa.list_(pa.float64()),
    "time": pa.timestamp("us", "UTC"),
}
KINDS = ("fits", "quotes")
_REMEDY = "move it away, and run the same `neutral calibrate` command to compute it again."


class StoredFile(NamedTuple):
    """The entry of a file in the manifest."""

    sha256: str
    rows: int  # number of rows


def schema_of(kind: str, models: Sequence[str]) -> pa.Schema:
    """Return the columns of a table of results.

    Args:
        kind: "fits" or "quotes".
        models: Names of the models of the run.
    """
    return pa.schema([(name, _TYPES[of]) for name, of in columns_of(kind, models).items()])


def fits_table(rows: Sequence[Mapping[str, Any]], models: Sequence[str]) -> pa.Table:
    """Make the table of the fits of some models; values that a row lacks, and nan, become null."""
    schema = schema_of("fits", models)
    frame = pd.DataFrame(rows, columns=pd.Index(schema.names), dtype=object)
    columns = [pa.array(frame[field.name], type=field.type, from_pandas=True) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def quotes_table(frames: Sequence[pd.DataFrame], models: Sequence[str]) -> pa.Table:
    """Make the table of the quotes of several snapshots, with the prices of some models."""
    schema = schema_of("quotes", models)
    if not frames:
        return schema.empty_table()
    tables = [pa.Table.from_pandas(frame, schema=schema, preserve_index=False) for frame in frames]
    return pa.concat_tables(tables).replace_schema_metadata(None)


def write_parquet(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> StoredFile:
    """Write tables one after another into one file, completely or not at all.

    Args:
        path: The file.
        schema: The columns of the file.
        tables: Tables of this schema; one at a time is in memory.

    Returns:
        The entry of the file for the manifest.

    Raises:
        WriteError: The file cannot be written.
    """
    rows = 0

    def content(partial: Path) -> None:
        nonlocal rows
        with pq.ParquetWriter(partial, schema, compression="zstd", write_page_checksum=True) as writer:
            for table in tables:
                writer.write_table(table)
                rows += table.num_rows

    return StoredFile(durable.replace(path, content), rows)


def read_parquet(path: Path, stored: StoredFile) -> pa.Table:
    """Read a file, and verify that it is unchanged since it was written.

    Args:
        path: The file.
        stored: Its entry in the manifest.

    Raises:
        DataError: The file is missing, cannot be read, or has changed.
    """
    try:
        digest = durable.sha256(path)
    except FileNotFoundError:
        raise DataError(
            f"{path}: the manifest lists this file, but it is missing; run the same command again."
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if digest != stored.sha256:
        raise DataError(f"{path}: is damaged; its bytes have changed (the SHA-256 differs): {_REMEDY}")
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: is damaged ({error}): {_REMEDY}") from error
    if table.num_rows != stored.rows:
        raise DataError(
            f"{path}: has {table.num_rows} rows, but {stored.rows} according to the manifest: {_REMEDY}"
        )
    return table


def as_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with the columns of a schema; columns that it lacks are null.

    Older stores have the times of snapshots as text, and imported tables lack the parameters of further
    models.
    """
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
