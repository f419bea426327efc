"""The high-precision values of `tests/reference/`, read once."""

import json
from functools import cache
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).resolve().parent / "reference"


@cache
def load_reference(name: str) -> Any:
    """The parsed content of tests/reference/<name>.json; also for parametrising at collection time."""
    return json.loads((REFERENCE / f"{name}.json").read_text())
