"""The golden-section search for the largest value of a function, for many brackets at once."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ..typing import Codes, Real

SHRINK = 0.6180339887498949  # of a bracket, in each step


def golden_section(function: Callable[[Real], Real], low: Real, high: Real, steps: int) -> tuple[Real, Real]:
    """Narrow brackets around the largest value of a function that rises, then falls (Kiefer 1953).

    Args:
        function: Takes and returns arrays of the shape of the brackets.
        low: Lower ends, any shape.
        high: Upper ends, same shape.
        steps: How often a bracket is shortened by `SHRINK`.

    Returns:
        The ends of the last brackets.
    """

    def narrow(_: Codes | int, bracket: tuple[Real, Real]) -> tuple[Real, Real]:
        low, high = bracket
        left = high - SHRINK * (high - low)
        right = low + SHRINK * (high - low)
        rises = function(left) < function(right)
        return jnp.where(rises, left, low), jnp.where(rises, high, right)

    return jax.lax.fori_loop(0, steps, narrow, (low, high))
