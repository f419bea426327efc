"""Directives of the reference: `reference` for public names, `commands` for the command line."""

import importlib
from types import ModuleType
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from source import fields
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def resolved(name: str) -> Any:
    """What a dotted name stands for: a module, or an attribute of one."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        owner, _, attribute = name.rpartition(".")
        return getattr(resolved(owner), attribute)


def entry(name: str, members: str | None) -> list[str]:
    """Lines of reStructuredText that document a name.

    Args:
        name: A public name.
        members: The methods and properties of a class to show, or None for all that have a docstring.
    """
    value = resolved(name)
    if isinstance(value, ModuleType):
        return [f".. automodule:: {name}", "   :no-members:", ""]
    if not isinstance(value, type):
        return [f".. auto{'function' if callable(value) else 'data'}:: {name}", ""]
    kind = "exception" if issubclass(value, Exception) else "class"
    lines = [f".. auto{kind}:: {name}"]
    if members != "":
        lines.append(f"   :members:{' ' + members if members else ''}")
        lines.append(f"   :exclude-members: {', '.join(fields(value))}")
    return [*lines, ""]


class Parsed(SphinxDirective):
    """A directive whose content becomes reStructuredText."""

    has_content = True

    def parsed(self, lines: list[str]) -> list[nodes.Node]:
        """Nodes of reStructuredText, inside a page in Markdown."""
        text = StringList(["````{eval-rst}", *lines, "````"], self.get_source_info()[0])
        node = nodes.Element()
        self.state.nested_parse(text, self.content_offset, node)
        return node.children


class Reference(Parsed):
    """A table of names with their first lines, then each name: its signature, meaning and members.

    A line is a public name, or `name: method, property` to show some members only, or `name:` for none.
    """

    def run(self) -> list[nodes.Node]:
        """Nodes of the table and of the entries."""
        named = []
        for line in filter(str.strip, self.content):
            name, colon, members = line.partition(":")
            named.append((name.strip(), members.strip() if colon else None))
        table = [".. autosummary::", "   :nosignatures:", "", *(f"   {name}" for name, _ in named), ""]
        entries = [line for name, members in named for line in entry(name, members)]
        return self.parsed([*table, *entries])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("reference", Reference)
    return {"parallel_read_safe": True}
