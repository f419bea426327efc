"""Pieces of pages: one HTML file with its pictures inside, no downloads."""

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2430; max-width: 1180px; margin: 2rem auto; }
body { padding: 0 1.2rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.2rem; margin-top: 2.4rem; }
p.note { color: #5a6472; margin-top: .2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6rem 0; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #e3e6ea; }
th { color: #5a6472; font-weight: 600; } td.text, th.text { text-align: left; }
td:first-child { white-space: nowrap; }
img { max-width: 100%; display: block; margin: .8rem 0; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; } .row img { max-width: calc(50% - .5rem); margin: 0; }
"""
Cell = str | tuple[float, str]  # text, or a number and its format


def page(title: str, body: Sequence[str]) -> str:
    """A whole page."""
    return (
        f"<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n<title>{escape(title)}</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]], texts: Sequence[int]) -> str:
    """A table; the headers of the columns `texts` are aligned to the left, as text in cells is."""
    head = "".join(
        f"<th{' class=text' if i in texts else ''}>{escape(name)}</th>" for i, name in enumerate(header)
    )
    lines = ["<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows]
    return f"<table>\n<tr>{head}</tr>\n" + "\n".join(lines) + "\n</table>"


def _cell(value: Cell) -> str:
    if isinstance(value, str):
        return f"<td class=text>{escape(value)}</td>"
    number, form = value
    return f"<td>{number:{form}}</td>" if np.isfinite(number) else "<td>-</td>"


def image(figure: "Figure", alt: str = "") -> str:
    """A figure inside the page."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    encoded = base64.b64encode(content.getvalue()).decode()
    return f"<img alt='{escape(alt)}' src='data:image/png;base64,{encoded}'>"


def row(images: Sequence[str]) -> str:
    """Pictures beside one another, two to a line."""
    return f"<div class='row'>{''.join(images)}</div>"
