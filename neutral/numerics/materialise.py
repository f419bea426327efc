"""A barrier that stops XLA's CPU fusion from computing arrays more than once."""

from typing import TypeVar

import jax
import jax.numpy as jnp

Tree = TypeVar("Tree")


def materialise(tree: Tree) -> Tree:
    """Force every array of the tree to be stored before it is used again.

    On CPU, XLA repeats cheap elementwise work for each consumer, exponentially often in deep formulas, and
    `optimization_barrier` does not prevent that, but a conditional whose predicate is unknown at compile time
    does. On accelerators the conditional would cost a round trip to the host, so there the tree is returned
    as it is.

    Args:
        tree: A pytree of arrays, of which the first is not empty.

    Returns:
        The same tree, with equal values.
    """
    leaves = jax.tree.leaves(tree)

    def store(tree: Tree) -> Tree:
        probe = jnp.real(jnp.ravel(leaves[0])[0])
        return jax.lax.cond(probe != jnp.inf, lambda x: x, lambda x: jax.tree.map(jnp.zeros_like, x), tree)

    return jax.lax.platform_dependent(tree, cpu=store, default=lambda x: x)
