"""Trees of arrays as one array per type, because a call of a program takes time for each array.

The arrays of a tree are flattened and joined behind their leading axes, which they share. Rows of the joined
arrays are therefore rows of the tree.
"""

from typing import Any, Generic, NamedTuple, Self, TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..typing import Numbers

Tree = TypeVar("Tree")


class _Leaf(NamedTuple):
    """Where one array of a tree is: its type, its place in the joined array, and its shape."""

    kind: str
    first: int
    last: int
    shape: tuple[int, ...]


class _Layout(NamedTuple):
    """The structure of a tree, and the place of each of its arrays."""

    tree: Any
    leaves: tuple[_Leaf, ...]


class Packed(eqx.Module, Generic[Tree]):
    """A tree of arrays with `axes` leading axes in common, as one array per type.

    Attributes:
        arrays: The joined arrays by type, each of shape (leading axes, entries).
        layout: Where the arrays of the tree are; it belongs to the program.
    """

    arrays: dict[str, Numbers]
    layout: _Layout = eqx.field(static=True)

    @classmethod
    def of(cls, tree: Tree, axes: int) -> "Packed[Tree]":
        """Join the arrays of a tree, on the host if they are there."""
        leaves, structure = jax.tree.flatten(tree)
        parts: dict[str, list[Numbers]] = {}
        sizes: dict[str, int] = {}
        places = []
        xp = jnp if any(isinstance(x, Tracer) for x in leaves) else np
        for leaf in leaves:
            kind = str(leaf.dtype)
            flat = xp.reshape(leaf, (*leaf.shape[:axes], -1))
            first = sizes.get(kind, 0)
            sizes[kind] = first + flat.shape[-1]
            parts.setdefault(kind, []).append(flat)
            places.append(_Leaf(kind, first, sizes[kind], leaf.shape[axes:]))
        arrays = {kind: xp.concatenate(several, axis=-1) for kind, several in parts.items()}
        return cls(arrays, _Layout(structure, tuple(places)))

    def rows(self, first: int, last: int) -> Self:
        """Return the rows from `first` to `last`, without `last`, of the first axis of every array."""
        return jax.tree.map(lambda x: x[first:last], self)

    def tree(self) -> Tree:
        """Return the tree."""
        leaves = []
        for kind, first, last, shape in self.layout.leaves:
            part = self.arrays[kind][..., first:last]
            leaves.append(part.reshape((*part.shape[:-1], *shape)))
        return cast(Tree, jax.tree.unflatten(self.layout.tree, leaves))
