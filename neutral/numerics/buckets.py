"""A few shapes for all: concrete arrays are padded on the host, so that a new shape seldom compiles anew."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


def bucket(n: int) -> int:
    """The next of 1, 2, 3, 4, 6, 8, 12, 16, 24, ... 512, then of the multiples of 512."""
    if n > 512:
        return -(-n // 512) * 512
    power = 1 << (n - 1).bit_length()
    return 3 * power // 4 if n <= 3 * power // 4 else power


def call_on_grid(function: Callable[..., Any], arrays: Sequence[Any], strikes: int) -> Any:
    """Lay broadcasting arrays on rows of `strikes` columns, call a compiled function, give the shape back.

    Args:
        function: Takes the arrays, each of one shape (rows, columns); returns a pytree of arrays that start
            with these two axes.
        arrays: Numpy arrays (padded to a bucket) or traced ones (not padded), broadcasting to one shape.
        strikes: Number of columns; divides the broadcast size.

    Returns:
        The function's result, its two leading axes replaced by the broadcast shape.
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

    def restore(x: Any) -> Any:
        on_host = concrete and not isinstance(x, Tracer)
        x = (np.asarray(x) if on_host else x)[:rows, :columns]
        return jnp.asarray(x.reshape((-1, *x.shape[2:]))[:count].reshape(shape + x.shape[2:]))

    return jax.tree.map(restore, function(*grid))
