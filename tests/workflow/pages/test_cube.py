"""The page of a cube: smiles at the money over time, and what was refused."""

import numpy as np
import pandas as pd
from page_structure import checked

from neutral.ml import CubeGrid, VolCube
from neutral.workflow.pages.cube import at_the_money, write_page
from neutral.workflow.surfaces.cube import CubeBuild

GRID = CubeGrid(moneyness=tuple(np.round(np.arange(0.9, 1.11, 0.02), 2)), days=(30.0, 90.0))


def cube(dates: int = 5) -> VolCube:
    """Volatilities 0.2 - 0.3 k + 0.4 k**2, with a forward 1 % above spot."""
    t = np.broadcast_to(GRID.maturities[:, None], (2, len(GRID.moneyness)))
    strike = np.broadcast_to(np.asarray(GRID.moneyness), t.shape)
    rate = np.log(1.01) / t
    k = np.log(strike) - rate * t
    one = np.stack([t, 0.2 - 0.3 * k + 0.4 * k**2, np.ones_like(t), rate, strike])
    return VolCube(
        values=np.broadcast_to(one, (dates, *one.shape)),
        dates=np.datetime64("2026-01-05T16:00:00") + np.arange(dates) * np.timedelta64(1, "D"),
        assets=np.full(dates, "SPX"),
        grid=GRID,
    )


def rows(built: VolCube, refused: int = 0) -> pd.DataFrame:
    n = len(built)
    frame = pd.DataFrame({"position": pd.array([*range(n), *[None] * refused], dtype="Int64")})
    messages = [*[""] * n, *["<b>no bid</b>"] * refused]
    return frame.assign(
        currency="SPX", snapshot_ts="2026", file="a.csv", status="refused", message=messages, free=True
    )


def test_the_smile_at_the_money_is_that_of_the_grid():
    volatility, skew, convexity = at_the_money(cube(1))
    np.testing.assert_allclose(volatility, 0.2, atol=1e-12)
    np.testing.assert_allclose(skew, -0.3, atol=1e-10)
    np.testing.assert_allclose(convexity, 0.8, atol=1e-8)


def test_outside_the_grid_nothing_is_known():
    built = cube(1)
    values = built.values.copy()
    values[:, 3] += 5.0  # the forward is beyond the last strike
    far = VolCube(values=values, dates=built.dates, assets=built.assets, grid=GRID)
    assert all(np.isnan(one).all() for one in at_the_money(far))


def test_the_page_tells_what_the_cube_has(tmp_path):
    built = cube()
    path = write_page(CubeBuild(built, rows(built, 2)), tmp_path / "cube.npz")
    text = path.read_text()
    structure = checked(text)
    assert path.name == "cube.html"
    assert "5 surfaces of SPX from 2026-01-05 to 2026-01-09; 100.0% of the grid has a volatility." in text
    assert "2 of 7 sets of quotes were refused" in text and "&lt;b&gt;no bid&lt;/b&gt;" in text
    first, solid = structure.data
    assert [view["label"] for view in first["views"]] == ["30 days", "90 days"]
    assert first["views"][0]["panels"][0]["series"][0]["y"] == [20] * 5
    assert len(solid["grids"]) == 5 and solid["grids"][0]["fixed"] == "strike / spot"


def test_an_empty_cube_has_a_page(tmp_path):
    built = cube()[:0]
    text = write_page(CubeBuild(built, rows(built, 3)), tmp_path / "none.npz").read_text()
    checked(text)
    assert "The cube is empty: all 3 sets of quotes were refused." in text


def test_dates_that_are_not_known_are_left_out(tmp_path):
    built = cube()
    undated = VolCube(
        values=built.values, dates=np.full(5, np.datetime64("NaT", "s")), assets=built.assets, grid=GRID
    )
    text = write_page(CubeBuild(undated, rows(undated)), tmp_path / "cube.npz").read_text()
    assert checked(text).data[0]["views"][0]["panels"][0]["series"][0]["y"] == []
