"""Writes the elements of pages; a page is one HTML file for screen and paper, with figures and no scripts."""

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2430; max-width: 1180px; margin: 2rem auto; }
body { padding: 0 1.2rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.2rem; margin-top: 2.4rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .2rem; }
p, li { overflow-wrap: anywhere; } time { white-space: nowrap; }
p.note, figcaption { color: #5a6472; margin-top: .2rem; }
p.reason { border-left: 4px solid #b42318; background: #fdf3f2; padding: .5rem .9rem; }
a { color: #1f5fa8; }
section { border-top: 2px solid #1d2430; margin-top: 3rem; } section h2 { margin-top: .8rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6rem 0; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #e3e6ea; vertical-align: top; }
th { color: #5a6472; font-weight: 600; vertical-align: bottom; } td.text, th.text { text-align: left; }
td:first-child { white-space: nowrap; }
.badge { border-radius: 1rem; padding: .05rem .6rem; font-size: .85em; font-weight: 600; }
.badge { white-space: nowrap; }
.pass { background: #e3f4e8; color: #12652f; } .warn { background: #fff1cc; color: #7a4b00; }
.fail { background: #fbe2e0; color: #98180c; } .unknown { background: #e6e9ee; color: #3b4553; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .6rem; }
dl div { background: #f5f6f8; border-radius: .4rem; padding: .45rem .8rem; }
dt { color: #5a6472; font-size: .85em; } dd { margin: 0; font-weight: 600; }
details { margin: .6rem 0; } summary { cursor: pointer; color: #1f5fa8; }
img { max-width: 100%; height: auto; display: block; margin: .8rem 0; }
figure { margin: 1rem 0; } figure img { margin: 0 0 .3rem; } figcaption { font-size: .9em; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
.row > * { max-width: calc(50% - .5rem); margin: 0; }
@media (max-width: 700px) {
  body { margin: 1rem auto; padding: 0 .8rem; } .row > * { max-width: 100%; }
  th, td { padding: .25rem .45rem; }
  body > figure img, section > figure img { max-width: none; width: 46rem; }
  .stacked thead { display: none; } .stacked, .stacked tbody, .stacked tr { display: block; }
  .stacked tr { border-bottom: 1px solid #c9ced6; padding: .4rem 0; }
  .stacked td { display: block; border: 0; text-align: left; padding: .05rem 0; overflow-wrap: anywhere; }
  .stacked td:first-child { font-weight: 600; white-space: normal; }
  .stacked td:not(:first-child)::before { content: attr(data-label) ": "; color: #5a6472; }
}
@media print {
  @page { size: A4; margin: 14mm 12mm; }
  body { max-width: none; margin: 0; padding: 0; font-size: 9.5pt; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  table { font-size: 7.5pt; } th, td { padding: .15rem .35rem; overflow-wrap: break-word; }
  td:first-child { white-space: normal; }
  .scroll { overflow: visible; }
  section + section { break-before: page; border: 0; margin: 0; }
  h2, h3, summary { break-after: avoid; } tr, figure, img, dl, .row { break-inside: avoid; }
  details::details-content { content-visibility: visible; display: block; height: auto; }
}
"""


class Markup(str):
    """Text that is already HTML and is not escaped again."""


Cell = str | tuple[float, str]  # text, or a number and its format


def page(title: str, body: Sequence[str]) -> str:
    """Return a whole page as HTML; `body` holds HTML elements."""
    return (
        f"<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>{escape(title)}</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def table(
    header: Sequence[str], rows: Sequence[Sequence[Cell]], texts: Sequence[int], *, stacked: bool = False
) -> str:
    """Return a table as HTML.

    Args:
        header: Names of the columns.
        rows: Cells of each row.
        texts: Positions of the columns of text, whose headers are aligned to the left as their cells are.
        stacked: Whether each row becomes a block of lines on a narrow screen.
    """
    head = "".join(
        f"<th scope=col{' class=text' if i in texts else ''}>{escape(name)}</th>"
        for i, name in enumerate(header)
    )
    labels = [f" data-label='{escape(name)}'" if stacked else "" for name in header]
    lines = ["<tr>" + "".join(map(_cell, row, labels)) + "</tr>" for row in rows]
    return (
        f"<div class='scroll'><table{' class=stacked' if stacked else ''}>\n<thead><tr>{head}</tr></thead>\n"
        "<tbody>\n" + "\n".join(lines) + "\n</tbody>\n</table></div>"
    )


def _cell(value: Cell, label: str) -> str:
    if isinstance(value, str):
        return f"<td class=text{label}>{_text(value)}</td>"
    number, form = value
    return f"<td{label}>{number:{form}}</td>" if np.isfinite(number) else f"<td{label}>-</td>"


def _text(value: str) -> str:
    return value if isinstance(value, Markup) else escape(value)


def badge(outcome: str) -> Markup:
    """Return the outcome of a gate as a word on a coloured background."""
    kind = outcome if outcome in ("pass", "warn", "fail") else "unknown"
    return Markup(f"<span class='badge {kind}'>{escape(outcome)}</span>")


def link(text: str, anchor: str) -> Markup:
    """Return a link to another place in the page."""
    return Markup(f"<a href='#{escape(anchor)}'>{escape(text)}</a>")


def time(text: str) -> Markup:
    """Return a date and time that is not broken across lines."""
    return Markup(f"<time>{escape(text)}</time>")


def folded(summary: str, content: str) -> str:
    """Return content that is hidden until its summary line is clicked. On paper it is always visible."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def items(texts: Sequence[str], ordered: bool = False) -> str:
    """Return a list, with numbers if it is ordered."""
    kind = "ol" if ordered else "ul"
    return f"<{kind}>" + "".join(f"<li>{_text(text)}</li>" for text in texts) + f"</{kind}>"


def tiles(values: Sequence[tuple[str, str]]) -> str:
    """Return names and values, each pair in a tile."""
    cells = (f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in values)
    return f"<dl>{''.join(cells)}</dl>"


def image(figure: "Figure", alt: str = "") -> str:
    """Return a figure as an image inside the page, at a resolution for fine screens and paper."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150)
    encoded = base64.b64encode(content.getvalue()).decode()
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    size = f"width='{width}' height='{height}'"
    return f"<img alt='{escape(alt)}' {size} src='data:image/png;base64,{encoded}'>"


def captioned(picture: str, caption: str) -> str:
    """Return an image with a caption. Outside of a row it scrolls on a narrow screen instead of shrinking."""
    return f"<figure><div class='scroll'>{picture}</div><figcaption>{escape(caption)}</figcaption></figure>"


def row(images: Sequence[str]) -> str:
    """Return images side by side, two to a line."""
    return f"<div class='row'>{''.join(images)}</div>"
