"""The page of a run of the pipeline: what it says, and what a browser makes of it."""

import dataclasses
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import pytest
from page_structure import checked

import neutral as nt
from neutral.diagnostics import Identifiability
from neutral.market import Split, build_surface, list_snapshots, load_deribit
from neutral.shipped import sample_folder
from neutral.workflow.inputs.markets import Market
from neutral.workflow.pages.pipeline import past, write_page
from neutral.workflow.pages.pipeline_sections import refused as refused_table
from neutral.workflow.pipeline.stages import MarketRun, Stage

WHY = "chain.csv: required columns missing: <bid>, ask."


def market(asset: str, time: Any, **known: Any) -> Market:
    return Market("chain.csv", asset, pd.Timestamp(time), **known)  # pyright: ignore[reportArgumentType]


def refused() -> MarketRun:
    return MarketRun(market("-", None, reason=WHY), (Stage("preprocess", 0.1, reason=WHY),))


def unfinished() -> MarketRun:
    gates = nt.evaluate_gates({"removed_share": 0.5, "largest_iv": 0.6}, "exotics", sets="quotes")
    stages = (
        Stage("preprocess", 0.2, {"removed_share": 0.5, "largest_iv": np.nan}, gates),
        Stage("optimise", 1.5, reason="no start converged"),
    )
    rows = pd.DataFrame({"strike": [90.0, 95.0], "bid_price": [np.nan, 0.2], "reason": ["bid missing"] * 2})
    quotes = market("SPX", "2025-01-02T21:00Z", rejected=rows)
    return MarketRun(quotes, stages, ("first fit: max_steps", "again: max_steps"), rejected=rows)


def test_a_page_without_a_fit_says_why(tmp_path):
    path = write_page([refused(), unfinished()], [], tmp_path / "page.html")
    text = path.read_text()
    assert "&lt;bid&gt;" in text and "<bid>" not in text
    assert text.count("required columns missing") == 3, "at the top, above, and at its stage"
    for part in (
        "2 markets: 2 fail",
        "SPX 2025-01-02 21:00: not fitted.",
        "no start converged",
        "again: max_steps",
        "bid missing",
        "SPX 2025-01-02",
    ):
        assert part in text
    order = [text.index(f'class="badge {kind}"', text.index("<h3>Gates: ")) for kind in ("warn", "pass")]
    assert order == sorted(order) and "removed_share is 0.5, but it must be at most 0.15" in text
    assert "largest_iv unknown" in text and "butterfly_share is not measured" in text
    assert checked(text).ids == ["content", "markets", "market-1", "market-2"]


def test_a_run_without_new_markets_says_so(tmp_path):
    text = write_page([], [], tmp_path / "page.html").read_text()
    assert "No market is new" in text and "Every gate passes" not in text


def test_the_past_of_a_market_is_its_own():
    def record(asset: str, day: int, **more: Any) -> dict[str, Any]:
        return {"asset": asset, "model": "heston", "timestamp": f"2026-01-{day:02d}T00:00:00Z"} | more

    run = MarketRun(unfinished().market, (), record=record("SPX", 5, loss=1.0))
    others = [
        record("SPX", 7),
        record("SPX", 2),
        record("VIX", 1),
        record("SPX", 1) | {"model": "bates"},
        record("SPX", 1),
        record("SPX", 5, loss=2.0),
        record("SPX", 1) | {"timestamp": ""},
    ]
    found = past(run, others)
    assert [one["timestamp"][8:10] for one in found] == ["01", "02", "05"] and found[-1]["loss"] == 1.0


@pytest.fixture(scope="module")
def fitted():
    """A Heston fit of a shipped snapshot, as the pipeline leaves it."""
    file = list_snapshots(sample_folder())[0]
    quotes = load_deribit(file, currency="BTC")
    surface, rejected = build_surface(quotes, split=Split(seed=178))
    result = nt.calibrate(nt.Heston, surface)
    diagnosis = nt.diagnose(result, surface)
    names = result.names
    record = {
        "asset": "BTC",
        "timestamp": "2026-01-14T15:34:05Z",
        "model": "heston",
        "application": "exotics",
        "status": "converged",
        "converged": True,
        "parameters": {name: float(getattr(result.model, name)) for name in names},
        "standard_errors": dict(zip(names, map(float, result.standard_errors), strict=True)),
        "condition_number": diagnosis.identifiability.condition_number,
        "iv_rmse": diagnosis.residuals.rows()[0]["rmse_vol"],
        "n_options": int(np.sum(surface.mask)),
        "n_rejected": len(rejected),
    }
    gates = nt.evaluate_gates(
        nt.diagnostics.fit_measurements(diagnosis), "exotics", sets=["fit", "plausibility"]
    )
    stages = (Stage("optimise", 1.0, {"loss": float(result.loss)}), Stage("validate", 1.0, {}, gates))
    origin = market("BTC", quotes.snapshot_ts, rejected=rejected)
    return MarketRun(origin, stages, (), record, surface, diagnosis, rejected)


@pytest.fixture(scope="module")
def page(fitted, tmp_path_factory):
    earlier = [fitted.record | {"timestamp": f"2026-01-{day:02d}T15:34:05Z"} for day in (11, 12, 13)]
    path = tmp_path_factory.mktemp("page") / "page.html"
    return write_page([fitted, refused(), unfinished()], earlier, path)


@pytest.mark.slow
def test_intervals_are_drawn_in_sizes_and_written_in_units(fitted):
    axes: Any = nt.plot.intervals(fitted.diagnosis, 0.8).axes[0]
    rows = fitted.diagnosis.uncertainty.rows(0.8)
    for bar, row in zip(axes.patches, rows, strict=True):
        size = 1.0 if row["parameter"] == "rho" else row["value"]
        assert bar.get_width() == pytest.approx(100 * (row["high"] - row["low"]) / size)
    beside = [label.get_text() for label in axes.child_axes[0].get_yticklabels()]
    assert beside[1].startswith(f"{rows[1]['value']:.4g}  [{rows[1]['low']:.3g}")


@pytest.mark.slow
def test_the_smiles_of_a_model_are_its_volatilities(fitted):
    model, surface = fitted.diagnosis.fit.result.model, fitted.surface
    axes = nt.plot.smiles(surface, model).axes[5]
    curve = next(line for line in axes.get_lines() if line.get_label() == "Heston")
    k, vol = (np.asarray(data)[::20] for data in curve.get_data())
    t = float(np.unique(surface.quotes().t)[5])
    exact = nt.implied_vol(nt.price(model, 1.0, np.exp(k), t, k >= 0), 1.0, np.exp(k), t, k >= 0)
    np.testing.assert_allclose(vol, 100 * np.asarray(exact), rtol=1e-3)


@pytest.mark.slow
def test_the_page_of_a_fit_has_tables_words_and_charts(fitted, page):
    text = page.read_text()
    structure = checked(text)
    assert [one["title"] for one in structure.data] == [
        "Smiles",
        "How well the quotes determine each parameter",
        "Parameters from fit to fit",
    ]
    assert "Where the model misses the market" in text and "Correlations of the estimates" in text
    for finding in fitted.diagnosis.identifiability.findings:
        assert escape(finding.text) in text
    assert f"Refused quotes: {len(fitted.rejected)}" in text and "The first 100 refused quotes" in text
    lost = Identifiability(reason="the fit is lost")
    blind = dataclasses.replace(fitted.diagnosis, identifiability=lost)
    told = write_page(
        [dataclasses.replace(fitted, diagnosis=blind)], [], page.with_name("lost.html")
    ).read_text()
    assert "Not drawn, correlations of the estimates: the fit is lost" in told
    none = write_page([fitted], [], page.with_name("none.html"), pictures=0).read_text()
    assert 'id="plotly"' not in none and "Parameters" in none


@pytest.mark.slow
def test_the_curve_of_the_chart_is_that_of_the_model(fitted, page):
    model, surface = fitted.diagnosis.fit.result.model, fitted.surface
    smiles = checked(page.read_text()).data[0]
    times = np.unique(surface.quotes().t)
    for view in smiles["views"][:3]:
        bars, curve = view["panels"][0]["series"]
        t = times[np.argmin(np.abs(times - view["t"]))]
        k = np.array(curve["x"])
        exact = nt.implied_vol(nt.price(model, 1.0, np.exp(k), t, k >= 0), 1.0, np.exp(k), t, k >= 0)
        # the numbers of a chart have five digits
        np.testing.assert_allclose(np.array(curve["y"], float), 100 * np.asarray(exact), rtol=1e-3)
        assert bars["style"] == "bars"


def test_reasons_are_counted_by_kind():
    reasons = ["butterfly arbitrage: put 90 sold", "butterfly arbitrage: put 95 sold", "bid missing"]
    reasons += ["+3.10 bp from the forward, outside the 2 bp", "-4.25 bp from the forward, outside the 2 bp"]
    reasons += ["maturity below 0.0192 years"] * 2
    table = refused_table(dataclasses.replace(unfinished(), rejected=pd.DataFrame({"reason": reasons})))[1]
    kinds = [row[0].text for row in table.rows]
    assert len(kinds) == 4
    assert {"butterfly arbitrage", "maturity below 0.0192 years"} <= set(kinds)
    assert any("... bp from the forward" in kind for kind in kinds)
