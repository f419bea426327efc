"""The market data that ships with the package."""

from importlib import resources
from pathlib import Path


def sample_folder() -> Path:
    """Folder of consecutive real Deribit snapshots; its README states source, dates and licence."""
    return Path(str(resources.files("neutral") / "samples" / "deribit"))
