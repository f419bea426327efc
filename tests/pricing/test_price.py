"""The functions people call: arguments, errors, statuses, settlement, limits of models."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import gammaln, ndtr
from traces import programs

import neutral as nt
from neutral.models import SVCJ, Bates, Black, Heston, Merton, Shifted

HESTON = Heston(v0=0.04, kappa=1.5, theta=0.05, sigma_v=0.6, rho=-0.7)
STRIKES = np.array([60.0, 80.0, 90.0, 100.0, 110.0, 120.0, 150.0])
T = np.array([[0.1], [0.25], [0.5]])  # 3 maturities by 7 strikes, as in the other tests: compiled once


def prices(model, **terms):
    return np.asarray(nt.price(model, 100.0, STRIKES, T, **terms))


@jax.jit
def traced(rho, forward, strike, t):
    return nt.price_info(Heston(0.04, 1.5, 0.05, 0.6, rho), forward, strike, t)


def test_black_is_its_closed_form():
    import neutral.options.black as black

    expected = 100 * np.asarray(black.price(*np.broadcast_arrays(np.log(STRIKES / 100), 0.2 * np.sqrt(T))))
    assert np.allclose(prices(Black(0.2)), expected, rtol=1e-13)


def test_merton_is_its_poisson_mixture():
    """Merton (1976): Black prices mixed over the number of jumps."""
    import neutral.options.black as black

    sigma, lam, mu, sd, t = 0.2, 1.3, -0.1, 0.15, T
    total = np.zeros((3, 7))
    weight = np.exp(-lam * t)
    for n in range(40):
        growth = -lam * t * np.expm1(mu + sd**2 / 2) + n * (mu + sd**2 / 2)
        forward, s = 100 * np.exp(growth), np.sqrt(sigma**2 * t + n * sd**2)
        total += (
            weight * forward * np.asarray(black.price(*np.broadcast_arrays(np.log(STRIKES / forward), s)))
        )
        weight *= lam * t / (n + 1)
    assert np.allclose(prices(Merton(sigma, lam, mu, sd)), total, rtol=1e-12)


def test_the_saddle_may_be_far_narrower_than_the_distance_to_the_axis():
    """Damped by 300, the jumps explode; by quadrature at 25 digits (mpmath), 2.785686249590154e-4."""
    model = nt.SVCJ(2.79e-4, 27.0, 0.82, 1.15e-3, -0.166, 5.05e-3, -1.54, 0.0983, 0.322, -0.379)
    info = nt.price_info(model, 1.0, np.exp(6.36e-4), 3.93e-4)
    assert info.status == nt.PriceStatus.accurate
    assert np.allclose(info.price, 2.785686249590154e-4, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize(
    ("general", "special"),
    [
        (SVCJ(0.04, 1.5, 0.05, 0.6, -0.7, 0.0, -0.1, 0.1, 0.1, -0.5), HESTON),
        (Bates(0.04, 1.5, 0.05, 0.6, -0.7, 0.0, -0.1, 0.1), HESTON),
        (
            SVCJ(0.04, 1.5, 0.05, 0.6, -0.7, 0.8, -0.1, 0.1, 0.0, -0.5),
            Bates(0.04, 1.5, 0.05, 0.6, -0.7, 0.8, -0.1, 0.1),
        ),
        (Heston(0.04, 1.5, 0.04, 0.0, -0.7), Black(0.2)),
        (Heston(0.04, 0.0, 0.05, 0.0, -0.7), Black(0.2)),
        (Shifted(HESTON, np.array([0.2, 1.0]), np.array([0.0, 0.0])), HESTON),
        (Shifted(Black(0.0), np.array([0.25, 0.5, 1.0]), np.array([0.01, 0.01, 0.3])), Black(0.2)),
        (Merton(0.2, 0.0, -0.1, 0.1), Black(0.2)),
    ],
    ids=lambda m: type(m).__name__,
)
def test_limits(general, special):
    assert np.allclose(prices(general), prices(special), rtol=1e-12)


def test_heston_goes_to_black_as_vol_of_vol_vanishes():
    gap = [
        np.max(np.abs(prices(Heston(0.04, 1.5, 0.04, s, -0.7)) - prices(Black(0.2))))
        for s in (1e-4, 1e-6, 1e-8)
    ]
    assert gap[0] < 1e-3 and gap[1] < 1e-5 and gap[2] < 1e-7 and gap[0] > gap[1] > gap[2]


def test_settlements_and_spot_agree():
    cash, coin = prices(HESTON, kind="put"), prices(HESTON, kind="put", settlement="coin")
    assert np.allclose(coin * 100, cash, rtol=1e-14)
    spot = nt.price(HESTON, None, STRIKES, T, spot=98.0, rate=0.03, dividend=0.01)
    by_hand = nt.price(HESTON, 98.0 * np.exp(0.02 * T), STRIKES, T, discount=np.exp(-0.03 * T))
    assert np.allclose(spot, by_hand, rtol=1e-14)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"maturity": -1.0}, "maturity must be finite and >= 0, got -1"),
        ({"strike": 0.0}, "strike must be finite and > 0, got 0"),
        ({"strike": [90.0, np.inf]}, "strike must be finite and > 0, got inf"),
        ({"forward": -5.0}, "forward must be finite and > 0"),
        ({"forward": np.inf}, "forward must be finite"),
        ({"forward": None}, "forward is missing"),
        ({"discount": 0.0}, "discount must be finite and > 0"),
        ({"kind": "straddle"}, "'call', 'put' or booleans"),
        ({"kind": np.array([1.0])}, "booleans"),
        ({"settlement": "physical"}, "'cash' or 'coin'"),
        (
            {"strike": np.ones(3), "maturity": np.ones(2)},
            "Shapes do not broadcast: strike (3,), maturity (2,)",
        ),
        ({"strike": "high"}, "strike must be numbers"),
        ({"rate": 0.1}, "need spot="),
        ({"model": Heston}, "a model with its parameters"),
        ({"precision": "half"}, "'float64' or 'float32'"),
        ({"maturity": np.array([1.0], np.float32)}, "maturity is float32"),
    ],
)
@pytest.mark.mistyped
def test_wrong_arguments_name_the_fix(change, told):
    arguments = {"model": HESTON, "forward": 100.0, "strike": 90.0, "maturity": 1.0} | change
    with pytest.raises(nt.NeutralError) as error:
        nt.price(**arguments)
    assert told in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: Heston(0.04, 1.5, 0.05, 0.6, 1.2), "Heston.rho = 1.2 is outside its domain [-1, 1]"),
        (lambda: Heston(-0.04, 1.5, 0.05, 0.6, 0.2), "Heston.v0 = -0.04"),
        (lambda: Black(np.nan), "Black.sigma = nan"),
        (lambda: Black(np.inf), "Black.sigma = inf"),
        (lambda: Black(jnp.array([0.1, 0.2])), "must have 0 axes"),
        (lambda: SVCJ(0.04, 1, 0.05, 0.6, -0.7, 1, 0, 0.1, 2.0, 0.5), "E[F_T] is infinite"),
        (lambda: Shifted(HESTON, np.array([0.5, 0.2]), np.array([0.1, 0.1])), "must ascend"),
        (lambda: Shifted(HESTON, np.array([0.5]), np.array([0.1, 0.1])), "one increment per time"),
        (lambda: Shifted(HESTON, np.array([0.5]), np.array([-0.1])), "increments"),
    ],
)
def test_wrong_models_name_the_parameter(build, told):
    with pytest.raises(nt.ArgumentError) as error:
        build()
    assert told in str(error.value)


def test_inside_jit_wrong_values_are_nan_with_a_status():
    good = (np.array(-0.7), np.array(100.0), STRIKES, np.ones(7))
    assert np.all(np.isfinite(traced(*good).price))
    for i, wrong in ((0, 1.2), (1, -100.0), (2, 0.0), (3, -1.0), (0, np.nan), (2, np.inf)):
        info = traced(*good[:i], np.full(np.shape(good[i]), wrong), *good[i + 1 :])
        assert np.all(np.isnan(info.price)) and np.all(info.status == nt.PriceStatus.invalid)
    assert "domain" in nt.PriceStatus.invalid.message


def test_a_wrong_option_leaves_its_neighbours_alone():
    third = np.arange(7) == 2
    clean, dirty = (
        np.asarray(traced(np.array(-0.7), np.array(100.0), strike, np.full(7, 0.5)).price)
        for strike in (STRIKES, np.where(third, -1.0, STRIKES))
    )
    assert np.isnan(dirty[2]) and np.array_equal(np.delete(clean, 2), np.delete(dirty, 2))


def test_float32_is_asked_for_by_name():
    single = nt.price(HESTON, 100.0, STRIKES, T, precision="float32")
    assert single.dtype == jnp.float32 and np.allclose(single, prices(HESTON), atol=1e-3)


def test_shapes_of_one_bucket_compile_once():
    from neutral.pricing.price import price_grid

    prices(HESTON)
    before = programs(price_grid)
    for n in (7, 8):
        assert nt.price(HESTON, 101.0, np.linspace(80, 120, n), 0.9 * T).shape == (3, n)
    other = Heston(0.05, 1.0, 0.04, 0.3, 0.1)
    nt.price(other, 100.0, np.linspace(80, 120, 8), 3 * T, "put", settlement="coin")
    assert programs(price_grid) == before


def test_empty_and_scalar_inputs():
    model = Black(0.2)  # the quickest to compile
    assert nt.price(model, 100.0, np.empty(0), 0.5).shape == (0,)
    assert nt.price(model, 100.0, 100.0, 0.5).shape == ()
    mixed = nt.price(model, 100.0, [90.0, 110.0], [0.5, 1.0], ["call", "put"])
    assert np.allclose(mixed, [nt.price(model, 100.0, 90.0, 0.5), nt.price(model, 100.0, 110.0, 1.0, "put")])


def test_density_integrates_to_the_distribution():
    x = np.linspace(20.0, 260.0, 2401)
    density = np.asarray(nt.density(HESTON, 100.0, x, 0.5))
    below = np.asarray(nt.distribution(HESTON, 100.0, x, 0.5))
    mass = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(x))])
    assert np.all(density > 0) and np.allclose(below, below[0] + mass, atol=1e-6)
    assert np.isclose(np.sum(density * x) * (x[1] - x[0]), 100.0, rtol=1e-5)


def test_digital_is_the_slope_of_the_price():
    h, points = 1e-3, np.resize(STRIKES, 2401)  # as many as where the density is tested: compiled once
    below, above = (
        np.asarray(nt.price(HESTON, 100.0, STRIKES + x, np.full((3, 1), 0.5))[0]) for x in (-h, h)
    )
    digital = np.asarray(nt.digital(HESTON, 100.0, points, 0.5, discount=0.9))
    assert np.allclose(digital[:7], 0.9 * (below - above) / (2 * h), rtol=1e-6)
    put = np.asarray(nt.digital(HESTON, 100.0, points, 0.5, "put", discount=0.9))
    assert np.allclose(digital + put, 0.9, rtol=1e-14)


def test_model_shows_its_parameters_and_cannot_change():
    assert repr(HESTON) == "Heston(v0=0.04, kappa=1.5, theta=0.05, sigma_v=0.6, rho=-0.7)"
    assert "Shifted(Heston(" in repr(Shifted(HESTON, np.array([0.5]), np.array([0.1])))
    assert np.isclose(HESTON.feller_ratio, 2 * 1.5 * 0.05 / 0.36)
    with pytest.raises(AttributeError):
        HESTON.v0 = 1.0  # pyright: ignore[reportAttributeAccessIssue]


def test_load_refuses_what_it_does_not_know(tmp_path):
    path = tmp_path / "model.json"
    for text in ("", "{}", '{"format": 9, "object": {}}', '{"format": 1, "object": {"type": "os"}}', "[1]"):
        path.write_text(text)
        with pytest.raises(nt.DataError, match="model.json|cannot be read"):
            nt.load(path)
    with pytest.raises(nt.ArgumentError, match="can be saved"):
        nt.save({"not": "a model"}, path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.json"]
    nt.save(HESTON, path)
    assert eqx.tree_equal(nt.load(path), HESTON)


def poisson_mixture(sigma, lam, mu_y, sigma_y, k, t, terms=400):
    """Merton's price (1976), out of the money, as a mixture of Black prices: no Fourier integral in it."""
    j = np.arange(terms)
    drift = -lam * t * np.expm1(mu_y + 0.5 * sigma_y**2) + j * (mu_y + 0.5 * sigma_y**2)
    weight = np.exp(-lam * t + j * np.log(lam * t) - gammaln(j + 1.0))
    stdev = np.sqrt(sigma**2 * t + j * sigma_y**2)
    d = (drift - k) / stdev + 0.5 * stdev
    sign = 1.0 if k >= 0 else -1.0
    return np.sum(sign * weight * (np.exp(drift) * ndtr(sign * d) - np.exp(k) * ndtr(sign * (d - stdev))))


LATTICES = [  # jumps of nearly one size, little diffusion: sigma, lam, mu_y, sigma_y, k, t
    (0.0804659, 5.84658885, -0.55612284, 0.01279215, 2.3124562, 8.09436),  # phi vanishes and returns
    (0.1093, 0.15212, -0.72999, 0.04085, -1.4264, 1.5308),  # explodes between points of a tilted line
    (0.06617, 2.16444, -0.81204, 0.10506, 2.15043, 6.32721),
    (0.02545, 7.64502, -0.66018, 0.07341, -0.79198, 0.30888),
    (0.0604, 0.89447, -0.58099, 0.00406, -0.11914, 0.21545),
]


@pytest.mark.parametrize("terms", LATTICES)
def test_jumps_of_one_size_are_priced_or_doubted(terms):
    *parameters, k, t = terms
    model, true = nt.Merton(*parameters), poisson_mixture(*terms)
    unit = max(1.0, np.exp(k))
    certified = nt.certify(model, 1.0, np.exp(k), t, k >= 0)
    # the mixture itself rounds
    assert abs(float(certified.price) - true) <= float(certified.error_bound) + 1e-13 * unit
    assert float(certified.error_bound) <= 1e-13 * unit
    info = nt.price_info(model, 1.0, np.exp(k), t, k >= 0)
    assert info.status == nt.PriceStatus.inaccurate or abs(float(info.price) - true) <= 1e-10 * unit
