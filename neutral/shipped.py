"""Locates what ships with the package: its version, its configurations and its market data."""

from importlib import resources
from pathlib import Path
from typing import Literal

from . import __version__

CODE_VERSION: str = __version__

_PACKAGE = Path(str(resources.files("neutral")))


def configuration(name: str) -> Path:
    """Return the path of a shipped configuration.

    It is in `configs/` of the repository, or in `neutral/configs/` of an installed wheel.

    Args:
        name: The name of the file without folder and suffix, such as "deribit".
    """
    installed = _PACKAGE / "configs"
    folder = installed if installed.is_dir() else _PACKAGE.parent / "configs"
    return folder / f"{name}.toml"


def configurations() -> list[str]:
    """Return the names of the shipped configurations, sorted."""
    return sorted(path.stem for path in configuration("").parent.glob("*.toml"))


def explanation(name: str) -> str:
    """Return the first line of a shipped configuration, which states what it is for."""
    with configuration(name).open(encoding="utf-8") as file:
        return file.readline().removeprefix("#").strip()


def sample_folder(name: Literal["deribit", "index"] = "deribit") -> Path:
    """Return a folder of shipped market data; the README in its parent folder states source and licence.

    Args:
        name: "deribit": consecutive real snapshots; "index": three days of a generated index chain.
    """
    return _PACKAGE / "samples" / name
