"""Fits of several models beside each other."""

from typing import Any

import numpy as np
import pytest
from synthetic import heston_surface

import neutral as nt
from neutral.diagnostics import criteria_of_losses

ENGINE = nt.Lewis(48)


@pytest.fixture(scope="module")
def surface():
    return heston_surface(noise=0.01)


@pytest.fixture(scope="module")
def fits(surface):
    models = {"black": nt.Black, "heston": nt.Heston}
    return {name: nt.calibrate(model, surface, engine=ENGINE) for name, model in models.items()}


@pytest.fixture(scope="module")
def models(fits):
    return nt.compare(fits)


def test_criteria_are_those_of_the_losses(models, fits):
    losses = [float(fit.loss) for fit in fits.values()]
    expected = criteria_of_losses(losses, [1, 5], 32, list(fits))
    frame = models.to_frame().set_index("model")
    np.testing.assert_allclose(frame["bic"], expected.bic)
    np.testing.assert_allclose(frame["aic"], [fit.aic for fit in fits.values()])
    np.testing.assert_allclose(frame["weight"], expected.weights())
    assert list(frame["parameters"]) == [1, 5] and frame.loc["heston", "weight"] > 0.99
    assert frame.loc["heston", "rmse_bp"] == pytest.approx(float(fits["heston"].statistics().rmse_bp))
    assert "BIC" in str(models) and "<table>" in models._repr_html_() and "32 fitted strikes" in str(models)


def test_errors_of_another_day_are_those_of_the_models(fits, surface):
    other = heston_surface(noise=0.01, seed=7)
    fixed = nt.calibrate(nt.Black, surface, engine=ENGINE, fixed={"sigma": 0.3})
    models = nt.compare({"black": fits["black"], "fixed": fixed}, other)
    counts = np.asarray(other.vega) >= 0.05 * np.max(other.vega, axis=(0, 2), keepdims=True)
    frame: Any = models.to_frame()
    for i, sigma in enumerate((float(fits["black"].model.sigma), 0.3)):
        expected = 1e4 * np.sqrt(np.mean((sigma - np.asarray(other.vol)[counts]) ** 2))
        assert frame["rmse_bp"][i] == pytest.approx(expected, rel=1e-6)
    assert list(frame["parameters"]) == [1, 0]
    assert "all quotes of the given surface" in str(models)


def test_likelihoods_of_different_losses_are_not_compared(fits, surface):
    vega = nt.calibrate(nt.Black, surface, engine=ENGINE, loss=nt.Loss("vega"))
    models = nt.compare({"default": fits["black"], "vega": vega})
    frame: Any = models.to_frame()
    assert frame["bic"].isna().all() and "different losses" in str(models)
    assert np.all(np.isfinite(frame["rmse_bp"]))


@pytest.mark.mistyped
def test_what_cannot_be_compared_is_named(fits, surface):
    with pytest.raises(nt.ArgumentError, match="two or more fits by name"):
        nt.compare({"heston": fits["heston"]})
    with pytest.raises(nt.ArgumentError, match="by name.*got CalibrationResult"):
        nt.compare(fits["heston"], surface)
    with pytest.raises(nt.ArgumentError, match="model must be the result of calibrate, got Heston"):
        nt.compare({"fit": fits["heston"], "model": fits["heston"].model})
    other = nt.calibrate(nt.Black, heston_surface(noise=0.01, seed=3), engine=ENGINE)
    with pytest.raises(nt.ArgumentError, match="other was fitted to other quotes than black"):
        nt.compare({"black": fits["black"], "other": other})
    part = nt.calibrate(nt.Black, surface, engine=ENGINE, mask=np.arange(8) < 6)
    with pytest.raises(nt.ArgumentError, match="with the same mask"):
        nt.compare({"black": fits["black"], "part": part})


@pytest.mark.mistyped
def test_a_fit_alone_is_named(fits):
    with pytest.raises(nt.ArgumentError, match=r"two or more fits by name, .* got CalibrationResult\."):
        nt.compare(fits["heston"])


def test_the_figure_has_the_numbers_of_the_table(models):
    pytest.importorskip("matplotlib")
    axes = models.plot(title="two models").axes
    widths = [[bar.get_width() for bar in one.patches] for one in axes]
    frame = models.to_frame()
    np.testing.assert_allclose(widths[0], frame["bic"] - frame["bic"].min())
    np.testing.assert_allclose(widths[1], frame["rmse_bp"])
    np.testing.assert_allclose(widths[2], 100 * frame["inside"])
