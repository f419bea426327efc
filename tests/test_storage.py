"""What is saved is read back bit for bit, and knows as much as before; files of older versions are read."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from synthetic import heston_surface

import neutral as nt
from neutral.calibration.priors import AbstractPenalty
from neutral.diagnostics.linearisation import fits_of

OLD = Path(__file__).parent / "reference" / "saved_result_format_1.json"
ENGINE = nt.Lewis(16)


@pytest.fixture(scope="module")
def surface():
    return heston_surface(noise=0.01)


def assert_same(loaded, saved):
    assert jax.tree.structure(loaded) == jax.tree.structure(saved)
    for a, b in zip(jax.tree.leaves(loaded), jax.tree.leaves(saved), strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_array_equal(a, b)


def test_a_surface_read_back_can_be_calibrated(surface, tmp_path):
    nt.save(surface, tmp_path / "surface")
    loaded = nt.load(tmp_path / "surface")
    assert_same(loaded, surface)
    one, other = (nt.calibrate(nt.Black, x, engine=ENGINE) for x in (surface, loaded))
    assert one.model.sigma == other.model.sigma


def test_a_result_read_back_knows_its_request(surface, tmp_path):
    search = nt.Search(finalists=3, explore=nt.QuasiRandom(points=8, keep=2))
    mask = surface.mask & (np.arange(surface.shape[0]) < 3)[:, None]
    result = nt.calibrate(
        nt.Shifted(nt.Black),
        surface,
        engine=ENGINE,
        loss=nt.Loss("vega", "huber", 0.7),
        prior=nt.Tikhonov(1e-4, nt.Black(0.3), {"sigma": 1.0}),
        solver=nt.AdamLBFGS(max_steps=50),
        search=search,
        bounds={"sigma": (0.1, 0.9)},
        mask=mask,
        history=True,
    )
    nt.save(result, tmp_path / "result")
    loaded = nt.load(tmp_path / "result")
    assert_same(loaded, result)
    assert loaded.request.setting == result.request.setting and loaded.request.search == search
    assert loaded.summary() == result.summary() and loaded.history.loss.shape == (50,)
    hash(jax.tree.structure(loaded))  # may be given to jit


@pytest.mark.filterwarnings("ignore:A JAX array is being set as static")
def test_a_number_of_numpy_in_a_setting_is_read_back_as_a_number(surface, tmp_path):
    result = nt.calibrate(nt.Black, surface, engine=ENGINE, loss=nt.Loss("vega", "huber", np.float64(0.7)))
    nt.save(result, tmp_path / "result")
    loaded = nt.load(tmp_path / "result")
    assert loaded.request.setting.loss.c == 0.7 and type(loaded.request.setting.loss.c) is float
    hash(jax.tree.structure(loaded))


def test_a_batch_read_back_is_the_batch(surface, tmp_path):
    results = nt.calibrate_batch(nt.Black, nt.stack([surface, surface]), engine=ENGINE, prior=nt.Tikhonov())
    nt.save(results, tmp_path / "results")
    assert_same(nt.load(tmp_path / "results"), results)
    assert_same(nt.load(tmp_path / "results")[1], results[1])


def test_a_result_of_an_older_version_has_no_request():
    old = nt.load(OLD)
    assert old.request is None and old.history is None
    assert old.converged and old.status.dtype == int and old.at_bound.dtype == bool
    assert old.names == ("sigma", *(f"increments[{i}]" for i in range(4)))
    surface = heston_surface(noise=0.01)
    prior = nt.Tikhonov(1e-4, None, {"increments": 1.0})
    with pytest.raises(nt.ArgumentError, match="pass engine, loss, prior"):
        list(fits_of(old, surface, loss=nt.Loss("vega")))
    (fit,) = fits_of(old, surface, engine=nt.Lewis(48), prior=prior)
    assert fit.reason == "" and "sigma" in fit.names and len(fit.names) > 1


class Own(AbstractPenalty):
    """A penalty that is not of the package."""

    def residuals(self, values):
        return jnp.ravel(1e-3 * values["sigma"])


def test_a_part_of_ones_own_leaves_out_the_request(surface, tmp_path):
    result = nt.calibrate(nt.Black, surface, engine=ENGINE, prior=Own())
    nt.save(result, tmp_path / "result")
    loaded = nt.load(tmp_path / "result")
    assert result.request is not None and loaded.request is None
    assert_same(loaded, eqx.tree_at(lambda r: r.request, result, None, is_leaf=lambda x: x is None))


def test_files_of_no_or_another_format_are_refused(tmp_path):
    path = tmp_path / "result"
    path.write_text('{"format": 9, "object": {"none": true}}')
    with pytest.raises(nt.DataError, match="format 9 cannot be read; expected 1 or 2 or 3"):
        nt.load(path)
    with pytest.raises(nt.DataError, match="cannot be read: No such file"):
        nt.load(tmp_path / "nothing")
    path.write_text('{"format": 2, "object": {"type": "Path", "fields": {}}}')
    with pytest.raises(nt.DataError, match="type 'Path' cannot be read"):
        nt.load(path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[]",
        "1",
        '{"format": 3, "object": {"none": true}}',
        '{"format": 2}',
        '{"format": 2, "object": {"type": "Heston", "fields": NaN}}',
        '{"format": 2, "object": {"type": "Heston", "fields": {}}}',
        '{"format": 2, "object": {"type": "QuoteSurface", "fields": {"settlement": {"text": "cash"}}}}',
        '{"format": 2, "object": {"data": [1%s], "dtype": "int64", "shape": [1]}}' % ("0" * 400),
        '{"format": 2, "object": {"data": [1], "dtype": "int64", "shape": [1e99]}}',
        '{"format": 2, "object": {"data": [1], "dtype": "a b", "shape": [1]}}',
        '{"format": 2, "object": {"type": "%s", "fields": {}}}' % ("a" * 10**6),
        '{"format": 2, "object": {"type": "%s", "fields": {}}}' % ("a b " * 10**5),
    ],
)
def test_damaged_files_are_refused(tmp_path, text):
    path = tmp_path / "result"
    path.write_text(text)
    with pytest.raises(nt.NeutralError, match="result") as error:
        nt.load(path)
    assert len(str(error.value)) < 3000 and "\n" not in str(error.value)


def test_content_at_the_depth_that_can_just_be_read_is_refused(tmp_path):
    path = tmp_path / "result"
    for depth in range(600, 1001):
        nested = "[" * depth + "]" * depth
        path.write_text(f'{{"format": 2, "digest": "0", "object": {nested}}}')
        with pytest.raises(nt.DataError, match="damaged"):
            nt.load(path)


def test_a_digest_of_none_is_no_digest(tmp_path):
    path = tmp_path / "result"
    path.write_text('{"format": 2, "digest": null, "object": {"none": true}}')
    with pytest.raises(nt.DataError, match="is not that of its SHA-256"):
        nt.load(path)


def test_any_byte_that_changes_is_noticed(tmp_path):
    path = tmp_path / "model"
    model = nt.Heston(v0=0.04, kappa=1.5, theta=0.05, sigma_v=0.4, rho=-0.6)
    nt.save(model, path)
    whole = path.read_bytes()
    for i in range(len(whole)):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        try:
            loaded = nt.load(path)
        except nt.DataError:
            continue
        assert_same(loaded, model)  # a blank became another one
