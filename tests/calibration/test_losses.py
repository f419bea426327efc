"""The log-price loss: its errors, its derivatives, and fits against scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.stats import norm
from synthetic import heston_surface, smile_quotes

import neutral as nt
from neutral.surfaces import fit_sanos

LOG = nt.Loss("log_price")


@pytest.fixture(scope="module")
def surface():
    return heston_surface(noise=0.02)


def market(surface):
    """Out-of-the-money prices (T, K), and those of every quote less them, (2, T, K)."""
    k = np.asarray(surface.k)
    parity = np.stack([np.where(k < 0, -np.expm1(k), 0.0), np.where(k >= 0, np.expm1(k), 0.0)])
    return np.asarray(surface.prices)[0] - parity[0], parity


def test_errors_are_log_ratios_of_the_quotes_own_prices(surface):
    targets = LOG.targets(surface, surface.mask)
    otm, parity = market(surface)
    model = otm * np.linspace(0.5, 2.0, otm.size).reshape(otm.shape)
    expected = np.log((model[None] + parity) / np.asarray(surface.prices))
    np.testing.assert_allclose(LOG.errors(targets, jnp.asarray(model)), expected, atol=1e-13)


@pytest.mark.parametrize("loss", [LOG, nt.Loss("log_price", inside="free"), nt.Loss("spread")], ids=str)
def test_slopes_are_derivatives_of_errors(surface, loss):
    targets = loss.targets(surface, surface.mask)
    otm, _ = market(surface)
    # near the market, and so low, even below zero, that the tangent replaces the logarithm
    for factor in (1.3, 0.9, 1e-5, -0.2):
        price = jnp.asarray(otm * factor)
        _, slopes = jax.jvp(lambda p: loss.errors(targets, p), (price,), (jnp.ones_like(price),))
        e = loss.errors(targets, price)
        assert np.all(np.isfinite(e))
        np.testing.assert_allclose(loss.slopes(targets, price, e), slopes, rtol=1e-12)


def test_an_error_is_continuous_where_the_tangent_begins(surface):
    targets = LOG.targets(surface, surface.mask)
    _, parity = market(surface)
    out = parity[0] == 0.0  # where the quote is its out-of-the-money price
    scale = np.asarray(targets.scale)[0]
    low, high = (LOG.errors(targets, jnp.asarray(1e-3 * scale * (1 + x)))[0] for x in (-1e-9, 1e-9))
    np.testing.assert_allclose(np.asarray(low)[out], np.asarray(high)[out], atol=1e-8)


def test_a_fit_is_the_least_squares_of_log_prices(surface):
    fit = nt.calibrate(nt.Black, surface, loss=LOG, engine=nt.Lewis(32))
    k = np.asarray(surface.k)
    root = np.sqrt(np.asarray(surface.t))[:, None]

    def errors(sigma):
        s = sigma * root
        call = norm.cdf(-k / s + s / 2) - np.exp(k) * norm.cdf(-k / s - s / 2)
        return np.log(np.stack([call, call + np.expm1(k)]) / np.asarray(surface.prices)).ravel()

    reference = least_squares(errors, 0.3, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    assert fit.converged
    assert float(fit.model.sigma) == pytest.approx(reference.x[0], rel=1e-7)
    assert float(fit.loss) == pytest.approx(2.0 * reference.cost / k.size / 2, rel=1e-9)


def test_small_errors_are_those_of_the_relative_loss():
    k = np.linspace(-0.2, 0.2, 8)
    noise = 1e-5 * np.random.default_rng(3).standard_normal(8)
    surface = smile_quotes(np.array([0.5]), k[None], 0.25 * np.sqrt(0.5) * (1.0 + noise)[None], 0.001)
    log, relative = (
        nt.calibrate(nt.Black, surface, loss=nt.Loss(weight), engine=nt.Lewis(32))
        for weight in ("log_price", "relative")
    )
    assert log.converged and relative.converged
    assert log.params["sigma"] == pytest.approx(relative.params["sigma"], rel=1e-8)
    assert log.standard_errors[0] == pytest.approx(float(relative.standard_errors[0]), rel=1e-3)
    assert nt.diagnose(log, surface).fit.reason == ""  # its loss and gradient are found again


@pytest.mark.mistyped
def test_surfaces_take_it_or_refuse_it(surface):
    fit = nt.fit_essvi(surface, LOG)
    prices = np.asarray(fit.price(surface.k, surface.t[:, None]))
    errors = np.log(np.stack([prices, prices + np.expm1(surface.k)]) / surface.prices)
    assert fit.converged and float(fit.loss) == pytest.approx(float(np.mean(errors**2)), rel=1e-9)
    with pytest.raises(nt.ArgumentError, match=r"not linear in them; pass Loss\('relative'\)"):
        fit_sanos(surface, LOG)
    with pytest.raises(nt.ArgumentError, match="'log_price', got 'log'"):
        nt.Loss("log")  # pyright: ignore[reportArgumentType]
