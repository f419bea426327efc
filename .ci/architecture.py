"""Write the list of files in ARCHITECTURE.md from the first docstring line of each module.

`python .ci/architecture.py` rewrites the list; with `--check` it only fails where the list is out of date.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "neutral"
PAGE = ROOT / "ARCHITECTURE.md"
BEGIN = "<!-- begin: written by `make architecture` -->\n"
END = "<!-- end: written by `make architecture` -->\n"


def summary(path: Path) -> str:
    """First line of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not text:
        raise SystemExit(f"{path.relative_to(ROOT)} has no docstring: say in one line what the module is for")
    return text.splitlines()[0]


def places() -> list[str]:
    """Top-level names of the package in the order of the import rule."""
    rule = re.search(
        r"^## Import rule\n(.*?)^## ", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    if rule is None:
        raise SystemExit(f"{PAGE.name} has no section 'Import rule'")
    return list(dict.fromkeys(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*<[^`]*)`", rule[1])))))


def listing() -> Iterator[str]:
    """Lines of the list: the loose modules, then folder after folder."""
    order = places()

    def position(path: Path) -> tuple[int, Path]:
        name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        return (order.index(name) if name in order else len(order), path)

    folders = {path.parent for path in PACKAGE.rglob("*.py")} - {PACKAGE}
    for folder in (PACKAGE, *sorted(folders, key=position)):
        yield f"\n**`{folder.relative_to(ROOT).as_posix()}/`** {summary(folder / '__init__.py')}\n"
        modules = (path for path in folder.glob("*.py") if path.name != "__init__.py")
        yield from (f"- `{path.name}`: {summary(path)}" for path in sorted(modules, key=position))


def main(*arguments: str) -> int:
    """Rewrite the list, or with `--check` return 1 where it is out of date."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest or not page.count(END):
        raise SystemExit(f"{PAGE.name} lacks the markers of the list:\n{BEGIN}{END}")
    current = f"{before}{BEGIN}" + "\n".join(listing()) + f"\n{END}{after}"
    if current == page:
        return 0
    if "--check" in arguments:
        print(f"the list of files in {PAGE.name} is out of date: run `make architecture`", file=sys.stderr)
        return 1
    PAGE.write_text(current, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
