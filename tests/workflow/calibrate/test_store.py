import gc
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import workflow_fakes as fakes

from neutral import durable
from neutral.errors import DataError
from neutral.workflow import open_store, run
from neutral.workflow.calibrate import parquet, store

calibrate = partial(run, fit=fakes.fake_fit)
CHILD = """
import sys
from functools import partial
import workflow_fakes as fakes
from neutral.workflow import run
run(sys.argv[1], sys.argv[2], fakes.fake_config(), fit=partial(fakes.fake_fit, seconds=0.004))
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return fakes.write_archive(tmp_path_factory.mktemp("archive"), 10)


@pytest.fixture(scope="module")
def whole(archive, tmp_path_factory):
    """The files of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole")
    calibrate(archive, out, fakes.fake_config())
    return contents(out)


def contents(out: Path) -> dict[str, bytes]:
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in files
        if path.name not in (store.LOG, store.LOCK)
    }


@pytest.mark.parametrize("after", range(8))
def test_interrupted_at_any_block_and_resumed_gives_equal_bytes(archive, whole, tmp_path, after):
    committed = 0

    def progress(event):
        nonlocal committed
        committed += 1
        if committed == after + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate(archive, tmp_path, fakes.fake_config(run={"block": 3, "workers": 1}), progress=progress)
    kept = open_store(tmp_path).read("fits").num_rows
    assert kept > 0
    summary = calibrate(archive, tmp_path, fakes.fake_config())
    assert 2 * summary.fitted == 40 - kept
    assert contents(tmp_path) == whole


@pytest.fixture
def ctrl_c():
    """It raises, also where a shell that runs the tests in the background has had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_leaves_complete_tables_of_what_is_committed(archive, tmp_path):
    """The signal comes while the main thread waits for the chains."""
    main = threading.main_thread().ident
    assert main is not None

    def progress(event):
        if event.block == 1 and event.underlying == "BTC":
            signal.pthread_kill(main, signal.SIGINT)
            time.sleep(0.2)

    with pytest.raises(KeyboardInterrupt):
        calibrate(archive, tmp_path, fakes.fake_config(), progress=progress)
    fits = pd.read_parquet(tmp_path / "fits.parquet")
    quotes = pd.read_parquet(tmp_path / "quotes.parquet")
    assert 12 <= len(fits) < 40
    assert len(quotes) == 56 * len(fits) / 2


def test_killed_at_random_moments_and_resumed_gives_equal_bytes(archive, whole, tmp_path):
    out = tmp_path / "out"
    assert kill_at_random(archive, out, 4)
    calibrate(archive, out, fakes.fake_config())
    assert contents(out) == whole


@pytest.mark.slow
def test_twenty_kills_of_sixty_snapshots(tmp_path):
    archive = fakes.write_archive(tmp_path / "in", 60)
    calibrate(archive, tmp_path / "whole", fakes.fake_config())
    assert kill_at_random(archive, tmp_path / "out", 20) >= 10
    calibrate(archive, tmp_path / "out", fakes.fake_config())
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def kill_at_random(archive: Path, out: Path, times: int) -> int:
    """Start the run and kill it, again and again; how often it was still running."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path])}
    chance = random.Random(20260115)
    killed = 0
    for _ in range(times):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(archive), str(out)], env=environment)
        while not (out / store.LOG).exists() and child.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.02, 0.5))
        child.kill()
        killed += child.wait() == -signal.SIGKILL
        if (out / store.MANIFEST).exists():
            open_store(out).read("fits")
    return killed


def test_a_full_disk_is_told_and_the_run_finishes_later(archive, whole, tmp_path, monkeypatch):
    writes = 0
    fsync = os.fsync

    def full(handle):
        nonlocal writes
        writes += 1
        if writes > 12:
            raise OSError(28, "No space left on device")
        fsync(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(durable.WriteError, match=r"cannot write .*: No space left on device.*try again"):
            calibrate(archive, tmp_path, fakes.fake_config(run={"block": 3, "workers": 1}))
    assert open_store(tmp_path).read("fits").num_rows > 0
    assert not list(tmp_path.rglob(f"*{durable.PARTIAL}"))
    calibrate(archive, tmp_path, fakes.fake_config())
    assert contents(tmp_path) == whole


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 128 KiB that grows when told to."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> None:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True, capture_output=True
        )

    try:
        mount("size=128k")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small file system cannot be mounted here: that needs root on Linux")
    yield folder, lambda: mount("remount,size=64m")
    gc.collect()  # the error caught holds frames, and they a file
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_disk_that_is_really_full(archive, whole, small_disk):
    folder, grow = small_disk
    with pytest.raises(durable.WriteError, match="No space left on device"):
        calibrate(archive, folder / "out", fakes.fake_config())
    assert open_store(folder / "out").read("fits").num_rows > 0
    grow()
    calibrate(archive, folder / "out", fakes.fake_config())
    assert contents(folder / "out") == whole


@pytest.mark.parametrize("name", ["fits.parquet", "quotes.parquet", "parts/fits-BTC-00001.parquet"])
def test_a_flipped_byte_is_found_and_the_file_named(archive, tmp_path, name):
    calibrate(archive, tmp_path, fakes.fake_config())
    path = tmp_path / name
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 3] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=f"{path.name}: is damaged"):
        for kind in parquet.KINDS:
            open_store(tmp_path).read(kind)
            list(open_store(tmp_path).batches(kind))


def test_pages_have_checksums_of_their_own(archive, tmp_path):
    """Readers that know no manifest find damage too."""
    calibrate(archive, tmp_path, fakes.fake_config())
    path = tmp_path / "quotes.parquet"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 4] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="damaged"):
        parquet.read_parquet(path, parquet.StoredFile(durable.sha256(path), 560))


def test_a_lost_or_damaged_part_is_computed_again(archive, whole, tmp_path):
    calibrate(archive, tmp_path, fakes.fake_config())
    path = tmp_path / "parts" / "fits-BTC-00001.parquet"
    path.write_bytes(b"")
    with pytest.raises(DataError, match="move it away"):
        calibrate(archive, tmp_path, fakes.fake_config())
    path.unlink()
    assert calibrate(archive, tmp_path, fakes.fake_config()).fitted == 3
    assert contents(tmp_path) == whole


def test_two_runs_cannot_write_to_one_folder(archive, tmp_path):
    with store.locked(tmp_path), pytest.raises(DataError, match="another run"):
        calibrate(archive, tmp_path, fakes.fake_config())


def test_no_store_and_a_broken_manifest_are_told(tmp_path):
    with pytest.raises(DataError, match="has no results"):
        open_store(tmp_path)
    for content in ("{", "[]", '{"format": 99}'):
        (tmp_path / store.MANIFEST).write_text(content)
        with pytest.raises(DataError, match=store.MANIFEST):
            open_store(tmp_path)


@pytest.mark.parametrize("number", [3, 4])
def test_older_stores_have_times_as_text_and_are_read_and_continued(archive, whole, tmp_path, number):
    """As formats 3 and 4 wrote them; format 3 has no digest."""
    calibrate(archive, tmp_path, fakes.fake_config(data={"limit": 6}))
    expected = {kind: open_store(tmp_path).read(kind) for kind in parquet.KINDS}
    manifest = json.loads((tmp_path / store.MANIFEST).read_text())
    entries = [manifest["tables"], *manifest["parts"].values()]
    paths = [tmp_path / "{kind}.parquet"]
    paths += [tmp_path / "parts" / f"{{kind}}-{name}.parquet" for name in manifest["parts"]]
    for entry, path in zip(entries, paths, strict=True):
        for kind in parquet.KINDS:
            entry[kind] = with_texts(Path(str(path).format(kind=kind)))._asdict()
    del manifest["digest"]
    content = manifest | {"format": number}
    (tmp_path / store.MANIFEST).write_text(json.dumps(content if number == 3 else durable.sealed(content)))
    for kind in parquet.KINDS:
        assert open_store(tmp_path).read(kind).equals(expected[kind])
    assert calibrate(archive, tmp_path, fakes.fake_config()).fitted == 8
    tables = [f"{kind}.parquet" for kind in parquet.KINDS]
    assert [(tmp_path / name).read_bytes() for name in tables] == [whole[name] for name in tables]


def with_texts(path: Path) -> parquet.StoredFile:
    """Write the times of the snapshots of a table as text, as older versions did."""
    table = pq.read_table(path)
    times = table["snapshot_ts"].to_pylist()
    texts = pa.array([time.strftime("%Y-%m-%dT%H:%M:%SZ") for time in times])
    old = table.set_column(table.column_names.index("snapshot_ts"), "snapshot_ts", texts)
    return parquet.write_parquet(path, old.schema, [old])


def test_any_byte_of_the_manifest_that_changes_is_noticed(tmp_path):
    archive = fakes.write_archive(tmp_path / "in", 1)
    calibrate(archive, tmp_path / "out", fakes.fake_config())
    path = tmp_path / "out" / store.MANIFEST
    whole = path.read_bytes()
    expected = open_store(tmp_path / "out").read("fits")
    for i in range(0, len(whole), 3):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        try:
            assert open_store(tmp_path / "out").read("fits").equals(expected)  # a blank became another one
        except DataError as error:
            assert store.MANIFEST in str(error)


@pytest.mark.parametrize(
    "entry, value",
    [
        ("config", None),
        ("config", {"models": ["unknown"]}),
        ("config", {"models": []}),
        ("config_hash", 3),
        ("config_hash", ""),
        ("currencies", "BTC"),
        ("parts", {"BTC": {}}),
        ("parts", {"BTC-00000": {"inputs": [], "warm_start": "", "fits": 1, "quotes": 2}}),
        ("parts", []),
        ("tables", {"fits": {"sha256": "x", "rows": 1}}),
        ("tables", {"fits": {"sha256": 64 * "0", "rows": "many"}}),
        ("tables", {"prices": {"sha256": 64 * "0", "rows": 1}}),
    ],
)
def test_a_manifest_with_its_digest_but_other_entries_is_refused(whole, tmp_path, entry, value):
    (tmp_path / store.MANIFEST).write_bytes(whole[store.MANIFEST])
    path = tmp_path / store.MANIFEST
    content = json.loads(path.read_text())
    del content["digest"]
    path.write_text(json.dumps(durable.sealed(content | {entry: value})))
    with pytest.raises(DataError, match=rf"is damaged: {entry} cannot be read"):
        open_store(tmp_path)
    content.pop(entry)
    path.write_text(json.dumps(durable.sealed(content)))
    with pytest.raises(DataError, match=rf"is damaged: {entry} cannot be read"):
        open_store(tmp_path)
