"""Writes a cube of volatilities, and beside it its rows, the arrays for training, and the quotes."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ... import durable
from ...errors import ArgumentError
from ...ml import VolCube
from ..csv_files import write_csv
from ..table_files import write_tables

if TYPE_CHECKING:
    from .cube import CubeBuild


def write_cube(built: "CubeBuild", path: Path, test_from: str | None = None) -> list[Path]:
    """Write the cube, and beside it its rows, the train and test arrays, and the quotes.

    Args:
        built: The cube. Its quotes, and the dates of its surfaces, are written as CSV files if it has quotes.
        path: The file of the cube.
        test_from: The first date of the test array, in the file `..._train_test.npz` with the keys `train`
            and `test`, of shape (dates, 5, maturities, moneyness); None writes no such file.

    Returns:
        The paths of the files.

    Raises:
        ArgumentError: `test_from` is not a date.
        WriteError: A file cannot be written.
    """
    with durable.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        built.cube.save(path)
    rows = built.rows.assign(**identity(path))
    paths = [path, *write_tables(path.parent, {beside(path, "rows").name: rows})]
    if test_from is not None:
        paths.append(beside(path, "train_test.npz"))
        train, test = split_cube(built.cube, test_from)
        _save_parts(paths[-1], train.values, test.values)
    if built.chains is not None:
        paths += [beside(path, "chains.csv"), beside(path, "dates.csv")]
        write_csv(paths[-2], built.chains)
        write_csv(paths[-1], _dates(built.cube, test_from))
    return paths


def identity(path: Path) -> dict[str, str]:
    """Return the column by which rows name the bytes of their cube, to which their positions refer."""
    return {"cube_sha256": durable.sha256(path)}


def beside(path: Path, ending: str) -> Path:
    """Return the path of a file that belongs to a cube, such as `cube_rows.csv`."""
    return path.with_name(f"{path.name.removesuffix('.npz')}_{ending}")


def _save_parts(path: Path, train: np.ndarray, test: np.ndarray) -> None:
    """Write a compressed `.npz` file with the keys `train` and `test`, whole or not at all."""

    def write(partial: Path) -> None:
        with partial.open("wb") as file:
            np.savez_compressed(file, train=train, test=test)

    durable.replace(path, write)


def _dates(cube: VolCube, test_from: str | None) -> pd.DataFrame:
    """Return the position, date and underlying of each surface, and its part if there is a test part."""
    frame = pd.DataFrame(
        {"position": np.arange(len(cube)), "snapshot_ts": cube.dates, "currency": cube.assets}
    )
    if test_from is None:
        return frame
    first = as_date(test_from)
    parts = np.select([cube.dates < first, cube.dates >= first], ["train", "test"], "neither")
    return frame.assign(part=parts)


def split_cube(cube: VolCube, test_from: str) -> tuple[VolCube, VolCube]:
    """Return the dates before a date, and the others."""
    return cube.split(as_date(test_from))


def as_date(text: str) -> np.datetime64:
    """Read a date.

    Raises:
        ArgumentError: The text is not a date.
    """
    try:
        date = np.datetime64(text)
    except ValueError as error:
        raise ArgumentError(f"test_from={text!r}: expected a date such as 2026-02-01.") from error
    if np.isnat(date):
        raise ArgumentError(f"test_from={text!r}: expected a date such as 2026-02-01.")
    return date
