"""Limits on what makes code hard to read and to extend, counted over the package; each count is defined here.

`python tests/test_counts.py [FOLDER]` prints the places that are counted.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "neutral"
RECIPES = PACKAGE / "workflow" / "recipes.py"

# Where no model may be named: what differs between models is the model's own, or stands in RECIPES.
WITHOUT_MODEL_NAMES = ("calibration", "diagnostics", "workflow", "cli")
# Exceptions, by file and word, each with its reason.
EXCEPTIONS = {("workflow/pipeline/config.py", "'heston'"): "a playbook, not a model"}


def packed_assignments(tree: ast.AST) -> Iterator[int]:
    """Lines of assignments of a written tuple, such as `a, b = x, y`; a swap `a, b = b, a` does not count."""
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
    """Lines of calls with six or more positional arguments; an unpacked `*row` counts as one."""
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
    """Lines that switch the formatter off."""
    yield from (i for i, line in enumerate(text.splitlines(), 1) if re.search(r"# fmt: (skip|off)", line))


@cache
def sources(folder: str = "") -> dict[Path, ast.Module]:
    """Parsed files of the package, or of one folder of it."""
    return {path: ast.parse(path.read_text()) for path in sorted((PACKAGE / folder).rglob("*.py"))}


def places(count: Callable[[ast.AST], Iterator[int]], folder: str = "") -> list[str]:
    """Every counted place, as `file:line`."""
    return [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path, tree in sources(folder).items()
        for line in count(tree)
    ]


def formatter_places(folder: str = "") -> list[str]:
    """Every place where the formatter is switched off, as `file:line`."""
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


def squeezed(name: str) -> str:
    """A name in small letters and digits alone: `DoubleHeston` and `double_heston` become the same."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def model_classes() -> set[str]:
    """Model classes: what `models/__init__.py` exports from `fourier`, without the wrapper `Shifted`."""
    tree = ast.parse((PACKAGE / "models" / "__init__.py").read_text())
    exports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    names = {x.name for node in exports if (node.module or "").startswith("fourier.") for x in node.names}
    return names - {"Shifted"}


def recipe_names() -> set[str]:
    """Names of recipes: the first argument, or the argument `name`, of each call of `Recipe` in RECIPES."""
    names = set()
    for node in ast.walk(ast.parse(RECIPES.read_text())) if RECIPES.exists() else ():
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Recipe"):
            given = [*node.args[:1], *(x.value for x in node.keywords if x.arg == "name")]
            names |= {x.value for x in given if isinstance(x, ast.Constant) and isinstance(x.value, str)}
    return names


def model_names(tree: ast.AST, classes: set[str], strings: set[str]) -> Iterator[tuple[int, str]]:
    """Lines and words that name a model: by its class, or by a string or keyword that is a recipe's name.

    A class counts as a name, as an attribute and in an import. A string counts where all of it is the name of
    a class or recipe, in any spelling. Docstrings do not count, nor do words inside a longer text.
    """
    texts = {squeezed(name) for name in classes | strings}
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in classes:
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and node.attr in classes:
            yield node.lineno, node.attr
        elif isinstance(node, ast.alias) and node.name in classes:
            yield node.lineno, node.name
        elif isinstance(node, ast.keyword) and node.arg is not None and squeezed(node.arg) in texts:
            yield node.value.lineno, node.arg
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            if squeezed(node.value) in texts:
                yield node.lineno, repr(node.value)


def named_models(folder: str = "") -> list[tuple[str, int, str]]:
    """File, line and word of each place that names a model where none may be named."""
    classes = model_classes()
    strings = recipe_names()
    return [
        (path.relative_to(PACKAGE).as_posix(), line, name)
        for path, tree in sources(folder).items()
        if path.relative_to(PACKAGE).parts[0] in WITHOUT_MODEL_NAMES and path != RECIPES
        for line, name in model_names(tree, classes, strings)
    ]


def questions_about_shifted(tree: ast.AST) -> Iterator[int]:
    """Lines that ask whether something is a `Shifted`: `isinstance` or `issubclass` with that class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
            if any("Shifted" in re.findall(r"\w+", ast.unparse(x)) for x in node.args[1:]):
                yield node.lineno


def test_few_packed_assignments():
    assert len(packed := places(packed_assignments)) < 40, packed


def test_few_calls_with_many_positional_arguments():
    assert len(wide := places(wide_calls)) < 30, wide


def test_the_formatter_is_seldom_switched_off():
    assert len(switched_off := formatter_places()) < 10, switched_off


def test_few_modules_outside_folders():
    assert len(loose := loose_modules()) <= 8, loose


def test_few_parameters_are_any():
    assert share_of_any() < 0.04, places(untyped_parameters)


def test_models_are_named_in_the_registry_alone():
    assert recipe_names(), f"{RECIPES} names no recipe"
    named = named_models()
    assert not [(file, line, name) for file, line, name in named if (file, name) not in EXCEPTIONS]
    assert set(EXCEPTIONS) <= {(file, name) for file, _, name in named}, "an exception is no longer needed"


def test_shifted_alone_asks_for_shifted():
    shifted = "models/fourier/shifted.py:"
    assert not [place for place in places(questions_about_shifted) if not place.startswith(shifted)]


SNIPPET = """
"Heston"
import x.Heston
a, b = b, a
a, b = f(1, 2, 3, 4, 5, 6)
a, b = 1, 2  # fmt: skip
f(*row, y=6)
isinstance(x, A | Shifted)
isinstance(Shifted, A)
def g(p: Any, q: Any | None, r: list[Any], s, *t: int): "heston"
y = "svcj++ fits", "SVCJ++", SVCJ, m.Heston, dict(double_heston=1), "heston"
"""


def test_each_count_counts_what_it_says():
    tree = ast.parse(SNIPPET)
    assert list(packed_assignments(tree)) == [6]
    assert list(wide_calls(tree)) == [5]
    assert list(unformatted(SNIPPET)) == [6]
    assert list(questions_about_shifted(tree)) == [8]
    assert (len(list(untyped_parameters(tree))), len(list(parameters(tree)))) == (2, 4)
    named = sorted(name for _, name in model_names(tree, {"SVCJ", "Heston", "DoubleHeston"}, {"svcj++"}))
    assert named == ["'SVCJ++'", "'heston'", "Heston", "SVCJ", "double_heston"]


if __name__ == "__main__":
    chosen = sys.argv[1] if len(sys.argv) > 1 else ""
    for title, counted in (
        ("packed assignments", places(packed_assignments, chosen)),
        ("calls with six or more arguments by place", places(wide_calls, chosen)),
        ("formatter switched off", formatter_places(chosen)),
        ("parameters that are Any", places(untyped_parameters, chosen)),
        ("loose modules", loose_modules()),
        (
            "models named outside the registry",
            [f"{file}:{line} {name}" for file, line, name in named_models(chosen)],
        ),
        ("questions whether something is Shifted", places(questions_about_shifted, chosen)),
    ):
        print(f"{len(counted)} {title}", *(f"  {place}" for place in counted), sep="\n")
    print(f"{share_of_any(chosen):.1%} of the annotated parameters are Any")
