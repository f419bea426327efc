"""Figures of smiles: the bars show the market and the curves the models."""

import sys
from typing import Any

import numpy as np
import pytest

from neutral import plot
from neutral.errors import ArgumentError, NeutralError
from neutral.models import Black

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.xdist_group("plot")  # one shape of curves, compiled once

K = np.array([-0.2, 0.0, 0.1, -0.3, 0.0, 0.2])
T = np.array([0.1, 0.1, 0.1, 0.5, 0.5, 0.5])
QUOTES: dict[str, Any] = {"k": K, "t": T, "bid_vol": 0.30 + K**2, "ask_vol": 0.31 + K**2}
FLAT = Black(sigma=0.4)


def test_one_panel_per_expiry_with_units_on_the_axes():
    figure = plot.smile(FLAT, **QUOTES)
    assert len(figure.axes) == 2
    assert [axes.get_title() for axes in figure.axes] == ["36.5 days", "182 days"]
    assert "moneyness" in figure.get_supxlabel()
    assert "%" in figure.get_supylabel()


def test_the_curves_are_the_models():
    figure = plot.smile({"low": FLAT, "high": Black(sigma=0.5)}, **QUOTES)
    assert len(figure.axes) == 2
    for axes in figure.axes:
        curves = {line.get_label(): np.asarray(line.get_ydata()) for line in axes.get_lines()}
        np.testing.assert_allclose(curves["low"], 40.0, rtol=1e-9)
        np.testing.assert_allclose(curves["high"], 50.0, rtol=1e-9)


def test_the_bars_are_the_market():
    figure = plot.smile(**QUOTES)
    (bars,) = (container for container in figure.axes[0].containers)
    segments = np.array(bars[2][0].get_segments())
    np.testing.assert_allclose(segments[:, 0], np.stack([K, 100 * QUOTES["bid_vol"]], 1)[:3])
    np.testing.assert_allclose(segments[:, 1], np.stack([K, 100 * QUOTES["ask_vol"]], 1)[:3])


def test_a_model_alone_is_drawn_without_bars():
    figure = plot.smile(FLAT, k=K, t=T, labels=["near", "far"])
    assert [axes.get_title() for axes in figure.axes] == ["near", "far"]
    assert not any(axes.containers for axes in figure.axes)
    curves = [line for axes in figure.axes for line in axes.get_lines() if line.get_label() == "Black"]
    assert len(curves) == 2
    near = np.asarray(curves[0].get_xdata())
    assert near.min() < K[:3].min() and near.max() > K[:3].max()


def test_a_quote_without_a_side_has_no_bar(tmp_path):
    one_sided: dict[str, Any] = QUOTES | {"bid_vol": np.where(K == 0, np.nan, QUOTES["bid_vol"])}
    figure = plot.smile(FLAT, **one_sided)
    for axes, drawn in zip(figure.axes, ([-0.2, 0.1], [-0.3, 0.2]), strict=True):
        (bars,) = axes.containers
        np.testing.assert_allclose([bar[0, 0] for bar in bars[2][0].get_segments() if len(bar)], drawn)
    figure.savefig(tmp_path / "market.png")  # what is nan does not stop the drawing


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t": -0.1}, "t must be finite and > 0"),
        ({"t": [0.1, 0.2]}, r"t has shape \(2,\)"),
        ({"k": [[0.0]]}, "k must be"),
        ({"k": np.nan}, "k must be"),
        ({"ask_vol": None}, "go together"),
        ({"ask_vol": 0.1}, "bid_vol is above ask_vol at 6 of 6"),
        ({"labels": ["one"]}, "1 entries for 2 expiries"),
        ({"bid_vol": None, "ask_vol": None}, "nothing to draw"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    with pytest.raises(ArgumentError, match=message):
        plot.smile(**(QUOTES | change))


def test_without_matplotlib_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(NeutralError, match=r"pip install 'neutral\[plot\]'"):
        plot.smile(**QUOTES)
