import re
import sys

import pandas as pd
import pytest
import workflow_fakes as fakes

from neutral.errors import NeutralError
from neutral.shipped import sample_folder
from neutral.workflow import load_config, open_store, run
from neutral.workflow.calibrate.rows import QUOTE_COLUMNS
from neutral.workflow.pages.calibrate import page, write_report

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    archive = fakes.write_archive(folder / "in", 3)
    (archive / fakes.snapshot_name(1)).write_text("<b>not a table</b>\n1\n")
    run(archive, folder / "out", fakes.fake_config(models=["black"]), fit=fakes.fake_fit)
    return open_store(folder / "out")


@pytest.mark.heavy
def test_page_has_tables_reasons_and_pictures(stored):
    path = write_report(stored)
    text = path.read_text()
    assert path.name == "report.html"
    for part in ("Fit quality", "Convergence", "Refused and failed", "required columns missing"):
        assert part in text
    assert text.count("data:image/png;base64,") == 2 * (1 + 1 + 2)
    assert "<td class=text>black</td><td>3</td><td>2</td><td>1</td><td>0</td>" in text
    assert not re.search(r"(src|href)=['\"]http", text), "the page stands alone"


def test_a_run_in_which_nothing_could_be_used_has_a_page(stored):
    fits = stored.read("fits").to_pandas()
    fits = fits[fits["status"] == "refused"]
    text = page(fits, pd.DataFrame(columns=list(QUOTE_COLUMNS)), stored.config_hash)
    assert text.count("No snapshot could be used") == 2


def test_messages_are_escaped(stored):
    fits = stored.read("fits").to_pandas()
    fits = fits[fits["status"] == "refused"].assign(message="<script>alert(1)</script>")
    text = page(fits, pd.DataFrame(columns=list(QUOTE_COLUMNS)), stored.config_hash)
    assert "<script>" not in text and "&lt;script&gt;" in text


def test_without_matplotlib_the_remedy_is_named(stored, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(NeutralError, match=r"neutral\[plot\]"):
        write_report(stored)


@pytest.mark.heavy
def test_real_snapshots_calibrate_and_resume_to_equal_bytes(tmp_path):
    config = load_config().replaced(
        models=["black", "heston"], run={"block": 1, "currencies": ["BTC"]}, data={"first_index": 60}
    )
    files = sorted(sample_folder().glob("*.csv.gz"))[:2]
    whole = run(files, tmp_path / "whole", config)
    run(files, tmp_path / "steps", config.replaced(data={"limit": 1}))
    steps = run(files, tmp_path / "steps", config)
    assert whole.complete and whole.fitted == 2 and steps.fitted == 1
    for name in ("fits.parquet", "quotes.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "steps" / name).read_bytes()
    fits = fakes.read(tmp_path / "whole", "fits").set_index(["snapshot_ts", "model"])
    assert (fits["gradient_norm"] <= 1e-6).all()
    loss, inside = fits["loss"].unstack(), fits["inside_test"].unstack()
    assert (loss["heston"] < loss["black"]).all()
    assert (inside["heston"] > 0.5).all(), "the published fits of the same model have 0.475"
    assert fits["v0_se"].unstack()["heston"].between(1e-6, 0.1).all()
    text = write_report(open_store(tmp_path / "whole")).read_text()
    assert text.count("data:image/png;base64,") == 4
