import gzip
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import workflow_fakes as fakes

from neutral.errors import ArgumentError, DataError
from neutral.workflow import open_store, run
from neutral.workflow.calibrate.rows import columns_of

calibrate = partial(run, fit=fakes.fake_fit)


@pytest.fixture
def archive(tmp_path):
    return fakes.write_archive(tmp_path / "in", 7)


def tables(out) -> dict[str, bytes]:
    return {name: (out / f"{name}.parquet").read_bytes() for name in ("fits", "quotes")}


def test_tables_have_their_columns_and_order(archive, tmp_path):
    summary = calibrate(archive, tmp_path / "out", fakes.fake_config())
    fits = fakes.read(tmp_path / "out", "fits")
    quotes = fakes.read(tmp_path / "out", "quotes")
    models = fakes.fake_config().models
    assert list(fits) == list(columns_of("fits", models))
    assert list(quotes) == list(columns_of("quotes", models))
    assert len(fits) == 7 * 2 * 2 and len(quotes) == 7 * 2 * 56
    keys = fits[["currency", "snapshot_ts", "model"]]
    assert not keys.duplicated().any()
    pd.testing.assert_frame_equal(keys, keys.sort_values(list(keys), ignore_index=True))
    order = quotes.sort_values(
        ["currency", "snapshot_ts", "expiry_datetime", "strike", "option_type"], ignore_index=True
    )
    pd.testing.assert_frame_equal(quotes, order)
    assert fits["snapshot_ts"].iloc[0] == pd.Timestamp("2026-01-01", tz="UTC")
    assert fits.loc[fits["currency"] == "ETH", "random_seed"].unique().tolist() == [
        10_123 + i for i in range(7)
    ]
    assert (fits["n_train"] + fits["n_test"] == fits["n_options_total"]).all()
    assert summary.complete and summary.snapshots == 7 and summary.fitted == 14
    assert "7 snapshots" in str(summary)


def test_errors_are_those_of_the_stored_prices(archive, tmp_path):
    calibrate(archive, tmp_path / "out", fakes.fake_config())
    fits = fakes.read(tmp_path / "out", "fits").query("model == 'black'")
    quotes = fakes.read(tmp_path / "out", "quotes")
    row = fits.iloc[3]
    here = quotes[(quotes["snapshot_ts"] == row["snapshot_ts"]) & (quotes["currency"] == row["currency"])]
    test = here[here["split"] == "test"]
    error = (test["price_black"] - test["mid_price_clean"]).abs()
    assert len(test) == row["n_test"]
    assert row["mae_test"] == pytest.approx(error.mean(), rel=1e-12)
    assert row["inside_test"] == (error <= 0.5 * test["spread"]).mean()
    assert quotes["price_heston"].isna().all()


def test_a_block_starts_from_the_last_fit_of_the_one_before(archive, tmp_path):
    seen = []

    def fit(frames, previous, config, check_stop):
        seen.append(previous.get("black", {}).get("sigma"))
        return fakes.fake_fit(frames, previous, config, check_stop)

    run(archive, tmp_path / "out", fakes.fake_config(run={"block": 3, "currencies": ["BTC"]}), fit=fit)
    sigma = fakes.read(tmp_path / "out", "fits").query("model == 'black'")["sigma"].tolist()
    assert seen == [None, sigma[2], sigma[5]]


def test_block_edges_lie_on_archive_positions(archive, tmp_path):
    late = sorted(archive.iterdir())[2:]
    calibrate(late, tmp_path / "out", fakes.fake_config(data={"first_index": 2}))
    parts = open_store(tmp_path / "out").parts("BTC")
    assert [[entry[0] for entry in part.inputs] for part in parts.values()] == [[2], [3, 4, 5], [6]]


def test_bytes_depend_neither_on_workers_nor_on_steps_taken(archive, tmp_path):
    calibrate(archive, tmp_path / "once", fakes.fake_config())
    one = {"block": 3, "workers": 1}
    calibrate(archive, tmp_path / "steps", fakes.fake_config(run=one | {"currencies": ["ETH"]}))
    calibrate(archive, tmp_path / "steps", fakes.fake_config(run=one, data={"limit": 4}))
    summary = calibrate(archive, tmp_path / "steps", fakes.fake_config(run=one))
    assert tables(tmp_path / "once") == tables(tmp_path / "steps")
    assert 0 < summary.fitted < 14
    again = calibrate(archive, tmp_path / "steps", fakes.fake_config())
    assert again.fitted == 0


def test_a_refused_snapshot_has_one_row_per_model_with_the_reason(archive, tmp_path):
    names = [archive / fakes.snapshot_name(i) for i in range(7)]
    names[0].write_text("")
    names[1].write_bytes(gzip.compress(names[1].read_bytes())[:-40])
    names[2].write_text("a,b\n1,2\n")
    fakes.write_snapshot(archive, 3, currencies=["BTC"])
    fakes.write_snapshot(archive, 4, strikes=range(70_000, 80_000, 3_000))
    summary = calibrate(archive, tmp_path / "out", fakes.fake_config())
    fits = fakes.read(tmp_path / "out", "fits")
    refused = fits[fits["status"] == "refused"]
    assert len(fits) == 28 and len(refused) == 4 * 4 + 2
    assert not refused["converged"].any() and refused["n_test"].isna().all()
    reasons = refused.groupby("snapshot_ts")["message"].first().tolist()
    for reason, part in zip(
        reasons, ("is empty", "damaged gzip", "column", "ETH", "at least 50"), strict=True
    ):
        assert part in reason and str(tmp_path) not in reason
    assert refused["data_sha256"].str.len().eq(64).all()
    assert summary.complete, "a refused snapshot is no failure"
    assert sum(line.refused for line in summary.lines if line.model == "black") == 9
    assert calibrate(archive, tmp_path / "out", fakes.fake_config()).fitted == 0


def test_fits_that_fail_are_counted_and_told(archive, tmp_path):
    def fit(frames, previous, config, check_stop):
        fits = fakes.fake_fit(frames, previous, config, check_stop)
        worse = {"status": "stalled", "converged": False, "message": "No step lowers the loss."}
        fits[0]["black"] = type(fits[0]["black"])(**(vars(fits[0]["black"]) | worse))
        fits[0]["svcj++"] = type(fits[0]["black"])("error", False, "out of memory", np.full(56, np.nan))
        return fits

    summary = run(archive, tmp_path / "out", fakes.fake_config(), fit=fit)
    assert not summary.complete
    assert summary.reasons["black stalled: No step lowers the loss."] == 6
    assert "6 x svcj++ error: out of memory" in str(summary)


def test_unusable_inputs_are_refused_at_once(archive, tmp_path):
    (tmp_path / "empty").mkdir()
    for inputs, message in (
        (tmp_path / "empty", "no snapshot"),
        (tmp_path / "nowhere", "no such file or folder"),
        ([archive, archive], "two snapshots of the same time"),
    ):
        with pytest.raises(DataError, match=message):
            calibrate(inputs, tmp_path / "out", fakes.fake_config())
    assert not (tmp_path / "out").exists()


def test_another_file_beside_snapshots_is_refused_and_changes_nothing_else(archive, tmp_path):
    calibrate(archive, tmp_path / "alone", fakes.fake_config())
    (archive / "notes.csv").write_text("fruit,colour\napple,red\n")
    summary = calibrate(archive, tmp_path / "out", fakes.fake_config())
    assert summary.complete and all(line.refused == 1 for line in summary.lines)
    fits, alone = (fakes.read(tmp_path / name, "fits") for name in ("out", "alone"))
    refused = fits["status"] == "refused"
    assert fits[refused]["message"].str.contains("fits no kind of file").all()
    pd.testing.assert_frame_equal(fits[~refused].reset_index(drop=True), alone, check_dtype=False)


def test_an_archive_that_changed_is_refused(archive, tmp_path):
    out = tmp_path / "out"
    first = archive / fakes.snapshot_name(0)
    content = first.read_text()
    first.unlink()
    calibrate(archive, out, fakes.fake_config())
    before = tables(out)
    first.write_text(content)
    with pytest.raises(ArgumentError, match=r"position 0 of the archive is .*T000000Z.*--no-resume"):
        calibrate(archive, out, fakes.fake_config())
    first.unlink()
    second = archive / fakes.snapshot_name(1)
    second.write_text(second.read_text() + "\n")
    with pytest.raises(ArgumentError, match="has changed since it was calibrated"):
        calibrate(archive, out, fakes.fake_config())
    assert tables(out) == before


def test_another_configuration_is_refused_or_begins_afresh(archive, tmp_path):
    out = tmp_path / "out"
    calibrate(archive, out, fakes.fake_config())
    before = tables(out)
    other = fakes.fake_config(loss={"c": 0.5})
    with pytest.raises(ArgumentError, match=r"loss\.c was 0\.4, is 0\.5.*another --out, or --no-resume"):
        calibrate(archive, out, other)
    assert calibrate(archive, out, other, resume=False).fitted == 14
    assert tables(tmp_path / "out.previous-1") == before
    calibrate(archive, out, other, resume=False)
    assert (tmp_path / "out.previous-2").is_dir()


def test_no_name_of_an_underlying_leaves_the_folder_or_ends_the_run(tmp_path):
    names = ["../../ESCAPED", "BRK/B", "BTC", "/absolute"]
    (tmp_path / "in").mkdir()
    fakes.write_snapshot(tmp_path / "in", 0, names)
    calibrate(tmp_path / "in", tmp_path / "out", fakes.fake_config(data={"currencies": names}))
    fits = fakes.read(tmp_path / "out", "fits")
    assert set(fits["currency"]) == set(names) and fits["converged"].all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]
    assert not list(Path("/").glob("absolute*"))
    assert len(list((tmp_path / "out" / "parts").iterdir())) == 2 * len(names)
