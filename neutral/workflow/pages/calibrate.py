"""Writes the page about the results of `neutral calibrate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...times import TIME
from ..calibrate.store import Store
from ..calibrate.summary import Split, by_model, summarise
from ..outcome import REFUSED
from ..recipes import RECIPES, in_order
from . import blocks, charts, render
from .blocks import number

SNAPSHOTS = 12  # snapshots whose smiles are drawn, shared by all underlyings
SHOWN_MESSAGES = 100  # rows of refused and failed fits


def write_report(store: Store, path: str | Path | None = None) -> Path:
    """Write the page about the results of a run.

    Args:
        store: The results of `run`.
        path: The file; by default `report.html` in the folder of the store.

    Returns:
        The path of the page.

    Raises:
        DataError: A file of the store is damaged.
        NeutralError: Jinja2 is not installed, or the page cannot be written.
    """
    render.check_installed()
    target = store.folder / "report.html" if path is None else Path(path)
    fits = store.read("fits").to_pandas()
    quotes = store.read("quotes").to_pandas()
    page = render.within_limit(lambda drawn: content(fits, quotes, store.config_hash, drawn), SNAPSHOTS)
    return render.write_page(target, page)


def page(fits: pd.DataFrame, quotes: pd.DataFrame, config_hash: str) -> str:
    """Return the page as HTML.

    Args:
        fits: The table in `fits.parquet`.
        quotes: The table in `quotes.parquet`.
        config_hash: The hash of the configuration, which the page states.
    """
    return render.html(content(fits, quotes, config_hash))


def content(
    fits: pd.DataFrame, quotes: pd.DataFrame, config_hash: str, snapshots: int = SNAPSHOTS
) -> blocks.Page:
    """Return the content of the page.

    Args:
        fits: As for `page`.
        quotes: As for `page`.
        config_hash: As for `page`.
        snapshots: The number of snapshots whose smiles are drawn, shared by all underlyings.
    """
    fits, quotes = (
        table.assign(snapshot_ts=pd.to_datetime(table["snapshot_ts"], utc=True).dt.strftime(TIME))
        for table in (fits, quotes)
    )
    times: Any = fits["snapshot_ts"]
    span = f"{times.min()} to {times.max()}" if len(fits) else "none"
    versions = ", ".join(sorted(set(fits["code_version"])))
    errors = median_errors(quotes, in_order(fits["model"].unique()))
    split: Split = "test" if (fits["n_test"] > 0).to_numpy(bool).any() else "train"
    underlyings = [str(name) for name in fits["currency"].unique()]
    sections = [
        blocks.Section("Fit quality", _quality(fits, errors), "quality"),
        blocks.Section("Convergence", _convergence(fits), "convergence"),
    ]
    failed = _messages(fits)
    if failed:
        sections.append(blocks.Section("Refused and failed", failed, "failed"))
    per_underlying = max(1, snapshots // max(1, len(underlyings)))
    for i, name in enumerate(underlyings):
        drawn = _underlying(
            name, _rows(fits, "currency", name), _rows(quotes, "currency", name), per_underlying
        )
        sections.append(blocks.Section(name, drawn, f"underlying-{i + 1}"))
    return blocks.Page(
        title="Calibration of option snapshots",
        note=f"{times.nunique()} snapshots, {span}; neutral {versions}, configuration {config_hash[:12]}",
        answer=_answer(fits, errors, split),
        sections=sections,
        first=_first(fits, split),
    )


def median_errors(quotes: pd.DataFrame, models: Sequence[str]) -> dict[tuple[str, str], float]:
    """Return the median size of errors of volatility by underlying and model, as decimals.

    The test quotes out of the money count, or the train quotes if the run has no test quotes.
    """
    from .volatility import out_of_the_money, volatilities  # loads JAX

    columns = {model: RECIPES[model].price_column for model in models}
    columns = {model: name for model, name in columns.items() if name in quotes}
    if quotes.empty or not columns:
        return {}
    of_test = (quotes["split"] == "test").to_numpy(bool)
    split = "test" if of_test.any() else "train"
    rows = quotes.loc[(quotes["split"] == split).to_numpy(bool) & out_of_the_money(quotes)]
    vols = volatilities(rows, ["mid_price_clean", *columns.values()])
    found = {}
    for model, column in columns.items():
        size = pd.Series(np.abs(vols[column] - vols["mid_price_clean"]), rows.index)
        medians = size.groupby(rows["currency"]).median()
        found |= {(str(underlying), model): float(value) for underlying, value in medians.items()}
    return found


def _answer(fits: pd.DataFrame, errors: dict[tuple[str, str], float], split: Split) -> list[blocks.Block]:
    """State how good the fits are, and what failed."""
    lines = summarise(fits).lines
    quotes = "held-out quotes" if split == "test" else "fitted quotes"
    sentences = []
    for underlying in dict.fromkeys(line.underlying for line in lines):
        own = [x for x in lines if x.underlying == underlying and np.isfinite(x.inside_of(split))]
        if not own:
            sentences.append(f"{underlying}: no model was fitted.")
            continue
        best = max(own, key=lambda line: line.inside_of(split))
        error = errors.get((underlying, best.model), np.nan)
        bp = (
            f", with a median error of {blocks.basis_points(error)} of volatility"
            if np.isfinite(error)
            else ""
        )
        fits_best = "fits best: it prices" if len(own) > 1 else "prices"
        sentences.append(
            f"{underlying}: {best.model} {fits_best} {best.inside_of(split):.0%} of the {quotes} inside the "
            f"bid-ask spread{bp}."
        )
    answer: list[blocks.Block] = [blocks.Text(sentence, "lead") for sentence in sentences]
    return [*answer, _outcome(fits)]


def _outcome(fits: pd.DataFrame) -> blocks.Text:
    """State how many fits converged, and how many snapshots were refused."""
    refused = (fits["status"] == REFUSED).to_numpy(bool)
    attempted = int(np.sum(~refused))
    converged = int(np.sum(fits["converged"].to_numpy(bool)))
    pairs = fits.loc[refused, ["snapshot_ts", "currency"]].drop_duplicates()
    total = fits[["snapshot_ts", "currency"]].drop_duplicates()
    fitted = "All" if converged == attempted else f"{converged:,d} of"
    text = f"{fitted} {attempted:,d} fits converged" if attempted else "No fit was attempted"
    kept = (
        "no snapshot was refused"
        if pairs.empty
        else (f"{len(pairs):,d} of {len(total):,d} sets of quotes were refused, for the reasons below")
    )
    good = bool(attempted) and converged == attempted and pairs.empty
    return blocks.Text(f"{text}; {kept}.", "good" if good else "reason")


def _first(fits: pd.DataFrame, split: Split) -> list[blocks.Block]:
    from .calibrate_charts import share_inside  # loads JAX

    known = fits["converged"].to_numpy(bool) & fits[f"inside_{split}"].notna().to_numpy(bool)
    return [share_inside(fits, split)] if known.any() else []


def _quality(fits: pd.DataFrame, errors: dict[tuple[str, str], float]) -> list[blocks.Block]:
    """Make the table of counts and errors by underlying and model."""
    header = ["currency", "model", "snapshots", "converged", "refused", "failed", "inside", "vol error, bp"]
    header += ["MAE", "median MAE", "RMSE"]
    rows: list[list[blocks.Cell | str]] = []
    for line in summarise(fits).lines:
        counts = (line.snapshots, line.converged, line.refused, line.failed)
        error = 1e4 * errors.get((line.underlying, line.model), np.nan)
        row: list[blocks.Cell | str] = [line.underlying, line.model]
        row += [number(count, ",d") for count in counts]
        row += [number(line.inside, ".1%"), number(error, ",.1f")]
        rows.append([*row, *(number(x, ".6f") for x in (line.mae, line.median_mae, line.rmse))])
    return [
        blocks.Text(
            "Errors pool the test quotes of all converged fits. Inside: the share of quotes priced within "
            "half the bid-ask spread of the mid price. Vol error: the median size of errors of implied "
            "volatility over out-of-the-money quotes, in basis points. MAE and RMSE: mean absolute and "
            "root mean square error of prices, in the unit of the quotes.",
            "note",
        ),
        blocks.table(header, rows, (0, 1), "Fit quality by underlying and model"),
    ]


def _convergence(fits: pd.DataFrame) -> list[blocks.Block]:
    """Make the table of the convergence of attempted fits, and explain what a fit at a bound means."""
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
    rows: list[list[blocks.Cell | str]] = []
    attempted: Any = fits[fits["status"] != REFUSED]
    bounded = []
    group: Any
    for underlying, model, group in by_model(attempted):
        bounds = group["at_bound"].replace("", np.nan).dropna()
        names = bounds.str.split(", ").explode().str.replace(r"\[\d+\]", "", regex=True)
        common = ", ".join(names.value_counts().index[:3])
        share = len(bounds) / len(group)
        bounded += [f"{model} of {underlying} ({share:.0%}: {common})"] if share > 0.05 else []
        converged = float(group["converged"].astype(float).mean())
        numbers = (
            (len(group), ",d"),
            (converged, ".1%"),
            (group["steps"].median(), ".0f"),
            (group["steps"].quantile(0.9), ".0f"),
            (group["gradient_norm"].median(), ".1e"),
            (group["condition_number"].median(), ".1e"),
            (share, ".0%"),
        )
        rows.append([underlying, model, *(number(x, form) for x, form in numbers), common or "-"])
    return [
        blocks.Text("Steps: evaluations of prices and Jacobian from all starting points.", "note"),
        *([_bounds(bounded)] if bounded else []),
        blocks.table(header, rows, (0, 1, len(header) - 1), "Convergence by underlying and model"),
    ]


def _bounds(bounded: Sequence[str]) -> blocks.Text:
    return blocks.Text(
        "A fit can converge and yet end at a bound: the smallest loss within the bounds then lies on a "
        "bound, and the parameter has no standard error. Its prices are as good as the table of fit quality "
        "shows, but the quotes do not determine that parameter: fix it, widen its bounds, or choose a "
        f"simpler model. Here: {'; '.join(bounded)}."
    )


def _messages(fits: pd.DataFrame) -> list[blocks.Block]:
    """Make the table of refused snapshots and failed fits, with their reasons."""
    failed: Any = fits[~fits["converged"].astype(bool)]
    if failed.empty:
        return []
    refused = failed["status"] == REFUSED
    failed = failed.assign(model=failed["model"].where(~refused, "all")).drop_duplicates(
        ["snapshot_ts", "currency", "model"]
    )
    header = ["snapshot", "currency", "model", "status", "message"]
    rows = [
        [str(row[name] or "-") for name in ("snapshot_ts", *header[1:])]
        for row in failed.head(SHOWN_MESSAGES).to_dict("records")
    ]
    hidden = len(failed) - len(rows)
    more = [blocks.Text(f"fits.parquet lists {hidden} more.", "note")] if hidden else []
    return [blocks.table(header, rows, range(5), "Refused and failed", stacked=True), *more]


def _underlying(name: str, fits: pd.DataFrame, quotes: pd.DataFrame, snapshots: int) -> list[blocks.Block]:
    """Draw the charts of one underlying."""
    from . import calibrate_charts as draw  # these two load JAX
    from . import paths

    models = in_order(fits["model"].unique())
    usable = draw.usable(fits)
    if usable.empty or quotes.empty:
        return [blocks.Text("No snapshot could be used.", "note")]
    times = sorted(usable["snapshot_ts"].unique())
    times = [times[i] for i in charts.evenly(len(times), snapshots)]
    chart, jumps = draw.parameters_over_time(usable, models, name)
    body: list[blocks.Block] = [draw.smiles(quotes, usable, times[::-1], name)]
    body += draw.error_maps(quotes, models, name)
    body += [chart] if chart else []
    if jumps:
        body.append(paths.folded_jumps(("model", "parameter"), jumps, name))
    return body


def _rows(table: pd.DataFrame, column: str, value: str) -> pd.DataFrame:
    """Return the rows with a value in a column."""
    rows: Any = table[table[column] == value]
    return rows
