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
    installed = _PACKAGE / "configs" / f"{name}.toml"
    return installed if installed.is_file() else _PACKAGE.parent / "configs" / f"{name}.toml"


def sample_folder(name: Literal["deribit", "index"] = "deribit") -> Path:
    """Return a folder of shipped market data; the README in its parent folder states source and licence.

    Args:
        name: "deribit": consecutive real snapshots; "index": three days of a generated index chain.
    """
    return _PACKAGE / "samples" / name
