"""A start that prices as a simpler fitted model does."""

from typing import Any

import jax.numpy as jnp

from ...models import AbstractFourierModel, Black
from ...models.parameters import domains
from ...typing import Real
from ..coordinates import ModelCoordinates
from ..recipe import entries_of, split_recipe


def nested_start(recipe: Any, model: AbstractFourierModel) -> AbstractFourierModel:
    """The start that prices as a simpler fitted model does: its parameters, and those of the richer at zero.

    Black's in Heston has no volatility of variance, Heston's in SVCJ no jumps, in double Heston no second
    variance, in piecewise Heston equal pieces; a shift has no increments.

    Args:
        recipe: The richer model class, a recipe, or `Shifted` of one.
        model: The simpler fit; fields may have a leading axis.
    """
    cls, _ = split_recipe(recipe)
    base = model.base
    names = list(domains(cls))
    like = next(getattr(base, name) for name in domains(base) if not base.field_ndim(name))
    if isinstance(base, Black) and cls is not Black:
        variance = base.sigma**2
        known = {"v0": variance, "theta": variance, "sigma_v": 0.0 * variance, "sigma": base.sigma}
    else:
        known = {name: getattr(base, name) for name in domains(base)}
    known: dict[str, Any] = {"lam": jnp.zeros_like(like), "nu": jnp.zeros_like(like)} | known
    if "v01" in names and "v0" in known:
        known |= {f"{name}1": x for name, x in known.items()}
        known |= {"v02": jnp.zeros_like(like), "theta2": jnp.zeros_like(like)}
    axes, _ = entries_of(recipe)
    typical, counts = ModelCoordinates(cls, axes).typical(), dict(axes)
    if counts:
        known |= {name: _rows(getattr(recipe.base, name), like, counts[name]) for name in cls.given}

    def value(name: str) -> Real:
        x: Any = known.get(name, getattr(typical, name))
        if name not in counts:
            return jnp.broadcast_to(x, like.shape)
        shared = name in known and jnp.ndim(x) == like.ndim  # one value for all entries
        return _rows(jnp.expand_dims(x, -1) if shared else x, like, counts[name])

    return cls.with_lanes(**{name: value(name) for name in names})


def _rows(x: Real, like: Real, count: int) -> Real:
    return jnp.broadcast_to(x, (*like.shape, count))
