"""Priors that may be trained, and the fits under them, on surfaces whose parameters are known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neutral as nt
from neutral import ArgumentError
from neutral.ml import (
    GaussianPrior,
    HandPrior,
    PriorNetwork,
    draw_fresh,
    outcomes,
    outcomes_without_fit,
    stack_updates,
    train_prior,
    update_fit,
)
from neutral.ml.gaussian_prior import vector_of
from neutral.ml.prior_network import features
from neutral.ml.updates import fewer_strikes

LAST = nt.Heston(v0=0.16, kappa=4.0, theta=0.3, sigma_v=1.5, rho=-0.3)
NOW = nt.Heston(v0=0.2, kappa=4.0, theta=0.3, sigma_v=1.5, rho=-0.3)
K = np.linspace(-0.2, 0.2, 8)
T = np.array([0.1, 0.5])


def surface_of(model: nt.Heston) -> nt.QuoteSurface:
    """Quotes of a model, half of a volatility point wide."""
    strikes = np.broadcast_to(np.exp(K), (2, 8))
    prices = np.stack([nt.price(model, 1.0, strikes, T[:, None], kind) for kind in ("call", "put")])
    return nt.QuoteSurface.from_arrays(
        T, np.broadcast_to(K, (2, 8)), prices, bid=prices - 5e-4, ask=prices + 5e-4
    )


@pytest.fixture(scope="module")
def updates():
    """Four updates of which each has the same market, moved from the last fit in v0 alone."""
    surfaces = nt.stack([surface_of(NOW)] * 4)
    last = nt.Heston.with_lanes(**{name: np.full(4, getattr(LAST, name)) for name in VALUES})
    return stack_updates(surfaces, last, np.zeros((4, 2)))


VALUES = ("v0", "kappa", "theta", "sigma_v", "rho")


@pytest.fixture(scope="module")
def fresh(updates):
    return draw_fresh(jax.random.key(0), updates, np.array([3, 4, 5, 6]))


def first(tree):
    return jax.tree.map(lambda x: x[0], tree)


def test_the_surprise_is_the_error_of_the_last_fit_in_volatility(updates):
    assert updates.surprise.shape == updates.surface.mask.shape
    middle = updates.surprise[0, 0, 0, 3]  # near the money, at the short expiry
    vol = nt.implied_vol(nt.price(LAST, 1.0, np.exp(K[3]), 0.1), 1.0, np.exp(K[3]), 0.1)
    # vega times the difference of volatilities is the difference of prices to first order
    assert middle == pytest.approx(1.0 - float(vol) / updates.surface.vol[0, 0, 0, 3], rel=0.02)


def test_fresh_quotes_are_out_of_the_money_and_as_many_as_asked(updates, fresh):
    np.testing.assert_array_equal(np.sum(fresh, axis=(1, 2, 3)), [3, 4, 5, 6])
    k = updates.surface.k[:, None]
    call = np.arange(2)[None, :, None, None] == 0
    assert not np.any(np.asarray(fresh) & ((k >= 0.0) != call))
    assert np.all(np.sum(draw_fresh(jax.random.key(1), updates, 99), axis=(1, 2, 3)) == 16)


def test_a_gaussian_prior_is_a_quadratic_form_in_logarithms():
    away = nt.Heston(v0=0.16, kappa=8.0, theta=0.3, sigma_v=1.5, rho=0.0)
    root = np.diag([1.0, 2.0, 3.0, 4.0, 5.0])
    root[4, 1] = 0.5
    found = GaussianPrior(nt.Heston, vector_of(LAST), root).residuals({n: getattr(away, n) for n in VALUES})
    wanted = [0.0, 2.0 * np.log(2.0), 0.0, 0.0, 5.0 * np.arctanh(0.3) + 0.5 * np.log(2.0)]
    # positive parameters have log(x + c) for a coordinate, with c a hundredth or less of what is typical
    np.testing.assert_allclose(found, wanted, rtol=5e-3, atol=1e-12)


@pytest.mark.slow
def test_a_gaussian_prior_with_a_diagonal_root_is_tikhonovs(updates, fresh):
    one, quotes = first(updates), first(fresh)
    diagonal = GaussianPrior(nt.Heston, vector_of(LAST), np.sqrt(0.3) * np.eye(5))
    options = {"mask": quotes, "loss": nt.Loss("spread", "soft_l1", c=0.4)}
    ours = nt.calibrate(LAST, one.surface, prior=diagonal, **options)
    theirs = nt.calibrate(LAST, one.surface, prior=nt.Tikhonov(0.3, LAST), **options)
    assert ours.converged and theirs.converged
    np.testing.assert_allclose(vector_of(ours.model), vector_of(theirs.model), atol=1e-5)  # the solver's gtol
    np.testing.assert_allclose(ours.prior_loss, theirs.prior_loss, rtol=1e-4)


def test_what_is_judged_is_unseen(updates, fresh):
    """Parameters that moved in v0 alone are found by a prior that says so, from three quotes."""
    level = outcomes(HandPrior(np.array([1e-6, 1e4, 1e4, 1e4, 1e4])), updates, fresh)
    walk = outcomes_without_fit(updates, fresh)
    assert np.all(level.converged) and np.all(level.error < 0.02 * walk.error)
    assert np.all(level.inside == 1.0) and np.all(walk.inside < 0.5)
    # a pull that nothing moves leaves the last fit
    still = outcomes(HandPrior(np.full(5, 1e8)), updates, fresh)
    np.testing.assert_allclose(still.error, walk.error, rtol=1e-4)


def test_a_network_begins_as_the_hand(updates, fresh):
    hand = HandPrior(np.array([0.5, 5.0, 5.0, 5.0, 5.0]))
    network = PriorNetwork(hand, updates, jax.random.key(0), width=4)
    ours, theirs = (prior(first(updates), first(fresh)) for prior in (network, hand))
    np.testing.assert_allclose(ours.root, theirs.root, rtol=1e-12)
    np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-12)


def test_features_say_how_many_quotes_and_how_far(updates, fresh):
    found = features(first(updates), first(fresh))
    assert found.shape == (7 + 5 + 2,) and np.all(np.isfinite(found))
    # v0 has risen by a quarter, so volatilities are above the last fit's; the ridge takes a part of it
    assert found[0] > 0.1 and found[4] == pytest.approx(found[0])
    assert found[6] == pytest.approx(0.5 * np.log(3 / 16))


@pytest.mark.slow
def test_the_slope_in_the_strengths_is_that_of_refits(updates, fresh):
    one, quotes = first(updates), first(fresh)

    def fitted(log: jax.Array) -> jax.Array:
        prior = HandPrior(jnp.exp(log) * jnp.array([10.0, 100.0, 100.0, 100.0, 100.0]))(one, quotes)
        return update_fit(prior, one, quotes).model.v0

    slope = float(jax.grad(fitted)(jnp.asarray(0.0)))
    h = 0.05
    refits = float(fitted(jnp.asarray(h)) - fitted(jnp.asarray(-h))) / (2.0 * h)
    assert abs(slope) > 1e-4
    assert slope == pytest.approx(refits, rel=0.01)  # fits end within 1e-6, and differences err by h^2


@pytest.mark.slow
def test_training_lowers_the_error(updates):
    network = PriorNetwork(HandPrior(np.full(5, 3.0)), updates, jax.random.key(0), width=0)
    told = []
    trained = train_prior(
        network,
        updates,
        jax.random.key(1),
        epochs=8,
        batch=4,
        rate=0.3,
        fresh=(3, 4),
        report=lambda epoch, value, network: told.append(value),
    )
    assert len(told) == 8 and told[-1] < 0.8 * told[0]
    # only v0 has moved: its pull has become weaker than those of the others
    assert trained.logs[0] < jnp.min(trained.logs[1:])
    assert eqx.tree_equal(network.network, trained.network)


def test_fewer_strikes_keep_quotes_with_their_surprises(updates):
    some = fewer_strikes(updates, 3, np.random.default_rng(0))
    assert some.surface.shape == (2, 3) and some.surface.mask.all()
    vols = {(k, v) for k, v in zip(updates.surface.k.ravel(), updates.surprise[:, 0].ravel(), strict=True)}
    kept = zip(some.surface.k.ravel(), some.surprise[:, 0].ravel(), strict=True)
    assert all(pair in vols for pair in kept)


def test_wrong_use_is_refused(updates):
    with pytest.raises(ArgumentError, match="got \\[3, 4\\]"):
        stack_updates(updates.surface, updates.last, np.zeros((3, 1)))
    with pytest.raises(ArgumentError, match="positive strengths"):
        PriorNetwork(HandPrior(np.zeros(5)), updates, jax.random.key(0))
    network = PriorNetwork(HandPrior(np.ones(5)), updates, jax.random.key(0), width=0)
    with pytest.raises(ArgumentError, match="batch=24"):
        train_prior(network, updates, jax.random.key(0))
