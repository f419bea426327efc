"""`calibration/global_search.py`, and the statistics of the starts in a result."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from synthetic import heston_surface

import neutral as nt
from neutral.calibration.solvers import scalar_objective
from neutral.calibration.starts.global_search import relative_spread

EXPLORERS = {
    "quasi_random": nt.QuasiRandom(points=256, keep=4),
    "differential_evolution": nt.DifferentialEvolution(population=16, islands=4, generations=40),
}
LOWER, UPPER = jnp.full(3, -4.0), jnp.full(3, 4.0)
DEEP = jnp.array([2.0, -1.0, 2.5])


@pytest.fixture(params=list(EXPLORERS.values()), ids=list(EXPLORERS))
def explorer(request):
    return request.param


def two_wells(y):
    """A wide well at -2 and a narrower, deeper one at DEEP; not a number in a corner."""
    wide = jnp.sum((y + 2.0) ** 2, axis=-1)
    deep = 4.0 * jnp.sum((y - DEEP[None]) ** 2, axis=-1) - 10.0
    return jnp.where(jnp.all(y < -3.5, axis=-1), jnp.nan, jnp.minimum(wide, deep))


def objective(free=None, lower=LOWER, upper=UPPER):
    return scalar_objective(two_wells, lower[None], upper[None], None if free is None else free[None])


def test_the_deeper_well_is_found(explorer):
    starts = np.asarray(explorer.starts(objective(), LOWER, UPPER))
    cost = np.asarray(two_wells(starts))
    assert starts.shape == (4, 3) and np.all(np.diff(cost) >= 0) and cost[0] < 0
    evolved = isinstance(explorer, nt.DifferentialEvolution)
    np.testing.assert_allclose(starts[0], DEEP, atol=0.02 if evolved else 1.5)


def test_starts_repeat_by_seed(explorer):
    changed = dataclasses.replace(explorer, seed=5)
    one, again, other = (
        np.asarray(e.starts(objective(), LOWER, UPPER)) for e in (explorer, explorer, changed)
    )
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_starts_keep_to_bounds_and_fixed_values(explorer):
    upper = jnp.array([1.0, 4.0, 4.0])  # the deep well is outside
    starts = np.asarray(explorer.starts(objective(upper=upper), LOWER, upper))
    assert np.all(starts <= np.asarray(upper)) and np.all(starts >= np.asarray(LOWER))
    free = jnp.array([True, False, True])
    box = LOWER.at[1].set(0.7), UPPER.at[1].set(0.7)
    assert np.allclose(explorer.starts(objective(free), *box)[:, 1], 0.7)


def test_quasi_random_points_are_even():
    # every octant of the box holds its eighth of 256 points, give or take
    points = nt.QuasiRandom(points=256, keep=256).starts(objective(), LOWER, UPPER)
    octant = np.asarray(points > 0) @ np.array([1, 2, 4])
    assert np.all(np.abs(np.bincount(octant, minlength=8) - 32) <= 6)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: nt.QuasiRandom(points=4, keep=5),
        lambda: nt.DifferentialEvolution(population=3),
        lambda: nt.DifferentialEvolution(mutation=(0.9, 0.4)),
        lambda: nt.DifferentialEvolution(crossover=0.0),
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(nt.ArgumentError):
        wrong()


def test_spread_is_of_the_chosen_and_relative():
    values = jnp.array([[1.0, 10.0], [1.1, 10.0], [5.0, 0.0]])
    near = jnp.array([True, True, False])
    assert relative_spread(values, near, values[0]) == pytest.approx(0.1)
    assert np.isnan(relative_spread(values, near & False, values[0]))


QUASI_RANDOM = nt.QuasiRandom(points=16, keep=3)
EVOLUTION = nt.DifferentialEvolution(population=6, islands=3, generations=4)


def fits(explore=None, **options) -> Any:
    surfaces = [heston_surface(noise=0.01, seed=seed) for seed in (0, 1)]
    search = None if explore is None else nt.Search(finalists=4, explore=explore)
    return nt.calibrate_batch(nt.Heston, surfaces, engine=nt.Lewis(48), search=search, workers=1, **options)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "explore",
    [QUASI_RANDOM, pytest.param(EVOLUTION, marks=pytest.mark.slow)],
    ids=["quasi_random", "differential_evolution"],
)
def test_a_calibration_explores_and_reports_how_its_starts_agree(explore):
    found, plain = fits(explore), fits()
    assert np.all(found.converged)
    np.testing.assert_allclose(found.loss, plain.loss, rtol=1e-9)
    assert np.all(found.agreement == 1.0) and np.all(found.minima == 1) and np.all(found.spread < 1e-3)
    assert np.all(found.steps > plain.steps)


@pytest.mark.heavy
def test_exploring_holds_fixed_parameters_and_bounds():
    found = fits(QUASI_RANDOM, fixed={"kappa": 2.5}, bounds={"rho": (-0.5, 0.5)})
    assert np.all(found.converged) and np.allclose(found.model.kappa, 2.5)
    assert np.allclose(found.model.rho, -0.5) and np.all(found.minima >= 1)
