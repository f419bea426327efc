"""Figures of a diagnosis and of histories: the marks show the numbers of the diagnosis."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import neutral as nt
from neutral.diagnostics import Diagnosis, Identifiability, Residuals, Sensitivities
from neutral.diagnostics.identifiability import from_jacobian
from neutral.options import black

pytest.importorskip("matplotlib")

NAMES = ("a", "b", "c")
WHY = "The fit has not converged."


def jacobian() -> np.ndarray:
    """Of three parameters; the third is nearly the second."""
    rng = np.random.default_rng(3)
    first, second, noise = rng.standard_normal((3, 20))
    return np.stack([first, second, second + 1e-3 * noise], axis=1)


def diagnosis(**parts: Any) -> Diagnosis:
    """A diagnosis of which only some parts are there."""
    partial = object.__new__(Diagnosis)
    for name, part in parts.items():
        object.__setattr__(partial, name, part)
    return partial


def seen(matrix: np.ndarray) -> Diagnosis:
    return diagnosis(identifiability=from_jacobian(matrix, np.ones(3), NAMES))


def residuals_of(vol: np.ndarray, k: Any, t: Any, used: Any = True) -> dict[str, Any]:
    k, t = (np.broadcast_to(x, vol.shape) for x in (k, np.asarray(t)[:, None]))
    return {
        "residuals": Residuals(vol / 10, vol, vol * np.nan, k, t),
        "fit": SimpleNamespace(lane=SimpleNamespace(used=np.broadcast_to(used, vol.shape))),
    }


def misses(vol: np.ndarray, k: Any, t: Any, used: Any = True) -> Diagnosis:
    return diagnosis(**residuals_of(vol, k, t, used))


def panels(figure: Any) -> list[Any]:
    return figure.axes


def written(axes: Any) -> dict[tuple[float, float], str]:
    return {text.get_position(): text.get_text() for text in axes.texts}


def test_residuals_are_means_of_cells_of_the_quotes_fitted():
    k = np.array([-0.4, -0.01, 0.02, 0.2])
    vol = np.array([[[1.0, 2.0, 4.0, np.nan], [5.0, 6.0, 7.0, 8.0]]] * 2) * 1e-4
    used = np.ones_like(vol, bool)
    used[:, 1, 3] = False
    figure = nt.plot.residual_map(misses(vol, k, [0.1, 1.0], used), title="errors")
    axes = panels(figure)[0]
    assert written(axes) == {(0, 0): "1", (3, 0): "3", (0, 1): "5", (3, 1): "6"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["36.5", "365"]
    low, high = axes.images[0].get_clim()
    assert low == -high and axes.get_title() == "errors"
    price = nt.plot.residual_map(misses(vol, k, [0.1, 1.0], used), "price")
    assert written(price.axes[0])[(3, 1)] == "0.7"  # 0.65, to one digit


def test_correlations_are_those_of_the_inverse_and_large_ones_are_framed():
    matrix = jacobian()
    covariance = np.linalg.inv(matrix.T @ matrix)
    spread = np.sqrt(np.diag(covariance))
    axes = panels(nt.plot.correlations(seen(matrix)))[0]
    image = np.asarray(axes.images[0].get_array())
    np.testing.assert_allclose(image, covariance / np.outer(spread, spread), rtol=1e-6)
    framed = {(round(p.get_y() + 0.47), round(p.get_x() + 0.47)) for p in axes.patches}
    assert framed == {(1, 2), (2, 1)}


def test_directions_show_singular_values_and_what_is_not_seen():
    values = np.linalg.svd(jacobian(), compute_uv=False)
    left, right = panels(nt.plot.directions(seen(jacobian())))
    np.testing.assert_allclose([bar.get_width() for bar in left.patches], values, rtol=1e-9)
    assert left.get_title() == "2 of 3 determined" and right.get_title() == "direction 3: undetermined"
    components = np.abs([bar.get_width() for bar in right.patches])
    np.testing.assert_allclose(components, [0.0, 0.5**0.5, 0.5**0.5], atol=1e-3)
    well = nt.plot.directions(seen(np.eye(3)))
    assert well.axes[1].get_title() == "direction 3: least determined"


@pytest.fixture(scope="module")
def surface():
    k = np.array([[-0.2, 0.0, 0.3], [-0.4, 0.1, 0.0]])
    mask = np.array([[[True] * 3, [True, True, False]]] * 2)
    is_call = np.array([True, False])[:, None, None]
    prices = 0.1 + np.asarray(black.intrinsic(np.stack([k, k]), is_call))
    return nt.QuoteSurface.from_arrays(np.array([0.25, 1.0]), k, prices, mask=mask)


def ladder(vols: Any, surface: Any, reason: str = "") -> Sensitivities:
    value = np.zeros(np.shape(vols)[:-3])
    return Sensitivities(value, vols, vols, vols, vols, {}, surface, reason)


@pytest.mark.mistyped
def test_a_ladder_adds_call_and_put_and_sums_expiries(surface, tmp_path):
    vols = np.arange(12.0).reshape(2, 2, 3)
    figure = nt.plot.vega_ladder(ladder(vols, surface))
    axes = panels(figure)[0]
    strips = [np.asarray(mesh.get_array()).ravel() for mesh in axes.collections]
    np.testing.assert_allclose(strips[0], [0.06, 0.08, 0.10])
    np.testing.assert_allclose(strips[1], [0.12, 0.14])
    edges = axes.collections[0].get_coordinates()[0, :, 0]
    np.testing.assert_allclose(edges, [-0.3, -0.1, 0.15, 0.45])
    sums = axes.child_axes[0].get_yticklabels()
    assert [label.get_text() for label in sums] == ["+0.24", "+0.26"]
    figure.savefig(tmp_path / "ladder.png")
    with pytest.raises(nt.ArgumentError, match="one number"):
        nt.plot.vega_ladder(ladder(np.zeros((4, 2, 2, 3)), surface))


def record(day: int, value: float | None, error: float | None, **changes: Any) -> dict[str, Any]:
    stamp = f"2026-01-{day:02d}T00:00:00Z"
    fit = {"timestamp": stamp, "converged": True, "parameters": {"kappa": value}}
    return fit | {"standard_errors": {"kappa": error}} | changes


def test_history_has_paths_with_intervals(tmp_path):
    records = [record(1, 2.0, 0.1), record(2, 3.0, None), record(3, 9.0, 0.2, converged=False)]
    (axes,) = panels(nt.plot.history(records))
    path, crosses = axes.get_lines()[:2]
    assert list(path.get_ydata()) == [2.0, 3.0] and list(crosses.get_ydata()) == [9.0]
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    # 0.95 quantile of the normal law: 1.6449
    assert band.min() == pytest.approx(2.0 - 0.16449) and band.max() == pytest.approx(2.0 + 0.16449)
    nt.plot.history(records[:1]).savefig(tmp_path / "one.png")
    numbered = nt.plot.history([record(1, 1.0, 0.1), record(1, 2.0, 0.1, timestamp="")])
    assert list(panels(numbered)[0].get_lines()[0].get_xdata()) == [1, 2]


@pytest.mark.mistyped
def test_what_cannot_be_determined_says_why(surface):
    lost = diagnosis(
        identifiability=Identifiability(reason=WHY),
        uncertainty=SimpleNamespace(reason=WHY),
        **residuals_of(np.full((2, 2, 3), np.nan), surface.k, surface.t),
    )
    figures = [
        nt.plot.correlations(lost),
        nt.plot.directions(lost),
        nt.plot.intervals(lost),
        nt.plot.vega_ladder(ladder(np.zeros((2, 2, 3)), surface, WHY)),
    ]
    assert all(WHY in figure.axes[0].texts[0].get_text() for figure in figures)
    singular = jacobian()
    singular[:, 2] = singular[:, 1]
    assert "no covariance" in nt.plot.correlations(seen(singular)).axes[0].texts[0].get_text()
    nothing = nt.plot.residual_map(lost).axes[0].texts[0].get_text()
    assert nothing == "No residuals: no fitted quote has a residual in basis points of volatility."
    assert "no fit" in nt.plot.history([{}]).axes[0].texts[0].get_text()
    with pytest.raises(nt.ArgumentError, match="unit must be one of vol, price, spreads, got 'bp'"):
        nt.plot.residual_map(lost, "bp")  # pyright: ignore[reportArgumentType]
