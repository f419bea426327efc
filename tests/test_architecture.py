"""The structure of the package: which module may import which, and what an import may do."""

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "neutral"

# The rule, as ARCHITECTURE.md states it: a place may import itself and what stands left of it in its chain.
GROUND = ("__init__", "errors", "typing", "precision", "durable", "shipped", "times", "presentation")
DEVICE_CHAIN: tuple[tuple[str, ...], ...] = (
    GROUND,
    ("numerics",),
    ("options",),
    ("quotes",),
    ("models",),
    ("pricing",),
    ("calibration",),
    ("surfaces",),
    ("diagnostics",),
    ("ml", "econometrics", "hedging", "plot", "storage"),
)
DEVICE = tuple(name for group in DEVICE_CHAIN for name in group)
BELOW_MARKET = tuple(name for group in DEVICE_CHAIN[:4] for name in group)
HOST_CHAIN: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("market",), BELOW_MARKET),  # places, what they may import besides themselves
    (("workflow",), (*DEVICE, "market")),
    (("governance", "monitoring"), (*DEVICE, "market", "workflow")),
    (("service", "cli"), (*DEVICE, "market", "workflow", "governance", "monitoring")),
    (("__main__",), ("cli",)),
)
PANDAS = {"market", "workflow", "governance", "monitoring", "service", "cli"}
PANDAS |= {"presentation.frame"}  # tables of results, loaded when called
PANDAS |= {"calibration.result_tables"}  # the same
PANDAS |= {"quotes.frames"}  # the border for tables, loaded when called


def allowed_imports() -> dict[str, set[str]]:
    """For each top-level name of the package, the top-level names that it may import."""
    table: dict[str, set[str]] = {}
    for i, group in enumerate(DEVICE_CHAIN):
        leftward = {name for earlier in DEVICE_CHAIN[:i] for name in earlier}
        beside = set(group) if group == GROUND else set()
        table |= {name: leftward | beside | {name} for name in group}
    for group, others in HOST_CHAIN:
        table |= {name: {name, *others} for name in group}
    return table


ALLOWED = allowed_imports()
FILES = sorted(PACKAGE.rglob("*.py"))


def test_the_page_states_this_rule():
    ground = " ".join(name for name in GROUND if not name.startswith("__"))
    device = " < ".join([ground, *(", ".join(group) for group in DEVICE_CHAIN[1:])])
    host = " < ".join(["quotes", *(", ".join(group) for group, _ in HOST_CHAIN)])
    assert f"\n`{device}`; `{host}`\n" in (ROOT / "ARCHITECTURE.md").read_text()


def test_the_list_of_files_is_up_to_date():
    script = ROOT / ".ci" / "architecture.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def module_name(path: Path) -> str:
    """`neutral/numerics/normal.py` is `numerics.normal`, `neutral/models/__init__.py` is `models`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts[-1] == "__init__" and len(parts) > 1:
        parts = parts[:-1]
    return ".".join(parts)


def runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those under `if TYPE_CHECKING:`, which never run."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for node in child.orelse:
                yield from runtime_nodes(node)
        else:
            yield from runtime_nodes(child)


def imports(path: Path) -> Iterator[str]:
    """Absolute names that a file imports, anywhere in it: `neutral.numerics.normal`, `numpy`, ..."""
    package = ("neutral", *path.relative_to(PACKAGE).parent.parts)
    for node in runtime_nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join((*start, *([node.module] if node.module else [])))
            yield from (f"{stem}.{alias.name}" for alias in node.names)


def own_imports(path: Path) -> Iterator[str]:
    """Modules of the package that a file imports, as `module_name` writes them."""
    modules = {module_name(file) for file in FILES}
    for name in imports(path):
        if name.split(".")[0] != "neutral":
            continue
        parts = name.split(".")[1:]
        while parts and ".".join(parts) not in modules:  # a name inside a module
            parts.pop()
        yield ".".join(parts) or "__init__"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_leftward(path):
    name = module_name(path)
    top = name.split(".")[0]
    assert top in ALLOWED, (
        f"neutral/{top} is not in the import rule: add it to DEVICE_CHAIN or HOST_CHAIN in "
        f"tests/{Path(__file__).name}, and to the rule in ARCHITECTURE.md"
    )
    wrong = {other for other in own_imports(path) if other.split(".")[0] not in ALLOWED[top]}
    assert not wrong, f"{name} may not import {sorted(wrong)}; it may import {sorted(ALLOWED[top])}"


def test_no_import_cycles():
    graph = {}
    for path in FILES:
        name = module_name(path)
        # a package's __init__ only re-exports: its files reach one another beside it
        graph[name] = {other for other in own_imports(path) if not f"{name}.".startswith(f"{other}.")}
    graph.pop("__init__", None)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"modules import one another in a ring: {' -> '.join(error.args[1])}")


DEVICE_FILES = [path for path in FILES if not {module_name(path), module_name(path).split(".")[0]} & PANDAS]


@pytest.mark.parametrize("path", DEVICE_FILES, ids=module_name)
def test_pandas_stays_on_the_host_side(path):
    assert not any(other.split(".")[0] == "pandas" for other in imports(path)), f"{path} imports pandas"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_files_are_named_after_what_they_hold_and_finished(path):
    assert path.name not in {"utils.py", "helpers.py", "misc.py", "common.py"}, "name the concept"
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", path.read_text()), "finish it, or leave it out"


def run_python(code: str, **environment: str) -> str:
    """Run code in a fresh interpreter whose JAX settings are the defaults."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_loads_no_numerics():
    code = "import sys, neutral; print(*{'jax', 'numpy', 'pandas', 'matplotlib'} & set(sys.modules))"
    assert run_python(code) == ""


def test_command_line_help_loads_no_numerics():
    pytest.importorskip("typer")
    code = (
        "import sys; from neutral.cli import main; sys.argv = ['neutral', '--help']\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "sys.stdout.flush()\n"
        "assert not {'jax', 'numpy', 'pandas', 'matplotlib'} & set(sys.modules), 'numerics loaded'"
    )
    assert "demo" in run_python(code)


IMPORT_EVERYTHING = """
import importlib, pkgutil, neutral
for module in pkgutil.walk_packages(neutral.__path__, "neutral."):
    importlib.import_module(module.name)
for name in neutral.__all__:
    getattr(neutral, name)
"""


def test_importing_everything_changes_no_jax_setting():
    code = (
        "import jax; before = dict(jax.config.values)\n"
        + IMPORT_EVERYTHING
        + "assert jax.config.values == before"
    )
    run_python(code)


def test_importing_everything_creates_no_array():
    # on a platform that does not exist, the first array or computation is an error
    run_python(IMPORT_EVERYTHING, JAX_PLATFORMS="no_such_platform")


def test_public_names_survive_their_modules():
    # a submodule, once imported, becomes an attribute of the package: it would hide a function of its name
    code = (
        f"{IMPORT_EVERYTHING}\nimport types\n"
        "print(*(name for name in neutral.__all__ if isinstance(getattr(neutral, name), types.ModuleType)))"
    )
    assert set(run_python(code).split()) <= {*("american", "diagnostics", "market", "ml", "plot", "workflow")}
