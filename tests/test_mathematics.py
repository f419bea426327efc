"""Equation numbers in the code are those of `docs/mathematics.md`."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "mathematics.md").read_text(encoding="utf-8")
FOLDERS = ("models", "numerics", "options")
# files whose algebra is derived on the page
DERIVED = (
    "models/fourier/bates.py",
    "models/fourier/double_heston.py",
    "models/fourier/heston.py",
    "models/fourier/kou.py",
    "models/fourier/merton.py",
    "models/fourier/nig.py",
    "models/fourier/piecewise_heston.py",
    "models/fourier/riccati.py",
    "models/fourier/svcj.py",
    "models/fourier/variance_gamma.py",
    "numerics/normal.py",
    "numerics/spline.py",
    "options/american/boundary.py",
    "options/arbitrage.py",
    "options/bachelier.py",
    "options/black.py",
    "options/inversion.py",
    "options/inversion_core.py",
    "options/terms.py",
)


def blocks() -> list[str]:
    """The displayed formulas of the page."""
    parts = re.split(r"^\$\$$", PAGE, flags=re.MULTILINE)
    assert len(parts) % 2 == 1, "a formula is not closed"
    return parts[1::2]


def equations() -> list[int]:
    """Numbers of the page's equations, in order."""
    return [int(number) for block in blocks() for number in re.findall(r"\\tag\{(\d+)\}$", block.strip())]


def prose(path: Path) -> str:
    """Comments and docstrings of a file."""
    text = path.read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    docstrings = [
        ast.get_docstring(node) or "" for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)
    ]
    return "\n".join([*docstrings, *comments])


def references(text: str) -> set[int]:
    """Equation numbers that a text refers to: (12), and the ends of (12)-(18)."""
    return {int(number) for number in re.findall(r"(?<![\w.])\((\d{1,2})\)", text)}


def test_equations_are_numbered_through():
    assert equations() == list(range(1, len(equations()) + 1))
    assert len(equations()) > 60


def test_formulas_are_whole():
    for block in blocks():
        text = re.sub(r"\\\\[{}]", "", block)
        assert block.count("\\tag") <= 1, "one number per formula"
        assert text.count("{") == text.count("}")
        assert len(re.findall(r"\\left\b", text)) == len(re.findall(r"\\right\b", text)), block
        assert sorted(re.findall(r"\\begin(\{\w+\})", text)) == sorted(re.findall(r"\\end(\{\w+\})", text))


def test_the_page_refers_to_its_own_equations():
    assert references(PAGE) <= set(equations())


FILES = [path for folder in FOLDERS for path in sorted((ROOT / "neutral" / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_references_lead_to_an_equation(path):
    text = prose(path)
    numbers = references(text)
    assert numbers <= set(equations())
    derived = str(path.relative_to(ROOT / "neutral")) in DERIVED
    assert bool(numbers) == derived, "list the file in DERIVED if it has equation numbers, else remove it"
    assert not derived or "docs/mathematics.md" in text
