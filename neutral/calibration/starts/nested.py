"""A start of a model at which it has the same prices as a simpler fitted model."""

import jax.numpy as jnp

from ...models import AbstractFourierModel
from ...models.parameters import domains
from ...typing import Real
from ..coordinates import ModelCoordinates
from ..recipe import entries_of, split_recipe


def nested_start(
    recipe: type[AbstractFourierModel] | AbstractFourierModel, model: AbstractFourierModel
) -> AbstractFourierModel:
    """The start at which a richer model has the same prices as a simpler fitted model.

    The method `nested_from` of each model defines how it contains simpler ones. Heston contains Black as the
    case of a constant variance; it is itself contained in SVCJ without jumps, in double Heston without a
    second variance, and in piecewise Heston with equal pieces. A shift is left out of the start.

    Args:
        recipe: The richer model class, a recipe, or `Shifted` of one.
        model: The simpler fitted model; its fields may have a leading axis.

    Returns:
        The richer model without shift, with the leading axis of the simpler one.

    Raises:
        ArgumentError: the recipe is neither a class, nor a recipe, nor a model.
    """
    cls, _ = split_recipe(recipe)
    simpler = model.base
    like = next(getattr(simpler, name) for name in domains(simpler) if not simpler.field_ndim(name))
    axes, _ = entries_of(recipe)
    typical = ModelCoordinates(cls, axes).typical()
    counts = dict(axes)
    values = cls.nested_from(simpler)
    if counts and not isinstance(recipe, type):
        values |= {name: _rows(getattr(recipe.base, name), like, counts[name]) for name in cls.given}

    def value(name: str) -> Real:
        x = jnp.asarray(values.get(name, getattr(typical, name)), float)
        if name not in counts:
            return jnp.broadcast_to(x, like.shape)
        shared = name in values and jnp.ndim(x) == like.ndim  # one value for all entries
        return _rows(jnp.expand_dims(x, -1) if shared else x, like, counts[name])

    return cls.with_lanes(**{name: value(name) for name in domains(cls)})


def _rows(x: Real, like: Real, count: int) -> Real:
    """Broadcast values, whose last axis is that of `count` entries, to the leading axes of `like`."""
    return jnp.broadcast_to(x, (*like.shape, count))
