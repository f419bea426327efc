"""The runtime type checker of one test run: `pytest --jaxtyping-packages=neutral,runtime_types.check`.

Every function of the package then refuses arguments and results that are not of the annotated type and shape.
"""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

_NUMBERS = BeartypeConf(is_pep484_tower=True)  # an int passes for a float


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check a function's annotations at each call, but for `Self`, which only a class could resolve."""
    annotations = getattr(function, "__annotations__", {})
    function.__annotations__ = {name: hint for name, hint in annotations.items() if "Self" not in str(hint)}
    return beartype(conf=_NUMBERS)(function)
