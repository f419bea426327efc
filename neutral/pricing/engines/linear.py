"""Prices and their Jacobian together, where prices are linear in values of the characteristic function."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex

from ...numerics.materialise import materialise
from ...numerics.trigonometry import sincos
from ...typing import Numbers, Real
from .base import Model

Waves = Complex[Numbers, "..."]
"""Complex values of any shape; unlike `Frequencies`, the arguments of one call may differ in shape."""


def weighted(psi: Waves, weight: Real | Waves) -> Waves:
    """Weight times phi = e^psi, shape of psi, stored so that XLA does not recompute it for each use."""
    size = jnp.exp(jnp.real(psi))
    sine, cosine = sincos(jnp.imag(psi))
    return materialise(weight * jax.lax.complex(size * cosine, size * sine))


def stack_rows(change: Waves, phi: Waves, slopes: tuple[Waves, ...], psi: Waves) -> Waves:
    """What an engine sums over its nodes: a row for the price, then one for each derivative.

    Since d phi / dp = phi dpsi / dp for a parameter p, the rows of the derivatives are products.

    Args:
        change: Weighted phi, less its control variate, shape (..., T, N).
        phi: Weighted phi, shape (..., T, N).
        slopes: Derivatives of psi in each parameter, of its shape; a parameter with an axis adds it last.
        psi: Logarithm of phi, shape (..., T, N).

    Returns:
        Shape (..., T, rows, N); a parameter with an axis has a row for each of its entries.
    """
    rows = [jnp.expand_dims(x, -2) if x.ndim == psi.ndim else jnp.moveaxis(x, -1, -2) for x in slopes]
    derivatives = jnp.expand_dims(phi, -2) * jnp.concatenate(rows, axis=-2)
    return jnp.concatenate([jnp.expand_dims(change, -2), derivatives], axis=-2)


def split_rows(sums: Real, slopes: tuple[Waves, ...], psi: Waves, model: Model) -> tuple[Real, Model]:
    """Split the sums over nodes of `stack_rows` into prices and a model of derivatives.

    Args:
        sums: Shape (..., T, rows, K).
        slopes: As in `stack_rows`.
        psi: As in `stack_rows`.
        model: A model whose structure the derivatives get.

    Returns:
        Prices of shape (..., T, K), and a model whose fields are derivatives of that shape, to which a
        parameter with an axis adds it last.
    """
    has_axis = [x.ndim > psi.ndim for x in slopes]
    counts = [x.shape[-1] if axis else 1 for x, axis in zip(slopes, has_axis, strict=True)]
    price, *parts = jnp.split(sums, np.cumsum([1, *counts])[:-1], axis=-2)
    fields = [
        jnp.moveaxis(part, -2, -1) if axis else part[..., 0, :]
        for part, axis in zip(parts, has_axis, strict=True)
    ]
    return price[..., 0, :], jax.tree.unflatten(jax.tree.structure(model), fields)
