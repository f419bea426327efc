"""The golden-section search against maxima that are known."""

import jax.numpy as jnp
import numpy as np

from neutral.numerics.golden_section import SHRINK, golden_section


def test_brackets_close_in_on_the_largest_values():
    places = jnp.asarray([0.0, 0.3, 2.0])
    low, high = golden_section(lambda x: -jnp.abs(x - places), jnp.zeros(3), jnp.full(3, 2.0), 30)
    np.testing.assert_allclose(high - low, 2.0 * SHRINK**30, rtol=1e-6)  # differences of close numbers
    assert (low <= places + 1e-15).all() and (places <= high + 1e-15).all()
