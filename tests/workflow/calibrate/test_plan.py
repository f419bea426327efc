"""The plan of a run: which files are opened, when, and whose bytes the store names."""

import hashlib
from collections import Counter

import pytest
import workflow_fakes as fakes

from neutral.errors import ArgumentError
from neutral.shipped import sample_folder
from neutral.workflow import Config, config_for, make_plan, open_store, run, run_plan
from neutral.workflow.calibrate.plan import load_snapshot
from neutral.workflow.inputs import archive as archives


@pytest.fixture
def opened(monkeypatch):
    """How often each file has been read or hashed."""
    counts: Counter[str] = Counter()
    read = archives.read_content
    sha256 = archives.sha256

    def counted_read(path):
        counts[path.name] += 1
        return read(path)

    def counted_sha256(path):
        counts[path.name] += 1
        return sha256(path)

    archives._open_state.cache_clear()
    monkeypatch.setattr(archives, "read_content", counted_read)
    monkeypatch.setattr(archives, "sha256", counted_sha256)
    return counts


def test_a_run_of_deribit_snapshots_starts_without_opening_one(tmp_path, opened):
    folder = fakes.write_archive(tmp_path / "in", 5)
    plan = make_plan(folder, fakes.fake_config())
    assert not opened and len(plan.archive) == 5
    run_plan(plan, tmp_path / "out", fit=fakes.fake_fit)
    assert set(opened.values()) == {1} and len(opened) == 5


def test_a_resumed_run_hashes_what_was_calibrated_and_reads_the_rest(tmp_path, opened):
    folder = fakes.write_archive(tmp_path / "in", 5)
    config = fakes.fake_config(run={"block": 3, "workers": 1})
    run(folder, tmp_path / "out", config.replaced(data={"limit": 3}), fit=fakes.fake_fit)
    archives._open_state.cache_clear()
    opened.clear()
    assert run(folder, tmp_path / "out", config, fit=fakes.fake_fit).fitted == 4
    assert opened == {fakes.snapshot_name(i): 1 for i in range(5)}


def test_other_files_are_opened_once_for_their_dates_and_quotes(tmp_path, opened):
    folder = tmp_path / "in"
    folder.mkdir()
    for path in sorted(sample_folder("index").iterdir())[:2]:
        (folder / path.name).write_bytes(path.read_bytes())
    plan = make_plan(folder)
    assert plan.config.underlyings == ["SPX"] and len(plan.archive) == 2
    snapshot = load_snapshot(plan.archive[0], plan.config)
    assert snapshot.markets["SPX"].frame is not None
    assert set(opened.values()) == {1} and len(opened) == 2


def test_the_stored_digest_is_that_of_the_bytes_that_were_parsed(tmp_path):
    """A file that changes after the plan was made is calibrated as it is when it is read."""
    folder = fakes.write_archive(tmp_path / "in", 1)
    path = folder / fakes.snapshot_name(0)
    plan = make_plan(folder, fakes.fake_config())
    before = plan.archive[0].sha256
    path.write_text(path.read_text() + "\n")
    run_plan(plan, tmp_path / "out", fit=fakes.fake_fit)
    ((_, _, stored),) = open_store(tmp_path / "out").parts("BTC")[0].inputs
    assert stored == hashlib.sha256(path.read_bytes()).hexdigest() != before


def test_positions_and_limits_are_those_of_the_configuration(tmp_path):
    folder = fakes.write_archive(tmp_path / "in", 4)
    plan = make_plan(folder, fakes.fake_config(), data={"first_index": 10, "limit": 2})
    assert [file.position for file in plan.archive] == [10, 11]
    assert plan.archive[0].timestamp == "2026-01-01T00:00:00Z"


def test_underlyings_do_not_depend_on_a_limit(tmp_path):
    days = sorted(sample_folder("index").iterdir())
    whole = make_plan(days)
    assert make_plan(days, data={"limit": 1}).config.hash == whole.config.hash == config_for(days).hash
    with pytest.raises(ArgumentError, match="expected one or more of data.currencies: SPX"):
        make_plan(days, run={"currencies": ["NDX"]})
    assert make_plan([sample_folder()], Config()).config == Config()
