"""The tasks of the page "How to" lead the results of the search; see `_static/scorer.js`."""

import json
import re
from typing import Any

from sphinx.application import Sphinx

ROW = re.compile(
    r"^\| (?P<task>[^|]+) \| \[[^]]+\]\((?P<page>[\w/]+)\.md(?P<anchor>#[\w-]+)?\)", re.MULTILINE
)


def add_tasks(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Give the page of the search the tasks, each with its page and section."""
    if page == "search":
        text = (app.srcdir / "how_to.md").read_text(encoding="utf-8")
        tasks = [(row["task"], row["page"], row["anchor"] or "") for row in ROW.finditer(text)]
        app.add_js_file(None, body=f"const TASKS = {json.dumps(tasks)};")
        app.add_js_file("scorer.js")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the hook."""
    app.connect("html-page-context", add_tasks)
    return {"parallel_read_safe": True}
