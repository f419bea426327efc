"""Concrete arrays are padded on the host to a few shapes, so that a new shape rarely needs a compilation."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..typing import Numbers

Tree = TypeVar("Tree")

SMALLEST = 8  # up to this size, padding costs microseconds, and another size a compilation of seconds


def bucket(n: int) -> int:
    """Round n >= 1 up to one of 8, 12, 16, 24, ..., 384, 512, or to a multiple of 512."""
    if n > 512:
        return -(-n // 512) * 512
    power = 1 << (max(n, SMALLEST) - 1).bit_length()
    return 3 * power // 4 if SMALLEST < n <= 3 * power // 4 else power


def grid_bucket(rows: int, columns: int) -> tuple[int, int]:
    """Round the numbers of rows and columns of a grid up.

    A single row and a single column are common and keep their size where the other one is large.
    """
    padded = bucket(rows), bucket(columns)
    if rows == 1 and columns > SMALLEST:
        return 1, padded[1]
    if columns == 1 and rows > SMALLEST:
        return padded[0], 1
    return padded


def call_on_grid(function: Callable[..., Tree], arrays: Sequence[Any], strikes: int | None) -> Tree:
    """Call a compiled function on arrays laid out as a padded grid, and restore the shape of its results.

    Args:
        function: Takes the arrays, each of shape (rows, columns), and returns a pytree of arrays whose first
            two axes are these.
        arrays: Arrays that broadcast to one shape. They are padded to a bucket, unless one of them is traced.
        strikes: Number of columns of the grid, which divides the broadcast size; None for a grid of a single
            column, where the function has nothing to share between the columns.

    Returns:
        The function's result, with its two leading axes replaced by the broadcast shape.
    """
    if strikes is None:
        return _call(function, arrays, (-1, 1), lambda rows, _: (bucket(rows), 1))
    return _call(function, arrays, (-1, strikes), grid_bucket)


def call_on_row(function: Callable[..., Tree], arrays: Sequence[Any]) -> Tree:
    """Call a compiled function on arrays laid out as one padded row of points, and restore their shape.

    Args:
        function: Takes the arrays, each of shape (points,), and returns a pytree of arrays whose first axis
            is this one.
        arrays: Arrays that broadcast to one shape. They are padded to a bucket, unless one of them is traced.

    Returns:
        The function's result, with its leading axis replaced by the broadcast shape.
    """
    return _call(function, arrays, (-1,), lambda n: (bucket(n),))


def _call(
    function: Callable[..., Tree],
    arrays: Sequence[Any],
    layout: tuple[int, ...],
    padded: Callable[..., tuple[int, ...]],
) -> Tree:
    shape = np.broadcast_shapes(*(np.shape(x) for x in arrays))
    concrete = not any(isinstance(x, Tracer) for x in arrays)
    xp = np if concrete else jnp
    count = int(np.prod(shape))
    axes = len(layout)
    grid = [
        xp.reshape(xp.broadcast_to(x, shape), layout) if count else np.ones((1,) * axes, x.dtype)
        for x in arrays
    ]
    size = grid[0].shape
    if concrete:
        pad = [(0, more - n) for n, more in zip(size, padded(*size), strict=True)]
        grid = [np.pad(x, pad, mode="edge") for x in grid]
    used = tuple(slice(n) for n in size)

    def restore(x: Numbers) -> jax.Array:
        on_host = concrete and not isinstance(x, Tracer)
        x = (np.asarray(x) if on_host else x)[used]
        x = x.reshape((-1, *x.shape[axes:]))[:count].reshape(shape + x.shape[axes:])
        return jax.device_put(x) if on_host else jnp.asarray(x)  # which is compiled for each shape

    return jax.tree.map(restore, function(*grid))
