"""Reads a workbook of results into a store, from which a run continues."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ... import durable
from ...errors import DataError
from ...times import minute_text
from ..extras import require
from ..outcome import CONVERGED, FAILED, LOST, REFUSED
from ..recipes import RECIPES
from .parquet import fits_table, quotes_table
from .rows import columns_of
from .store import MANIFEST, Store, create_imported, locked
from .workbook_cells import NEEDED, read_cells, typed
from .workbook_columns import COMMON, RENAMED, SPLITS, quote_sheet

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

ORIGINAL = {new: old for old, new in RENAMED.items()}
COMMON_ORIGINAL = tuple(ORIGINAL.get(name, name) for name in COMMON)
ELSEWHERE = ("split", "random_seed")  # columns of quotes that the name of the sheet and the fits state
IMPORTED = "imported"  # in place of the version of the code
SHOWN = 12  # names of columns that a message lists


@dataclass
class Imported:
    """What has been read from a workbook."""

    fits: pd.DataFrame = field(default_factory=pd.DataFrame)
    quotes: pd.DataFrame = field(default_factory=pd.DataFrame)
    models: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # columns of the sheets of parameters
    ignored: list[str] = field(default_factory=list)  # columns that the store does not have

    @property
    def latest(self) -> dict[str, datetime]:
        """The time of the last snapshot of each underlying."""
        rows = zip(self.fits["currency"], self.fits["snapshot_ts"], strict=True)
        return dict(sorted(rows, key=lambda row: row[1]))

    def __str__(self) -> str:
        """Say what was read, up to when, and which columns were not there or were left out."""
        lines = [f"{len(self.fits)} fits of {', '.join(self.models)}, and {len(self.quotes)} quotes"]
        for underlying, time in self.latest.items():
            count = self.fits.loc[self.fits["currency"] == underlying, "snapshot_ts"].nunique()
            lines.append(f"{underlying}: {count} snapshots up to {minute_text(time)} UTC")
        for what, names in (("missing columns", self.missing), ("columns left out", self.ignored)):
            if names:
                more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
                lines.append(f"{what}: {', '.join(names[:SHOWN])}{more}")
        return "\n".join(lines)


def import_workbook(path: str | Path, out: str | Path) -> tuple[Store, Imported]:
    """Read a workbook into a new store, which `neutral calibrate` then continues.

    The workbook has a sheet `..._params` for each model with the columns timestamp, currency, success and the
    parameters, and may have the sheets `train_data` and `test_data`. Missing columns become nan. Times may be
    times of the workbook or texts, with or without a zone; they are UTC.

    Args:
        path: The workbook.
        out: The folder of the results, which must not have any yet.

    Returns:
        The store, and what was read.

    Raises:
        DataError: The workbook cannot be read, has no sheet of parameters, or has a value that cannot be read
            (the message names sheet, row and column); or the folder has results.
        NeutralError: A package is missing.
    """
    require(["import", "tables"])
    source = Path(path)
    folder = Path(out)
    _check_new(folder, source)
    imported = read_workbook(source)
    fits = {}
    quotes = {}
    for underlying in imported.fits["currency"].unique():
        rows = imported.fits.query("currency == @underlying").to_dict("records")
        fits[underlying] = fits_table(rows, imported.models)
        frame = imported.quotes.query("currency == @underlying")
        quotes[underlying] = quotes_table([frame] if len(frame) else [], imported.models)
    with locked(folder):
        _check_new(folder, source)  # another process may have written them meanwhile
        store = create_imported(folder, imported.models, fits, quotes)
        store.log(event="import", workbook=source.name, sha256=durable.sha256(source))
        store.consolidate()
    return store, imported


def _check_new(folder: Path, source: Path) -> None:
    """Refuse a folder that has results."""
    if (folder / MANIFEST).exists():
        raise DataError(f"{folder}: has results already; choose another --out for those of {source}.")


def read_workbook(path: Path) -> Imported:
    """Read the fits and the quotes of a workbook; errors are those of `import_workbook`."""
    import openpyxl

    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))  # openpyxl leaves a damaged file open
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        except durable.ARCHIVE_DAMAGE as error:
            raise DataError(
                f"{path}: cannot be read as a workbook: {error}. Expected an .xlsx file."
            ) from error
        stack.callback(book.close)
        try:
            return _content(path, book)
        except DataError:
            raise
        except durable.ARCHIVE_DAMAGE as error:
            raise DataError(f"{path}: is damaged: {error}. Restore the file from a copy.") from error


def _content(path: Path, book: "Workbook") -> Imported:
    """Read the sheets of a workbook."""
    sheets = {name: _parts(book, recipe.sheet) for name, recipe in RECIPES.items()}
    present = [name for name, parts in sheets.items() if parts]
    if not present:
        expected = ", ".join(recipe.sheet for recipe in RECIPES.values() if recipe.standard)
        raise DataError(
            f"{path}: has no sheet of parameters, such as {expected}; it has {', '.join(book.sheetnames)}."
        )
    kinds = columns_of("fits", present)
    imported = Imported()
    frames = []
    for model in present:
        columns = {name: kinds[name] for name in (*COMMON_ORIGINAL, *RECIPES[model].values)}
        frame = _read(path, book, sheets[model], columns, imported)
        if len(frame):
            imported.models.append(model)
            frames.append(_completed_fits(frame, model))
    if not frames:
        raise DataError(f"{path}: the sheets of parameters have no rows.")
    imported.fits = _in_order(pd.concat(frames, ignore_index=True))
    _check_distinct(path, imported.fits)
    imported.quotes = _quotes(path, book, imported)
    return imported


def _parts(book: "Workbook", name: str) -> list[str]:
    """Return the sheets of a table: the one of this name, and those on which it continues (`..._2`)."""
    continued = [sheet for sheet in book.sheetnames if sheet.startswith(f"{name}_")]
    numbered = [sheet for sheet in continued if sheet.removeprefix(f"{name}_").isdecimal()]
    return [name, *numbered] if name in book.sheetnames else []


def _read_quotes(
    path: Path, book: "Workbook", sheets: Sequence[str], columns: Mapping[str, str], imported: Imported
) -> pd.DataFrame:
    """Read the rows of a table of quotes; its missing columns are not listed."""
    missing = [*imported.missing]
    frame = _read(path, book, sheets, columns, imported, names={})
    imported.missing = missing
    imported.ignored = [name for name in imported.ignored if name not in ELSEWHERE]
    return frame


def _read(
    path: Path,
    book: "Workbook",
    sheets: Sequence[str],
    columns: Mapping[str, str],
    imported: Imported,
    *,
    names: Mapping[str, str] = ORIGINAL,
) -> pd.DataFrame:
    """Read the rows of a table, and note missing and unknown columns."""
    frames = []
    for sheet in sheets:
        frame, unknown = read_cells(f"{path}: sheet {sheet}", book[sheet], columns, names)
        _note(imported.ignored, unknown)
        frames.append(frame)
    whole = pd.concat(frames, ignore_index=True)
    shown = {old: new for new, old in names.items()}
    for name in NEEDED:
        if name not in whole:
            raise DataError(f"{path}: sheet {sheets[0]} has no column {shown.get(name, name)}.")
    _note(imported.missing, [shown.get(name, name) for name in columns if name not in whole])
    absent = {name: typed([None] * len(whole), kind) for name, kind in columns.items() if name not in whole}
    return whole.assign(**absent).reindex(columns=list(columns))


def _note(names: list[str], more: Sequence[str]) -> None:
    """Add names that are not in a list yet."""
    names += [name for name in more if name not in names]


def _in_order(fits: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by underlying, in the order of the workbook, and by time."""
    ranks, _ = pd.factorize(fits["currency"])
    ranked = fits.assign(rank=ranks)
    return ranked.sort_values(["rank", "snapshot_ts"], kind="stable", ignore_index=True).drop(columns="rank")


def _completed_fits(frame: pd.DataFrame, model: str) -> pd.DataFrame:
    """Add the name of the model, and the status that follows from other columns."""
    converged = frame["converged"].fillna(False).astype(bool)
    attempted = frame["n_train"].fillna(0) > 0
    failed = np.where(frame["rmse_fit"].notna(), FAILED, np.where(attempted, LOST, REFUSED))
    return frame.assign(
        model=model,
        converged=converged,
        status=np.where(converged, CONVERGED, failed),
        message=frame["message"].fillna(""),
        at_bound="",
        config_hash="",
        code_version=IMPORTED,
        data_sha256="",
    )


def _check_distinct(path: Path, fits: pd.DataFrame) -> None:
    """Refuse a workbook with two rows of one model about one snapshot."""
    twice = fits[fits.duplicated(["currency", "snapshot_ts", "model"])]
    if len(twice):
        row = twice.iloc[0]
        raise DataError(
            f"{path}: sheet {RECIPES[row['model']].sheet} has two rows about {row['currency']} at "
            f"{row['snapshot_ts']:%Y-%m-%d %H:%M:%S}; remove one of them."
        )


def _quotes(path: Path, book: "Workbook", imported: Imported) -> pd.DataFrame:
    """Read the train and the test quotes, which may be missing; those of other underlyings are left out."""
    columns = {name: kind for name, kind in columns_of("quotes", imported.models).items() if name != "split"}
    frames = []
    for split in SPLITS:
        sheets = _parts(book, quote_sheet(split))
        if sheets:
            frame = _read_quotes(path, book, sheets, columns, imported)
            frames.append(frame.assign(split=split))
    if not frames:
        return pd.DataFrame(columns=["currency"])
    quotes: Any = _completed_quotes(pd.concat(frames, ignore_index=True))
    quotes = quotes[quotes["currency"].isin(imported.fits["currency"])]
    order = ["currency", "snapshot_ts", "expiry_datetime", "strike", "option_type"]
    return quotes.sort_values(order, kind="stable", ignore_index=True)


def _completed_quotes(quotes: pd.DataFrame) -> pd.DataFrame:
    """Compute columns that follow from others, where the workbook leaves them out.

    Quotes of workbooks without such columns are those of coin-settled options: there the discount factor is
    1, the forward of an expiry is the median of its futures prices, and maturities are those of the file.
    """
    keys = ["currency", "snapshot_ts", "expiry_datetime"]
    median: Any = quotes.groupby(keys, dropna=False)["futures_price"].transform("median")
    forward = quotes["forward"].where(quotes["forward"].notna(), median)
    log_moneyness = np.log((quotes["strike"] / forward).where(forward > 0.0))
    follow = {
        "forward": forward,
        "moneyness": quotes["strike"] / forward,
        "log_moneyness": log_moneyness,
        "maturity": quotes["time_to_maturity"],
        "spread": quotes["ask_price"] - quotes["bid_price"],
        "mid_price_clean": 0.5 * (quotes["ask_price"] + quotes["bid_price"]),
        "discount": 1.0,
        "settlement": "coin",
    }
    completed = {name: quotes[name].where(quotes[name].notna(), values) for name, values in follow.items()}
    return quotes.assign(**completed)
