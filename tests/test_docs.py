"""The documentation is true: its Python runs, its names and links exist, and it names everything public."""

import ast
import importlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    "docs/index.md",
    pytest.param("docs/guide.md", marks=pytest.mark.slow),
    pytest.param("docs/tables.md", marks=pytest.mark.slow),
    "docs/models.md",
    "docs/market_data.md",
    pytest.param("docs/time.md", marks=pytest.mark.slow),
    pytest.param("docs/calibration.md", marks=pytest.mark.slow),
    pytest.param("docs/diagnostics.md", marks=pytest.mark.slow),
    pytest.param("docs/surfaces.md", marks=pytest.mark.slow),
    pytest.param("docs/pipeline.md", marks=pytest.mark.slow),
    pytest.param("docs/forwards.md", marks=pytest.mark.slow),
    "docs/vol_cube.md",
    pytest.param("docs/learned_prior.md", marks=pytest.mark.slow),
    pytest.param("docs/custom_model.md", marks=pytest.mark.slow),
    pytest.param("docs/engines.md", marks=pytest.mark.slow),
]
MARKDOWN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
REFERENCE = sorted((ROOT / "docs" / "reference").glob("*.md"))
BLOCKS = re.compile(r"^```\{reference\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINES = [
    line for page in REFERENCE for block in BLOCKS.findall(page.read_text()) for line in block.split("\n")
]
ENTRIES = [(name, members) for name, _, members in (line.partition(":") for line in LINES if line)]
SCRIPTS = sorted([*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "notebooks").glob("*.ipynb"), *MARKDOWN])
OFFERED = [
    "neutral",
    "neutral.calibration",
    "neutral.diagnostics",
    "neutral.market",
    "neutral.ml",
    "neutral.models",
    "neutral.options.american",
    "neutral.plot",
    "neutral.pricing",
    "neutral.surfaces",
    "neutral.workflow",
]


def python_blocks(path: Path) -> list[tuple[int, str]]:
    """Line number and text of each Python block of a Markdown file."""
    text = path.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, block.start(1)), block[1])
        for block in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


@pytest.mark.heavy
@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_run_in_order(page, tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    blocks = python_blocks(ROOT / page)
    assert blocks
    namespace: dict[str, object] = {"__name__": "__main__"}
    for line, code in blocks:
        exec(compile("\n" * line + code, os.fspath(ROOT / page), "exec"), namespace)


def resolved(name: str) -> object:
    """What a dotted name stands for: the longest prefix that is a module, then attributes."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        try:
            value: object = importlib.import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        for part in parts[n:]:
            value = getattr(value, part)
        return value
    raise AttributeError(name)


def code(path: Path) -> str:
    """The Python of a script, a notebook or a Markdown file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = ("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code")
        return "\n".join(cells)
    return text if path.suffix == ".py" else "\n".join(block for _, block in python_blocks(path))


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names that code imports from the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "neutral")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "neutral":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def exported(place: str) -> set[str]:
    """Names that a package offers: its imports of the form `import name as name`."""
    folder = ROOT.joinpath(*place.split("."))
    stub = folder / "__init__.pyi"
    tree = ast.parse((stub if stub.exists() else folder / "__init__.py").read_text(encoding="utf-8"))
    aliases = (alias for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names)
    return {alias.name for alias in aliases if alias.asname == alias.name}


@pytest.mark.parametrize("place", OFFERED)
def test_reference_names_everything_public(place):
    named = {name for name, _ in ENTRIES}
    names = exported(place)
    assert len(names) > 5
    assert not [name for name in names if not {f"neutral.{name}", f"{place}.{name}"} & named]


def test_no_name_is_twice_in_the_reference():
    names = [name for name, _ in ENTRIES]
    assert len(names) > 200 and len(names) == len(set(names))


@pytest.mark.parametrize(("name", "members"), ENTRIES, ids=[name for name, _ in ENTRIES])
def test_entries_of_the_reference_exist(name, members):
    value = resolved(name)
    for member in re.findall(r"\w+", members):
        assert hasattr(value, member), f"{name} has no {member}"


def test_scripts_import_what_exists():
    names = {path: set(imported(ast.parse(code(path)))) for path in SCRIPTS}
    assert sum(map(len, names.values())) > 20
    missing = []
    for path, name in ((path, name) for path, several in names.items() for name in sorted(several)):
        try:
            resolved(name)
        except AttributeError:
            missing.append(f"{path.relative_to(ROOT)}: {name}")
    assert not missing


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_carry_the_outputs_of_their_last_run(path):
    cells = [x for x in json.loads(path.read_text())["cells"] if x["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert outputs and not [x for x in outputs if x["output_type"] == "error" or x.get("name") == "stderr"]


def test_links_lead_somewhere():
    pattern = re.compile(r"\]\((?!https?:|#)([^)#]+)")
    links = [(page, x) for page in MARKDOWN for x in pattern.findall(page.read_text(encoding="utf-8"))]
    assert len(links) > 20
    assert not [f"{page.name}: {target}" for page, target in links if not (page.parent / target).exists()]


def test_paths_named_in_text_exist():
    pattern = re.compile(r"`((?:neutral|tests|docs|configs|benchmarks|notebooks)/[\w./]+)`")
    paths = [(page, x) for page in MARKDOWN for x in pattern.findall(page.read_text(encoding="utf-8"))]
    assert paths
    assert not [f"{page.name}: {path}" for page, path in paths if not (ROOT / path).exists()]
