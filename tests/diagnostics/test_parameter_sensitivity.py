"""Elasticities against closed forms, Sobol indices against published ones."""

import numpy as np
import pytest

import neutral as nt
from neutral.diagnostics import elasticities, sobol
from neutral.options import black

A, B = 7.0, 0.1
FIRST, TOTAL = [0.3139, 0.4424, 0.0], [0.5576, 0.4424, 0.2437]  # Ishigami and Homma 1990, of a = 7, b = 0.1
BOX = {name: (-np.pi, np.pi) for name in ("x1", "x2", "x3")}


def ishigami(x):
    return np.sin(x[:, 0]) + A * np.sin(x[:, 1]) ** 2 + B * x[:, 2] ** 4 * np.sin(x[:, 0])


def test_indices_are_those_of_ishigami_and_homma():
    found = sobol(ishigami, BOX, samples=4096, seed=3)
    np.testing.assert_allclose(found.first, FIRST, atol=0.01)
    np.testing.assert_allclose(found.total, TOTAL, atol=0.01)
    for told, ends in ((FIRST, found.first_interval), (TOTAL, found.total_interval)):
        assert np.all((ends[:, 0] <= told) & (told <= ends[:, 1]))
        assert np.all(np.diff(ends, axis=1) < 0.1)
    assert [row["parameter"] for row in found.rows()] == list(BOX) and "x3" in str(found)
    again = sobol(ishigami, list(BOX.values()), tuple(BOX), samples=4096, seed=3)
    np.testing.assert_array_equal(again.total_interval, found.total_interval)


def test_indices_are_those_of_the_g_function():
    """Closed form of Saltelli and Sobol (1995): independent factors of variance 1 / (3 (1 + a)^2)."""
    a = np.array([0.0, 1.0, 9.0])

    def product(x):
        return np.prod((np.abs(4.0 * x - 2.0) + a) / (1.0 + a), axis=1)

    parts = 1.0 / (3.0 * (1.0 + a) ** 2)
    variance = np.prod(1.0 + parts) - 1.0
    found = sobol(product, dict.fromkeys("abc", (0.0, 1.0)), samples=4096)
    np.testing.assert_allclose(found.first, parts / variance, atol=0.01)
    np.testing.assert_allclose(found.total, parts / (1.0 + parts) * (1.0 + variance) / variance, atol=0.01)


def test_wrong_boxes_and_functions_are_refused():
    with pytest.raises(nt.ArgumentError, match="one \\(lower, upper\\) per name"):
        sobol(ishigami, {"x": (1.0, 1.0)})
    with pytest.raises(nt.ArgumentError, match="power of 2, got 100"):
        sobol(ishigami, BOX, samples=100)
    with pytest.raises(nt.ArgumentError, match="2 of them not finite"):
        sobol(lambda x: np.where(np.arange(len(x)) < 2, np.nan, x[:, 0]), BOX, samples=4)
    with pytest.raises(nt.ArgumentError, match="not all equal"):
        sobol(lambda x: np.ones(len(x)), BOX, samples=4)


def test_elasticity_of_black_s_price_is_vega_times_volatility_over_price():
    k, t, sigma = np.array([-0.1, 0.2]), 0.5, 0.3

    def price(model):
        return black.price(k, model.sigma * np.sqrt(t), k >= 0.0)

    found = elasticities(price, nt.Black(sigma))
    stdev = sigma * np.sqrt(t)
    expected = black.vega(k, np.full(2, stdev)) * stdev / black.price(k, np.full(2, stdev), k >= 0.0)
    np.testing.assert_allclose(found["sigma"], expected, rtol=1e-12)


def test_elasticities_of_entries_keep_their_axis():
    model = nt.PiecewiseHeston((0.5,), 0.04, (2.0, 1.0), (0.05, 0.06), (0.5, 0.4), (-0.6, -0.5))
    found = elasticities(lambda m: m.v0**2 * m.kappa[0] ** 3 / m.kappa[1], model)
    np.testing.assert_allclose(found["v0"], 2.0)
    np.testing.assert_allclose(found["kappa"], [3.0, -1.0])
    np.testing.assert_allclose(found["rho"], 0.0, atol=0.0)
