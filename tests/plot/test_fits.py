"""Box plots of parameters, figures on the caller's axes, and dots of mid volatilities."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from synthetic import surface_quotes

import neutral as nt

plt = pytest.importorskip("matplotlib.pyplot")

T = np.array([0.1, 0.5])
TABLE = pd.DataFrame({"kappa": [1.0, 2.0, 3.0, 50.0], "rho": [-0.5] * 4, "converged": [True] * 3 + [False]})


@pytest.fixture(scope="module")
def surface():
    return nt.ESSVI(T, 0.04 * T, 0.6 * np.sqrt(0.04 * T), np.full(2, -0.4))


@pytest.fixture(scope="module")
def mids(surface):
    """Quotes with a mid volatility alone."""
    quotes = surface_quotes(surface, T, np.linspace(-1.5, 1.5, 6))
    return nt.QuoteSurface.from_arrays(quotes.t, quotes.k, quotes.prices)


def test_boxes_are_quartiles_of_converged_fits():
    figure = nt.plot.parameters({"a": TABLE, "b": TABLE.assign(kappa=4.0)}, ["kappa", "rho"], title="paths")
    kappa, rho = figure.axes
    assert kappa.get_title() == "kappa" and rho.get_title() == "rho"
    heights = [line.get_ydata() for line in kappa.get_lines() if line.get_color() == "C3"]
    assert [float(y[0]) for y in heights] == [2.0, 4.0]  # medians; the fit at 50 has not converged
    assert [text.get_text() for text in kappa.get_xticklabels()] == ["a", "b"]


@pytest.mark.mistyped
def test_wrong_tables_are_named():
    with pytest.raises(nt.ArgumentError, match="needs names="):
        nt.plot.parameters(TABLE)
    with pytest.raises(nt.ArgumentError, match="no fit has the parameter sigma; there are kappa"):
        nt.plot.parameters(TABLE, ["kappa", "sigma"])
    with pytest.raises(nt.ArgumentError, match="a batch of fits or a table, got int"):
        nt.plot.parameters(3)
    none = nt.plot.parameters(TABLE.assign(converged=False), ["kappa"])
    assert "no fit has converged" in none.axes[0].texts[0].get_text()


def test_mid_volatilities_are_dots(surface, mids):
    figure = nt.plot.smiles(mids, surface)
    for i, axes in enumerate(figure.axes):
        assert not axes.containers
        (dots,) = [line for line in axes.get_lines() if line.get_label() == "market mid"]
        x, y = np.asarray(dots.get_data())[:, np.argsort(dots.get_xdata())]
        np.testing.assert_allclose(x, mids.k[i])
        np.testing.assert_allclose(y, 100 * np.asarray(surface.implied_vol(x, T[i])), rtol=1e-9)
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["market mid", "surface"]
    drawn = nt.plot.smile(k=mids.k[0], t=0.1, vol=0.2)
    assert [line.get_label() for line in drawn.axes[0].get_lines() if line.get_marker() == "o"] == [
        "market mid"
    ]


def test_calls_alone_are_drawn_on_both_sides(surface, mids):
    calls = nt.QuoteSurface.from_arrays(mids.t, mids.k, mids.prices, mask=[[[True]], [[False]]])
    for i, axes in enumerate(nt.plot.smiles(calls, surface).axes):
        (dots,) = [line for line in axes.get_lines() if line.get_label() == "market mid"]
        np.testing.assert_allclose(dots.get_xdata(), mids.k[i])


@pytest.mark.mistyped
def test_figures_are_drawn_on_the_axes_of_the_caller(surface, mids):
    figure, axes = plt.subplots(2, 2)
    assert nt.plot.smiles(mids, surface, ax=axes[0], title="day") is figure
    assert axes[0, 0].get_title().startswith("day\n") and axes[0, 1].get_ylabel() == "implied volatility, %"
    assert nt.plot.total_variance(surface, ax=axes[1, 0]) is figure
    assert (
        nt.plot.densities(surface, ax=axes[1, 1]) is figure
        and axes[1, 1].get_ylabel() == "risk-neutral density"
    )
    assert figure.get_suptitle() == "" and figure.get_supxlabel() == ""
    reason = SimpleNamespace(identifiability=SimpleNamespace(reason="no parameter is free."))
    _, one = plt.subplots()
    assert nt.plot.correlations(reason, ax=one) is one.figure and "no parameter" in one.texts[0].get_text()
    with pytest.raises(nt.ArgumentError, match=r"one axes per panel, 2, got 1; .*subplots\(1, 2\)"):
        nt.plot.smiles(mids, surface, ax=one)
    plt.close("all")
