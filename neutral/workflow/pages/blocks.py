"""Defines the blocks that pages consist of, such as tables and lists; a template draws each of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

Tone = Literal["", "lead", "note", "good", "caution", "reason"]
"""How a paragraph looks: "good", "caution" and "reason" have green, yellow and red grounds."""


@runtime_checkable
class Block(Protocol):
    """Anything that a template draws; `macro` is the name of its macro."""

    macro: ClassVar[str]


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: What is shown.
        value: The number by which the table is sorted; None sorts by the text.
        kind: "" for plain content, "badge" for the outcome of a gate, "time" for a date that is not broken
            across lines.
        anchor: The place in the page that the text links to; "" for no link.
    """

    text: str
    value: float | None = None
    kind: Literal["", "badge", "time"] = ""
    anchor: str = ""


def number(value: float, form: str) -> Cell:
    """Return a cell with a number in a format; a dash if the number is not finite."""
    finite = bool(np.isfinite(value))
    return Cell(f"{value:{form}}" if finite else "-", float(value) if finite else None)


def badge(outcome: str) -> Cell:
    """Return the outcome of a gate as a word on a coloured background."""
    return Cell(outcome, kind="badge")


def basis_points(value: float) -> str:
    """Return a volatility as basis points with two or more digits, such as `4.8 bp` and `123 bp`."""
    points = 1e4 * value
    return f"{points:,.1f} bp" if abs(points) < 9.95 else f"{points:,.0f} bp"


@dataclass(frozen=True)
class Column:
    """A column of a table: its name, and whether it is text, which is aligned to the left."""

    name: str
    is_text: bool = False


@dataclass(frozen=True)
class Table:
    """A table that readers can sort and download.

    Attributes:
        columns: The columns.
        rows: Cells of each row; plain texts are cells without a number.
        caption: What the table shows, for the name of its download and for screen readers.
        stacked: Whether each row becomes a block of lines on a narrow screen.
    """

    macro: ClassVar[str] = "table"
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str
    stacked: bool = False


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[Cell | str]],
    texts: Iterable[int],
    caption: str,
    *,
    stacked: bool = False,
) -> Table:
    """Make a table.

    Args:
        header: Names of the columns.
        rows: Cells or texts of each row.
        texts: Positions of the columns of text.
        caption: As in `Table`.
        stacked: As in `Table`.
    """
    of_text = set(texts)
    columns = [Column(name, i in of_text) for i, name in enumerate(header)]
    cells = [[Cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    return Table(columns=columns, rows=cells, caption=caption, stacked=stacked)


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    macro: ClassVar[str] = "paragraph"
    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    macro: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Items:
    """A list, with numbers if it is ordered."""

    macro: ClassVar[str] = "items"
    texts: Sequence[str]
    is_ordered: bool = False


@dataclass(frozen=True)
class Tiles:
    """Names and values, each pair in a tile."""

    macro: ClassVar[str] = "tiles"
    values: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class HeatMap:
    """A table of signed numbers whose background shows their sizes: red above 0, blue below.

    Attributes:
        title: Name of the map.
        caption: What the map shows, and in which unit; "" if a text beside the map states it.
        alt: The result in words, for readers who cannot see the colours.
        corner: The names of both axes.
        rows: Labels of the rows.
        columns: Labels of the columns.
        values: Numbers, nan for an empty cell, shape (rows, columns).
        form: Format of the numbers.
        most: The size from which the colour is full.
        framed: Whether a cell has a frame, bool of the same shape.
        subject: What the map is about, such as a market; the section's heading already states it.
    """

    macro: ClassVar[str] = "heat_map"
    title: str
    caption: str
    alt: str
    corner: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: np.ndarray
    form: str
    most: float
    framed: np.ndarray | None = None
    subject: str = ""

    def cells(self) -> list[list[tuple[str, float, bool]]]:
        """Return text, share of the full colour from -1 to 1, and frame of each cell."""
        framed = np.zeros(self.values.shape, bool) if self.framed is None else self.framed
        return [
            [self._cell(x, bool(flag)) for x, flag in zip(line, flags, strict=True)]
            for line, flags in zip(self.values, framed, strict=True)
        ]

    def _cell(self, value: float, framed: bool) -> tuple[str, float, bool]:
        if not np.isfinite(value):
            return "", 0.0, framed
        return f"{value:z{self.form}}", round(float(np.clip(value / self.most, -1.0, 1.0)), 2), framed


@dataclass(frozen=True)
class Group:
    """Blocks side by side on a wide screen: two of equal width to a line, or as many as fit."""

    macro: ClassVar[str] = "group"
    blocks: Sequence[Block]
    is_even: bool = True


@dataclass(frozen=True)
class Stack:
    """Blocks one below the other."""

    macro: ClassVar[str] = "stack"
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Fold:
    """Blocks that are hidden until their summary is clicked. On paper they are always visible."""

    macro: ClassVar[str] = "fold"
    summary: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading, which the contents list.

    Attributes:
        title: The heading.
        blocks: Its content.
        anchor: The place in the page.
        outcome: The outcome of gates beside the heading; "" for none.
    """

    title: str
    blocks: Sequence[Block]
    anchor: str
    outcome: str = ""


@dataclass(frozen=True)
class Page:
    """A page: its title, facts about the run, the answer in words, a first picture, and sections."""

    title: str
    note: str
    answer: Sequence[Block]
    sections: Sequence[Section]
    first: Sequence[Block] = field(default_factory=list)
