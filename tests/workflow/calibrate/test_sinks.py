import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
import workflow_fakes as fakes

from neutral.errors import ArgumentError
from neutral.workflow import open_store, run
from neutral.workflow.calibrate import sinks
from neutral.workflow.calibrate.rows import columns_of


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    archive = fakes.write_archive(folder / "in", 3)
    bad = archive / fakes.snapshot_name(1)
    bad.write_text(bad.read_text().replace("BTC-2026-02-27-70000-C", "=1+1"))
    (archive / fakes.snapshot_name(2)).write_text("")
    run(archive, folder / "out", fakes.fake_config(), fit=fakes.fake_fit)
    return open_store(folder / "out")


def test_database_holds_every_row(stored):
    (path,) = sinks.write_reports(stored, ["sqlite"])
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        for kind in ("fits", "quotes"):
            columns = columns_of(kind, stored.models)
            there = pd.read_sql_query(f"SELECT * FROM {kind}", connection)
            here = stored.read(kind).to_pandas()
            assert list(there) == list(columns) and len(there) == len(here)
            for name in (name for name, of in columns.items() if of == "real"):
                np.testing.assert_array_equal(there[name].to_numpy(float), here[name].to_numpy(float))
        refused = connection.execute("SELECT count(*) FROM fits WHERE converged = 0 AND n_test IS NULL")
        assert refused.fetchone() == (4,)
        times = connection.execute("SELECT DISTINCT expiry_datetime FROM quotes ORDER BY 1").fetchall()
        assert times == [("2026-02-27T08:00:00Z",), ("2026-06-26T08:00:00Z",)]
        shift = connection.execute("SELECT shift_times FROM fits WHERE model = 'svcj++'").fetchone()[0]
        assert shift == "0.1, 0.4"


def test_an_unknown_report_is_refused(stored):
    with pytest.raises(ArgumentError, match="'csv' is unknown; expected one of xlsx, sqlite"):
        sinks.write_reports(stored, ["csv"])
