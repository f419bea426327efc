"""Coordinates of models and of extensions that wrap them: one contract."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neutral as nt
from neutral.calibration.coordinates import Columns, ModelCoordinates, ShiftedCoordinates, coordinates_of

T = np.array([0.25, 1.0, 2.0])
UNIT = np.array([0.01, 0.02, 0.03])
RECIPES = {
    "heston": nt.Heston,
    "svcj": nt.SVCJ,
    "nig": nt.NIG,
    "pieces": nt.PiecewiseHeston(breakpoints=(0.4,)),
    "heston++": nt.Shifted(nt.Heston),
    "pieces++": nt.Shifted(nt.PiecewiseHeston(breakpoints=(0.4,))),
}


@pytest.fixture(params=RECIPES.values(), ids=RECIPES.keys())
def coordinates(request):
    return coordinates_of(request.param, T.size)


def inside(coordinates, seed=3):
    """A vector inside the bounds."""
    lower, upper = coordinates.bounds()
    low, high = np.maximum(lower, -3.0), np.minimum(upper, 1.0)
    return jnp.asarray(low + (high - low) * np.random.default_rng(seed).uniform(0.2, 0.8, low.size))


def test_names_bounds_and_steps_have_one_size(coordinates):
    lower, upper = coordinates.bounds()
    sizes = [len(coordinates.names), lower.size, upper.size, coordinates.steps().size]
    assert sizes == [coordinates.size] * 4 and len(set(coordinates.names)) == coordinates.size
    assert np.all(lower < upper) and np.all(coordinates.steps() > 0)
    assert coordinates.names[: len(coordinates.parameters)] == coordinates.parameters
    assert hash(coordinates) == hash(coordinates.holding(()))


def test_a_vector_comes_back_from_its_model(coordinates):
    y = inside(coordinates)
    model = coordinates.build(y, UNIT, T)
    np.testing.assert_allclose(coordinates.vector(model, UNIT, T), y, rtol=1e-9, atol=1e-9)


def test_named_values_are_those_of_the_model(coordinates):
    y = inside(coordinates)
    values = coordinates.named(coordinates.natural(y, UNIT), y, UNIT)
    model = coordinates.build(y, UNIT, T)
    own = coordinates.spread(
        {
            n: jnp.asarray(getattr(model.base, n))
            for n in dict.fromkeys(name.split("[")[0] for name in coordinates.parameters)
        }
    )
    np.testing.assert_allclose(values[: len(own)], own)
    rest = getattr(model, "increments", np.zeros(0))
    np.testing.assert_allclose(values[len(own) :], rest)
    chain = jax.jacfwd(lambda y: coordinates.natural(y, UNIT))(y)
    named = jax.jacfwd(lambda y: coordinates.named(coordinates.natural(y, UNIT), y, UNIT))(y)
    np.testing.assert_allclose(coordinates.named_chain(chain[None], UNIT[None])[0], named, atol=1e-14)
    assert len(coordinates.sizes(np.asarray(values), UNIT)) == coordinates.size


def test_a_maturity_without_quotes_moves_no_coordinate_of_its_own():
    used = np.ones((1, 2, 3, 4), bool)
    used[0, :, 1] = False
    plain, shifted = (coordinates_of(r, 3).free(used)[0] for r in (nt.Heston, nt.Shifted(nt.Heston)))
    assert list(plain) == [True] * 5 and list(shifted) == [True] * 5 + [True, False, True]


@pytest.mark.parametrize("local", [False, True])
def test_sums_over_columns_are_those_of_the_columns_written_out(local):
    rng = np.random.default_rng(7)
    shared, weight, pull = (
        rng.standard_normal((2, 3, 4, 5)),
        rng.uniform(size=(2, 4, 5)),
        rng.uniform(size=(2, 4, 5)),
    )
    columns = Columns(shared, rng.standard_normal((2, 4, 5)) if local else None)
    dense = columns.dense()
    assert dense.shape == (2, 7 if local else 3, 4, 5)
    np.testing.assert_allclose(columns.gradient(pull), jnp.einsum("bptk,btk->bp", dense, pull), rtol=1e-12)
    gram = jnp.einsum("bptk,btk,bqtk->bpq", dense, weight, dense)
    np.testing.assert_allclose(columns.gram(weight), gram, rtol=1e-11, atol=1e-13)


def test_a_shift_wraps_the_coordinates_of_its_model():
    shifted = coordinates_of(nt.Shifted(nt.NIG), 3, {"alpha": 9.0})
    assert isinstance(shifted, ShiftedCoordinates) and shifted.inner == ModelCoordinates(
        nt.NIG, (), ("alpha",)
    )
    assert shifted.model is nt.NIG and shifted.parameters == shifted.inner.names
    start = shifted.vector(nt.NIG.typical(), UNIT, T)
    assert np.all(start[-3:] == 0.0)
    with pytest.raises(nt.ArgumentError, match="a start must be a NIG, got Heston"):
        shifted.vector(nt.Shifted(nt.Heston.typical(), T, UNIT), UNIT, T)
