"""eSSVI: smiles, surfaces, the global parametrisation, SSVI."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from references import load_reference

import neutral as nt
from neutral.options import black
from neutral.surfaces.essvi import slice as essvi_slice
from neutral.surfaces.essvi.global_parametrisation import GlobalCoordinates, global_smiles

REFERENCE = load_reference("essvi")
SMILES, PAIRS, GLOBAL = (REFERENCE[n] for n in ("slices", "calendar_pairs", "global_parametrisation"))
NAMES = ("theta", "psi", "rho")


def columns(records, *names):
    return tuple(np.array([r[n] if r[n] is not None else np.nan for r in records], float) for n in names)


def smiles(records):
    theta, psi, rho = columns(records, *NAMES)
    return theta, psi, rho


def surface(smiles, expiries=None):
    theta, psi, rho = (np.asarray(smiles[name]) for name in NAMES)
    return nt.ESSVI(np.arange(1.0, theta.size + 1) if expiries is None else expiries, theta, psi, rho)


@pytest.fixture(scope="module")
def example():
    return surface(GLOBAL[4], np.array([0.1, 0.25, 0.5, 1.0, 2.0]))


def test_total_variance_of_a_smile():
    points = [(p["k"], p["w"], *(s[n] for n in NAMES)) for s in SMILES for p in s["w"]]
    k, w, *smile = np.array(points).T
    np.testing.assert_allclose(essvi_slice.variance(k, *smile), w, rtol=1e-14)
    # in a flat wing nothing cancels: w = P k^2 / (4 (w - L)), L the line through the money
    far = float(essvi_slice.variance(1e6, 0.04, 0.3, -0.9999))
    line, square = 0.04 - 0.3 * 0.9999 * 1e6, (0.3e6) ** 2 * (1.0 - 0.9999**2)
    assert far == pytest.approx(0.25 * square / (far - line), rel=1e-12)


def test_the_butterfly_bound_is_exact():
    theta, psi, rho, least, where = columns(SMILES, *NAMES, "theta_min_exact", "k_at_bound")
    bound, at = jax.jit(essvi_slice.butterfly_bound)(psi, rho)
    steep = np.isnan(least)
    np.testing.assert_allclose(bound[~steep], least[~steep], rtol=1e-14)
    np.testing.assert_allclose((at * theta / psi)[~steep], where[~steep], rtol=1e-12)
    assert np.all(np.isinf(bound[steep]))
    free = np.array([record["butterfly_free"] for record in SMILES])
    assert np.array_equal(theta >= bound, free)
    # its inverse, which needs no iteration
    np.testing.assert_allclose(essvi_slice.psi_max(least[~steep], rho[~steep]), psi[~steep], rtol=1e-14)
    sufficient = np.array([record["gatheral_jacquier_sufficient"] for record in SMILES])
    assert np.array_equal(psi <= essvi_slice.sufficient_psi(theta, rho), sufficient)


def test_the_butterfly_bound_at_the_steepest_wings_is_the_sufficient_one():
    rho = np.array([-0.9, -0.3, 0.0, 0.6])
    psi = 4.0 / (1.0 + np.abs(rho))
    np.testing.assert_allclose(essvi_slice.theta_min(psi, rho), psi, rtol=1e-12)
    np.testing.assert_allclose(essvi_slice.psi_max(6.0, rho), psi, rtol=1e-14)


def test_the_butterfly_bound_is_differentiable_twice():
    bound = jax.value_and_grad(essvi_slice.theta_min, (0, 1))
    point, along, h = (0.5, -0.35), (1.0, 0.7), 1e-5
    move = jax.jit(lambda *x: jax.jvp(bound, x, along))
    (_, gradient), (slope, bend) = move(*point)
    assert float(slope) == pytest.approx(float(gradient[0] + 0.7 * gradient[1]), rel=1e-12)
    up, down = (move(*(x + s * h * a for x, a in zip(point, along, strict=True)))[0] for s in (1.0, -1.0))
    assert float(slope) == pytest.approx(float(up[0] - down[0]) / (2 * h), rel=1e-8)
    for i in range(2):
        assert float(bend[i]) == pytest.approx(float(up[1][i] - down[1][i]) / (2 * h), rel=1e-8)


def test_the_calendar_test_is_exact():
    one, two = (smiles([pair[name] for pair in PAIRS]) for name in ("slice1", "slice2"))
    margin, k = jax.jit(essvi_slice.calendar_margin)(one, two)
    free = np.array([pair["calendar_free"] for pair in PAIRS])
    assert np.array_equal(margin >= -essvi_slice.ROUNDING, free)
    for pair, at in zip(PAIRS, np.asarray(k), strict=True):
        if pair["crossings_k"]:  # a violation is found where they have crossed
            below = essvi_slice.variance(at, *pair["slice2"].values()) < essvi_slice.variance(
                at, *pair["slice1"].values()
            )
            assert np.isinf(at) or bool(below), pair["tag"]
    same, _ = essvi_slice.calendar_margin(one, one)
    assert np.all(same == 0.0)


@pytest.mark.parametrize("compiled", [True, False])
def test_the_conditions_hold_with_and_without_jit(compiled):
    _, psi, rho, least = columns(SMILES, *NAMES, "theta_min_exact")
    one, two = (smiles([pair[name] for pair in PAIRS]) for name in ("slice1", "slice2"))
    with chex.fake_jit(enable_patching=not compiled):
        bound = jax.jit(essvi_slice.theta_min)(psi, rho)
        margin, place = jax.jit(essvi_slice.calendar_margin)(one, two)
    chex.assert_equal_shape([bound, psi])
    chex.assert_equal_shape([margin, place, one[0]])
    possible = ~np.isnan(least)
    chex.assert_trees_all_close(np.asarray(bound)[possible], least[possible], rtol=1e-13)
    free = np.array([pair["calendar_free"] for pair in PAIRS])
    chex.assert_trees_all_equal(np.asarray(margin) >= -essvi_slice.ROUNDING, free)


def test_interpolation():
    assert REFERENCE["interpolation"]
    for record in REFERENCE["interpolation"]:
        assert record["rows"]
        both = {name: [record["left"][name], record["right"][name]] for name in NAMES}
        between = surface(both)
        for row in record["rows"]:
            at = between.parameters(jnp.asarray(1.0 + row["weight"]))
            np.testing.assert_allclose(at, [row[name] for name in NAMES], rtol=1e-14)
            k, w = np.array([(p["k"], p["w"]) for p in row["w"]]).T
            np.testing.assert_allclose(between.total_variance(k, 1.0 + row["weight"]), w, rtol=1e-14)
        assert between.certificate.free and np.all(between.certificate.proven)


@pytest.mark.parametrize("record", REFERENCE["anchored_slices"])
def test_an_anchored_smile_passes_through_its_quote(record):
    k, w, psi, rho = (record[name] for name in ("k_star", "w_star", "psi", "rho"))
    theta = essvi_slice.anchored_theta(k, w, psi, rho)
    assert float(theta) == pytest.approx(record["theta_exact"], rel=1e-14)
    assert float(essvi_slice.variance(k, theta, psi, rho)) == pytest.approx(w, rel=1e-14)


@pytest.mark.parametrize("record", [r for r in GLOBAL if len(r["rho"]) in (1, 5, 12)])
def test_global_parametrisation(record):
    point = GlobalCoordinates(*(np.array(record[name]) for name in ("rho", "theta1", "a", "c")))
    theta, psi, _ = global_smiles(point)
    np.testing.assert_allclose(theta, record["theta"], rtol=1e-14)
    np.testing.assert_allclose(psi, record["psi"], rtol=1e-13)


@pytest.mark.parametrize("cap", ["sufficient", "exact"])
def test_any_vector_is_a_free_surface(cap, key):
    z = 3.0 * jax.random.normal(key, (200, 15)) - 1.0
    build = jax.jit(jax.vmap(lambda z: nt.essvi_from_unconstrained(np.arange(1.0, 6.0), z, cap)))
    certificate = build(z).certificate
    assert np.all(certificate.free)
    assert np.all(certificate.proven) == (cap == "sufficient")


def test_what_follows_from_total_variance(example):
    t, k = np.array([[0.04], [0.3], [0.7], [3.0]]), np.linspace(-0.2, 0.15, 5)[None]
    w = example.total_variance(k, t)
    np.testing.assert_allclose(example.implied_vol(k, t) ** 2 * t, w, rtol=1e-14)
    np.testing.assert_allclose(example.price(k, t), black.price(k, np.sqrt(w)), rtol=1e-14)
    # Dupire's formula on prices, and Breeden and Litzenberger's, by differences
    h = 1e-4

    def price(dk, dt):
        return np.asarray(example.price(k + dk, t + dt))

    first = (price(h, 0) - price(-h, 0)) / (2 * h)
    second = (price(h, 0) - 2 * price(0, 0) + price(-h, 0)) / h**2
    later = (price(0, h) - price(0, -h)) / (2 * h)
    np.testing.assert_allclose(example.density(k, t) * np.exp(k), second - first, rtol=1e-5, atol=1e-7)
    local = example.local_variance(k, t)
    np.testing.assert_allclose(local * (second - first), 2.0 * later, rtol=1e-4, atol=1e-7)
    assert np.all(local > 0)


def test_the_density_is_one_of_a_martingale(example):
    k = np.linspace(-12.0, 12.0, 4001)[None]
    density = example.density(k, np.array([[0.05], [0.6], [4.0]]))
    assert np.all(density >= 0)
    np.testing.assert_allclose(np.trapezoid(density, k), 1.0, rtol=1e-10)
    np.testing.assert_allclose(np.trapezoid(density * np.exp(k), k), 1.0, rtol=1e-10)


def test_padded_expiries_change_nothing(example):
    t = np.array([0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0])
    fields = []
    for name in NAMES:
        x = np.full(8, np.nan)
        x[[0, 2, 3, 4, 5]] = getattr(example, name)
        fields.append(x)
    padded = nt.ESSVI(t, *fields)
    k, t = np.linspace(-0.3, 0.3, 5)[None], np.array([[0.04], [0.25], [0.7], [3.0]])
    np.testing.assert_array_equal(padded.total_variance(k, t), example.total_variance(k, t))
    assert float(padded.certificate.margin) == float(example.certificate.margin)
    assert np.all(np.isnan(nt.ESSVI([1.0], [np.nan], [np.nan], [np.nan]).total_variance(k, 1.0)))


def test_transformations(example):
    k = np.linspace(-0.3, 0.3, 4)
    np.testing.assert_allclose(
        jax.vmap(lambda k: example.price(k, 0.7))(k), example.price(k, 0.7), rtol=1e-15
    )

    def price(theta):
        return nt.ESSVI(example.expiries, theta, example.psi, example.rho).price(0.1, 0.7)

    slope = jax.jit(jax.grad(price))(example.theta)
    h = np.zeros(5)
    h[3] = 1e-6
    difference = (price(example.theta + h) - price(example.theta - h)) / 2e-6
    assert float(slope[3]) == pytest.approx(float(difference), rel=1e-8) and float(slope[4]) == 0.0


def test_a_certificate_names_the_condition_that_fails():
    crossing = next(pair for pair in PAIRS if "still cross" in pair["tag"])
    both = {n: np.array([crossing[s][n] for s in ("slice1", "slice2")]) for n in NAMES}
    certificate = surface(both).certificate
    low, high = crossing["crossings_k"]
    name, t, k = certificate.worst()
    assert not certificate.free and (name, t) == ("calendar", 2.0) and low < k < high
    assert "NOT free" in str(certificate) and "calendar" in str(certificate)
    bent = next(s for s in SMILES if s["tag"] == "just outside exact boundary")
    certificate = surface({name: [bent[name]] for name in NAMES}).certificate
    assert not certificate.free and certificate.worst()[0] == "butterfly"
    assert certificate.worst()[2] == pytest.approx(bent["argmin_k_dense"], rel=1e-3)
    assert float(certificate.margin) == pytest.approx(-1e-4, rel=1e-3)


def test_ssvi_power_law():
    t, theta = np.array([0.25, 1.0, 2.0]), np.array([0.01, 0.05, 0.09])
    ssvi = nt.SSVI(t, theta, rho=-0.4, eta=1.2, gamma=0.5)
    k = np.array([-0.5, 0.0, 0.3])
    # the definition, theta/2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2))
    phi = 1.2 / np.sqrt(0.05 * 1.05)
    w = 0.025 * (1.0 - 0.4 * phi * k + np.sqrt((phi * k - 0.4) ** 2 + 1.0 - 0.16))
    np.testing.assert_allclose(ssvi.total_variance(k, 1.0), w, rtol=1e-14)
    assert float(ssvi.total_variance(0.0, 1.5)) == pytest.approx(0.07, rel=1e-14)
    assert float(ssvi.total_variance(0.0, 3.0)) == pytest.approx(0.13, rel=1e-14)
    assert ssvi.certificate.free and np.all(ssvi.certificate.proven)
    assert np.all(np.asarray(ssvi.local_variance(k, 0.7)) > 0)
    assert not nt.SSVI(t, theta, rho=-0.4, eta=8.0, gamma=0.5).certificate.free


def test_what_is_no_surface_is_refused():
    with pytest.raises(nt.ArgumentError, match="one shape"):
        nt.ESSVI([1.0, 2.0], [0.1], [0.1], [0.0])
    with pytest.raises(nt.ArgumentError, match="ascend"):
        nt.ESSVI([2.0, 1.0], [0.1, 0.2], [0.1, 0.1], [0.0, 0.0])
    with pytest.raises(nt.ArgumentError, match="rho in"):
        nt.ESSVI([1.0], [0.1], [0.1], [1.0])
    with pytest.raises(nt.ArgumentError, match="three numbers"):
        nt.essvi_from_unconstrained([1.0], [0.1, 0.2])
    with pytest.raises(nt.ArgumentError, match="ascend"):
        nt.SSVI([2.0, 1.0], [0.1, 0.2], 0.0, 1.0, 0.5)
