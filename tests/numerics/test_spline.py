"""Splines through trigonometric sums: exact at the nodes, right order in between, error bounded."""

import jax.numpy as jnp
import numpy as np
import pytest

from neutral.numerics.spline import degree_of, interpolate, interpolation_error, symbol

N, START = 32, -1.0
GRID = jnp.array([START]), jnp.array([0.1]), jnp.array([0.0])  # start, spacing, damping
SHARES = np.linspace(0.0, 1.0, 9)


def spline_of_a_wave(theta, interpolation):
    """Error of interpolating e^{i theta u} from node 15 to node 16, absolute."""
    waves = np.exp(1j * theta * np.arange(N)) / np.asarray(symbol(jnp.asarray(theta), interpolation))
    k = START + 0.1 * (15 + SHARES)[None, :]
    (real, inside), (imaginary, _) = (
        interpolate(jnp.asarray(x[None, :]), jnp.asarray(k), *GRID, interpolation)
        for x in (waves.real, waves.imag)
    )
    assert np.all(inside)
    return np.abs(np.asarray(real)[0] + 1j * np.asarray(imaginary)[0] - np.exp(1j * theta * (15 + SHARES)))


@pytest.mark.parametrize("interpolation", ["linear", "cubic", "quintic"])
def test_spline_passes_through_the_nodes_and_converges_with_its_order(interpolation):
    errors = [spline_of_a_wave(theta, interpolation) for theta in (0.6, 0.3)]
    assert max(np.max(e[[0, -1]]) for e in errors) < 1e-14
    order = np.log2(np.max(errors[0]) / np.max(errors[1]))
    assert abs(order - (degree_of(interpolation) + 1)) < 0.3


@pytest.mark.parametrize("interpolation", ["linear", "cubic", "quintic"])
@pytest.mark.parametrize("theta", [0.1, 1.0, 3.0, 5.0])
def test_error_bound_holds(interpolation, theta):
    error = np.max(spline_of_a_wave(theta, interpolation))
    theta = jnp.array([theta])
    bound = interpolation_error(theta, theta / 0.1, jnp.array([0.0]), interpolation)
    assert error <= bound[0] + 1e-15


def test_strikes_whose_stencil_leaves_the_grid_are_told():
    k = START + 0.1 * jnp.array([[-0.5, 0.5, 1.9, 2.1, 28.9, 29.1, 31.5]])
    for interpolation, expected in (("linear", [0, 1, 1, 1, 1, 1, 0]), ("quintic", [0, 0, 0, 1, 1, 0, 0])):
        found, inside = interpolate(jnp.ones((1, N)), k, *GRID, interpolation)
        assert np.array_equal(np.asarray(inside)[0], np.array(expected, bool))
        assert np.all(np.isfinite(found))
