"""Jumps of nearly one size, and far strikes, against values of high precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from references import load_reference

import neutral as nt
from neutral.pricing import PriceStatus

RECORDS = load_reference("narrow_jumps")
KINDS = {"merton": nt.Merton, "bates": nt.Bates, "svcj": nt.SVCJ}
# one compiled program for each model: six strikes, of which a set may repeat its last
SETS = sorted({(r["model"], r["set"]) for r in RECORDS})
QUICK = [
    pytest.param(name, of, marks=[pytest.mark.slow] * (name == "svcj" or of == "shifted"))
    for name, of in SETS
]
DERIVED = [("merton", "narrow_short"), pytest.param("bates", "one_size", marks=pytest.mark.slow)]
pytestmark = pytest.mark.heavy


def load(name, of):
    """The model, the maturity and the records of a set, of which there are six."""
    rows = [r for r in RECORDS if (r["model"], r["set"]) == (name, of)]
    params = dict(rows[0]["params"])
    added = params.pop("added_variance", None)
    model = KINDS[name](**params)
    if added is not None:
        model = nt.Shifted(model, np.array([rows[0]["T"]]), np.array([added]))
    return model, rows[0]["T"], rows + [rows[-1]] * (6 - len(rows))


def column(rows, name):
    return np.array([float(r[name]) for r in rows])


@pytest.mark.parametrize(("name", "of"), QUICK)
def test_prices_are_exact_and_called_accurate(name, of):
    """1e-12 of F min(1, K/F), and the error within three times its estimate, but for the rounding of 1."""
    model, t, rows = load(name, of)
    k, true = column(rows, "k"), column(rows, "price")
    info = nt.price_info(model, 1.0, np.exp(k), t, k >= 0)
    assert np.all(np.asarray(info.status) == PriceStatus.accurate)
    error = np.abs(np.asarray(info.price) - true) / np.minimum(1.0, np.exp(k))
    assert np.all(error <= 1e-12)
    assert np.all(error <= 3.0 * np.asarray(info.error_estimate) + 1e-15)


@pytest.mark.parametrize(("name", "of"), DERIVED)
def test_digitals_and_densities_are_exact(name, of):
    """1e-9: derivatives in the strike lose the digits that frequencies of about 1e3 take."""
    model, t, rows = load(name, of)
    k = column(rows, "k")
    digital = nt.digital(model, 1.0, np.exp(k), t, k >= 0)
    density = nt.density(model, 1.0, np.exp(k), t)
    assert np.allclose(digital, column(rows, "digital"), rtol=1e-9, atol=1e-12)
    assert np.allclose(density, column(rows, "density"), rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "of"), SETS)
def test_certified_prices_are_within_their_bounds(name, of):
    model, t, rows = load(name, of)
    k, true = column(rows, "k"), column(rows, "price")
    found = nt.certify(model, 1.0, np.exp(k), t, k >= 0)
    assert np.all(np.abs(np.asarray(found.price) - true) <= np.asarray(found.error_bound))
    assert np.all(np.asarray(found.error_bound) <= 1e-12)


@pytest.mark.slow
def test_every_transformation_gives_the_same_price():
    """Under vmap and jit the second rule is taken too, and reverse mode agrees with forward mode."""
    model, t, rows = load("merton", "narrow_short")
    k, true = column(rows, "k"), column(rows, "price")
    one = lambda k: nt.price(model, 1.0, jnp.exp(k), t, k >= 0)  # noqa: E731
    assert np.allclose(jax.jit(jax.vmap(one))(k), true, rtol=0, atol=1e-13)
    value = lambda model: jnp.sum(nt.price(model, 1.0, np.exp(k), t, k >= 0))  # noqa: E731
    back = jax.grad(value)(model)
    ahead = nt.greeks(model, 1.0, np.exp(k), t, k >= 0).parameters
    for name, slope in ahead.items():
        assert float(getattr(back, name)) == pytest.approx(float(np.sum(slope)), rel=1e-9), name


@pytest.mark.slow
def test_a_price_is_never_called_accurate_where_it_is_not():
    """Once called accurate: above the forward, 2e-8 off, or below 0 by more than its error."""
    far = nt.Bates(0.00104363, 0.0021767, 2.19044, 0.530709, 0.766705, 0.00220246, 0.157528, 0.00121526)
    rough = nt.Heston(0.0, 9.1e-4, 7.9e-5, 10.12, 1.0)
    rows = [
        (far, np.array([26.0, 27.5, 30.0]), 80.72, True),
        (nt.Merton(0.00438697, 0.3234438, 0.39062872, 0.0), np.array([1.5, 1.4, 1.6]), 0.338369, True),
        (rough, np.array([-3e-6, -1e-6, -1e-5]), 0.0054, False),
    ]
    for model, k, t, kind in rows:
        info = nt.price_info(model, 1.0, np.exp(k), t, kind)
        judged = nt.certify(model, 1.0, np.exp(k), t, kind)
        unit = np.minimum(1.0, np.exp(k))
        error = np.abs(np.asarray(info.price) - np.asarray(judged.price)) - np.asarray(judged.error_bound)
        accurate = np.asarray(info.status) == PriceStatus.accurate
        assert not np.any(accurate & (error > 1e-9 * unit))
        assert not np.any(accurate & (error > 3.0 * np.asarray(info.error_estimate) + 1e-15))
        assert not np.any(accurate & (np.asarray(info.price) < -np.asarray(info.error_estimate)))
