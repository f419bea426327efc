"""A page about the results of a run: one HTML file with its pictures inside."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ... import durable
from ..calibrate.rows import REFUSED
from ..calibrate.store import Store
from ..calibrate.summary import summarise
from ..recipes import in_order
from . import html

SNAPSHOTS = 2  # per currency whose smiles are drawn
SHOWN_MESSAGES = 20


def write_report(store: Store, path: str | Path | None = None) -> Path:
    """Write the page.

    Args:
        store: Results of `run`.
        path: The file; `report.html` in the store's folder by default.

    Returns:
        The path of the page.

    Raises:
        DataError: a file of the store is damaged.
        NeutralError: matplotlib is not installed, or the page cannot be written.
    """
    target = store.folder / "report.html" if path is None else Path(path)
    fits, quotes = store.read("fits").to_pandas(), store.read("quotes").to_pandas()
    text = page(fits, quotes, store.config_hash)
    durable.write_text(target, text)
    return target


def page(fits: Any, quotes: Any, config_hash: str) -> str:
    """The page as HTML.

    Args:
        fits: DataFrame as in `fits.parquet`.
        quotes: DataFrame as in `quotes.parquet`.
        config_hash: Hash of the configuration, to be named.
    """
    times = fits["snapshot_ts"]
    span = f"{times.min()} to {times.max()}" if len(fits) else "none"
    versions = ", ".join(sorted(set(fits["code_version"])))
    body = [
        "<h1>Calibration of option snapshots</h1>",
        f"<p class='note'>{times.nunique()} snapshots, {escape(span)}; neutral {escape(versions)}, "
        f"configuration {config_hash[:12]}</p>",
        "<h2>Fit quality</h2>",
        "<p class='note'>Errors of the test quotes of all converged fits together, in coin; inside: share of "
        "quotes priced within half the bid-ask spread of the mid price.</p>",
        _summary(fits),
        "<h2>Convergence</h2>",
        "<p class='note'>Steps are evaluations of prices and Jacobian, all starting points together.</p>",
        _convergence(fits),
        _messages(fits),
    ]
    for currency in fits["currency"].unique():
        body += _pictures(
            str(currency), fits[fits["currency"] == currency], quotes[quotes["currency"] == currency]
        )
    return html.page("Calibration", body)


def _summary(fits: Any) -> str:
    header = ["currency", "model", "snapshots", "converged", "refused", "failed"]
    header += ["MAE", "median MAE", "RMSE", "inside"]
    rows: list[list[html.Cell]] = []
    for line in summarise(fits).lines:
        counts = (line.snapshots, line.converged, line.refused, line.not_converged + line.lost)
        rows.append(
            [line.currency, line.model, *((count, ",d") for count in counts)]
            + [(value, ".6f") for value in (line.mae, line.median_mae, line.rmse)]
            + [(line.inside, ".1%")]
        )
    return html.table(header, rows, texts=(0, 1))


def _convergence(fits: Any) -> str:
    header = [
        "currency",
        "model",
        "fits",
        "converged",
        "steps, median",
        "steps, 90 %",
        "gradient norm, median",
    ]
    header += ["condition, median", "at a bound", "most often"]
    rows: list[list[html.Cell]] = []
    tried = fits[fits["status"] != REFUSED]
    for (currency, model), group in _by_model(tried):
        bounds = group["at_bound"].replace("", np.nan).dropna()
        names = bounds.str.split(", ").explode()
        common = (names.str.replace(r"\[\d+\]", "", regex=True)).value_counts().index[:3]
        rows.append([
            currency, model, (len(group), ",d"), (group["converged"].astype(float).mean(), ".1%"),
            (group["steps"].median(), ".0f"), (group["steps"].quantile(0.9), ".0f"),
            (group["gradient_norm"].median(), ".1e"), (group["condition_number"].median(), ".1e"),
            (len(bounds) / len(group), ".0%"), ", ".join(common),
        ])  # fmt: skip
    return html.table(header, rows, texts=(0, 1, len(header) - 1))


def _messages(fits: Any) -> str:
    """Which snapshots were refused, or have fits that failed, and why."""
    bad = fits[~fits["converged"].astype(bool)]
    if bad.empty:
        return ""
    refused = bad["status"] == REFUSED
    bad = bad.assign(model=bad["model"].where(~refused, "all")).drop_duplicates(
        ["snapshot_ts", "currency", "model"]
    )
    rows: list[list[html.Cell]] = [
        [row["snapshot_ts"], row["currency"], row["model"], row["status"], row["message"]]
        for row in bad.head(SHOWN_MESSAGES).to_dict("records")
    ]
    more = f"<p class='note'>{len(bad) - len(rows)} more in fits.parquet.</p>" if len(bad) > len(rows) else ""
    header = ["snapshot", "currency", "model", "status", "message"]
    return "<h2>Refused and failed</h2>" + html.table(header, rows, texts=range(5)) + more


def _pictures(currency: str, fits: Any, quotes: Any) -> list[str]:
    from . import figures  # loads JAX and matplotlib

    body, models = [f"<h2>{escape(currency)}</h2>"], in_order(fits["model"])
    usable = fits[fits["status"] != REFUSED]
    if usable.empty or quotes.empty:
        return [*body, "<p class='note'>No snapshot could be used.</p>"]
    body.append(html.image(figures.residuals(quotes, models, f"{currency}: where models miss the market")))
    body.append(html.image(figures.paths(usable, models, f"{currency}: parameters over time")))
    for time in _spaced(sorted(usable["snapshot_ts"].unique())):
        here = quotes[quotes["snapshot_ts"] == time]
        rows = usable[usable["snapshot_ts"] == time]
        body.append(html.image(figures.smiles(here, rows, f"{currency} options, {time}")))
    return body


def _by_model(fits: Any) -> list[tuple[tuple[str, str], Any]]:
    """Rows by currency and model, in the order of the tables."""
    return [
        ((currency, model), rows)
        for currency in fits["currency"].unique()
        for model in in_order(fits["model"])
        if len(rows := fits[(fits["currency"] == currency) & (fits["model"] == model)])
    ]


def _spaced(times: Sequence[Any]) -> list[str]:
    """First, last and what lies evenly between."""
    picks = np.unique(np.linspace(0, len(times) - 1, SNAPSHOTS).round().astype(int))
    return [times[i] for i in picks]
