"""Trees of arrays joined by type come back as they were, on the host and in a program, whole and in rows."""

import chex
import jax
import numpy as np
import pytest

from neutral.numerics.packing import Packed


@pytest.fixture(scope="module")
def tree():
    rng = np.random.default_rng(0)
    return {
        "grid": rng.normal(size=(5, 2, 3)),
        "number": rng.normal(size=5),
        "flags": rng.random((5, 4)) < 0.5,
        "counts": (np.arange(5), np.zeros((5, 0))),
        "none": None,
    }


def test_there_is_one_array_a_type_and_the_tree_comes_back(tree):
    packed = Packed.of(tree, axes=1)
    assert {kind: x.shape for kind, x in packed.arrays.items()} == {
        "float64": (5, 7),
        "bool": (5, 4),
        "int64": (5, 1),
    }
    chex.assert_trees_all_equal(packed.tree(), tree)
    chex.assert_trees_all_equal(packed.rows(1, 3).tree(), jax.tree.map(lambda x: x[1:3], tree))


def test_in_a_program_as_on_the_host(tree):
    packed = Packed.of(tree, axes=1)
    again = jax.jit(lambda x: Packed.of(x.tree(), axes=1))(packed)
    chex.assert_trees_all_equal(jax.device_get(again), packed)
    assert again.layout == packed.layout  # equal layouts share a program
