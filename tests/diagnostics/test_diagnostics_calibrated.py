"""Diagnostics against refits, finite differences and simulation."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from synthetic import TRUTH, heston_surface

import neutral as nt
from neutral.diagnostics.identifiability import from_jacobian
from neutral.diagnostics.linearisation import fits_of, parameter_sizes
from neutral.diagnostics.uncertainty import uncertainty
from neutral.options import black

ENGINE = nt.Lewis(48)
TIGHT = nt.LevenbergMarquardt(gtol=1e-9)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def noisy():
    return heston_surface(noise=0.01)


def out_of_the_money(surface):
    """The surface with one quote a strike."""
    call = surface.mask[0] & (surface.k >= 0)
    kept = np.stack([call, surface.mask[0] & ~call])
    return eqx.tree_at(lambda s: (s.mask, s.train), surface, (kept, kept))


def four_point(value, step):
    """Derivative at 0, of fourth order."""
    at = {n: np.asarray(value(n * step)) for n in (-2, -1, 1, 2)}
    return (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step)


def test_report_is_that_of_finite_differences_whatever_the_order(noisy):
    surface = out_of_the_money(noisy)
    result = nt.calibrate(nt.Heston, surface, engine=ENGINE)
    (fit,) = fits_of(result, surface)
    found = nt.diagnose(result, surface).identifiability
    quotes = surface.quotes()
    scale = np.sqrt(fit.at.bend[np.asarray(surface.mask)])
    order = np.argsort(np.asarray(surface.index)[np.asarray(surface.mask)])

    def prices(values):
        model = nt.Heston(**dict(zip(result.names, values, strict=True)))
        return nt.price(model, 1.0, np.exp(quotes.k), quotes.t, quotes.is_call)

    values = np.array([float(getattr(result.model, name)) for name in result.names])
    columns = [four_point(lambda h, u=u: prices(values + h * u), 1e-3) / 1.0 for u in np.diag(np.abs(values))]
    jacobian = scale[order][:, None] * np.stack(columns, axis=1) / np.abs(values)
    shuffled = np.random.default_rng(0).permutation(len(jacobian))
    theirs = from_jacobian(jacobian[shuffled], parameter_sizes(fit), found.names, found.noise)
    np.testing.assert_allclose(theirs.singular_values, found.singular_values, rtol=1e-6)
    np.testing.assert_allclose(theirs.directions, found.directions, atol=1e-6)
    np.testing.assert_allclose(theirs.correlation, found.correlation, atol=1e-6)
    assert theirs.condition_number == pytest.approx(found.condition_number, rel=1e-6)


def test_one_maturity_does_not_tell_kappa_from_theta():
    surface = heston_surface()
    mask = surface.mask & (np.arange(4) == 1)[:, None]
    result = nt.calibrate(nt.Heston, surface, engine=ENGINE, mask=mask)
    found = nt.diagnose(result, surface).identifiability
    assert found.effective_rank < 5 and found.condition_number > 200
    assert {"kappa", "theta"} <= set(found.findings[0].parameters)
    held = {"v0": TRUTH["v0"]}
    result = nt.calibrate(nt.Heston, surface, engine=ENGINE, mask=mask, fixed=held)
    found = nt.diagnose(result, surface).identifiability
    assert any({"kappa", "theta"} == set(finding.parameters) for finding in found.findings)


def test_curvatures_agree_where_residuals_are_small(noisy):
    near = heston_surface(noise=1e-5)
    result = nt.calibrate(nt.Heston, near, engine=ENGINE, solver=TIGHT)
    found = nt.diagnose(result, near).uncertainty
    np.testing.assert_allclose(
        found.standard_errors("hessian"), found.standard_errors("gauss_newton"), rtol=1e-2
    )
    loose = nt.calibrate(nt.Heston, noisy, engine=ENGINE)
    prior = nt.Tikhonov(1.0, loose.model)
    held = nt.calibrate(nt.Heston, noisy, engine=ENGINE, prior=prior)
    anchored = nt.diagnose(held, noisy).uncertainty
    assert np.all(anchored.standard_errors("laplace") < anchored.standard_errors("hessian"))


def test_intervals_cover_the_truth():
    surface, count = out_of_the_money(heston_surface()), 1000
    rng = np.random.default_rng(20260304)
    deviation = np.where(surface.mask, 0.005 * np.asarray(surface.vega), 0.0)
    noise = rng.standard_normal((count, *surface.mask.shape))
    surfaces = nt.stack([surface.with_prices(surface.prices + deviation * z) for z in noise])
    loss = nt.Loss("vega")
    results = nt.calibrate_batch(nt.Heston, surfaces, engine=ENGINE, loss=loss)
    assert np.all(results.converged)
    truth = np.array(list(TRUTH.values()))
    option = {"strike": np.array([0.9, 1.1]), "maturity": 0.7}
    price = np.asarray(nt.price(nt.Heston(**TRUTH), 1.0, **option))
    hits: dict[str, list] = {"known": [], "scatter": [], "gauss_newton": [], "price": []}
    for i, fit in enumerate(fits_of(results, surfaces)):
        known, scatter = uncertainty(fit, deviation), uncertainty(fit)
        for name, ends in (
            ("known", known.intervals()),
            ("scatter", scatter.intervals()),
            ("gauss_newton", scatter.intervals(kind="gauss_newton")),
        ):
            hits[name].append((ends[:, 0] <= truth) & (truth <= ends[:, 1]))
        if i % 5 == 0:
            _, low, high = known.of(lambda m: nt.price(m, 1.0, **option))
            hits["price"].append((low <= price) & (price <= high))
    cover = {name: np.mean(hit, axis=0) for name, hit in hits.items()}
    for name in ("known", "scatter", "gauss_newton"):  # a binomial of 1,000 draws strays by .009
        assert np.all((cover[name] >= 0.87) & (cover[name] <= 0.93)), cover
    assert 0.85 <= np.mean(cover["price"]) <= 0.95, cover  # a fifth of the draws


def test_profile_and_bootstrap_agree_with_the_curvature(noisy):
    surface = out_of_the_money(noisy)
    result = nt.calibrate(nt.Heston, surface, engine=ENGINE)
    found = nt.diagnose(result, surface).uncertainty
    profile = nt.profile(result, surface, "kappa")
    assert np.all(np.isfinite(profile.root)) and np.all(np.diff(profile.root) > 0)
    np.testing.assert_allclose(profile.interval(), found.intervals(kind="gauss_newton")[1], rtol=0.02)
    drawn = nt.bootstrap(result, surface, draws=300)
    assert drawn.failed == 0
    np.testing.assert_allclose(drawn.standard_errors(), found.standard_errors(), rtol=0.35)
    with pytest.raises(nt.ArgumentError, match="there is no parameter"):
        nt.profile(result, surface, "lam")
    alone = nt.profile(result, surface, "kappa", [float(result.model.kappa)])
    assert list(alone.root) == [0.0] and alone.interval() == (-np.inf, np.inf)
    for values in ([], [np.nan], "high"):
        with pytest.raises(nt.ArgumentError, match="values must be"):
            nt.profile(result, surface, "kappa", values)  # pyright: ignore[reportArgumentType]


def test_leave_one_out_is_what_refitting_without_the_quote_gives():
    surface = out_of_the_money(heston_surface(noise=0.003))
    result = nt.calibrate(nt.Heston, surface, engine=ENGINE, solver=TIGHT)
    found = nt.diagnose(result, surface).influence
    places = np.argwhere(surface.mask)
    masks = np.repeat(np.asarray(surface.mask)[None], len(places), axis=0)
    masks[(np.arange(len(places)), *places.T)] = False
    refits = nt.calibrate_batch(
        result.model, nt.stack([surface] * len(places)), engine=ENGINE, solver=TIGHT, mask=masks
    )
    moved = np.stack([getattr(refits.model, name) - getattr(result.model, name) for name in result.names], 1)
    told = found.without[tuple(places.T)]
    size = np.sqrt(np.mean(moved**2, axis=0))
    np.testing.assert_allclose(told / size, moved / size, atol=0.06)
    # Cook's distance of a linear model, from the refits themselves
    (fit,) = fits_of(result, surface)
    residuals, jacobian = fit.strikes()
    natural = jacobian @ np.linalg.inv(fit.at.chain)
    variance = np.sum(residuals**2) / (residuals.size - 5)
    cook = np.sum((moved @ natural.T) ** 2, axis=1) / (5 * variance)
    np.testing.assert_allclose(found.cook[tuple(places.T)], cook, rtol=0.1, atol=2e-3)


def test_damping_moves_what_is_not_seen_and_keeps_the_loss():
    noisy = heston_surface(noise=0.003, seed=4)
    mask = noisy.mask & (np.arange(4) == 1)[:, None]
    center = nt.Heston(v0=0.05, kappa=3.0, theta=0.06, sigma_v=0.8, rho=-0.5)
    loose = nt.calibrate(nt.Heston, noisy, engine=ENGINE, mask=mask)
    held = nt.calibrate(
        nt.Heston, noisy, engine=ENGINE, mask=mask, prior=nt.Tikhonov(0.0, center), on_degenerate="damp"
    )
    assert held.converged and held.undamped_loss == pytest.approx(float(loose.loss), rel=1e-6)
    assert loose.loss < held.loss <= 1.005 * loose.loss
    for name in ("v0", "kappa", "theta"):
        end, start, far = (float(getattr(m, name)) for m in (held.model, center, loose.model))
        assert abs(np.log(end / start)) < abs(np.log(far / start)), name
    assert held.model.rho == pytest.approx(float(loose.model.rho), abs=0.01)
    found = nt.diagnose(held, noisy)
    assert np.all(np.isfinite(found.uncertainty.standard_errors("laplace")))
    both = nt.calibrate_batch(
        nt.Heston,
        nt.stack([noisy, noisy]),
        engine=ENGINE,
        mask=np.stack([mask, mask]),
        prior=nt.Tikhonov(0.0, center),
        on_degenerate="damp",
    )
    np.testing.assert_allclose(both.coordinates, np.stack([held.coordinates] * 2), rtol=1e-9)
    exact = heston_surface()
    plain = nt.calibrate(nt.Heston, exact, engine=ENGINE, on_degenerate="damp")
    assert plain.model.kappa == pytest.approx(TRUTH["kappa"], rel=1e-5)
    with pytest.raises(nt.ArgumentError, match="on_degenerate must be 'keep' or 'damp'"):
        nt.calibrate(nt.Heston, exact, on_degenerate="freeze")  # pyright: ignore[reportArgumentType]


MODELS = {
    "heston": nt.Heston(**TRUTH),
    "bates": nt.Bates(**TRUTH, lam=0.8, mu_y=-0.15, sigma_y=0.1),
    "svcj": nt.SVCJ(**TRUTH, lam=0.8, mu_y=-0.15, sigma_y=0.1, mu_v=0.08, rho_j=-0.4),
}


def model_surface(model, noise):
    """Quotes of a model on a wide grid, with noise in volatility."""
    t = np.array([0.05, 0.15, 0.4, 1.0, 2.0, 3.0])
    k = np.linspace(-2.5, 2.0, 16)[None] * 0.27 * np.sqrt(t)[:, None]
    call = np.asarray(nt.price(model, 1.0, np.exp(k), t[:, None]))
    surface = nt.QuoteSurface.from_arrays(t, k, np.stack([call, call + np.expm1(k)]))
    surface = out_of_the_money(surface)
    z = np.random.default_rng(4).standard_normal(surface.mask.shape)
    return surface.with_prices(surface.prices + noise * np.asarray(surface.vega) * surface.mask * z)


@pytest.mark.parametrize("name", MODELS)
def test_vega_ladder_is_bump_and_recalibrate(name):
    truth, loss, engine = MODELS[name], nt.Loss("vega"), nt.Lewis(96)
    surface = model_surface(truth, 1e-4)
    solver = nt.LevenbergMarquardt(gtol=1e-9)
    options = {"loss": loss, "engine": engine}
    result = nt.calibrate(truth, surface, solver=solver, **options)
    assert result.converged

    def value(model):
        price = nt.price(model, 1.0, jnp.array([0.9, 1.1]), 0.7)
        return jnp.append(price, nt.implied_vol(nt.price(model, 1.0, 0.8, 0.3), 1.0, 0.8, 0.3))

    found = nt.sensitivities(result, surface, value)
    direction = np.where(surface.mask, np.random.default_rng(6).standard_normal(surface.mask.shape), 0.0)
    is_call = np.broadcast_to(np.array([True, False])[:, None, None], direction.shape)
    root, k = np.sqrt(np.asarray(surface.t))[:, None], np.stack([surface.k, surface.k])

    def refitted(h):
        now, then = ((np.asarray(surface.vol) + x * direction) * root for x in (h, 0.0))
        change = black.price(k, now, is_call) - black.price(k, then, is_call)
        moved = surface.with_prices(surface.prices + np.asarray(change))
        refit = nt.calibrate(result.model, moved, solver=solver, **options)
        return value(refit.model)

    told = np.sum(found.vols * direction, axis=(-3, -2, -1))
    np.testing.assert_allclose(told, four_point(refitted, 3e-5), rtol=1e-6, atol=1e-6 * np.abs(told).max())


def test_sensitivity_to_weights_forwards_and_prior():
    surface = heston_surface(noise=0.003)
    center = TRUTH | {"kappa": 2.0}
    prior = nt.Tikhonov(0.1, nt.Heston(**center), {"kappa": 1.0})
    options = {"engine": ENGINE, "prior": prior}
    solver = nt.LevenbergMarquardt(gtol=3e-10)
    result = nt.calibrate(nt.Heston(**TRUTH), surface, solver=solver, **options)

    def value(model):
        return nt.price(model, 1.0, 1.1, 0.7)

    found = nt.sensitivities(result, surface, value)

    def refit(moved, **changes):
        return value(nt.calibrate(result.model, moved, solver=solver, **(options | changes)).model)

    z = np.random.default_rng(6).standard_normal(surface.mask.shape)

    def weighted(h):
        return refit(eqx.tree_at(lambda s: s.weight, surface, surface.weight * (1.0 + h * z)))

    assert np.sum(found.weights * surface.weight * z) == pytest.approx(four_point(weighted, 1e-2), rel=1e-4)

    def pulled(h):
        moved = nt.Heston(**(center | {"kappa": 2.0 + h}))
        return refit(surface, prior=nt.Tikhonov(0.1, moved, {"kappa": 1.0}))

    assert found.center["kappa"] == pytest.approx(four_point(pulled, 1e-2), rel=1e-5)
    d = np.array([1.0, -0.5, 0.3, 0.7])

    def forward(h):
        factor = 1.0 + h * d
        fields = (surface.k - np.log(factor)[:, None], surface.prices / factor[:, None])
        return refit(eqx.tree_at(lambda s: (s.k, s.prices), surface, fields))

    assert np.sum(found.forwards * d) == pytest.approx(four_point(forward, 1e-4), rel=1e-4)


def test_sensitivity_is_masked_without_convergence_and_zero_on_a_bound(noisy):
    stopped = nt.calibrate(nt.Heston, noisy, engine=ENGINE, solver=nt.LevenbergMarquardt(max_steps=2))
    found = nt.sensitivities(stopped, noisy, lambda m: m.kappa)
    assert "not converged" in found.reason and np.all(np.isnan(found.vols))
    assert "cannot be determined" in str(found)
    bounds = {"rho": (-0.5, 0.0)}
    held = nt.calibrate(nt.Heston, noisy, engine=ENGINE, bounds=bounds)
    found = nt.sensitivities(held, noisy, lambda m: m.rho)
    assert held.bounds_hit == ("rho",) and np.all(found.vols == 0) and np.all(found.prices == 0)
