import sys

import numpy as np
import pandas as pd
import pytest
import workflow_fakes as fakes
from page_structure import checked
from scipy.stats import norm

from neutral.errors import NeutralError
from neutral.shipped import sample_folder
from neutral.workflow import load_config, open_store, run
from neutral.workflow.calibrate.rows import QUOTE_COLUMNS
from neutral.workflow.pages import render
from neutral.workflow.pages.calibrate import page, write_report
from neutral.workflow.pages.paths import SHOWN_FITS, thinned


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    archive = fakes.write_archive(folder / "in", 3)
    (archive / fakes.snapshot_name(1)).write_text("<b>not a table</b>\n1\n")
    run(archive, folder / "out", fakes.fake_config(models=["black"]), fit=fakes.fake_fit)
    return open_store(folder / "out")


@pytest.fixture(scope="module")
def path(stored):
    return write_report(stored)


def test_the_page_answers_first(path):
    text = path.read_text()
    structure = checked(text)
    assert path.name == "report.html"
    answer = text[text.index('<section class="answer"') : text.index('<section id="quality"')]
    assert "BTC: black prices" in answer and "of the held-out quotes inside the bid-ask spread" in answer
    assert "All 4 fits converged; 2 of 6 sets of quotes were refused" in answer
    first = structure.data[0]
    assert first["title"] == "Share of held-out quotes inside the bid-ask spread"
    each, whole = first["views"][0]["panels"][0]["series"]
    assert len(each["x"]) == 4 and whole["y"] == ["BTC black", "ETH black"]


def test_the_page_has_tables_reasons_and_charts(path):
    text = path.read_text()
    structure = checked(text)
    for part in ("Fit quality", "Convergence", "Refused and failed", "required columns missing"):
        assert part in text
    titles = [one["title"] for one in structure.data]
    assert titles == [
        "Share of held-out quotes inside the bid-ask spread",
        *["Smiles", "Parameters over time"] * 2,
    ]
    row = text[text.index('<td class="text">black</td>') :].split("</tr>")[0]
    assert [part.split(">")[-1] for part in row.split("</td>")[1:5]] == ["3", "2", "1", "0"]
    assert text.count("Where black misses the market") >= 2


def test_smiles_are_the_volatilities_of_bid_and_ask(path, stored):
    smiles = checked(path.read_text()).data[1]
    assert [view["group"] for view in smiles["views"]] == ["2026-01-01T12:00:00Z"] * 2 + [
        "2026-01-01T00:00:00Z"
    ] * 2
    view = smiles["views"][0]
    assert view["label"] == "2026-02-27, 36.5 days" and view["forward"] == 90_000
    bars, model = view["panels"][0]["series"]
    assert bars["style"] == "bars" and model["name"] == "black"
    quotes = stored.read("quotes").to_pandas()
    own = quotes[
        (quotes["snapshot_ts"] == view["group"]) & (quotes["maturity"] == 0.1) & (quotes["currency"] == "BTC")
    ]
    out = own[(own["option_type"] == "call") == (own["log_moneyness"] >= 0)].sort_values("log_moneyness")
    k = out["log_moneyness"].to_numpy()
    for side, ends in (("bid_price", bars["low"]), ("ask_price", bars["high"])):
        s = np.array(ends) / 100 * np.sqrt(0.1)
        call = norm.cdf(-k / s + s / 2) - np.exp(k) * norm.cdf(
            -k / s - s / 2
        )  # Black (1976), over the forward
        # a chart has five digits, of which the price of a far strike loses some
        np.testing.assert_allclose(np.where(k >= 0, call, call + np.expm1(k)), out[side], rtol=2e-3)


def test_fits_at_bounds_are_explained(stored):
    fits = stored.read("fits").to_pandas()
    quotes = stored.read("quotes").to_pandas()
    fits["at_bound"] = np.where(fits["converged"], "sigma", "")
    text = page(fits, quotes, stored.config_hash)
    assert "A fit can converge and yet end at a bound" in text and "black of BTC (100%: sigma)" in text
    assert "A fit can converge and yet end at a bound" not in page(
        stored.read("fits").to_pandas(), quotes, stored.config_hash
    )


def test_a_run_in_which_nothing_could_be_used_has_a_page(stored):
    fits = stored.read("fits").to_pandas()
    fits = fits[fits["status"] == "refused"]
    text = page(fits, pd.DataFrame(columns=list(QUOTE_COLUMNS)), stored.config_hash)
    assert text.count("No snapshot could be used") == 2 and "No fit was attempted" in text
    checked(text)


def test_messages_are_escaped(stored):
    fits = stored.read("fits").to_pandas()
    fits = fits[fits["status"] == "refused"].assign(message="<script>alert(1)</script>")
    text = page(fits, pd.DataFrame(columns=list(QUOTE_COLUMNS)), stored.config_hash)
    assert "<script>alert" not in text and "&lt;script&gt;" in text
    assert checked(text).scripts == 1


def test_without_jinja2_the_remedy_is_named(stored, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    render._environment.cache_clear()
    with pytest.raises(NeutralError, match=r"neutral\[cli\]"):
        write_report(stored)


def test_long_paths_are_thinned_and_keep_their_jumps():
    places = thinned(10 * SHOWN_FITS, {1237})
    assert len(places) <= SHOWN_FITS + 1 and {0, 1237, 10 * SHOWN_FITS - 1} <= set(places.tolist())
    assert thinned(3).tolist() == [0, 1, 2]


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
    structure = checked(write_report(open_store(tmp_path / "whole")).read_text())
    curves = {one["name"] for one in structure.data[1]["views"][0]["panels"][0]["series"]}
    assert curves == {"bid to ask", "black", "heston"}
