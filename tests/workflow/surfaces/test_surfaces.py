"""`neutral surface` and `neutral cube`, as a user calls them, on shipped snapshots."""

import signal
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("typer")
pytest.importorskip("matplotlib")

import neutral as nt  # noqa: E402
from neutral import cli  # noqa: E402
from neutral.cli import options  # noqa: E402
from neutral.market import list_snapshots
from neutral.ml import VolCube, summarise_cube  # noqa: E402
from neutral.shipped import sample_folder  # noqa: E402
from neutral.workflow.inputs.markets import NO_TIME, Market  # noqa: E402
from neutral.workflow.surfaces import cube, fit  # noqa: E402
from neutral.workflow.surfaces.files import write_surfaces  # noqa: E402
from neutral.workflow.surfaces.fit import MarketSurface  # noqa: E402


@pytest.fixture(scope="module")
def call():
    """Runs the command line; gives the exit code."""
    patch = pytest.MonkeyPatch()

    def call(*arguments: object) -> int:
        patch.setattr(sys, "argv", ["neutral", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0  # pyright: ignore[reportReturnType]

    patch.setattr(options, "start_jax", lambda: None)
    yield call
    patch.undo()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two snapshots and a file that is none."""
    bad = tmp_path_factory.mktemp("inputs") / "fruit.csv"
    bad.write_text("fruit,colour\napple,red\n")
    return [*list_snapshots(sample_folder())[:2], bad]


@pytest.fixture
def interrupted(monkeypatch):
    """Presses Ctrl-C while the next command reads its first market, which it then fits and stores."""
    read = options.read_inputs

    def read_one(*arguments):
        monkeypatch.setattr(options, "read_inputs", read)
        for i, market in enumerate(read(*arguments)):
            if not i:
                signal.raise_signal(signal.SIGINT)
            yield market

    monkeypatch.setattr(options, "read_inputs", read_one)


@pytest.fixture
def fitted(monkeypatch):
    """The number of surfaces in each call of the fit."""
    counts = []
    fit_quotes = fit._fit

    def counted(quotes, *arguments):
        counts.append(len(quotes))
        return fit_quotes(quotes, *arguments)

    monkeypatch.setattr(fit, "_fit", counted)
    return counts


@pytest.mark.heavy
def test_surfaces_of_files(call, files, tmp_path, capsys, interrupted, fitted):
    """Ctrl-C keeps the first surface, and the same command fits the second one; a bad file is exit code 1."""
    options = ("--method", "essvi", "--currency", "BTC", "--pictures", 1)
    assert call("surface", *files, "--out", tmp_path, *options, "--no-page") == 130
    assert "1 surfaces are stored, and the same command fits the others" in capsys.readouterr().err
    first: Any = pd.read_parquet(tmp_path / "surfaces.parquet")
    assert list(first["status"]) == ["converged"] and fitted == [1]
    assert call("surface", *files, "--out", tmp_path, *options) == 1
    assert fitted == [1, 1], "the first surface is read"
    both: Any = pd.read_parquet(tmp_path / "surfaces.parquet")
    pd.testing.assert_frame_equal(both[:1], first, check_dtype=False)
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1].startswith("Written: ")
    assert shown.out.splitlines()[-1].endswith("report.html")
    assert "BTC 2026-01-14 15:34 converged" in shown.out and "files: 3/3" in shown.err
    rows: Any = pd.read_csv(tmp_path / "surfaces.csv")
    assert list(rows["status"]) == ["converged", "converged", "refused"]
    assert rows["message"].iloc[2].startswith("fruit.csv: the header") and rows["free"][:2].all()
    page = (tmp_path / "report.html").read_text()
    assert page.count(">Smiles<") == 1 and "fruit.csv" in page  # one surface is drawn
    surface = nt.load(tmp_path / "surfaces" / "BTC_2026-01-14_1534.json")
    parameters: Any = pd.read_csv(tmp_path / "parameters.csv")
    first = parameters[parameters["snapshot_ts"] == "2026-01-14T15:34:05Z"]
    np.testing.assert_allclose(surface.theta[np.asarray(surface.known)], first["theta"], rtol=1e-12)
    certificates: Any = pd.read_csv(tmp_path / "certificates.csv")
    assert (certificates["butterfly"] > -1e-12).all() and len(certificates) == len(parameters)


def test_files_of_which_none_can_be_read_are_2_and_name_the_reason(call, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "noise.csv").write_bytes(b"\x00 noise")
    for command in ("surface", "cube"):
        for more in ((), ("--currency", "BTC")):
            assert call(command, tmp_path / "in", "--out", tmp_path / "out", *more) == 2
            assert "no input file can be read: noise.csv: line 1 has zero bytes" in capsys.readouterr().err
            assert not (tmp_path / "out").exists()


@pytest.mark.heavy
def test_a_cube_of_files(call, files, tmp_path, capsys, interrupted, fitted):
    out = tmp_path / "cube.npz"
    options = ("--method", "essvi", "--currency", "BTC", "--days", "30,60", "--moneyness", "0.9:1.1:0.1")
    options += ("--test-from", "2026-01-14T18:00", "--csv")
    assert call("cube", *files, "--out", out, *options) == 130
    assert "1 surfaces are stored, and the same command fits the others" in capsys.readouterr().err
    first = VolCube.load(out).values
    assert call("cube", *files, "--out", out, *options) == 1 and fitted == [1, 1]
    shown = capsys.readouterr().out
    np.testing.assert_array_equal(VolCube.load(out).values[:1], first)
    with np.load(tmp_path / "cube_train_test.npz") as archive:
        assert {name: archive[name].shape for name in archive} == dict.fromkeys(
            ("train", "test"), (1, 5, 2, 3)
        )
        np.testing.assert_array_equal(archive["train"], first)
    chains: Any = pd.read_csv(tmp_path / "cube_chains.csv")
    dates: Any = pd.read_csv(tmp_path / "cube_dates.csv")
    assert list(dates["part"]) == ["train", "test"] and list(dates["position"]) == [0, 1]
    counts: Any = pd.read_parquet(tmp_path / "cube_rows.parquet")["n_quotes"].dropna()
    assert chains["position"].value_counts().sort_index().tolist() == counts.tolist()
    assert {"strike", "bid_price", "ask_price", "forward", "discount", "maturity"} <= set(chains)
    assert "2 surfaces of 3 (2 x 5 x 2 x 3), 2 certified free" in shown
    assert "1 x fruit.csv: the header" in shown and "before 2026-01-14T18:00: 1 surfaces" in shown
    cube = VolCube.load(out)
    rows: Any = pd.read_csv(tmp_path / "cube_rows.csv")
    assert list(cube.dates) == [np.datetime64("2026-01-14T15:34:05"), np.datetime64("2026-01-14T21:22:07")]
    assert rows["position"].isna().sum() == 1
    assert 0.2 < cube.channel("iv").min() < cube.channel("iv").max() < 0.8
    # the index of the file, and forwards that the carry gives back
    assert cube.channel("spot")[0, 0, 0] == pytest.approx(rows.loc[rows["position"] == 0, "spot"].iloc[0])
    assert np.abs(cube.channel("rate")).max() < 0.2


def test_a_random_history_needs_no_files(call, tmp_path, capsys):
    out = tmp_path / "cube.npz"
    assert call("cube", "--synthetic", 5, "--seed", 3, "--out", out) == 0
    assert "5 surfaces of 5 (5 x 5 x 20 x 20), 5 certified free" in capsys.readouterr().out
    assert call("cube", "--synthetic", 5, "--seed", 3, "--out", out, "--test-from", "2020-01-03") == 0
    with np.load(tmp_path / "cube_train_test.npz") as archive:
        assert archive["train"].shape == (2, 5, 20, 20) and archive["test"].shape == (3, 5, 20, 20)
        np.testing.assert_array_equal([*archive["train"], *archive["test"]], VolCube.load(out).values)
    assert str(tmp_path / "cube_train_test.npz") in capsys.readouterr().out.splitlines()[-1]
    assert call("cube", "--synthetic", 5, "--csv", "--out", out) == 2
    assert "--csv writes the quotes of files" in capsys.readouterr().err
    assert not summarise_cube(VolCube.load(out)).forward_moneyness.violating.any()
    assert call("cube", "--out", out) == 2
    assert "--synthetic" in capsys.readouterr().err
    assert call("cube", "--synthetic", 5, "--out", out, "--days", "x") == 2
    assert "days='x': expected first:last:step" in capsys.readouterr().err
    assert call("cube", "--synthetic", 5, "--out", out, "--test-from", "soon") == 2
    assert "expected a date" in capsys.readouterr().err


@pytest.mark.parametrize("count", [0, 2])
def test_a_cube_of_refused_markets_is_described(count):
    refused = Market("f.csv", "X", NO_TIME, reason="too few quotes")
    text = cube.described(cube.build_cube([refused] * count))
    assert text.startswith(f"0 surfaces of {count} (0 x 5 x 20 x 20), 0 certified free")
    assert ("2 x too few quotes" in text) == bool(count)


def test_each_surface_has_a_file_of_its_own_inside_the_folder(tmp_path):
    names = ["../../ESCAPED", "BRK/B", "brk/b", "A B", "AB", "AB", str(tmp_path / "absolute")]
    results = [
        MarketSurface(
            Market("f.csv", name, pd.Timestamp("2026-01-14T15:34", tz="UTC")),
            surface=nt.ESSVI(*np.array([[1.0], [0.04 + 0.01 * i], [0.1], [0.0]])),
            row={"currency": name},
        )
        for i, name in enumerate(names)
    ]
    paths = write_surfaces(results, tmp_path / "out")[3:]
    assert [path.parent for path in paths] == [tmp_path / "out" / "surfaces"] * len(names)
    assert {float(nt.load(path).theta[0]) for path in paths} == {0.04 + 0.01 * i for i in range(7)}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
