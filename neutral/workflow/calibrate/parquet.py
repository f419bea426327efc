"""Parquet files with checksums: written durably, read with every byte verified."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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


class Stored(NamedTuple):
    """What the manifest keeps of a file."""

    sha256: str
    rows: int


def schema_of(kind: str, models: Sequence[str]) -> pa.Schema:
    """The columns of a table of results.

    Args:
        kind: "fits" or "quotes".
        models: Names of the models of the run.
    """
    return pa.schema([(name, _TYPES[of]) for name, of in columns_of(kind, models).items()])


def fits_table(rows: list[dict[str, Any]], models: Sequence[str]) -> pa.Table:
    """The table of the fits of some models; a value that a row lacks is null, and so is nan."""
    schema = schema_of("fits", models)
    frame = pd.DataFrame(rows, columns=pd.Index(schema.names), dtype=object)
    columns = [pa.array(frame[field.name], type=field.type, from_pandas=True) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def quotes_table(frames: list[pd.DataFrame], models: Sequence[str]) -> pa.Table:
    """The table of the quotes of several snapshots, with the prices of some models."""
    schema = schema_of("quotes", models)
    if not frames:
        return schema.empty_table()
    tables = [pa.Table.from_pandas(frame, schema=schema, preserve_index=False) for frame in frames]
    return pa.concat_tables(tables).replace_schema_metadata(None)


def write(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> Stored:
    """Write tables one after another into one file, whole or not at all.

    Args:
        path: The file.
        schema: Columns of the file.
        tables: Tables of that schema; one at a time is in memory.
    """
    rows = 0

    def content(partial: Path) -> None:
        nonlocal rows
        with pq.ParquetWriter(partial, schema, compression="zstd", write_page_checksum=True) as writer:
            for table in tables:
                writer.write_table(table)
                rows += table.num_rows

    return Stored(durable.replace(path, content), rows)


def read(path: Path, stored: Stored) -> pa.Table:
    """Read a file, verified against what was stored.

    Raises:
        DataError: the file is missing, or a byte of it has changed.
    """
    remedy = "move it away, and the same `neutral calibrate` command computes it again."
    try:
        digest = durable.sha256(path)
    except FileNotFoundError:
        raise DataError(
            f"{path}: is listed in the manifest and missing; run the same command again."
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if digest != stored.sha256:
        raise DataError(f"{path}: is damaged, its bytes are not those written (SHA-256 differs): {remedy}")
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: is damaged ({error}): {remedy}") from error
    if table.num_rows != stored.rows:
        raise DataError(f"{path}: has {table.num_rows} rows, the manifest says {stored.rows}: {remedy}")
    return table


def in_order(parts: Mapping[str, Stored], folder: Path) -> Iterator[pa.Table]:
    """Verified parts, one at a time, in the order given."""
    for name, stored in parts.items():
        yield read(folder / name, stored)
