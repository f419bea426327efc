"""What every page must be: whole, alone, and free of text that could run."""

import json
import re
from html.parser import HTMLParser
from typing import Any

VOID = ("meta", "link", "br", "img")
LIMIT = 3_000_000  # bytes of a page


class Structure(HTMLParser):
    """Tags that are opened, and whether each is closed in its turn; scripts by their type."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.ids, self.wrong, self.addresses, self.data = [], [], [], [], []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.addresses += [given[name] for name in ("src", "href", "action", "data") if given.get(name)]
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script" and data.startswith('{"title"'):
            self.data.append(json.loads(data))


def checked(text: str) -> Structure:
    """The structure of a page after checks that it is whole, stands alone and is small."""
    structure = Structure()
    structure.feed(text)
    assert not structure.wrong and not structure.open
    assert len(structure.ids) == len(set(structure.ids))
    anchors = [address[1:] for address in structure.addresses if address.startswith("#")]
    assert set(anchors) <= set(structure.ids)
    assert [address for address in structure.addresses if not address.startswith("#")] == ["data:,"]
    assert len(text.encode()) < LIMIT
    assert text.count("plotly.js (gl3d - minified)") <= 1
    assert not re.search(r">\s*(nan|inf|None|undefined)\s*<", text)
    return structure
