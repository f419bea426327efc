"""Writes tables of results as Parquet files, each with a CSV file of the same content beside it."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .. import durable
from ..errors import DataError
from .csv_files import write_csv


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame]) -> list[Path]:
    """Write tables into a folder, each whole or not at all.

    Args:
        folder: An existing folder.
        tables: Tables by the name of their files without ending; times are UTC.

    Returns:
        The paths of the Parquet files.

    Raises:
        WriteError: A file cannot be written.
    """
    paths = []
    for name, frame in tables.items():
        path = folder / f"{name}.parquet"
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        durable.replace(path, lambda partial, table=table: _write(table, partial))
        write_csv(path.with_suffix(".csv"), frame)
        paths.append(path)
    return paths


def _write(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def read_table(path: Path) -> pd.DataFrame:
    """Read a table that `write_tables` wrote.

    Raises:
        DataError: The file is damaged.
    """
    try:
        return pq.read_table(path, page_checksum_verification=True).to_pandas()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(
            f"{path}: is damaged: {error}. Move the file away, and run the command again."
        ) from error
