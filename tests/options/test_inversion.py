"""Black implied volatility: a million inputs, the corners, derivatives, and what is refused."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from neutral.errors import PrecisionError
from neutral.numerics.logarithm import fast_log
from neutral.options import black
from neutral.options.inversion import ImpliedVolStatus as Status
from neutral.options.inversion import implied_stdev, implied_stdev_info
from neutral.options.inversion_core import implied_stdev_otm

EPS = np.finfo(float).eps
TINY = np.finfo(float).tiny  # XLA on CPU treats smaller numbers as zero


def bounds(k, is_call):
    """Lower and upper bound of the price."""
    with np.errstate(over="ignore"):
        lower, strike = np.where(is_call == (k < 0), np.abs(np.expm1(k)), 0.0), np.exp(k)
    return lower, np.where(is_call, 1.0, strike)


def round_trip(k, s, is_call):
    """Relative error and conditioning for every admissible input, and the number of failures."""
    price = np.asarray(black.price(k, s, is_call))
    lower, upper = bounds(k, is_call)
    admissible = (price > lower) & (price < upper) & (price > TINY)
    k, s, is_call, price = k[admissible], s[admissible], is_call[admissible], price[admissible]
    found, status = map(np.asarray, implied_stdev_info(price, k, is_call))
    with np.errstate(divide="ignore", over="ignore"):
        conditioning = np.maximum(1.0, price / (s * np.asarray(black.vega(k, s))))
    # intrinsic value within two units in the last place is reported as such: only in the money
    failures = np.sum(~(found > 0) & (status != Status.at_intrinsic))
    return np.abs(found / s - 1), conditioning, int(failures), status


def market_like(rng, n):
    """One minute to 30 years, 0.1 % to 1000 % volatility, up to 8 standard deviations from the money."""
    t = np.exp(rng.uniform(np.log(1 / 525_600), np.log(30), n))
    s = np.exp(rng.uniform(np.log(1e-3), np.log(10), n)) * np.sqrt(t)
    return s * rng.uniform(-8, 8, n), s


def test_a_million_out_of_the_money_prices():
    k, s = market_like(np.random.default_rng(8), 1_000_000)
    error, conditioning, failures, status = round_trip(k, s, k >= 0)
    determined = conditioning < 4
    assert failures == 0
    assert np.mean(determined) > 0.98
    assert np.max(error[determined]) < 5e-15
    assert np.quantile(error[determined], 0.99) < 1e-15
    assert np.all(status[determined] == Status.ok)
    well = conditioning < 1e9  # the bound on s holds as long as the price still has digits
    assert np.max(error[well] / conditioning[well]) < 16 * EPS


@pytest.mark.parametrize(
    "kind", ["either", "in the money", "far out", "near the money", "at the money", "huge |k|"]
)
def test_corners(kind):
    rng = np.random.default_rng(9)
    n = 50_000
    k, s = market_like(rng, n)
    is_call = rng.uniform(size=n) < 0.5
    if kind == "in the money":
        is_call = k < 0
    elif kind == "far out":
        s = 10 ** rng.uniform(-12, np.log10(50), n)
        k = s * rng.uniform(-37, 37, n)
        is_call = k >= 0
    elif kind == "near the money":
        s = 10 ** rng.uniform(-12, np.log10(50), n)
        k = s * 10 ** rng.uniform(-20, 0, n) * rng.choice([-1, 1], n)
    elif kind == "at the money":
        s, k = 10 ** rng.uniform(-12, np.log10(15), n), np.zeros(n)
    elif kind == "huge |k|":
        s = 10 ** rng.uniform(0, 3, n)
        k = np.maximum((rng.uniform(-8, 37, n) + s / 2) * s, 1e-3)
        is_call = np.full(n, True)
    error, conditioning, failures, _ = round_trip(k, s, is_call)
    well = conditioning < 1e9
    assert failures == 0
    # in the money the price is rounded, and so is the intrinsic value taken from it again
    assert np.max(error[well] / conditioning[well]) < 40 * EPS


def test_the_reference_file_and_fifty_digits(reference):
    records = reference("black76")
    k = np.log(np.array([r["K"] / r["F"] for r in records]))
    is_call = np.array([r["type"] == "call" for r in records])
    price = np.array([r["price_inverse"] for r in records])
    s = np.array([r["sigma"] * np.sqrt(r["T"]) for r in records])
    found = np.asarray(implied_stdev(price, k, is_call))
    with np.errstate(divide="ignore"):
        vega = np.asarray(black.vega(k, s))
    # the files' K/F and its logarithm are rounded too: ds/dk <= 1 + |k| / s
    tolerance = 16 * EPS * (1 + price / (s * vega) + (1 + np.abs(k)) / s)
    determined = tolerance < 1e-6
    assert np.sum(determined) > 120
    assert np.all(np.abs(found / s - 1)[determined] < tolerance[determined])


def test_an_exact_price_gives_back_its_deviation():
    """The price comes from 60 digits here, so that nothing of the package's own pricing is assumed."""
    for k, s in ((0.0, 0.2), (1e-9, 1e-7), (0.3, 0.1), (3.0, 0.5), (8.0, 6.0), (0.05, 3.0)):
        with mp.workdps(60):
            d1, d2 = -mp.mpf(k) / s + mp.mpf(s) / 2, -mp.mpf(k) / s - mp.mpf(s) / 2
            price = float(mp.ncdf(d1) - mp.exp(mp.mpf(k)) * mp.ncdf(d2))
        assert float(implied_stdev(price, k)) == pytest.approx(s, rel=4e-15)


def test_derivatives_by_formula_and_finite_difference():
    k = jnp.tile(jnp.array([0.1, -0.1, 0.0, 0.4, 1.0]), 2)
    s = jnp.tile(jnp.array([0.3, 0.3, 0.2, 0.4, 3.0]), 2)
    is_call, step = jnp.arange(10) < 5, 1e-6
    price = black.price(k, s, is_call)
    slopes = jax.jit(jax.vmap(jax.grad(implied_stdev, argnums=(0, 1))))
    curvatures = jax.jit(jax.vmap(jax.hessian(implied_stdev, argnums=(0, 1))))
    gradient, hessian = slopes(price, k, is_call), curvatures(price, k, is_call)
    vega, d1 = black.vega(k, s), -k / s + s / 2
    np.testing.assert_allclose(gradient[0], 1 / vega, rtol=1e-12)
    np.testing.assert_allclose(gradient[1], -black.slope_k(k, s, is_call) / vega, rtol=1e-12)
    np.testing.assert_allclose(hessian[0][0], -d1 * (d1 - s) / s / vega**2, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(hessian[0][1], hessian[1][0], rtol=1e-9, atol=1e-11)
    for i, (dp, dk) in enumerate(((step, 0.0), (0.0, step))):
        up, down = (price + dp, k + dk, is_call), (price - dp, k - dk, is_call)
        quotient = (implied_stdev(*up) - implied_stdev(*down)) / (2 * step)
        np.testing.assert_allclose(quotient, gradient[i], rtol=1e-6)
        for j in range(2):
            quotient = (slopes(*up)[j] - slopes(*down)[j]) / (2 * step)
            np.testing.assert_allclose(quotient, hessian[i][j], rtol=1e-5, atol=1e-5)


def test_status_says_why():
    cases = [
        (0.1, 0.0, True, Status.ok),
        (-0.1, 0.0, True, Status.below_intrinsic),
        (0.05, -0.1, True, Status.below_intrinsic),
        (0.0, 0.1, True, Status.at_intrinsic),
        (float(jnp.abs(jnp.expm1(-0.1))), -0.1, True, Status.at_intrinsic),
        (1.0, 0.1, True, Status.above_upper_bound),
        (1.2, 0.1, False, Status.above_upper_bound),
        (1.0, 0.0, False, Status.above_upper_bound),
        (np.nan, 0.1, True, Status.nonfinite),
        (0.1, np.inf, True, Status.nonfinite),
        (float(-np.expm1(-0.5)) + 1e-15, -0.5, True, Status.ill_conditioned),
        (1 - 2 * EPS, 0.1, True, Status.ill_conditioned),
    ]
    price, k, is_call, expected = (jnp.array(column) for column in zip(*cases, strict=True))
    found, status = implied_stdev_info(price, k, is_call)
    np.testing.assert_array_equal(status, expected)
    gone = [Status.below_intrinsic, Status.above_upper_bound, Status.nonfinite]
    np.testing.assert_array_equal(jnp.isnan(found), np.isin(expected, gone))
    np.testing.assert_array_equal(found == 0.0, np.asarray(expected) == Status.at_intrinsic)
    assert all(Status.message(int(code)).endswith(".") for code in status)


def test_a_bad_lane_harms_no_neighbour():
    price = jnp.array([0.1, -1.0, 2.0, jnp.nan, 0.0, 0.1])
    k = jnp.array([0.0, 0.0, 0.0, 0.0, 0.1, jnp.inf])
    for argument in (0, 1):
        total = jax.grad(lambda *a: jnp.nansum(implied_stdev(*a)), argnums=argument)
        gradient = jax.jit(total)(price, k)
        assert gradient[0] != 0.0
        np.testing.assert_array_equal(gradient[1:], 0.0)
    curvature = jax.jit(jax.hessian(lambda p: jnp.nansum(implied_stdev(p, k))))(price)
    assert bool(jnp.all(jnp.isfinite(curvature)))


def test_jit_vmap_and_broadcasting_agree():
    k, s = jnp.linspace(-1, 1, 9), jnp.array([0.1, 0.5])
    price = black.price(k[:, None], s[None, :], k[:, None] > 0)
    plain = implied_stdev(price, k[:, None], k[:, None] > 0)
    np.testing.assert_allclose(plain, jnp.broadcast_to(s, (9, 2)), rtol=1e-11)
    by_row = jax.jit(jax.vmap(implied_stdev))(price, k, k > 0)
    np.testing.assert_allclose(by_row, plain, rtol=1e-14)
    value, status = jax.vmap(implied_stdev_info)(price, k, k > 0)
    assert value.shape == status.shape == (9, 2) and status.dtype == jnp.int32


def test_the_core_takes_calls_out_of_the_money():
    k, s = jnp.linspace(0, 2, 11), 0.4
    np.testing.assert_allclose(implied_stdev_otm(black.price(k, s), k), s, rtol=1e-14)


def test_own_logarithm():
    rng = np.random.default_rng(10)
    x = np.concatenate([10 ** rng.uniform(-307, 307, 20_000), rng.uniform(0.4, 3, 20_000)])
    np.testing.assert_allclose(jax.jit(fast_log)(x), np.log(x), rtol=3e-16)


def test_single_precision_is_refused():
    with jax.enable_x64(False), pytest.raises(PrecisionError, match="enable_x64"):
        implied_stdev(0.1, 0.0)


def test_the_whole_inversion_is_one_loop():
    """Speed rests on XLA fusing everything; a second loop sends intermediate arrays through memory."""
    from neutral.options.inversion import _solve

    if jax.default_backend() != "cpu":
        pytest.skip("about the CPU compiler")
    x = jnp.full(10_000, 0.1)
    text = str(_solve.lower(x, x, x > 0).compile().as_text())
    assert text[text.index("ENTRY") :].count(" fusion(") <= 2
