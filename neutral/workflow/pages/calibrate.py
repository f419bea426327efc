"""Writes the page about the results of `neutral calibrate`."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import durable
from ...times import TIME
from ..calibrate.store import Store
from ..calibrate.summary import by_model, summarise
from ..outcome import REFUSED
from ..recipes import in_order
from . import html

SNAPSHOTS = 2  # snapshots of each underlying whose smiles are drawn
SHOWN_MESSAGES = 20  # rows of refused and failed fits


def write_report(store: Store, path: str | Path | None = None) -> Path:
    """Write the page about the results of a run.

    Args:
        store: The results of `run`.
        path: The file; by default `report.html` in the folder of the store.

    Returns:
        The path of the page.

    Raises:
        DataError: A file of the store is damaged.
        NeutralError: Matplotlib is not installed, or the page cannot be written.
    """
    target = store.folder / "report.html" if path is None else Path(path)
    fits = store.read("fits").to_pandas()
    quotes = store.read("quotes").to_pandas()
    text = page(fits, quotes, store.config_hash)
    durable.write_text(target, text)
    return target


def page(fits: pd.DataFrame, quotes: pd.DataFrame, config_hash: str) -> str:
    """Return the page as HTML.

    Args:
        fits: The table in `fits.parquet`.
        quotes: The table in `quotes.parquet`.
        config_hash: The hash of the configuration, which the page states.
    """
    fits, quotes = (
        table.assign(snapshot_ts=pd.to_datetime(table["snapshot_ts"], utc=True).dt.strftime(TIME))
        for table in (fits, quotes)
    )
    times = fits["snapshot_ts"]
    span = f"{times.min()} to {times.max()}" if len(fits) else "none"
    versions = ", ".join(sorted(set(fits["code_version"])))
    body = [
        "<h1>Calibration of option snapshots</h1>",
        f"<p class='note'>{times.nunique()} snapshots, {escape(span)}; neutral {escape(versions)}, "
        f"configuration {config_hash[:12]}</p>",
        "<h2>Fit quality</h2>",
        "<p class='note'>Errors pool the test quotes of all converged fits, in the unit of the quotes. "
        "Inside is the share of quotes priced within half the bid-ask spread of the mid price.</p>",
        _summary(fits),
        "<h2>Convergence</h2>",
        "<p class='note'>Steps is the number of evaluations of prices and Jacobian from all starting points."
        "</p>",
        _convergence(fits),
        _messages(fits),
    ]
    for name in fits["currency"].unique():
        body += _pictures(str(name), _rows(fits, "currency", name), _rows(quotes, "currency", name))
    return html.page("Calibration", body)


def _summary(fits: pd.DataFrame) -> str:
    """Make the table of counts and errors by underlying and model."""
    header = ["currency", "model", "snapshots", "converged", "refused", "failed"]
    header += ["MAE", "median MAE", "RMSE", "inside"]
    rows: list[list[html.Cell]] = []
    for line in summarise(fits).lines:
        counts = (line.snapshots, line.converged, line.refused, line.failed)
        errors = (line.mae, line.median_mae, line.rmse)
        row: list[html.Cell] = [line.underlying, line.model]
        row += [(count, ",d") for count in counts]
        row += [(error, ".6f") for error in errors]
        rows.append([*row, (line.inside, ".1%")])
    return html.table(header, rows, texts=(0, 1))


def _convergence(fits: pd.DataFrame) -> str:
    """Make the table of the convergence of attempted fits, by underlying and model."""
    header = [
        "currency",
        "model",
        "fits",
        "converged",
        "steps, median",
        "steps, 90 %",
        "gradient norm, median",
        "condition, median",
        "at a bound",
        "most often",
    ]
    rows: list[list[html.Cell]] = []
    attempted: Any = fits[fits["status"] != REFUSED]
    group: Any
    for underlying, model, group in by_model(attempted):
        bounds = group["at_bound"].replace("", np.nan).dropna()
        names = bounds.str.split(", ").explode()
        common = (names.str.replace(r"\[\d+\]", "", regex=True)).value_counts().index[:3]
        rows.append(
            [
                underlying,
                model,
                (len(group), ",d"),
                (group["converged"].astype(float).mean(), ".1%"),
                (group["steps"].median(), ".0f"),
                (group["steps"].quantile(0.9), ".0f"),
                (group["gradient_norm"].median(), ".1e"),
                (group["condition_number"].median(), ".1e"),
                (len(bounds) / len(group), ".0%"),
                ", ".join(common),
            ]
        )
    return html.table(header, rows, texts=(0, 1, len(header) - 1))


def _messages(fits: pd.DataFrame) -> str:
    """Make the table of refused snapshots and failed fits, with their reasons."""
    failed: Any = fits[~fits["converged"].astype(bool)]
    if failed.empty:
        return ""
    refused = failed["status"] == REFUSED
    failed = failed.assign(model=failed["model"].where(~refused, "all")).drop_duplicates(
        ["snapshot_ts", "currency", "model"]
    )
    rows: list[list[html.Cell]] = [
        [row["snapshot_ts"], row["currency"], row["model"], row["status"], row["message"]]
        for row in failed.head(SHOWN_MESSAGES).to_dict("records")
    ]
    hidden = len(failed) - len(rows)
    more = f"<p class='note'>fits.parquet holds {hidden} more.</p>" if hidden else ""
    header = ["snapshot", "currency", "model", "status", "message"]
    return "<h2>Refused and failed</h2>" + html.table(header, rows, texts=range(5)) + more


def _pictures(underlying: str, fits: pd.DataFrame, quotes: pd.DataFrame) -> list[str]:
    """Draw the figures of one underlying."""
    from . import figures  # loads JAX and matplotlib

    body = [f"<h2>{escape(underlying)}</h2>"]
    models = in_order(fits["model"])
    usable: Any = fits[fits["status"] != REFUSED]
    if usable.empty or quotes.empty:
        return [*body, "<p class='note'>No snapshot could be used.</p>"]
    body.append(html.image(figures.residuals(quotes, models, f"{underlying}: where models miss the market")))
    body.append(html.image(figures.paths(usable, models, f"{underlying}: parameters over time")))
    for time in _spaced(sorted(usable["snapshot_ts"].unique())):
        snapshot_quotes = _rows(quotes, "snapshot_ts", time)
        snapshot_fits = _rows(usable, "snapshot_ts", time)
        title = f"{underlying} options, {time}"
        body.append(html.image(figures.smiles(snapshot_quotes, snapshot_fits, title)))
    return body


def _rows(table: pd.DataFrame, column: str, value: str) -> pd.DataFrame:
    """Return the rows with a value in a column."""
    rows: Any = table[table[column] == value]
    return rows


def _spaced(times: Sequence[str]) -> list[str]:
    """Choose `SNAPSHOTS` times, evenly spaced from the first to the last."""
    picks = np.unique(np.linspace(0, len(times) - 1, SNAPSHOTS).round().astype(int))
    return [times[int(i)] for i in picks]
