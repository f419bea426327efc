"""The vol cube: its channels, its split by date, and its file."""

import errno

import jax
import numpy as np
import pytest

from neutral import ESSVI, ArgumentError, DataError
from neutral.ml import CHANNELS, CubeGrid, Sample, VolCube, carry_rates, sample_cube

GRID = CubeGrid(moneyness=(0.9, 1.0, 1.1), days=(73.0, 365.0))


def essvi(level: float = 0.04) -> ESSVI:
    return ESSVI([0.1, 1.0, 2.0], level * np.array([0.1, 1.0, 2.0]), [0.04, 0.2, 0.25], [-0.5, -0.5, -0.4])


@pytest.fixture(scope="module")
def cube() -> VolCube:
    batch = jax.tree.map(lambda *x: np.stack(x), essvi(0.04), essvi(0.05), essvi(0.06))
    dates = ["2026-01-05", "2026-01-06", "2026-01-08"]
    rates = np.array([[0.01, 0.02], [0.0, 0.0], [-0.01, 0.03]])
    return sample_cube([Sample(batch, [100.0, 101.0, 99.0], rates, dates, ["X"] * 3)], GRID)


def test_channels_are_what_they_say(cube):
    assert cube.values.shape == (3, len(CHANNELS), 2, 3) and cube.values.dtype == np.float64
    np.testing.assert_array_equal(cube.channel("ttm")[1], [[0.2] * 3, [1.0] * 3])
    np.testing.assert_allclose(cube.channel("strike")[2, 0], 99.0 * np.array(GRID.moneyness))
    k = np.log(1.1) - 0.03 * 1.0
    assert cube.channel("iv")[2, 1, 2] == pytest.approx(float(essvi(0.06).implied_vol(k, 1.0)), rel=1e-14)
    assert cube.log_moneyness[2, 1, 2] == pytest.approx(k, rel=1e-12)


def test_its_repr_is_one_line(cube):
    text = repr(cube)
    assert (
        text.startswith("VolCube(3 dates x 5 channels x 2 maturities x 3 moneyness, 20") and len(text) < 130
    )
    assert repr(cube[:0]) == "VolCube(0 dates x 5 channels x 2 maturities x 3 moneyness)"


def test_a_sequence_of_surfaces_is_a_batch(cube):
    rates = np.array([[0.01, 0.02], [-0.01, 0.03]])
    sample = Sample([essvi(0.04), essvi(0.06)], [100.0, 99.0], rates, cube.dates[[0, 2]], ["X", "X"])
    np.testing.assert_allclose(sample_cube([sample], GRID).values, cube[[0, 2]].values, rtol=1e-14)


def test_the_default_grid_is_the_usual_one():
    grid = CubeGrid()
    np.testing.assert_allclose(grid.moneyness, np.arange(0.90, 1.095, 0.01))
    np.testing.assert_array_equal(grid.days, np.arange(30.0, 601.0, 30.0))


def test_forwards_between_expiries():
    expiries, forwards = [0.5, 1.0], 100.0 * np.exp([0.01, 0.05])
    rates = carry_rates(expiries, forwards, 100.0, [0.25, 0.5, 0.75, 1.0, 2.0])
    np.testing.assert_allclose(rates, [0.02, 0.02, 0.03 / 0.75, 0.05, 0.05])
    assert not carry_rates([], [], 100.0, [1.0]).any()


def test_training_and_testing_by_date(cube):
    train, test = cube.split("2026-01-06")
    assert len(train) == 1 and len(test) == 2 and test.dates[0] == np.datetime64("2026-01-06")
    assert [len(batch) for batch in cube.batches(2)] == [2, 1]
    shuffled = np.concatenate([np.asarray(batch) for batch in cube.batches(2, jax.random.key(1))])
    assert not np.array_equal(shuffled, cube.values)
    np.testing.assert_array_equal(np.sort(shuffled, axis=0), np.sort(cube.values, axis=0))


def test_what_is_saved_is_read_back(cube, tmp_path):
    cube.save(tmp_path / "cube.npz")
    again = VolCube.load(tmp_path / "cube.npz")
    np.testing.assert_array_equal(again.values, cube.values)
    assert again.grid == GRID and list(again.assets) == ["X"] * 3 and list(again.dates) == list(cube.dates)
    assert [path.name for path in tmp_path.iterdir()] == ["cube.npz"]


def test_a_write_that_fails_leaves_the_old_file(cube, tmp_path, monkeypatch):
    path = tmp_path / "cube.npz"
    cube.save(path)

    def full_disk(file, **content):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match=r"cannot write .*cube\.npz"):
        cube[:1].save(path)
    monkeypatch.undo()
    assert len(VolCube.load(path)) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["cube.npz"]


@pytest.mark.parametrize("damage", [slice(0, 0), slice(0, 200), slice(40, None)])
def test_a_damaged_file_is_told(cube, tmp_path, damage):
    path = tmp_path / "cube.npz"
    cube.save(path)
    path.write_bytes(path.read_bytes()[damage])
    with pytest.raises(DataError, match="damaged"):
        VolCube.load(path)
    with pytest.raises(DataError, match="no such file"):
        VolCube.load(tmp_path / "none.npz")


@pytest.mark.parametrize("at, byte", [(8, 1), (10, 99)])
def test_an_entry_that_is_encrypted_or_of_unknown_compression_is_told(cube, tmp_path, at, byte):
    path = tmp_path / "cube.npz"
    cube.save(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + at] = byte  # in the directory at the end
    content[content.index(b"PK\x03\x04") + at - 2] = byte
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        VolCube.load(path)


def test_wrong_use_is_told(cube):
    with pytest.raises(ArgumentError, match="ascend"):
        CubeGrid(moneyness=(1.0, 0.9))
    with pytest.raises(ArgumentError, match="ttm, iv, spot"):
        cube.channel("vol")
    with pytest.raises(ArgumentError, match=r"\(1, 2\).*\(1, 3\)"):
        sample_cube([Sample([essvi()], [1.0], np.zeros((1, 3)), ["2026-01-01"], ["X"])], GRID)
    with pytest.raises(ArgumentError, match="size"):
        next(cube.batches(0))


def test_no_surface_is_an_empty_cube():
    cube = sample_cube([], GRID)
    assert cube.values.shape == (0, 5, 2, 3) and len(cube) == 0 and not list(cube.batches(3))


def test_a_cube_with_unknown_dates_shows_those_that_are_known():
    grid = CubeGrid(moneyness=(1.0,), days=(30.0,))
    dates = np.array(["2026-01-05T16", "NaT", "2026-01-07T16"], "datetime64[s]")
    cube = VolCube(values=np.ones((3, 5, 1, 1)), dates=dates, assets=np.full(3, "SPX"), grid=grid)
    assert "2026-01-05 to 2026-01-07, 1 assets" in repr(cube)
    assert "without dates, 1 assets" in repr(cube[[1]])
