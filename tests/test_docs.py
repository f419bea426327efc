"""The documentation is true: its Python runs, and it names everything that is public."""

import os
import re
from pathlib import Path

import pytest

import neutral

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    "README.md",
    "docs/index.md",
    "docs/guide.md",
    "docs/models.md",
    "docs/market_data.md",
    "docs/calibration.md",
    pytest.param("docs/diagnostics.md", marks=pytest.mark.slow),
    pytest.param("docs/surfaces.md", marks=pytest.mark.slow),
    pytest.param("docs/pipeline.md", marks=pytest.mark.slow),
    "docs/forwards.md",
    "docs/vol_cube.md",
    "docs/custom_model.md",
    "docs/engines.md",
]
PUBLIC = [name for name in neutral.__all__ if not name.startswith("__")]


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


def test_reference_names_everything_public():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^(?:::: |      heading: )neutral\.(\w+)$", page, re.MULTILINE))
    assert named >= set(PUBLIC)


def test_links_lead_somewhere():
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target} is not there"
