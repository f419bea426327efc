"""Docstrings in the reference: plain text with `code` between backticks, fields with their types."""

import inspect
import re
from typing import Any

from source import Field, class_signature, definition, fields, function_signature
from sphinx.application import Sphinx

CODE = re.compile(r"`+[^`]+`+")
SPECIAL = re.compile(r"[\\*|]|_(?!\w)")
"""What reStructuredText would read as markup."""


def escaped(text: str) -> str:
    """Text whose only markup is code between backticks."""
    parts = []
    end = 0
    for code in CODE.finditer(text):
        parts += [SPECIAL.sub(r"\\\g<0>", text[end : code.start()]), f"``{code[0].strip('`')}``"]
        end = code.end()
    whole = "".join([*parts, SPECIAL.sub(r"\\\g<0>", text[end:])])
    return re.sub(r"docs/(\w+)\.md", r":doc:`/\1`", whole)


def without_fields(lines: list[str]) -> list[str]:
    """Leave out the section of attributes, whose entries follow the docstring with their types."""
    if "Attributes:" not in lines:
        return lines
    start = lines.index("Attributes:")
    rest = (at for at in range(start + 1, len(lines)) if lines[at] and not lines[at].startswith(" "))
    return [*lines[:start], *lines[next(rest, len(lines)) :]]


def described_fields(owner: type) -> dict[str, Field]:
    """Fields of a class, with the texts of its section of attributes where there is one."""
    found = fields(owner)
    section = (inspect.getdoc(owner) or "").partition("Attributes:\n")[2]
    section = re.split(r"^(?=\S)", section, maxsplit=1, flags=re.MULTILINE)[0]
    for entry in re.split(r"^    (?=\w)", section, flags=re.MULTILINE)[1:]:
        name, _, text = entry.partition(":")
        if name in found:
            found[name] = found[name]._replace(text=" ".join(text.split()))
    return {name: field._replace(text=escaped(field.text)) for name, field in found.items()}


def with_result_type(lines: list[str], value: Any) -> list[str]:
    """Put the type of the result before its description."""
    if "Returns:" not in lines or definition(value) is None:
        return lines
    at = lines.index("Returns:") + 1
    kind = function_signature(value, bound=False)[1]
    return [*lines[:at], f"    {kind}: {lines[at].strip()}", *lines[at + 1 :]]


def process_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Hook of autodoc, before its reader of Google's style."""
    changed = escaped("\n".join(lines)).split("\n")
    if what in ("class", "exception"):
        changed = without_fields(changed)
    elif what in ("function", "method"):
        changed = with_result_type(changed, obj)
    lines[:] = changed


def process_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, result: str | None
) -> tuple[str, str] | None:
    """Hook of autodoc: the signature as the source writes it."""
    if what == "exception" or signature is None:
        return None
    if what == "class":
        return class_signature(obj), ""
    if what == "function":
        return function_signature(obj, bound=False)
    if what == "method":
        return function_signature(getattr(obj, "__func__", obj), bound=not _is_static(obj, name))
    return None


def _is_static(method: Any, name: str) -> bool:
    tree = definition(method)
    decorators = getattr(tree, "decorator_list", [])
    return any(getattr(x, "id", "") == "staticmethod" for x in decorators)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the hooks."""
    app.connect("autodoc-process-docstring", process_docstring, priority=400)
    app.connect("autodoc-process-signature", process_signature)
    return {"parallel_read_safe": True}
