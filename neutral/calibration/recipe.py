"""What users can calibrate: a model class, a model to start from, or an extension of either."""

import jax
import numpy as np

from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..models.parameters import domains, is_concrete

Recipe = type[AbstractFourierModel] | AbstractFourierModel
"""A model class, a model that `is_recipe`, or a starting model."""


def split_recipe(recipe: Recipe) -> tuple[type[AbstractFourierModel], AbstractFourierModel | None]:
    """The model's class, and the starting model where the recipe has numbers.

    Raises:
        ArgumentError: the argument is neither a class, nor a recipe, nor a model, or a starting model is
            traced.
    """
    base = recipe.base if isinstance(recipe, AbstractFourierModel) else recipe
    cls = base if isinstance(base, type) else type(base)
    if not issubclass(cls, AbstractFourierModel) or cls.is_extension:
        raise ArgumentError(
            "recipe must be a model class (neutral.Heston), neutral.Shifted of one, or a starting model, "
            f"got {recipe!r}."
        )
    start = None if isinstance(recipe, type) or recipe.is_recipe else recipe
    if start is not None and not all(is_concrete(x) for x in jax.tree.leaves(start)):
        raise ArgumentError("recipe: a starting model must have plain numbers, got traced values.")
    return cls, start


def entries_of(recipe: Recipe) -> tuple[tuple[tuple[str, int], ...], dict[str, float]]:
    """Numbers of entries of the parameters with an axis, and values of coordinates that a recipe fixes.

    Raises:
        ArgumentError: the recipe is a class alone, and a parameter of it has an axis.
    """
    base = recipe if isinstance(recipe, type) else recipe.base
    if isinstance(base, type):
        if any(base.field_ndim(name) for name in domains(base)):
            raise ArgumentError(
                f"recipe: {base.__name__} has parameters with an axis, whose length the class does not fix: "
                "pass an instance, such as neutral.PiecewiseHeston(breakpoints=(0.5, 1.0))."
            )
        return (), {}
    counts = base.entries()
    rows = {name: np.reshape(getattr(base, name), (-1, counts[name])) for name in base.given if counts[name]}
    values = {f"{name}[{i}]": float(x) for name, row in rows.items() for i, x in enumerate(row[0])}
    return tuple(counts.items()), values


def has_lanes(model: AbstractFourierModel) -> bool:
    """Whether the fields of a model have a leading axis of surfaces."""
    name = next(iter(domains(model.base)))
    return np.ndim(getattr(model.base, name)) > model.base.field_ndim(name)
