"""Laws that every model and engine obeys."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from registry import ENGINES, GROUPED, HAND_DIFFERENTIATED, MODELS, log_cf, strip_and_cumulants

import neutral as nt
from neutral.models import AbstractFourierModel
from neutral.models.parameters import domains

F, T = 100.0, np.array([[0.05], [0.5], [2.0]])
WEIGHTS = np.array([[1.0, -0.5, 0.8, 2.0, 0.3, -0.9, 1.5]]) * np.array([[1.0], [0.7], [-0.4]])
K = F * np.exp(np.array([[-0.4, -0.2, -0.1, 0.0, 0.05, 0.15, 0.3]]) * np.sqrt(T))


# Heston, Merton, Bates and SVCJ are inside svcj++; `make slow` has every pair.
GRADIENTS = {
    "contour": ("black", "merton"),
    "lewis": ("svcj++",),
    "carr-madan": ("heston",),
    "cos": ("merton",),
}
MAIN = ("black", "merton", "heston", "bates", "svcj", "svcj++")
PRICES = {
    "lewis": (*MAIN, "vg"),
    "carr-madan": ("black", "heston"),
    "cos": ("black", "merton"),
}
# the judge meets the others in test_accuracy, on options of reference
JUDGED = {
    "contour": ("merton",),
    "lewis": ("merton", "svcj++"),
    "carr-madan": ("black", "heston"),
    "cos": ("black", "merton"),
}


def pairs(quick):
    """Every model with every engine; those not named under the engine in `quick` are slow."""
    return [
        pytest.param(
            name,
            engine,
            marks=[pytest.mark.xdist_group(name)]
            + [pytest.mark.slow] * (name not in quick.get(engine, MODELS)),
        )
        for name in MODELS
        for engine in ENGINES
    ]


every_pair = pytest.mark.parametrize(("name", "engine"), pairs(PRICES), indirect=True)


@pytest.fixture(params=GROUPED)
def name(request):
    return request.param


@pytest.fixture
def model(name) -> AbstractFourierModel:
    return MODELS[name]()


@pytest.fixture(params=ENGINES)
def engine(request):
    return ENGINES[request.param]()


def test_cf_is_one_at_zero_and_a_martingale(model):
    t = np.array([[0.0], [1e-4], [1.0], [30.0]])
    assert np.all(np.abs(log_cf(model, [0j, -1j], t)) < 1e-13)


def test_cf_is_hermitian(model):
    z = np.array([0.3 - 0.2j, 5.0 - 0.5j, 60.0 - 0.9j])
    mirrored = log_cf(model, -np.conj(z), 0.7)
    assert np.allclose(mirrored, np.conj(log_cf(model, z, 0.7)), rtol=1e-14, atol=1e-15)


def test_models_with_derivatives_by_hand_are_registered():
    by_hand = {
        name
        for name, build in MODELS.items()
        if type(build()).log_cf_and_gradient is not AbstractFourierModel.log_cf_and_gradient
    }
    assert by_hand == set(HAND_DIFFERENTIATED)


BY_HAND = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in HAND_DIFFERENTIATED]


@pytest.mark.parametrize("name", BY_HAND, indirect=True)
def test_cf_gradient_is_that_of_automatic_differentiation(name, model):
    z = np.array([0.01 - 0.5j, 3.0 - 0.5j, 40.0 - 0.5j, 3.0 + 0.2j, -1e-6j])
    t = np.array([[1e-3], [0.3], [5.0]])
    z, t = (np.ravel(x) for x in np.broadcast_arrays(z, t))
    automatic = eqx.filter_jit(lambda m, z, t: AbstractFourierModel.log_cf_and_gradient(Plain(m), z, t))
    psi, slopes = eqx.filter_jit(lambda m, z, t: m.log_cf_and_gradient(z, t))(model, z, t)
    again, oracle = automatic(model, z, t)
    assert np.allclose(psi, again, rtol=1e-14)
    for hand, auto in zip(slopes, oracle, strict=True):
        hand, auto = np.asarray(hand), np.asarray(auto)
        assert np.max(np.abs(hand - auto) / (1e-6 + np.abs(auto))) < 1e-10, name


class Plain(AbstractFourierModel):
    """A model stripped of its hand-written rule."""

    model: AbstractFourierModel

    def log_cf(self, z, t):
        plain = getattr(type(self.model).log_cf, "__wrapped__", type(self.model).log_cf)
        return plain(self.model, z, t)

    def strip(self, t):
        return self.model.strip(t)

    def total_variance(self, t):
        return self.model.total_variance(t)


def test_strip_is_where_moments_are_finite(model):
    (low, high), _ = strip_and_cumulants(model, T[:, 0])
    assert np.all(low < 0) and np.all(high > 1)
    inside = np.where(np.isfinite(high), 1 + 0.99 * (high - 1), 20.0)
    assert np.all(np.isfinite(log_cf(model, -1j * inside, T[:, 0])))


def test_cumulants_match_the_expansion_at_zero(model):
    _, (c1, c2, *_) = strip_and_cumulants(model, T[:, 0])
    h = 1e-3
    up, down = (np.real(log_cf(model, -1j * a, T[:, 0])) for a in (h, -h))
    assert np.allclose(c1, (up - down) / (2 * h), rtol=1e-5)
    assert np.allclose(c2, (up + down) / h**2, rtol=1e-4)


@every_pair
def test_parity_bounds_and_convexity(model, engine):
    call, put = (np.asarray(nt.price(model, F, K, T, kind, 0.97, engine=engine)) for kind in ("call", "put"))
    assert np.allclose(call - put, 0.97 * (F - K), atol=1e-9)
    assert np.all(call >= 0.97 * np.maximum(F - K, 0) - 1e-9) and np.all(call <= 0.97 * F)
    slope = np.diff(call, axis=1) / np.diff(K, axis=1)
    assert np.all(slope > -0.97) and np.all(slope < 0) and np.all(np.diff(slope, axis=1) > 0)


@pytest.mark.heavy
@pytest.mark.parametrize(("name", "engine"), pairs(JUDGED), indirect=True)
def test_engines_agree_with_the_judge(model, engine):
    certified = nt.certify(model, F, K, T)
    assert np.all(np.asarray(certified.error_bound) < 1e-11 * F)
    info = nt.price_info(model, F, K, T, engine=engine)
    error, status = np.abs(np.asarray(info.price) - np.asarray(certified.price)), np.asarray(info.status)
    tolerance = 1e-12 if isinstance(engine, nt.Contour) else 1e-8
    assert np.all((error < tolerance * F) | (status == nt.PriceStatus.inaccurate))
    # where jumps alone move the forward phi falls slowly: a grid of fixed size doubts the shortest maturity
    assert np.mean(status == nt.PriceStatus.accurate) > (0.7 if isinstance(engine, nt.Contour) else 0.6)


@pytest.mark.heavy
@pytest.mark.parametrize(("name", "engine"), pairs(GRADIENTS), indirect=True)
def test_jit_vmap_and_gradient(model, engine):
    """jit(vmap(value and gradient)) over two models, against eager prices and differences."""
    moved = jax.tree.map(lambda x: 1.02 * x, model)
    batch = jax.tree.map(lambda *x: np.stack(x), model, moved)

    def total(m, forward, t):
        prices = nt.price(m, forward, K, t * T, engine=engine)
        return jnp.sum(prices * WEIGHTS), prices

    point = (jnp.asarray(F), jnp.asarray(1.0))
    program = jax.jit(
        jax.vmap(jax.value_and_grad(total, argnums=(0, 1, 2), has_aux=True), in_axes=(0, None, None))
    )
    (_, prices), gradient = program(batch, *point)
    apart = [np.asarray(nt.price(m, F, K, T, engine=engine)) for m in (model, moved)]
    # compiled separately, the roundings of the quadrature differ
    assert np.allclose(prices, np.stack(apart), rtol=1e-11, atol=1e-12)

    leaves, tree = jax.tree.flatten((jax.tree.map(np.asarray, model), F, 1.0))
    slopes = [np.asarray(x)[0] for x in jax.tree.leaves(gradient)]
    tolerance = 1e-4 if isinstance(engine, nt.Lewis) else 1e-6
    for i, (x, slope) in enumerate(zip(leaves, slopes, strict=True)):
        h = 1e-4 * np.maximum(np.abs(x), 1e-2)
        up, down = (
            np.asarray(nt.price(m, f, K, t * T, engine=engine))
            for m, f, t in (
                jax.tree.unflatten(tree, [*leaves[:i], x + s * h, *leaves[i + 1 :]]) for s in (1, -1)
            )
        )
        numeric = np.sum((up - down) * WEIGHTS) / 2
        assert np.allclose(np.sum(slope * h), numeric, rtol=tolerance, atol=1e-9), f"leaf {i} of {tree}"


def test_parameters_go_to_the_real_line_and_back(model):
    for name, domain in domains(model).items():
        x = getattr(model, name)
        assert np.allclose(domain.from_unconstrained(domain.to_unconstrained(x)), x, rtol=1e-14), name


def test_model_keeps_dtype_and_prints_its_parameters(model):
    assert all(x.dtype == jnp.float64 and not x.weak_type for x in jax.tree.leaves(model))
    assert all(f"{name}=" in repr(model) for name in domains(model))


def test_save_and_load_are_exact(model, tmp_path):
    moved = jax.tree.map(lambda x: x * (1 + 1e-13), model)
    nt.save(moved, tmp_path / "model.json")
    assert eqx.tree_equal(nt.load(tmp_path / "model.json"), moved)


@every_pair
def test_maturity_zero_is_intrinsic(model, engine):
    call, put = (nt.price(model, F, K, 0.0 * T, kind, engine=engine) for kind in ("call", "put"))
    assert np.allclose(call, np.maximum(F - K, 0)) and np.allclose(put, np.maximum(K - F, 0))
