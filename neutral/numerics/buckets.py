"""Concrete arrays are padded on the host to a few shapes, so that a new shape rarely needs a compilation."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..typing import Numbers

Tree = TypeVar("Tree")


def bucket(n: int) -> int:
    """Round n >= 1 up to one of 1, 2, 3, 4, 6, 8, 12, 16, 24, ..., 512, or to a multiple of 512."""
    if n > 512:
        return -(-n // 512) * 512
    power = 1 << (n - 1).bit_length()
    return 3 * power // 4 if n <= 3 * power // 4 else power


def call_on_grid(function: Callable[..., Tree], arrays: Sequence[Any], strikes: int) -> Tree:
    """Call a compiled function on arrays laid out as a padded grid, and restore the shape of its results.

    Args:
        function: Takes the arrays, each of shape (rows, columns), and returns a pytree of arrays whose first
            two axes are these.
        arrays: Arrays that broadcast to one shape. They are padded to a bucket, unless one of them is traced.
        strikes: Number of columns of the grid. It divides the broadcast size.

    Returns:
        The function's result, with its two leading axes replaced by the broadcast shape.
    """
    shape = np.broadcast_shapes(*(np.shape(x) for x in arrays))
    concrete = not any(isinstance(x, Tracer) for x in arrays)
    xp = np if concrete else jnp
    count = int(np.prod(shape))
    grid = [
        xp.reshape(xp.broadcast_to(x, shape), (-1, strikes)) if count else np.ones((1, 1), x.dtype)
        for x in arrays
    ]
    rows, columns = grid[0].shape
    if concrete:
        pad = [(0, bucket(rows) - rows), (0, bucket(columns) - columns)]
        grid = [np.pad(x, pad, mode="edge") for x in grid]

    def restore(x: Numbers) -> jax.Array:
        on_host = concrete and not isinstance(x, Tracer)
        x = (np.asarray(x) if on_host else x)[:rows, :columns]
        return jnp.asarray(x.reshape((-1, *x.shape[2:]))[:count].reshape(shape + x.shape[2:]))

    return jax.tree.map(restore, function(*grid))
