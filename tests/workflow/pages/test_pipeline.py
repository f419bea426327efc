"""The page of a run of the pipeline: what it says, and what a browser makes of it."""

import dataclasses
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import neutral as nt
from neutral.diagnostics import Identifiability
from neutral.market import Split, build_surface, list_snapshots, load_deribit
from neutral.shipped import sample_folder
from neutral.workflow.inputs.markets import Market
from neutral.workflow.pages.pipeline import past, write_page
from neutral.workflow.pages.pipeline_sections import refused as refused_table
from neutral.workflow.pipeline.stages import MarketRun, Stage

pytest.importorskip("matplotlib")

WHY = "chain.csv: required columns missing: <bid>, ask."
A4 = 703  # pixels between the margins of the printed page


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


class Structure(HTMLParser):
    """Tags that are opened, and whether each is closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.ids, self.wrong = [], [], []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def test_a_page_without_a_fit_says_why(tmp_path):
    path = write_page([refused(), unfinished()], [], tmp_path / "page.html")
    text = path.read_text()
    assert "&lt;bid&gt;" in text and "<bid>" not in text
    assert text.count("required columns missing") == 2, "above, and at its stage"
    for part in (
        "2 markets: 2 fail",
        "no start converged",
        "again: max_steps",
        "bid missing",
        "SPX 2025-01-02",
    ):
        assert part in text
    order = [text.index(f"class='badge {kind}'", text.index("<h3>Gates: ")) for kind in ("warn", "pass")]
    assert order == sorted(order) and "removed_share is 0.5, but it must be at most 0.15" in text
    assert "largest_iv unknown" in text and "butterfly_share is not measured" in text
    structure = Structure()
    structure.feed(text)
    assert not structure.wrong and not structure.open
    assert len(structure.ids) == len(set(structure.ids)) == 2
    assert "nan" not in text.split("</style>")[1]


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
def test_the_page_of_a_fit_has_tables_words_and_pictures(fitted, page):
    text = page.read_text()
    assert text.count("data:image/png;base64,") == 6
    for finding in fitted.diagnosis.identifiability.findings:
        assert finding.text in text
    assert f"Refused quotes: {len(fitted.rejected)}" in text and "The first 100 refused quotes" in text
    lost = Identifiability(reason="the fit is lost")
    blind = dataclasses.replace(fitted.diagnosis, identifiability=lost)
    told = write_page(
        [dataclasses.replace(fitted, diagnosis=blind)], [], page.with_name("lost.html")
    ).read_text()
    assert told.count("data:image") == 4
    assert "Not drawn, correlations of the estimates: the fit is lost" in told
    none = write_page([fitted], [], page.with_name("none.html"), pictures=0).read_text()
    assert "data:image" not in none and "Parameters" in none


@pytest.fixture
def browser():
    """Headless Chromium: playwright's own, or one of the system."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no browser: playwright is not installed")
    with playwright.sync_playwright() as running:
        own = Path(running.chromium.executable_path)
        found = own if own.exists() else shutil.which("chromium") or shutil.which("google-chrome")
        if not found:
            pytest.skip("no browser: neither playwright nor the system has a chromium")
        started = running.chromium.launch(executable_path=found)
        yield started
        started.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 400])
def test_a_browser_shows_the_page(browser, page, width):
    tab = browser.new_page(viewport={"width": width, "height": 900})
    said, asked = [], []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page.as_uri())
    assert not said and [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
    images = tab.locator("img").evaluate_all("all => all.map(x => [x.complete, x.naturalWidth, x.alt])")
    assert len(images) == 6 and all(done and wide > 0 and alt for done, wide, alt in images)
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    assert tab.locator("details[open]").count() == 0
    tab.locator("summary").first.click()
    assert tab.locator("details[open]").count() == 1


@pytest.mark.slow
def test_the_page_prints(browser, page):
    tab = browser.new_page(viewport={"width": A4, "height": 1000})
    tab.goto(page.as_uri())
    content = tab.pdf(prefer_css_page_size=True)
    assert content.startswith(b"%PDF") and content.count(b"/Type /Page\n") > 1
    tab.emulate_media(media="print")
    assert tab.evaluate("document.documentElement.scrollWidth") == A4
    folded = tab.locator("details table").evaluate_all(
        "all => all.map(x => x.getBoundingClientRect().height)"
    )
    assert len(folded) > 2 and min(folded) > 20, "what is folded is open on paper"


def test_reasons_are_counted_by_kind():
    reasons = ["butterfly arbitrage: put 90 sold", "butterfly arbitrage: put 95 sold", "bid missing"]
    reasons += ["+3.10 bp from the forward, outside the 2 bp", "-4.25 bp from the forward, outside the 2 bp"]
    reasons += ["maturity below 0.0192 years"] * 2
    table = refused_table(dataclasses.replace(unfinished(), rejected=pd.DataFrame({"reason": reasons})))[1]
    assert table.count("<tr>") == 5
    for kind in ("butterfly arbitrage<", "... bp from the forward", "maturity below 0.0192 years<"):
        assert kind in table
