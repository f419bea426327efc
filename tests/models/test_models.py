"""What is a model's own: its limits, its joint domain, what it refuses."""

import dataclasses
from typing import Any

import chex
import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from registry import MODELS, log_cf

import neutral as nt

Z = np.array([0.0, -1j, 0.3 - 0.2j, 3.0 - 0.5j, 40.0 - 0.9j, 1e-7 - 1e-7j])
T = np.array([[1e-6], [0.3], [5.0]])
HESTON = nt.Heston(0.05, 1.5, 0.07, 0.6, -0.6)


def same(model, simpler, rtol):
    """Relative agreement, where both are not rounding at z = 0 and z = -1j."""
    assert np.allclose(log_cf(model, Z, T), log_cf(simpler, Z, T), rtol=rtol, atol=1e-16)


class TestVariants(chex.TestCase):
    """log_cf is the same with and without jit, on arrays of JAX and of numpy, for every model."""

    @chex.variants(with_jit=True, without_jit=True, without_device=True)
    def test_log_cf(self):
        z, t = (np.ravel(x) for x in np.broadcast_arrays(Z, T))
        for model in (make() for make in MODELS.values()):
            psi = self.variant(lambda model, z, t: model.log_cf(z, t))(model, z, t)
            chex.assert_shape(psi, z.shape)
            chex.assert_tree_all_finite(psi)
            chex.assert_trees_all_close(np.asarray(psi), log_cf(model, z, t), rtol=1e-11, atol=1e-15)


def test_leading_axes_are_lanes():
    """A model with leading axes, expanded to broadcast, is its lanes one by one."""
    for make in MODELS.values():
        model = make()
        stacked = jax.tree.map(lambda x: jnp.stack([x, 1.01 * x]), model)
        lanes = [jax.tree.map(lambda x, i=i: x[i], stacked) for i in range(2)]
        z = jnp.broadcast_to(Z, (2, Z.size))
        together = jax.jit(lambda m, z: m.expand(1).log_cf(z, jnp.full(z.shape, 0.3)))(stacked, z)
        chex.assert_trees_all_close(
            together, jnp.stack([log_cf(lane, Z, 0.3) for lane in lanes]), rtol=1e-11, atol=1e-15
        )


def test_limits_to_black():
    black = nt.Black(0.3)
    same(nt.Kou(0.3, 0.0, 0.4, 10.0, 5.0), black, 1e-14)
    same(nt.VarianceGamma(0.3, -0.2, 0.0), black, 1e-14)
    same(nt.VarianceGamma(0.3, -0.2, 1e-9), black, 1e-5)
    same(nt.NIG(1e7, 0.0, 0.09 * 1e7), black, 1e-8)
    still = nt.DoubleHeston(
        v01=0.04,
        kappa1=2.0,
        theta1=0.04,
        sigma_v1=0.0,
        rho1=0.0,
        v02=0.05,
        kappa2=1.0,
        theta2=0.05,
        sigma_v2=0.0,
        rho2=0.0,
    )
    same(still, black, 1e-13)


def test_limits_to_heston():
    factor = {f.name: getattr(HESTON, f.name) for f in dataclasses.fields(HESTON)}
    first = {f"{name}1": x for name, x in factor.items()}
    none = {"v02": 0.0, "kappa2": 1.0, "theta2": 0.0, "sigma_v2": 0.3, "rho2": -0.2}
    same(nt.DoubleHeston(**first, **none), HESTON, 1e-14)
    pieces = {name: np.full(3, x) for name, x in factor.items() if name != "v0"}
    same(nt.PiecewiseHeston(breakpoints=(0.1, 0.7), v0=HESTON.v0, **pieces), HESTON, 1e-12)


def test_a_piece_not_reached_is_not_felt():
    model = nt.PiecewiseHeston.typical()
    other = eqx.tree_at(
        lambda m: (m.kappa, m.sigma_v), model, (model.kappa + np.r_[0, 0, 3.0], model.sigma_v * 2)
    )
    other = eqx.tree_at(lambda m: m.sigma_v, other, model.sigma_v * np.r_[1.0, 1.0, 2.0])
    np.testing.assert_array_equal(log_cf(model, Z, 0.9), log_cf(other, Z, 0.9))
    assert not np.array_equal(log_cf(model, Z, 1.1), log_cf(other, Z, 1.1))


CORNERS = {
    "kou": nt.Kou(0.0, 0.0, 0.0, 1.5, 0.5),
    "vg": nt.VarianceGamma(0.0, 0.0, 0.0),
    "vg, drift alone": nt.VarianceGamma(0.0, -0.3, 0.5),
    "nig": nt.NIG(3.0, 2.0, 0.0),
    "double_heston": nt.DoubleHeston(0.0, 0.0, 0.0, 0.0, 1.0, 0.04, 0.0, 0.04, 0.0, -1.0),
    "pw_heston": nt.PiecewiseHeston(
        (0.25, 1.0), 0.0, (0.0, 1.0, 0.0), (0.0, 0.04, 0.1), (0.0, 1e-9, 0.5), (-1.0, 1.0, 0.0)
    ),
}


@pytest.mark.parametrize("name", CORNERS)
def test_value_and_gradient_are_finite_in_every_corner(name):
    z, t = (np.ravel(x) for x in np.broadcast_arrays(Z, np.r_[0.0, 1e-8, 0.25, 2.0][:, None]))

    def total(model, t):
        psi = model.log_cf(z, t)
        return jnp.sum(jnp.real(psi) + jnp.imag(psi)), psi

    value = eqx.filter_jit(jax.grad(total, argnums=(0, 1), has_aux=True))
    slopes, psi = value(CORNERS[name], jnp.asarray(t))
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves((slopes, psi)))
    at_one = np.abs(np.asarray(psi)[np.isin(z, [0.0, -1j])])
    assert np.max(at_one) < 1e-14


INSIDE = {
    "vg": nt.VarianceGamma(0.4, 1.5, 0.5),
    "nig": nt.NIG(12.0, 10.5, 0.3),
    "double_heston": nt.DoubleHeston.typical(),
}
OUTSIDE = {
    "vg": {"sigma": 0.4, "theta": 1.5, "nu": 0.7},
    "nig": {"alpha": 12.0, "beta": 11.5, "delta": 0.3},
    "kou": {"eta1": 1.0},
    "kou, down": {"eta2": 0.0},
}


@pytest.mark.parametrize("name", INSIDE)
def test_joint_maps_lead_into_the_domain_and_back(name):
    model = INSIDE[name]
    values = {f.name: getattr(model, f.name) for f in dataclasses.fields(model)}
    free = model.to_free(values)
    back = model.from_free(free)
    assert all(np.allclose(back[key], x, rtol=1e-13) for key, x in values.items())
    for scale in (0.0, 1e3, 1e9):  # any free value of the mapped parameter is a model
        moved = next(key for key in values if not np.allclose(free[key], values[key], rtol=1e-12))
        assert bool(type(model)(**model.from_free(free | {moved: jnp.asarray(scale)})).is_admissible())


def test_the_faster_factor_comes_first():
    model = nt.DoubleHeston.typical()
    values = {f.name: getattr(model, f.name) for f in dataclasses.fields(model)}
    exchanged = {name[:-1] + {"1": "2", "2": "1"}[name[-1]]: x for name, x in values.items()}
    assert model.to_free(values) == model.to_free(exchanged)


@pytest.mark.parametrize("name", OUTSIDE)
def test_parameters_without_a_forward_are_refused(name):
    cls = {"vg": nt.VarianceGamma, "nig": nt.NIG}.get(name, nt.Kou)
    typical = cls.typical()
    values = {f.name: getattr(typical, f.name) for f in dataclasses.fields(typical)} | OUTSIDE[name]
    with pytest.raises(nt.ArgumentError, match=f"{cls.__name__} needs"):
        cls(**values)
    traced = jax.jit(lambda values: cls(**values).is_admissible())
    assert not traced({key: jnp.asarray(x) for key, x in values.items()})


def test_piecewise_heston_refuses_what_does_not_fit():
    with pytest.raises(nt.ArgumentError, match="breakpoints must ascend from above 0"):
        nt.PiecewiseHeston(breakpoints=(1.0, 0.5))
    with pytest.raises(
        nt.ArgumentError, match="lacks theta, sigma_v, rho: give all parameters, or breakpoints"
    ):
        nt.PiecewiseHeston((0.5,), 0.04, (1.0, 2.0))
    with pytest.raises(
        nt.ArgumentError, match=r"kappa needs one entry per piece, 2 for 1 breakpoints, got shape"
    ):
        nt.PiecewiseHeston((0.5,), 0.04, (1.0,), (0.04, 0.05), (0.3, 0.3), (0.0, 0.0))


def test_recipes_say_what_they_are():
    recipe = nt.PiecewiseHeston(breakpoints=(0.5, 1.0))
    assert recipe.is_recipe and repr(recipe) == "PiecewiseHeston(breakpoints=[0.5, 1. ])"
    assert repr(nt.Shifted(recipe)) == "Shifted(PiecewiseHeston(breakpoints=[0.5, 1. ]))"
    assert nt.Shifted(recipe).is_recipe and not nt.PiecewiseHeston.typical().is_recipe


@pytest.mark.parametrize("sigma_v", [1e-3, 0.5, 8.0])
def test_one_variance_jump_keeps_its_digits_at_high_frequencies(sigma_v):
    """The mean over the time of the jump of 1/(1 - i z rho_j mu_v - mu_v B), by quadrature (mpmath)."""
    model = nt.SVCJ(0.0, 0.4, 0.02, sigma_v, -0.2, 0.1, 0.0, 0.0, 0.3, -0.5)
    t, z = 2e-3, np.array([3.0 - 6j, 1e3 - 6j, 1e5 - 6j, 1e8 - 6j, 1e12 - 6j])
    found = np.exp(np.asarray(model.jumps(z, np.asarray(t)).exponent))

    def true(z):
        z = mp.mpc(z)
        beta = 0.4 + 0.2j * sigma_v * z
        d = mp.sqrt(beta**2 + mp.mpf(sigma_v) ** 2 * (z * z + 1j * z))

        def share(u):
            decay = mp.exp(-d * u)
            slope = -(z * z + 1j * z) * (1 - decay) / (d + beta + (d - beta) * decay)
            return 1 / (1 + 0.15j * z - 0.3 * slope)

        cuts = [0, *(t * mp.mpf(10) ** n for n in range(-14, 1))]
        whole: Any = mp.quad(share, cuts)
        return complex(whole / t)

    with mp.workdps(30):
        expected = np.array([true(x) for x in z])
    assert np.allclose(found, expected, rtol=1e-14, atol=0.0)


def test_variance_gamma_is_right_at_the_pole_of_its_density():
    """t = nu/8: the density is infinite at the drift, where the integrand decays as |z|^{-2.25} alone."""
    model, t = nt.VarianceGamma(0.25, -0.1, 2.0), 0.25
    drift = t * np.log1p(-(model.theta + 0.5 * model.sigma**2) * model.nu) / model.nu
    strike = np.exp(drift + np.array([-1e-2, -1e-4, -1e-6, 0.0, 1e-6, 1e-4, 1e-2]))
    info = nt.price_info(model, 1.0, strike, t)
    assert np.all(np.asarray(info.status) == nt.PriceStatus.accurate)
    # a mixture of Black prices over the clock, by quadrature in the clock's own scale
    from scipy.integrate import quad
    from scipy.special import ndtr
    from scipy.stats import gamma

    def given(s, k):
        clock = s**8  # the gamma density g^(t/nu - 1) becomes regular
        sd, mean = model.sigma * np.sqrt(clock), drift + model.theta * clock
        forward = np.exp(mean + 0.5 * sd**2)
        upper = (mean + sd**2 - k) / sd
        weight = 8 * s**7 * gamma.pdf(clock, t / model.nu, scale=model.nu)
        return weight * (forward * ndtr(upper) - np.exp(k) * ndtr(upper - sd))

    for k, found in zip(np.log(strike), np.asarray(info.price), strict=True):
        true, _ = quad(given, 0.0, 60.0**0.125, args=(k,), epsabs=1e-13, epsrel=1e-13, limit=500)
        assert found == pytest.approx(true, abs=1e-11)
