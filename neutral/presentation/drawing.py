"""Figures of results: `neutral.plot` is imported when a result is drawn, because it knows every kind."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(name: str, *arguments: object, **options: Any) -> Figure:
    """Call a function of `neutral.plot` by its name.

    Args:
        name: Name of the function, such as "smiles".
        arguments: Its arguments.
        options: Its keyword arguments.

    Returns:
        A matplotlib figure.

    Raises:
        NeutralError: matplotlib is not installed.
    """
    return getattr(import_module("neutral.plot"), name)(*arguments, **options)
