"""Shapes of the arrays that a quote surface is built from."""

import numpy as np

from ..errors import ArgumentError
from ..typing import Numbers


def quote_shape(t: Numbers, k: Numbers, prices: Numbers) -> tuple[int, ...]:
    """Return the common shape (..., 2, T, K) of the quotes.

    Args:
        t: Maturities, (..., T).
        k: Log-forward moneyness, (..., T, K).
        prices: Prices, broadcast.

    Raises:
        ArgumentError: the shapes do not fit each other; the message names them.
    """
    shapes = f"t {np.shape(t)}, k {np.shape(k)} and prices {np.shape(prices)}"
    rule = "expected t (..., T), k (..., T, K) and prices (..., 2, T, K), calls first"
    if np.ndim(t) < 1 or np.ndim(k) != np.ndim(t) + 1 or np.shape(k)[:-1] != np.shape(t) or not np.size(k):
        raise ArgumentError(f"The shapes of {shapes} do not fit; {rule}.")
    shape = (*np.shape(k)[:-2], 2, *np.shape(k)[-2:])
    try:
        if np.broadcast_shapes(shape, np.shape(prices)) == shape:
            return shape
    except ValueError:
        pass
    raise ArgumentError(f"The shapes of {shapes} do not fit; {rule}.")


def broadcast(name: str, values: Numbers, shape: tuple[int, ...]) -> np.ndarray:
    """Return a copy of the values in a shape.

    Args:
        name: Name of the argument, for the error message.
        values: The argument.
        shape: The shape.

    Raises:
        ArgumentError: the values do not broadcast to the shape.
    """
    try:
        return np.array(np.broadcast_to(values, shape))
    except ValueError:
        raise ArgumentError(f"{name} must broadcast to shape {shape}, got {np.shape(values)}.") from None
