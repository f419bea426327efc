"""How many programs a function has compiled: what a test compares that must compile nothing new."""

from collections.abc import Callable
from typing import Any


def programs(function: Callable[..., Any]) -> int:
    """Number of programs compiled so far for a function of `equinox.filter_jit`.

    Equinox has no public count; this is the only place that reads its private one.
    """
    cached: Any = function
    return cached._cached._cache_size()
