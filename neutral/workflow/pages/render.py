"""Renders pages with templates; a page is one HTML file with its style, script, charts and numbers."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ... import durable
from ...errors import NeutralError
from ..extras import require
from .blocks import Fold, Group, Page, Stack
from .charts import Chart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jinja2 import Environment

    from .blocks import Block

HERE = Path(__file__).parent
SCRIPTS = ("tables.js", "series.js", "scenes.js", "charts.js", "start.js")
"""The parts of the script of a page, which share one scope."""

LIBRARY = "plotly-gl3d.min.js"
"""The chart library; `plotly-gl3d.json` states where it comes from, and its SHA-256."""


LIMIT = 2_950_000
"""Largest size of a page in bytes; a page that would be larger draws fewer parts."""


def write_page(path: Path, page: Page) -> Path:
    """Write a page, whole or not at all.

    Args:
        path: The file, in an existing folder.
        page: The content.

    Returns:
        The path.

    Raises:
        NeutralError: Jinja2 is not installed, or the page cannot be written.
    """
    durable.write_text(path, html(page))
    return path


def html(page: Page) -> str:
    """Return a page as HTML.

    Raises:
        NeutralError: Jinja2 is not installed, or the chart library is damaged.
    """
    blocks = [*page.answer, *page.first, *(block for section in page.sections for block in section.blocks)]
    charts = _has_charts(blocks)
    template = _environment().get_template("page.html.jinja")
    return template.render(
        page=page,
        style=_asset("page.css"),
        script=_script(),
        library=_library() if charts else "",
    )


def check_installed() -> None:
    """Refuse to start work whose page could not be written.

    Raises:
        NeutralError: Jinja2 is not installed.
    """
    require(["page"])


@cache
def _environment() -> "Environment":
    require(["page"])
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _asset(name: str) -> str:
    return (HERE / "assets" / name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    parts = "\n".join(_asset(name) for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();'


@cache
def _library() -> str:
    """Return the chart library after checking that it is the published file."""
    content = (HERE / "assets" / LIBRARY).read_bytes()
    stated = json.loads(_asset("plotly-gl3d.json"))["sha256"]
    if hashlib.sha256(content).hexdigest() != stated:
        raise NeutralError(f"{HERE / 'assets' / LIBRARY} is damaged; install neutral again.")
    return content.decode("utf-8")


def _has_charts(blocks: "Sequence[Block]") -> bool:
    """Whether a chart is among some blocks or inside them."""
    return any(
        _has_charts(block.blocks) if isinstance(block, Group | Stack | Fold) else isinstance(block, Chart)
        for block in blocks
    )


def within_limit(make: "Callable[[int], Page]", most: int) -> Page:
    """Return the page with the most drawn parts that is not larger than `LIMIT`.

    Args:
        make: Returns the page with a number of drawn parts.
        most: The number that is wanted.
    """
    page = make(most)
    while most > 1 and len(html(page).encode()) > LIMIT:
        most //= 2
        page = make(most)
    return page
