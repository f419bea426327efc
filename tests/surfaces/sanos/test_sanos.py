"""Discrete laws with a kernel: `surfaces/sanos/surface.py`, `surfaces/sanos/fit.py`."""

import chex
import equinox as eqx
import numpy as np
import pytest
from synthetic import DEVIATIONS, heston_surface

import neutral as nt
from neutral.options import black
from neutral.options.arbitrage import violations
from neutral.surfaces import fit_sanos

NODES = np.exp(np.linspace(-1.2, 1.2, 25))


def law(spread):
    """Probabilities of a law of mean 1 whose logarithm is roughly normal."""
    q = np.exp(-0.5 * ((np.log(NODES) + 0.5 * spread**2) / spread) ** 2)
    q = q / q.sum()
    # two nodes around 1 bring the mean there
    share = (1.0 - q @ NODES) / (NODES[14] - NODES[10])
    return q + share * (np.eye(25)[14] - np.eye(25)[10])


@pytest.fixture(scope="module")
def surface():
    weights = np.stack([law(0.1), law(0.2), np.full(25, np.nan)])
    return nt.SANOS(np.array([0.25, 1.0, 2.0]), NODES, weights, np.array([0.01, 0.012, np.nan]), 0.25)


@pytest.fixture(scope="module")
def heston():
    return heston_surface()


@pytest.fixture(scope="module")
def fit(heston):
    return nt.fit_surface(heston, method="sanos")


def test_calls_are_those_of_its_laws(surface):
    k, z = np.linspace(-0.5, 0.5, 7), np.linspace(-9.0, 9.0, 20001)
    normal = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    factor = np.exp(0.1 * z - 0.005)
    payoff = np.maximum(NODES[:, None, None] * factor - np.exp(k)[:, None], 0.0)
    expected = law(0.1) @ np.trapezoid(payoff * normal, z, axis=-1)
    np.testing.assert_allclose(surface.price(k, 0.25), expected, rtol=1e-6)
    ends = [np.asarray(surface.price(k, t)) for t in (0.25, 1.0)]
    np.testing.assert_allclose(surface.price(k, 0.5), 2 / 3 * ends[0] + 1 / 3 * ends[1], rtol=1e-12)


def test_it_is_free_and_a_dense_scan_agrees(surface):
    assert surface.certificate.free and "convex order" in str(surface.certificate)
    k = np.linspace(-1.5, 1.5, 81)[None]
    calls = np.asarray(surface.price(k, np.linspace(0.02, 3.0, 25)[:, None]))
    assert not any(violations(k, calls).count(1e-14).values())
    turned = nt.SANOS(surface.expiries, NODES, np.asarray(surface.weights)[[1, 0, 2]], surface.variance, 0.25)
    assert turned.certificate.margin < -1e-3 and not turned.certificate.free
    moved = nt.SANOS(surface.expiries, 1.01 * NODES, surface.weights, surface.variance, 0.25)
    assert moved.certificate.margin == pytest.approx(-0.01, rel=1e-9)


def test_density_and_local_variance_follow_from_prices(surface):
    t = np.array([[0.1], [0.6], [1.5]])
    wide = np.linspace(-6.0, 6.0, 6001)[None]
    density = np.asarray(surface.density(wide, t))
    np.testing.assert_allclose(np.trapezoid(density, wide), 1.0, rtol=1e-10)
    np.testing.assert_allclose(np.trapezoid(density * np.exp(wide), wide), 1.0, rtol=1e-10)
    k, h = np.linspace(-0.15, 0.15, 4)[None], 1e-4

    def price(dk, dt):
        return np.asarray(surface.price(k + dk, t + dt))

    second = (price(h, 0) - 2 * price(0, 0) + price(-h, 0)) / h**2 - (price(h, 0) - price(-h, 0)) / (2 * h)
    later = (price(0, h) - price(0, -h)) / (2 * h)
    np.testing.assert_allclose(np.asarray(surface.local_variance(k, t)) * second, 2 * later, rtol=1e-4)


def test_heston_quotes_are_met(heston, fit):
    """Prices of another library: inside bid-ask."""
    assert fit.converged and fit.certificate.free and fit.width in np.asarray(fit.fit.widths)
    quotes = heston.quotes()
    call = np.asarray(fit.price(quotes.k, quotes.t))
    error = np.abs(np.where(quotes.is_call, call, call + np.expm1(quotes.k)) - quotes.price)
    assert np.mean(error <= 0.5 * quotes.spread) > 0.95
    assert float(fit.loss) < 0.1


def test_the_loss_says_what_is_minimised(heston):
    free = fit_sanos(heston, nt.Loss("spread", inside="free"), widths=0.25)
    assert free.converged and float(free.loss) < 1e-7
    assert free.fit is not None and free.width == 0.25 and np.all(np.isnan(free.fit.held_out))


def test_quotes_with_arbitrage_leave_the_surface_free():
    t, s = np.array([0.1, 0.4, 1.0, 2.0]), np.array([[0.2], [0.15], [0.3], [0.1]])
    k = DEVIATIONS * s
    call = np.asarray(black.price(k, s))
    prices = np.stack([call, call + np.expm1(k)])
    with pytest.warns(nt.QuoteWarning, match="calendar arbitrage"):
        quotes = nt.QuoteSurface.from_arrays(t, k, prices, prices - 1e-3, prices + 1e-3)
    fit = nt.fit_surface(quotes, method="sanos")
    assert fit.converged and fit.certificate.free
    name, t, k = fit.certificate.worst()
    assert name in ("weight", "order", "kernel") and t in quotes.t and np.isnan(k)
    margins = [fit.certificate.weight, fit.certificate.order, fit.certificate.kernel]
    assert fit.certificate.margin == min(float(np.min(x)) for x in margins)
    wrong = eqx.tree_at(lambda c: c.kernel, fit.certificate, np.array([0.5, -0.2, 0.1]))
    assert wrong.worst()[:2] == ("kernel", quotes.t[2])  # the variance falls at the third expiry


def test_it_is_saved_and_read_back(fit, tmp_path):
    nt.save(fit, tmp_path / "surface.json")
    again = nt.load(tmp_path / "surface.json")
    chex.assert_trees_all_equal(again, fit)


def test_what_cannot_be_fitted_says_so(heston):
    prices = np.array(heston.prices)
    prices[0, 0, 0] = np.nan
    fit = nt.fit_surface(heston.with_prices(prices), method="sanos")
    assert fit.status == nt.CalibrationStatus.bad_quotes and not fit.converged
    assert np.all(np.isnan(fit.price(0.0, [0.1, 0.5])))
    with pytest.raises(nt.ArgumentError, match="robust"):
        nt.fit_surface(heston, nt.Loss("spread", "soft_l1"), method="sanos")
    with pytest.raises(nt.ArgumentError, match="widths"):
        fit_sanos(heston, widths=1.5)
    with pytest.raises(nt.ArgumentError, match="one surface"):
        nt.fit_surface_batch([heston], method="sanos")
    for method in ("sanos", "sequential", "essvi"):
        with pytest.raises(nt.ArgumentError, match="takes one surface, got a stack"):
            nt.fit_surface(nt.stack([heston, heston]), method=method)


@pytest.mark.slow
def test_deribit_quotes_held_back(market_data):
    from neutral import market

    files = market.list_snapshots(market_data / "deribit" / "run")
    for currency, least in (("BTC", 0.90), ("ETH", 0.95)):
        inside = []
        for i in range(0, 200, 40):
            split = market.Split(seed=market.split_seed(currency, i))
            surface, _ = market.build_surface(market.load_deribit(files[i], currency), split=split)
            fit = nt.fit_surface(surface, nt.Loss("spread"), method="sanos")
            assert fit.converged and fit.certificate.free
            quotes = surface.quotes()
            call = np.asarray(fit.price(quotes.k, quotes.t))
            error = np.abs(np.where(quotes.is_call, call, call + np.expm1(quotes.k)) - quotes.price)
            inside += list((error <= 0.5 * quotes.spread)[~quotes.train])
        assert np.mean(inside) >= least
