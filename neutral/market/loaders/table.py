"""Reads a table of typed columns from a CSV, JSON or Parquet file, or from a table in memory."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from ...errors import DataError
from ...quotes.column_names import squeezed
from ..quotes import column
from .column_map import ColumnMap, how_to_map
from .csv_table import check_rows, check_unique, decimal_mark, header_names, numbers, parse, plain_name, texts
from .dates import (
    FORMS,
    ZONED_MIDNIGHT,
    choose_form,
    distinct_texts,
    fitting_forms,
    form_of_first,
    parse_dates,
)
from .file_content import FileContent, MarketData, read_content

Names = Mapping[str, tuple[str, ...]]
"""The names that files use for each column, in lower case; if a file has two of them, the first counts."""


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """A parsed file or table. Column names are in lower case, without surrounding blanks and brackets."""

    frame: pd.DataFrame  # pandas infers the types of its columns
    path: Path
    sha256: str
    """Of the uncompressed bytes of a CSV or JSON file, the bytes of a Parquet file, or a table's content."""
    columns: ColumnMap = ColumnMap()  # the caller's; columns that it names have these names in `frame`
    symbol: str | None = None  # the underlying where the rows state none, according to the caller
    date_format: str | None = None  # that the vendor declares
    layout_names: Mapping[str, str] = dataclasses.field(default_factory=dict)  # of some keys; "" is none

    def select(self, names: Names, required: tuple[str, ...], text: tuple[str, ...]) -> pd.DataFrame:
        """Select the columns of `names` that the file has, under the keys of `names`.

        Args:
            names: Accepted names of each column.
            required: Keys of the columns that the file must have.
            text: Keys of the columns that become text. All others become float64, nan where the file has no
                finite number.

        Returns:
            A new table; columns that the file does not have are absent.

        Raises:
            DataError: A required column is missing, or the caller's map has a key that is not in `names`.
        """
        self.require(names, required)
        columns = {}
        for key in names:
            name = self.name_of(key, names)
            if name is not None:
                values = column(self.frame, name)
                columns[key] = texts(values) if key in text else _finite(values)
        return pd.DataFrame(columns)

    def require(self, names: Names, required: tuple[str, ...]) -> None:
        """Refuse a table without rows, or without one of the required columns; arguments as for `select`.

        Raises:
            DataError: As for `select`, or there is no row.
        """
        self.check_map(names)
        missing = [key for key in required if self.name_of(key, names) is None]
        if missing:
            raise DataError(self._missing(missing, names))
        check_rows(self.path, self.frame)

    def check_map(self, names: Names) -> None:
        """Refuse a name in the caller's map of columns that is no key of `names`.

        Raises:
            DataError: There is such a name; the message lists the accepted ones and the columns of the file.
        """
        unknown = sorted(self.columns.mapped - set(names))
        if unknown:
            raise DataError(
                f"{self.path}: columns= has the unknown name {', '.join(unknown)}; the names of columns are "
                f"{', '.join(names)}, ignore and date_format. The file has the columns {self.listed}."
            )

    @property
    def listed(self) -> str:
        """The columns of the file, for messages."""
        return ", ".join(self.frame)

    def _missing(self, missing: Sequence[str], names: Names) -> str:
        wanted = "; ".join(" or ".join(map(repr, names[key])) for key in missing)
        return (
            f"{self.path}: required column{'s' if len(missing) > 1 else ''} missing: {wanted}. The file has "
            f"the columns {self.listed}. Add the column, or state which column contains its values: "
            f"{'; '.join(how_to_map(key, '...') for key in missing)}."
        )

    def name_of(self, key: str, names: Names) -> str | None:
        """Return the file's name of the column `key`, or None if it has no such column."""
        if key in self.columns.mapped:
            return key
        if key in self.layout_names:
            return self.layout_names[key] or None
        return next((self._header[form] for form in map(squeezed, names[key]) if form in self._header), None)

    @cached_property
    def _header(self) -> dict[str, str]:
        """The columns by the form of their names that is compared; those that the caller maps are taken."""
        free = [name for name in self.frame if name not in self.columns.mapped]
        return {squeezed(name): name for name in reversed(free)}

    def unused(self, names: Names) -> list[str]:
        """Return the columns that no key of `names` matches."""
        used = {self.name_of(key, names) for key in names}
        return [name for name in self.frame if name not in used]

    def dates(self, values: pd.Series, name: str, others: Sequence[pd.Series] = ()) -> pd.Series:
        """Parse a column of dates as UTC times; a blank becomes NaT.

        Args:
            values: Dates as text, all in the same one of `FORMS`, or times.
            name: The file's name of the column, for the error.
            others: Other columns of dates in the file; where several forms fit, theirs decides.

        Raises:
            DataError: A value has no accepted form, or another form than the others, or several forms fit
                and nothing states which one is meant, or all are midnight in a zone other than UTC.
        """
        if isinstance(values.dtype, pd.DatetimeTZDtype):
            return values.dt.as_unit("us")
        codes, uniques = pd.factorize(texts(values))  # a file repeats few dates, so each is parsed once
        text = distinct_texts(pd.Series(uniques, dtype="str"))
        self._refuse_midnights(text, name)
        fitting = fitting_forms(text)
        elsewhere = [fitting_forms(distinct_texts(texts(x))) for x in others] if len(fitting) > 1 else []
        single = [forms[0] for forms in elsewhere if len(forms) == 1]
        form = choose_form(fitting, self.columns.date_format or self.date_format, single)
        if form is None and len(fitting) > 1:
            raise DataError(
                f"{self.path}: line {_line(codes, 0)}: {name} {text[0]!r} can be read as "
                f"{' and as '.join(fitting)}, and no value decides. Say which one is meant: "
                f"{how_to_map('date_format', fitting[0])}."
            )
        form = form or form_of_first(text)
        times = parse_dates(text, form)
        wrong = (times.isna() & text.notna() & (text != "")).to_numpy()
        if wrong.any():
            first = int(wrong.argmax())
            raise DataError(
                f"{self.path}: line {_line(codes, first)}: {name} {text[first]!r} is not a date of the form "
                f"{form}. Accepted forms are {', '.join(FORMS)}; all dates of a column must have one form."
            )
        return times.reindex(codes).set_axis(values.index)  # code -1, missing, becomes NaT

    def _refuse_midnights(self, text: pd.Series, name: str) -> None:
        """Refuse times that are all midnight in another zone than UTC: moments, or days that got a zone."""
        filled = cast(pd.Series, text[text.notna() & (text != "")])
        if len(filled) and filled.str.fullmatch(ZONED_MIDNIGHT).all():
            raise DataError(
                f"{self.path}: every {name} is midnight in its time zone, such as {filled.iloc[0]!r}, which "
                f"can mean the day or the moment. For days write dates alone, as with "
                f"table[{name!r}].dt.tz_localize(None); for moments write them in UTC, as with "
                f"table[{name!r}].dt.tz_convert('UTC')."
            )

    def refuse_blanks(self, values: pd.Series, name: str) -> None:
        """Refuse blanks in a column that states to which snapshot each row belongs.

        Args:
            values: The column.
            name: The file's name of the column, for the error.

        Raises:
            DataError: A value is missing; the message names the first line.
        """
        blank = values.isna().to_numpy()
        if blank.any():
            raise DataError(
                f"{self.path}: line {int(blank.argmax()) + 2}: {name} is blank (in {int(blank.sum())} of "
                f"{len(blank)} rows), so it is unknown which snapshot the row belongs to. Fill the column, "
                "or remove these rows."
            )


def read_table(data: MarketData, decimal: str | None = None) -> Table:
    """Read a table: a CSV or JSON file, plain or gzip, a Parquet file, or a table in memory.

    Args:
        data: The file, a table of any library, or content that has been read already. The separator of a CSV
            file is `;` if the header has one, a tab if the header has one, else a comma.
        decimal: The decimal mark, "." or ",", where the separator is `;`. None takes the one that the numbers
            show.

    Raises:
        DataError: The file cannot be read, is damaged, is empty, is no table, or names a column twice; or the
            caller's map names a column that the table does not have.
    """
    content = read_content(data)
    path = content.path
    if content.frame is not None:
        frame = content.frame
        sha256 = hashlib.sha256(content.text).hexdigest() if content.is_json else content.sha256
    else:
        text = content.text
        separator, names = header_names(text)
        check_unique(path, [name for name in names if name])
        mark = (decimal or decimal_mark(text)) if separator == ";" else "."
        frame = parse(path, text, separator, mark)
        sha256 = hashlib.sha256(text).hexdigest()
    names = [plain_name(str(name)) or f"unnamed: {i}" for i, name in enumerate(frame.columns)]
    check_unique(path, names)
    frame = frame.set_axis(names, axis="columns")
    return Table(_mapped(path, frame, content.columns), path, sha256, content.columns, content.symbol)


def header_of_table(content: FileContent) -> list[str]:
    """Return the names of the columns as `Table` writes them, with those of the caller's map."""
    if content.frame is not None:
        names = [plain_name(str(name)) for name in content.frame.columns]
    else:
        _, names = header_names(content.text)
    return [*names, *sorted(content.columns.mapped)]


def _mapped(path: Path, frame: pd.DataFrame, columns: ColumnMap) -> pd.DataFrame:
    """Give columns the names of the caller's map, and leave out those that are to be ignored.

    Raises:
        DataError: The table has no such column.
    """
    wanted = [*(name for _, name in columns.names), *columns.ignored]
    if not wanted:
        return frame
    absent = [name for name in wanted if plain_name(name) not in frame]
    if absent:
        raise DataError(
            f"{path}: columns= names {', '.join(map(repr, absent))}, which the file does not have; it has "
            f"the columns {', '.join(frame)}."
        )
    renamed = {plain_name(name): key for key, name in columns.names}
    # a column that the map does not use, but whose name the map gives to another one, means something else
    replaced = [name for name in frame if name in columns.mapped and name not in renamed]
    dropped = [plain_name(name) for name in columns.ignored if plain_name(name) not in renamed]
    kept = frame.drop(columns=[*replaced, *dropped])
    return kept.rename(columns=renamed)


def _line(codes: np.ndarray, distinct: int) -> int:
    """Return the first line of the file with the distinct value of this number."""
    return int((codes == distinct).argmax()) + 2


def _finite(values: pd.Series) -> pd.Series:
    parsed = numbers(values)
    return parsed.where(np.isfinite(parsed))
