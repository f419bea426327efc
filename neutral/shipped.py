"""What ships with the package: its version, its configurations, its market data."""

from importlib import resources
from pathlib import Path
from typing import Literal

from . import __version__

CODE_VERSION: str = __version__

_PACKAGE = Path(str(resources.files("neutral")))


def configuration(name: str) -> Path:
    """A shipped configuration: `configs/<name>.toml` of the repository, in a wheel inside the package.

    Args:
        name: Without folder and suffix, such as "deribit".
    """
    installed = _PACKAGE / "configs" / f"{name}.toml"
    return installed if installed.is_file() else _PACKAGE.parent / "configs" / f"{name}.toml"


def sample_folder(name: Literal["deribit", "index"] = "deribit") -> Path:
    """A folder of shipped market data; the README above it states source, dates and licence.

    Args:
        name: "deribit": consecutive real snapshots; "index": three days of a generated index chain.
    """
    return _PACKAGE / "samples" / name
