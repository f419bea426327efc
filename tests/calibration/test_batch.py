import os
import subprocess
import sys
import textwrap

import equinox as eqx
import jax
import numpy as np
import pytest
from synthetic import TRUTH, heston_surface

import neutral as nt
from neutral.calibration import batch

ENGINE = nt.Lewis(48)


@pytest.fixture(scope="module")
def surfaces():
    changes = [{}, {"rho": -0.3}, {"kappa": 3.0, "sigma_v": 1.1}, {"v0": 0.09}]
    return nt.stack([heston_surface(0.01, seed, **change) for seed, change in enumerate(changes)])


@pytest.fixture(scope="module")
def fits(surfaces):
    return nt.calibrate_batch(nt.Heston, surfaces, engine=ENGINE, workers=1)


@pytest.mark.heavy
def test_a_batch_is_its_surfaces_one_by_one(surfaces, fits):
    assert np.all(fits.converged) and len(fits) == 4 and "4 converged" in fits.summary()
    for i in range(4):
        one = nt.calibrate(nt.Heston, surfaces[i], engine=ENGINE)
        np.testing.assert_allclose(one.coordinates, fits.coordinates[i], rtol=1e-9)
        np.testing.assert_allclose(one.residuals, fits[i].residuals, atol=1e-12)
    assert list(fits.to_frame()["status"]) == ["converged"] * 4


@pytest.mark.heavy
def test_a_poisoned_lane_has_a_status_and_leaves_its_neighbours_bits(surfaces, fits):
    prices, mask, t = np.array(surfaces.prices), np.array(surfaces.mask), np.array(surfaces.t)
    prices[1, 0, 2, 3], mask[2], t[3, 0] = np.nan, False, 0.0
    poisoned = eqx.tree_at(lambda s: (s.prices, s.mask, s.t), surfaces, (prices, mask, t))
    result = nt.calibrate_batch(nt.Heston, poisoned, engine=ENGINE, workers=1)
    assert list(result.status) == [0] + [nt.CalibrationStatus.bad_quotes] * 3
    for name in ("coordinates", "loss", "residuals", "steps", "gradient_norm"):
        np.testing.assert_array_equal(getattr(result, name)[0], getattr(fits, name)[0])
    assert np.isnan(result.model.kappa[1:]).all() and np.isnan(result.loss[1:]).all()


@pytest.mark.heavy
def test_another_number_of_surfaces_compiles_nothing(surfaces, fits):
    del fits
    before = len(batch.PROGRAMS)
    more = nt.stack([surfaces[i % 4] for i in range(batch.CHUNK + 3)])
    result = nt.calibrate_batch(nt.Heston, more, engine=ENGINE, workers=2)
    assert len(batch.PROGRAMS) == before > 0
    assert len(result) == batch.CHUNK + 3
    np.testing.assert_array_equal(result.coordinates[:4], result.coordinates[4:8])


@pytest.mark.heavy
@pytest.mark.parametrize(
    "recipe",
    [nt.SVCJ, pytest.param(nt.Shifted(nt.SVCJ), marks=pytest.mark.slow)],
    ids=["svcj", "svcj++"],
)
def test_a_richer_model_is_never_worse_than_the_nested_one(surfaces, fits, recipe):
    start = nt.nested_start(recipe, fits.model)
    result = nt.calibrate_batch(recipe, surfaces, engine=ENGINE, starts=[start], workers=1)
    assert np.all(result.loss <= fits.loss * (1 + 1e-6))
    assert np.all(result.status != nt.CalibrationStatus.nonfinite)


@pytest.mark.heavy
def test_standard_errors_cover_the_truth(fits):
    """Of 90 % intervals of 64 fits x 5 parameters; with 32 strikes the sandwich is a little too short."""
    stack = nt.stack([heston_surface(0.01, seed) for seed in range(64)])
    found = nt.calibrate_batch(nt.Heston, stack, engine=ENGINE)
    assert found.names == fits.names and np.all(found.converged)
    value = np.stack([getattr(found.model, name) for name in found.names], axis=-1)
    z = (value - [TRUTH[name] for name in found.names]) / found.standard_errors
    assert 0.8 < np.mean(np.abs(z) < 1.645) < 0.95
    frame = found.to_frame()
    np.testing.assert_array_equal(frame["kappa_se"], found.standard_errors[:, 1])


@pytest.mark.heavy
def test_what_does_not_move_has_no_standard_error(surfaces):
    bounds = {"sigma_v": (0.1, 0.5)}  # the truth is 0.7
    found = nt.calibrate(nt.Heston, surfaces[0], engine=ENGINE, bounds=bounds, fixed={"kappa": 1.8})
    missing = np.isnan(found.standard_errors)
    assert found.bounds_hit == ("sigma_v",) and list(missing) == [False, True, False, True, False]


DEVICES = """
    import jax, numpy as np, sys
    sys.path[:] = {path!r}
    import neutral as nt
    nt.enable_x64()
    from synthetic import heston_surface
    surfaces = nt.stack([heston_surface(0.01, seed) for seed in range(6)])
    assert jax.device_count() == 4
    result = nt.calibrate_batch(nt.Heston, surfaces, engine=nt.Lewis(48), chunk=8, workers=1)
    np.save({out!r}, np.concatenate([result.coordinates, result.loss[:, None], result.status[:, None]], 1))
"""


@pytest.mark.heavy
def test_four_devices_share_a_batch(tmp_path):
    surfaces = nt.stack([heston_surface(0.01, seed) for seed in range(6)])
    one = nt.calibrate_batch(nt.Heston, surfaces, engine=ENGINE, workers=1)
    assert jax.device_count() == 1 and np.all(one.converged)
    out = str(tmp_path / "shared.npy")
    code = textwrap.dedent(DEVICES.format(path=sys.path, out=out))
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=600)
    alone = np.concatenate([one.coordinates, one.loss[:, None], one.status[:, None]], 1)
    np.testing.assert_allclose(np.load(out), alone, rtol=1e-10)


@pytest.mark.heavy
def test_the_whole_program_lowers_for_cuda(surfaces):
    pytest.importorskip("flatbuffers")
    from jax import export

    from neutral.calibration.lane import solve_lanes
    from neutral.calibration.request import Request

    request = Request.of(nt.Heston, surfaces, engine=ENGINE)
    lanes = request.lanes(surfaces)
    program = jax.jit(lambda lanes: jax.tree.leaves(solve_lanes(request, lanes, together=True)))
    exported = export.export(program, platforms=["cuda"])(lanes)
    assert exported.platforms == ("cuda",) and len(exported.mlir_module_serialized) > 10_000


@pytest.mark.heavy
def test_lockstep_finds_what_lanes_one_by_one_find(surfaces, fits):
    from neutral.calibration.lane import solve_lanes
    from neutral.calibration.request import Request

    request = Request.of(nt.Heston, surfaces, engine=ENGINE)
    lanes = request.lanes(surfaces)
    together = jax.jit(lambda lanes: solve_lanes(request, lanes, together=True))(lanes)
    assert np.all(together.converged)
    np.testing.assert_allclose(together.loss, fits.loss, rtol=1e-8)
    np.testing.assert_allclose(together.coordinates, fits.coordinates, atol=1e-4)
