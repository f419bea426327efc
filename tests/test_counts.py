"""What makes code hard to read, counted over the package: each number has its definition here, and its limit.

`python tests/test_counts.py [FOLDER]` prints where the counted things are.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "neutral"


def packed_assignments(tree: ast.AST) -> Iterator[int]:
    """Lines of assignments of several values written out: `a, b = x, y`; the swap `a, b = b, a` is none."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Tuple):
            continue
        target = node.targets[0]
        if not isinstance(target, ast.Tuple):
            continue
        names = sorted(ast.unparse(x) for x in target.elts)
        if names != sorted(ast.unparse(x) for x in node.value.elts):
            yield node.lineno


def wide_calls(tree: ast.AST) -> Iterator[int]:
    """Lines of calls with six or more arguments given by place; an unpacked `*row` counts as one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) >= 6:
            yield node.lineno


def parameters(tree: ast.AST) -> Iterator[ast.arg]:
    """Every annotated parameter of every function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            every += [x for x in (arguments.vararg, arguments.kwarg) if x is not None]
            yield from (x for x in every if x.annotation is not None)


def untyped_parameters(tree: ast.AST) -> Iterator[int]:
    """Lines of parameters annotated with plain `Any`, or `Any | None`."""
    for parameter in parameters(tree):
        assert parameter.annotation is not None
        if ast.unparse(parameter.annotation) in ("Any", "Any | None", "None | Any"):
            yield parameter.lineno


def unformatted(text: str) -> Iterator[int]:
    """Lines at which the formatter is told to leave the layout alone."""
    yield from (i for i, line in enumerate(text.splitlines(), 1) if re.search(r"# fmt: (skip|off)", line))


def sources(folder: str = "") -> dict[Path, ast.Module]:
    """Parsed files of the package, or of one folder of it."""
    return {path: ast.parse(path.read_text()) for path in sorted((PACKAGE / folder).rglob("*.py"))}


def places(count: Callable[[ast.AST], Iterator[int]], folder: str = "") -> list[str]:
    """Where counted things are, as `file:line`."""
    return [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path, tree in sources(folder).items()
        for line in count(tree)
    ]


def formatter_places(folder: str = "") -> list[str]:
    """Where the formatter is switched off."""
    return [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in sources(folder)
        for line in unformatted(path.read_text())
    ]


def share_of_any(folder: str = "") -> float:
    """Share of the annotated parameters whose annotation is plain `Any`."""
    total = sum(1 for tree in sources(folder).values() for _ in parameters(tree))
    return len(places(untyped_parameters, folder)) / max(total, 1)


def loose_modules() -> list[str]:
    """Modules at the top of the package, outside any folder."""
    return sorted(path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py")


if __name__ == "__main__":
    chosen = sys.argv[1] if len(sys.argv) > 1 else ""
    for title, found in (
        ("packed assignments", places(packed_assignments, chosen)),
        ("calls with six or more arguments by place", places(wide_calls, chosen)),
        ("formatter switched off", formatter_places(chosen)),
        ("parameters that are Any", places(untyped_parameters, chosen)),
        ("loose modules", loose_modules()),
    ):
        print(f"{len(found)} {title}", *(f"  {place}" for place in found), sep="\n")
    print(f"{share_of_any(chosen):.1%} of the annotated parameters are Any")
