"""Directives of the reference: `reference` for public names, `command` for the command line."""

import ast
import importlib
import importlib.util
import inspect
import re
from functools import cached_property
from types import ModuleType
from typing import Any, get_args, get_type_hints

from docstrings import described_fields, escaped
from docutils import nodes
from docutils.statemachine import StringList
from source import alias, fields, function_signature
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from typer.models import ArgumentInfo, OptionInfo

import neutral.cli


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
    if isinstance(value, type):
        return class_entry(name, value, members)
    if inspect.isroutine(inspect.unwrap(value)):
        return [f".. autofunction:: {name}", ""]
    module, _, short = name.rpartition(".")
    written, text = alias(origin(module, short), short)
    return [f".. py:data:: {name}", f"   :value: {written}", "", *indented(escaped(text)), ""]


def origin(module: str, name: str) -> str:
    """The module that assigns a name which another module may only import."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and any(x.name == name for x in node.names):
            return origin(importlib.util.resolve_name("." * node.level + (node.module or ""), module), name)
    return module


def class_entry(name: str, owner: type, members: str | None) -> list[str]:
    """Lines for a class: its fields and properties with their types, then its methods."""
    shown = public_members(owner) if members is None else re.findall(r"\w+", members)
    shown = [x for x in shown if x not in fields(owner)]
    properties = {x: inspect.getattr_static(owner, x) for x in shown}
    properties = {x: y for x, y in properties.items() if isinstance(y, property | cached_property)}
    methods = [x for x in shown if x not in properties]
    lines = [f".. auto{'exception' if issubclass(owner, Exception) else 'class'}:: {name}"]
    lines += [f"   :members: {', '.join(methods)}"] if methods else []
    for field, (kind, text) in described_fields(owner).items():
        lines += member("attribute", field, kind, text)
    for short, value in properties.items():
        function = value.func if isinstance(value, cached_property) else value.fget
        kind = function_signature(function, bound=True)[1]
        lines += member("property", short, kind, escaped(inspect.getdoc(function) or ""))
    return [*lines, ""]


def member(directive: str, name: str, kind: str, text: str) -> list[str]:
    """Lines for a field or a property."""
    lines = ["", f".. py:{directive}:: {name}", *([f"   :type: {kind}"] if kind else []), "", *indented(text)]
    return indented("\n".join(lines))


def indented(text: str) -> list[str]:
    """Lines of a text, moved to the right."""
    return [f"   {line}" if line else "" for line in text.split("\n")]


def public_members(owner: type) -> list[str]:
    """Methods and properties that a class defines and describes."""
    known = {*fields(owner), "tree_flatten", "tree_unflatten"}
    names = [x for x in vars(owner) if not x.startswith("_") and x not in known]
    routines = (property, cached_property, staticmethod, classmethod)
    return [
        x
        for x in names
        if isinstance(inspect.getattr_static(owner, x), routines) or inspect.isroutine(getattr(owner, x))
        if inspect.getdoc(getattr(owner, x))
    ]


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


class Command(Parsed):
    """A command of the command line: what it does, its arguments and its options."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Nodes of the description and of the entries."""
        name = self.arguments[0]
        infos = neutral.cli.app.registered_commands
        function = next(x.callback for x in infos if x.name == name and x.callback)
        described = [
            (key, *get_args(kind))
            for key, kind in get_type_hints(function, include_extras=True).items()
            if get_args(kind)
        ]
        entries = [(usage(key, kind, info), info) for key, kind, info, *_ in described]
        arguments = [text for text, info in entries if isinstance(info, ArgumentInfo)]
        lines = [f"``{' '.join(['neutral', name, *arguments, '[options]'])}``", ""]
        lines += [
            *escaped(inspect.getdoc(function) or "").split("\n"),
            "",
            f".. program:: neutral {name}",
            "",
        ]
        for text, info in entries:
            lines += [f".. option:: {text}", "", *indented(escaped(info.help or "")), ""]
        return self.parsed(lines)


def usage(name: str, kind: Any, info: ArgumentInfo | OptionInfo) -> str:
    """An argument, or an option with the kind of its value."""
    several = "list" in str(kind)
    if isinstance(info, ArgumentInfo):
        return (info.metavar or name.upper()) + ("..." if several else "")
    names = ", ".join(x for x in info.param_decls or () if x.startswith("-")) or f"--{name.replace('_', '-')}"
    inner = next((x for x in ("bool", "float", "int", "Path") if x in str(kind)), "text")
    return names if inner == "bool" else f"{names} {info.metavar or inner.upper()}"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("reference", Reference)
    app.add_directive("command", Command)
    return {"parallel_read_safe": True}
