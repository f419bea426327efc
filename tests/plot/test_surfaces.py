"""Figures of surfaces: the lines and colours show the surface's own numbers."""

import numpy as np
import pytest
from synthetic import surface_quotes

import neutral as nt
from neutral.options import black

pytest.importorskip("matplotlib")

T = np.array([0.1, 0.5, 1.5])


@pytest.fixture(scope="module")
def surface():
    return nt.ESSVI(T, 0.04 * T, 0.6 * np.sqrt(0.04 * T), np.full(3, -0.4))


@pytest.fixture(scope="module")
def quotes(surface):
    return surface_quotes(surface, T, np.linspace(-1.5, 1.5, 6))


def test_smiles_lie_between_bid_and_ask(surface, quotes):
    figure = nt.plot.smiles(quotes, surface)
    assert [axes.get_title() for axes in figure.axes] == ["36.5 days", "182 days", "548 days"]
    for i, axes in enumerate(figure.axes):
        (bars,) = axes.containers
        ends = np.array(sorted(bars[2][0].get_segments(), key=lambda bar: bar[0, 0]))
        k, t = ends[:, 0, 0], quotes.t[i]
        np.testing.assert_allclose(k, quotes.k[i], rtol=1e-14)
        kind = np.where(k >= 0.0, 0, 1)
        for side, market in enumerate((quotes.bid, quotes.ask)):
            price = black.price(k, 0.01 * ends[:, side, 1] * np.sqrt(t), k >= 0.0)
            np.testing.assert_allclose(price, np.asarray(market)[kind, i, np.arange(k.size)], rtol=1e-9)
        curve = next(line for line in axes.get_lines() if line.get_label() == "surface")
        x, y = (np.asarray(data) for data in curve.get_data())
        np.testing.assert_allclose(y, 100 * np.asarray(surface.implied_vol(x, t)), rtol=1e-12)
        assert np.all((ends[:, 0, 1] < np.interp(k, x, y)) & (np.interp(k, x, y) < ends[:, 1, 1]))


def test_one_line_per_expiry(surface, tmp_path):
    for draw, says in (
        (nt.plot.total_variance, surface.total_variance),
        (nt.plot.densities, surface.density),
    ):
        figure = draw(surface)
        lines = [line for line in figure.axes[0].get_lines() if np.size(line.get_xdata()) > 2]
        assert len(lines) == 3 and figure.axes[1].get_ylabel() == "maturity, days"
        for line, t in zip(lines, T, strict=True):
            unit = 1.0 if draw is nt.plot.total_variance else np.sqrt(0.04 * t)
            scale = unit if draw is nt.plot.densities else 1.0
            x, y = (np.asarray(data) for data in line.get_data())
            np.testing.assert_allclose(y, scale * np.asarray(says(unit * x, t)), rtol=1e-9)
        figure.savefig(tmp_path / "lines.png")


def test_the_map_shows_volatilities(surface, tmp_path):
    figure = nt.plot.vol_map(surface, title="map")
    values = np.asarray(figure.axes[0].collections[0].get_array()).reshape(97, 121)
    assert values[0, 60] == pytest.approx(20.0) and values[-1, 60] == pytest.approx(20.0)
    assert values[0, 0] == pytest.approx(100 * float(surface.implied_vol(-3 * np.sqrt(0.004), 0.1)))
    figure.savefig(tmp_path / "map.png")


@pytest.mark.mistyped
def test_wrong_arguments(surface, quotes):
    with pytest.raises(nt.ArgumentError, match="one surface"):
        nt.plot.smiles(nt.stack([quotes, quotes]), surface)
    with pytest.raises(nt.ArgumentError, match="smiles takes a QuoteSurface, or a table"):
        nt.plot.smiles(surface, quotes)
    with pytest.raises(nt.ArgumentError, match="t must be"):
        nt.plot.densities(surface, t=[-1.0])
