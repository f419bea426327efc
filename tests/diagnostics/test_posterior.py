"""Draws of the posterior against laws known exactly, and against intervals by curvature."""

import sys

import equinox as eqx
import numpy as np
import pytest
from synthetic import heston_surface

import neutral as nt
from neutral.diagnostics import sample_posterior
from neutral.diagnostics.linearisation import fits_of
from neutral.diagnostics.posterior import Posterior, nuts

ENGINE, LOSS = nt.Lewis(48), nt.Loss("vega")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def blackjax():
    return pytest.importorskip("blackjax")


@pytest.fixture(scope="module")
def surface():
    return heston_surface()


@pytest.fixture(scope="module")
def deviation(surface):
    """Of one quote a strike, half a volatility point."""
    return np.where(out_of_the_money(surface), 0.005 * np.asarray(surface.vega), 0.0)


def out_of_the_money(surface):
    call = surface.mask[0] & (surface.k >= 0)
    return np.stack([call, surface.mask[0] & ~call])


@pytest.fixture(scope="module")
def quotes(surface, deviation):
    return surface.with_prices(
        surface.prices + deviation * np.random.default_rng(1).standard_normal(deviation.shape)
    )


@pytest.fixture(scope="module")
def options(quotes):
    return {"engine": ENGINE, "loss": LOSS, "mask": out_of_the_money(quotes)}


class Normal(eqx.Module):
    mean: np.ndarray
    precision: np.ndarray

    def __call__(self, z):
        away = z - self.mean
        return -0.5 * away @ self.precision @ away


def test_draws_of_a_normal_law_have_its_moments(key):
    root = np.random.default_rng(0).standard_normal((4, 4))
    mean, covariance = np.arange(4.0), root @ root.T + np.eye(4)
    law = Normal(mean, np.linalg.inv(covariance))
    drawn = nuts(
        law, mean + 1.0, 2.0 * np.diag(np.diag(covariance)), key=key, draws=2000, chains=4, warmup=500
    )
    z = np.asarray(drawn.positions).reshape(-1, 4)
    assert not np.any(drawn.divergent)
    spread = np.sqrt(np.diag(covariance))
    # 8,000 draws are worth at least 2,000: 4 standard errors of a mean are 0.09, of a covariance 0.13
    np.testing.assert_allclose((z.mean(axis=0) - mean) / spread, 0.0, atol=0.09)
    np.testing.assert_allclose((np.cov(z.T) - covariance) / np.outer(spread, spread), 0.0, atol=0.13)


@pytest.mark.parametrize("known", [True, False])
def test_quantiles_are_those_of_laplace_where_quotes_see_all_parameters(quotes, options, deviation, known):
    result = nt.calibrate(nt.Heston, quotes, **options)
    noise = 0.2 * deviation if known else None
    found = sample_posterior(result, quotes, noise=noise)
    assert found.divergences == 0 and found.names == result.names
    assert np.all(found.r_hat < 1.01) and np.all(found.effective_size > 1000)
    laplace = nt.diagnose(result, quotes, noise=noise).uncertainty
    ends = laplace.intervals(kind="laplace")
    width = np.diff(ends, axis=1)
    # of one fifth of the noise the model is linear within the interval to a few hundredths of its width
    np.testing.assert_allclose((found.intervals() - ends) / width, 0.0, atol=0.05 if known else 0.12)
    assert "R-hat" in str(found) and found.rows()[0]["parameter"] == "v0"


def test_draws_under_a_strong_prior_are_those_of_the_prior(quotes, options, deviation):
    center = nt.Heston(v0=0.05, kappa=1.8, theta=0.07, sigma_v=0.7, rho=-0.6)
    given = options | {"prior": nt.Tikhonov(1e4, center)}
    result = nt.calibrate(center, quotes, **given)
    found = sample_posterior(result, quotes, noise=deviation)
    (fit,) = fits_of(result, quotes)
    # loss over twice the noise's variance: that of the scaled errors, over the number of quotes
    expected = np.sqrt(0.005**2 / np.sum(options["mask"]) / 1e4)
    assert found.names
    for name, x in zip(found.names, np.moveaxis(found.draws, -1, 0), strict=True):
        y = np.arctanh(x) if name == "rho" else np.log(x)
        assert np.std(y) == pytest.approx(expected, rel=0.05), name
    assert np.all(fit.at.moving)


def test_what_cannot_be_drawn_says_so(quotes, options):
    result = nt.calibrate(nt.Heston, quotes, **options)
    with pytest.raises(nt.ArgumentError, match="chains=1"):
        sample_posterior(result, quotes, chains=1)
    damped = nt.calibrate(nt.Heston, quotes, on_degenerate="damp", **options)
    with pytest.raises(nt.ArgumentError, match="on_degenerate='keep'"):
        sample_posterior(damped, quotes)
    stopped = nt.calibrate(nt.Heston, quotes, solver=nt.LevenbergMarquardt(max_steps=1), **options)
    found = sample_posterior(stopped, quotes)
    assert "not converged" in found.reason and found.rows() == [] and "cannot be drawn" in str(found)


def test_bounds_hold(quotes, options):
    free = nt.calibrate(nt.Heston, quotes, **options)
    bounds = {"kappa": (0.5, 1.05 * float(free.model.kappa))}
    result = nt.calibrate(nt.Heston, quotes, bounds=bounds, **options)
    found = sample_posterior(result, quotes)
    kappa = found.draws[..., found.names.index("kappa")]
    low, high = bounds["kappa"]
    assert np.all((kappa >= low) & (kappa <= high)) and np.all(found.r_hat < 1.02)
    # the free posterior, cut off; of a thousand independent draws a 5 % quantile strays by .07 deviations
    whole = sample_posterior(free, quotes).draws[..., found.names.index("kappa")]
    inside = whole[(whole >= low) & (whole <= high)]
    ends = np.percentile(inside, [5, 50, 95])
    away = (np.percentile(kappa, [5, 50, 95]) - ends) / np.std(inside)
    np.testing.assert_allclose(away, 0.0, atol=0.25)


def test_a_missing_sampler_is_one_clear_error(quotes, options, monkeypatch):
    result = nt.calibrate(nt.Heston, quotes, **options)
    monkeypatch.setitem(sys.modules, "blackjax", None)
    with pytest.raises(nt.NeutralError, match="neutral\\[posterior\\]"):
        sample_posterior(result, quotes)


def test_a_posterior_without_draws_has_no_intervals():
    nothing = Posterior(
        ("v0", "rho"), np.zeros((4, 0, 2)), np.full(2, np.nan), np.full(2, np.nan), 0, "no fit"
    )
    assert nothing.intervals().shape == (2, 2) and np.isnan(nothing.intervals()).all()
    assert np.isnan(nothing.standard_errors()).all() and nothing.rows() == []
