"""Checks that optional packages are installed, before any work that would need them at its end."""

import importlib
from collections.abc import Iterable
from typing import NamedTuple

from ..errors import NeutralError


class Need(NamedTuple):
    """What a part of the package needs beyond the core."""

    what: str
    packages: tuple[str, ...]
    extra: str  # the name of the extra that installs them


NEEDS = {
    "tables": Need("tables of results need", ("pyarrow",), "io"),
    "page": Need("the page needs", ("jinja2",), "cli"),
    "xlsx": Need("the workbook needs", ("xlsxwriter",), "excel"),
    "import": Need("reading a workbook needs", ("openpyxl",), "excel"),
}


def require(uses: Iterable[str]) -> None:
    """Refuse to start if a package that a later step needs is not installed.

    Args:
        uses: Keys of `NEEDS`; others, such as kinds of report that need no package, are ignored.

    Raises:
        NeutralError: A package is missing; the message states how to install all that are missing.
    """
    missing = {use: name for use in uses if use in NEEDS and (name := _missing(NEEDS[use]))}
    if missing:
        what = ", and ".join(f"{NEEDS[use].what} {name}" for use, name in missing.items())
        extras = ",".join(dict.fromkeys(NEEDS[use].extra for use in missing))
        raise NeutralError(f"{what}; run pip install 'neutral[{extras}]'.")


def _missing(need: Need) -> str:
    """Return the first package that cannot be imported, or ""."""
    for name in need.packages:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            return name
    return ""
