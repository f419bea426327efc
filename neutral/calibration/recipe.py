"""What people may ask to be calibrated: a model class, a model to start from, or a shift of either."""

from typing import Any

import jax
import numpy as np

from ..errors import ArgumentError
from ..models import AbstractFourierModel, Shifted
from ..models.parameters import domains, is_concrete


def split_recipe(recipe: Any) -> tuple[type[AbstractFourierModel], bool, AbstractFourierModel | None]:
    """Model class, whether shifted, and the starting model where the recipe holds numbers.

    Raises:
        ArgumentError: it is neither a class, nor a recipe, nor a model.
    """
    shifted = isinstance(recipe, Shifted)
    base = recipe.model if shifted else recipe
    cls = base if isinstance(base, type) else type(base)
    if not issubclass(cls, AbstractFourierModel) or issubclass(cls, Shifted):
        raise ArgumentError(
            "recipe must be a model class (neutral.Heston), neutral.Shifted of one, or a starting model, "
            f"got {recipe!r}."
        )
    start = None if isinstance(base, type) or base.is_recipe else recipe
    if start is not None and not all(is_concrete(x) for x in jax.tree.leaves(start)):
        raise ArgumentError("A starting model must hold numbers, not traced values.")
    return cls, shifted, start


def entries_of(recipe: Any) -> tuple[tuple[tuple[str, int], ...], dict[str, float]]:
    """Entries of the parameters with an axis, and by coordinate the values that a recipe gives.

    Raises:
        ArgumentError: a class alone, where parameters have an axis.
    """
    base = recipe.model if isinstance(recipe, Shifted) else recipe
    if isinstance(base, type):
        if any(base.field_ndim(name) for name in domains(base)):
            raise ArgumentError(
                f"{base.__name__} has parameters with an axis, whose length a class does not tell: give an "
                "instance, such as neutral.PiecewiseHeston(breakpoints=(0.5, 1.0))."
            )
        return (), {}
    counts = base.entries()
    given = {name: np.reshape(getattr(base, name), (-1, counts[name])) for name in base.given if counts[name]}
    return tuple(counts.items()), {
        f"{name}[{i}]": float(x) for name, rows in given.items() for i, x in enumerate(rows[0])
    }


def has_lanes(model: AbstractFourierModel) -> bool:
    """Whether the fields have a leading axis of surfaces."""
    base = model.model if isinstance(model, Shifted) else model
    name = next(iter(domains(base)))
    return np.ndim(getattr(base, name)) > base.field_ndim(name)
