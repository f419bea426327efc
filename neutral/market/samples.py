"""The market data that ships with the package."""

from importlib import resources
from pathlib import Path
from typing import Literal


def sample_folder(name: Literal["deribit", "index"] = "deribit") -> Path:
    """A folder of shipped market data; the README above it states source, dates and licence.

    Args:
        name: "deribit": consecutive real snapshots; "index": three days of a generated index chain.
    """
    return Path(str(resources.files("neutral") / "samples" / name))
