"""Docstrings in the reference: plain text with `code` between backticks, fields with their types."""

import re
from typing import Any

from source import Field, class_signature, definition, fields, function_signature
from sphinx.application import Sphinx

CODE = re.compile(r"`+[^`]+`+")
SPECIAL = re.compile(r"[\\*|]|_(?!\w)")
"""What reStructuredText would read as markup."""

FIELD = re.compile(r"^    (\w+): ")


def escaped(text: str) -> str:
    """Text whose only markup is code between backticks."""
    parts = []
    end = 0
    for code in CODE.finditer(text):
        parts += [SPECIAL.sub(r"\\\g<0>", text[end : code.start()]), f"``{code[0].strip('`')}``"]
        end = code.end()
    return "".join([*parts, SPECIAL.sub(r"\\\g<0>", text[end:])])


def with_types(lines: list[str], known: dict[str, Field]) -> list[str]:
    """Add the type of each field to the section of attributes, or add the section."""
    if "Attributes:" not in lines:
        entries = (f"    {name}: {field.text or '...'}" for name, field in known.items())
        lines = [*lines, "", "Attributes:", *entries, ""]
    start = lines.index("Attributes:")
    typed = []
    for line in lines[start:]:
        entry = FIELD.match(line)
        shown = known[entry[1]].type if entry and entry[1] in known else ""
        text = line.replace(": ", f" ({shown}): ", 1) if shown else line
        typed.append(re.sub(r": \.\.\.$", ":", text))
    return [*lines[:start], *typed]


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
    if what in ("class", "exception") and isinstance(obj, type) and fields(obj):
        changed = with_types(changed, fields(obj))
    elif what in ("function", "method"):
        changed = with_result_type(changed, obj)
    lines[:] = changed


def process_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, result: str | None
) -> tuple[str, str] | None:
    """Hook of autodoc: the signature as the source writes it."""
    if what in ("class", "exception"):
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
