"""Starts of every model: from the market's variance, and from the fit of the simpler model inside it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from registry import log_cf

import neutral as nt
from neutral.calibration.starts.nested import nested_start
from neutral.models.parameters import domains
from neutral.models.starts import LARGEST, SMALLEST, Guess, Level
from neutral.workflow.recipes import RECIPES

BASES = [name for name, recipe in RECIPES.items() if not recipe.shifted]
LEVEL = Level(near=jnp.asarray(0.4), far=jnp.asarray(0.3), mean=jnp.asarray(0.35), time=jnp.asarray(0.3))


def recipe_of(name):
    return RECIPES[name].build({"breakpoints": [0.25]})


def models(cls, values):
    """A model at starting values, typical ones where they are left out."""
    typical = cls.typical()
    fields = {}
    for name in domains(cls):
        own = getattr(typical, name)
        fields[name] = np.broadcast_to(values.get(name, own), np.shape(own))
    return cls(**fields)


@pytest.mark.parametrize("name", BASES)
def test_starts_are_models_with_the_market_s_variance(name):
    cls = RECIPES[name].model_class
    starts = cls.starts(LEVEL)
    assert starts
    for values in starts:
        model = models(cls, values)
        assert bool(model.is_admissible())
        variance = float(model.total_variance(jnp.asarray(0.3)) / 0.3)
        assert 0.05 < variance < 1.5, (values, variance)


@pytest.mark.parametrize("name", BASES)
def test_the_box_is_of_the_model_s_parameters_and_ascends(name):
    cls = RECIPES[name].model_class
    for parameter, (low, high) in cls.search_box(LEVEL).items():
        assert parameter in domains(cls) and low < high
    assert vars(SMALLEST).keys() == vars(LARGEST).keys() == vars(Guess()).keys()


@pytest.mark.parametrize("name", [name for name in BASES if RECIPES[name].nested])
def test_a_start_prices_as_the_simpler_model_does(name):
    simpler = recipe_of(RECIPES[name].nested).typical()
    both = jax.tree.map(lambda x: np.stack([x, 1.1 * x]), simpler)
    start = nested_start(recipe_of(name), both)
    z = np.array([3.0 - 0.5j, 0.2 - 0.5j])
    t = np.array([0.1, 2.0])
    tolerance = 1e-3 if name == "nig" else 1e-12  # Black is a limit that NIG comes near and does not reach
    for i in range(2):
        richer, same = (jax.tree.map(lambda x, i=i: jnp.asarray(x)[i], model) for model in (start, both))
        np.testing.assert_allclose(log_cf(richer, z, t), log_cf(same, z, t), rtol=tolerance)


@pytest.mark.parametrize("name", BASES)
def test_a_shifted_model_starts_from_the_model_itself(name):
    typical = recipe_of(name).typical() if name != "piecewise_heston" else None
    if typical is None:
        typical = nt.PiecewiseHeston((0.25,), 0.04, (2.0, 1.0), (0.05, 0.06), (0.8, 0.3), (-0.7, -0.5))
    both = jax.tree.map(lambda x: np.stack([x, x]), typical)
    start = nested_start(nt.Shifted(recipe_of(name)), both)
    jax.tree.map(np.testing.assert_array_equal, start, both)
