"""Signatures and fields as the source writes them, so that a type alias keeps its name in the reference."""

import ast
import copy
import dataclasses
import enum
import inspect
import re
import sys
import textwrap
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, NamedTuple, get_origin

import equinox as eqx

SHAPED = {"Literal", "Float", "Int", "Bool", "Complex", "Shaped", "Num", "Key"}
"""Names whose subscripts are texts, not quoted types."""


class Field(NamedTuple):
    """A field of a class: its type as written, and what it means."""

    type: str
    text: str


class _Spelled(ast.NodeTransformer):
    """Replace quoted types by the types, and aliases of fixed texts by these texts."""

    def __init__(self, names: Mapping[str, Any]):
        self.names = names

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """Read a quoted type."""
        return self.visit(ast.parse(node.value, mode="eval").body) if isinstance(node.value, str) else node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Write out an alias of `Literal`."""
        value = self.names.get(node.id)
        if get_origin(value) is Literal:
            return ast.parse(str(value).removeprefix("typing."), mode="eval").body
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """Leave the texts inside `Literal["a"]` and `Float[Numbers, "n"]` as they are."""
        shaped = isinstance(node.value, ast.Name) and node.value.id in SHAPED
        return node if shaped else self.generic_visit(node)  # pyright: ignore[reportReturnType]


def spelled(annotation: ast.expr, module: str) -> ast.expr:
    """A type as the reference shows it."""
    return _Spelled(vars(sys.modules[module])).visit(annotation)


@cache
def definition(value: Any) -> ast.FunctionDef | ast.ClassDef | None:
    """The definition of a class or a function, if it has one in the package."""
    value = inspect.unwrap(value)
    if not getattr(value, "__module__", "").startswith("neutral"):
        return None
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]
    except (OSError, TypeError):  # made by a decorator, without source
        return None
    return tree if isinstance(tree, ast.FunctionDef | ast.ClassDef) else None


def function_signature(function: Any, bound: bool) -> tuple[str, str]:
    """Parameters in parentheses, without `self` or `cls` where `bound`, and the type of the result."""
    tree = definition(function)
    if not isinstance(tree, ast.FunctionDef):
        return str(inspect.signature(function)), ""
    module = inspect.unwrap(function).__module__
    arguments = copy.deepcopy(tree.args)
    for x in (
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.kwarg,
        arguments.vararg,
    ):
        if x is not None and x.annotation is not None:
            x.annotation = spelled(x.annotation, module)
    text = ast.unparse(arguments)
    if bound:
        text = re.sub(r"^\w+(, /)?(, )?", "", text)
    return f"({text})", "" if tree.returns is None else ast.unparse(spelled(tree.returns, module))


def class_signature(owner: type) -> str:
    """Parameters of a class in parentheses; "" where nobody is to call it."""
    if inspect.isabstract(owner) or issubclass(owner, Exception | enum.Enum):
        return ""
    if definition(owner.__init__) is not None:
        return function_signature(owner.__init__, bound=True)[0]
    known = fields(owner)
    try:
        accepted = inspect.signature(owner).parameters.values()
    except ValueError:
        return ""
    parts = []
    for x in (x for x in accepted if not x.name.startswith("_")):
        default = "" if x.default is x.empty else f" = {_default(x.default)}"
        star = {x.VAR_POSITIONAL: "*", x.VAR_KEYWORD: "**"}.get(x.kind, "")
        parts.append(f"{star}{x.name}{': ' + known[x.name].type if x.name in known else ''}{default}")
    return f"({', '.join(parts)})"


def _default(value: object) -> str:
    """A default value as code, or dots where it has none."""
    text = repr(value)
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        return "..."
    return text


def fields(owner: type) -> dict[str, Field]:
    """Public fields of a dataclass, an equinox module or a named tuple, or the members of an enumeration."""
    if issubclass(owner, enum.Enum):
        return {x.name: Field("", getattr(x, "message", "")) for x in owner}
    described = {x.name: x for x in dataclasses.fields(owner)} if dataclasses.is_dataclass(owner) else {}
    names = [name for name in (*described, *getattr(owner, "_fields", ())) if not name.startswith("_")]
    written = {}
    for base in reversed(owner.__mro__):
        tree = definition(base) if base not in (eqx.Module, object) else None
        if isinstance(tree, ast.ClassDef):
            written |= _annotations(base, tree)
    found = {name: written[name] for name in names if name in written}
    return {name: _with_domain(field, described.get(name)) for name, field in found.items()}


def _annotations(owner: type, tree: ast.ClassDef) -> dict[str, Field]:
    """Annotated names of a class, each with the text below it or the comment beside it."""
    lines = textwrap.dedent(inspect.getsource(owner)).split("\n")
    found = {}
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            below = after.value if isinstance(after, ast.Expr) else None
            beside = lines[node.end_lineno - 1].partition("  # ")[2] if node.end_lineno else ""
            text = str(below.value) if isinstance(below, ast.Constant) else beside
            type_name = ast.unparse(spelled(node.annotation, owner.__module__))
            found[node.target.id] = Field(type_name, " ".join(text.split()))
    return found


def alias(module: str, name: str) -> tuple[str, str]:
    """An alias of a type in a module: the type as written, and the text below it."""
    body = ast.parse(inspect.getsource(sys.modules[module])).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
        if (
            isinstance(target, ast.Name)
            and target.id == name
            and isinstance(node, ast.Assign | ast.AnnAssign)
        ):
            below = after.value if isinstance(after, ast.Expr) else None
            text = str(below.value) if isinstance(below, ast.Constant) else ""
            assert node.value is not None
            return ast.unparse(node.value), text
    raise LookupError(f"{module} assigns no {name}")


def _with_domain(field: Field, described: dataclasses.Field | None) -> Field:
    """A field with the description and the domain that `param` gave it."""
    metadata = {} if described is None else described.metadata
    if field.text or "description" not in metadata:
        return field
    return field._replace(text=f"{metadata['description']}; in {metadata['domain']}")
