"""`Summary`: tables and notes about a result as text, HTML and LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

_GAP = "   "
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


class Table(NamedTuple):
    """One table of a summary; every cell is text.

    Attributes:
        rows: Cells by row.
        header: Names of the columns; () for a table without them.
        align: "l" or "r" for each column.
    """

    rows: tuple[tuple[str, ...], ...]
    header: tuple[str, ...] = ()
    align: str = ""

    @property
    def lines(self) -> tuple[tuple[str, ...], ...]:
        """The header, if there is one, and the rows."""
        return (self.header, *self.rows) if self.header else self.rows

    @property
    def alignment(self) -> str:
        """The alignment of each column: that of `align`; by default left for the first, right for others."""
        columns = max(map(len, self.lines), default=0)
        return self.align or "l" + "r" * (columns - 1)


class Summary(str):
    """A summary, which is its own text, and which notebooks show as HTML.

    Attributes:
        heading: Title of the summary.
        tables: Its tables.
        notes: Sentences below the tables: how numbers are defined, then warnings with what to do.
    """

    heading: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]

    def __new__(cls, title: str, tables: Iterable[Table] = (), notes: Iterable[str] = ()) -> Summary:
        """Write the text of the tables and notes."""
        parts = tuple(tables)
        sentences = tuple(notes)
        self = super().__new__(cls, _text(title, parts, sentences))
        self.heading = title
        self.tables = parts
        self.notes = sentences
        return self

    def __reduce__(self) -> tuple[type[Summary], tuple[object, ...]]:
        """Describe how copies and pickles are made."""
        return Summary, (self.heading, self.tables, self.notes)

    def __repr__(self) -> str:
        return str.__str__(self)

    def as_text(self) -> str:
        """Return the text."""
        return str.__str__(self)

    def as_html(self) -> str:
        """Return the tables and notes as an HTML fragment."""
        tables = "".join(map(_html_table, self.tables))
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        heading = f"<p><strong>{escape(self.heading)}</strong></p>"
        return f'<div class="neutral-summary">{heading}{tables}{notes}</div>'

    def as_latex(self) -> str:
        """Return the tables as LaTeX `tabular`s with the rules of the package booktabs, notes below."""
        tables = "\n\n".join(map(_latex_table, self.tables))
        notes = "".join(f"\n\n{{\\footnotesize {_latex(note)}}}" for note in self.notes)
        return f"\\begin{{center}}\n\\textbf{{{_latex(self.heading)}}}\n\n{tables}{notes}\n\\end{{center}}\n"

    def _repr_html_(self) -> str:
        return self.as_html()


def number(value: float, digits: int = 4) -> str:
    """Write a number with some significant digits; "-" where it is nan."""
    return "-" if value != value else f"{value:.{digits}g}"


def percent(value: float) -> str:
    """Write a share in percent with one decimal; "-" where it is nan."""
    return "-" if value != value else f"{100.0 * value:.1f} %"


def pairs(items: Sequence[tuple[str, str]]) -> Table:
    """Lay out labels with their values in two columns of pairs, down the left one first."""
    half = -(-len(items) // 2)
    right = [*items[half:], ("", "")]
    return Table(tuple((*items[i], *right[i]) for i in range(half)), align="llll")


def _text(title: str, tables: Sequence[Table], notes: Sequence[str]) -> str:
    """Write tables below each other, all of one width."""
    blocks = [_aligned(table) for table in tables]
    width = max([len(title), *(len(line) for block in blocks for line in block)])
    lines = [title.center(width).rstrip()] if tables else [title]
    for i, block in enumerate(blocks):
        lines += [("-" if i else "=") * width, *block]
    lines += ["=" * width] if blocks else []
    return "\n".join([*lines, *notes])


def _aligned(table: Table) -> list[str]:
    """Write the lines of a table with aligned columns."""
    if not table.lines:
        return []
    widths = [max(map(len, column)) for column in zip(*table.lines, strict=True)]
    sides = {"l": str.ljust, "r": str.rjust}
    return [
        _GAP.join(
            sides[side](cell, width) for cell, width, side in zip(line, widths, table.alignment, strict=True)
        ).rstrip()
        for line in table.lines
    ]


def _html_table(table: Table) -> str:
    side = {"l": "left", "r": "right"}
    styles = [f' style="text-align:{side[x]}"' for x in table.alignment]

    def row(cells: Sequence[str], tag: str) -> str:
        written = (f"<{tag}{style}>{escape(x)}</{tag}>" for x, style in zip(cells, styles, strict=True))
        return f"<tr>{''.join(written)}</tr>"

    head = f"<thead>{row(table.header, 'th')}</thead>" if table.header else ""
    return f"<table>{head}<tbody>{''.join(row(cells, 'td') for cells in table.rows)}</tbody></table>"


def _latex_table(table: Table) -> str:
    lines = [" & ".join(map(_latex, cells)) + r" \\" for cells in table.rows]
    head = [" & ".join(map(_latex, table.header)) + r" \\", r"\midrule"] if table.header else []
    body = "\n".join([r"\toprule", *head, *lines, r"\bottomrule"])
    return f"\\begin{{tabular}}{{{table.alignment}}}\n{body}\n\\end{{tabular}}"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
