"""Writes the page of `neutral pipeline`: the outcome of every market with its reasons, and some charts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...shipped import CODE_VERSION
from ...times import minute_text
from ..inputs.markets import UNKNOWN
from ..pipeline.stages import MarketRun, reason_of
from . import blocks, render
from . import pipeline_sections as sections
from .pipeline_sections import number

TITLE = "Calibration of markets"
HEADER = [
    "market",
    "time, UTC",
    "outcome",
    "status",
    "model",
    "vol RMSE, bp",
    "condition",
    "quotes",
    "refused",
    "seconds",
]
HASH = 12  # number of digits of a hash that are shown
TOLD = 3  # markets up to this number have a sentence each at the top
SHOWN_LINES = 8  # markets whose errors the first picture shows
SHOWN_GATES = 4  # gates that are named in a sentence


def write_page(
    runs: Sequence[MarketRun], history: Sequence[Mapping[str, Any]], path: str | Path, pictures: int = 4
) -> Path:
    """Write the page about the runs of markets.

    Args:
        runs: Markets as the pipeline returns them, in the order of the page.
        history: Records as in `MarketRun.record` of earlier runs; those of `runs` may be among them.
        path: The file, in an existing folder.
        pictures: The number of markets to draw, from the first that has a diagnosis.

    Returns:
        The path of the page.

    Raises:
        NeutralError: Jinja2 is not installed, or the page cannot be written.
    """
    render.check_installed()
    page = render.within_limit(lambda drawn: content(runs, history, drawn), pictures)
    return render.write_page(Path(path), page)


def content(runs: Sequence[MarketRun], history: Sequence[Mapping[str, Any]], pictures: int) -> blocks.Page:
    """Return the content of the page; the arguments are those of `write_page`."""
    records = [*history, *(run.record for run in runs)]
    diagnosed = [i for i, run in enumerate(runs) if run.diagnosis is not None]
    listed = [blocks.Section("All markets", _all(runs), "markets")]
    for i, run in enumerate(runs):
        drawn = _pictures(run, past(run, records)) if i in diagnosed[:pictures] else []
        listed.append(blocks.Section(_title(run), _market(run, drawn), _anchor(i), run.outcome))
    return blocks.Page(
        title=TITLE,
        note=f"{len(runs)} markets: {sections.counted(run.outcome for run in runs)}; neutral {CODE_VERSION}",
        answer=_answer(runs),
        sections=listed,
        first=_first(runs),
    )


def past(run: MarketRun, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the records of the underlying and model of a run up to its time, one per time, in time order."""
    last = run.record
    if not last.get("timestamp"):
        return [last]
    same = [
        record
        for record in records
        if all(record.get(key) == last.get(key) for key in ("asset", "model"))
        and "" < (record.get("timestamp") or "") <= last["timestamp"]
    ]
    by_time = {record["timestamp"]: record for record in [*same, last]}
    return [by_time[time] for time in sorted(by_time)]


def _anchor(i: int) -> str:
    return f"market-{i + 1}"


def _name(run: MarketRun) -> str:
    return run.market.file if run.market.underlying == UNKNOWN else run.market.underlying


def _title(run: MarketRun) -> str:
    return f"{_name(run)} {minute_text(run.market.timestamp)}".strip()


def _reason(run: MarketRun) -> str:
    """Return the reason why a market was not finished, or ""."""
    return run.market.reason or reason_of(run.stages)


def _answer(runs: Sequence[MarketRun]) -> list[blocks.Block]:
    """State how good the fits are, and what failed."""
    if not runs:
        return [
            blocks.Text("No market is new: each one has a record of this data and these settings.", "lead")
        ]
    if len(runs) <= TOLD:
        answer = [blocks.Text(_sentence(run), "lead") for run in runs]
    else:
        errors = np.array([number(run, "iv_rmse") for run in runs])
        known = errors[np.isfinite(errors)]
        size = blocks.basis_points(float(np.median(known))) if known.size else ""
        bp = f" with a median error of volatility of {size}" if size else ""
        answer = [blocks.Text(f"{known.size} of {len(runs)} markets were fitted{bp}.", "lead")]
    counts = sections.counted(run.outcome for run in runs)
    worst = [run for run in runs if run.outcome != "pass"]
    if not worst:
        return [*answer, blocks.Text(f"{len(runs)} markets: {counts}. Every gate passes.", "good")]
    reasons = [f"{_title(run)}: {_why(run)}" for run in worst[:TOLD]]
    more = f"; {len(worst) - TOLD} more markets below" if len(worst) > TOLD else ""
    failed = any(run.outcome == "fail" for run in worst)
    return [*answer, blocks.Text(f"{counts}. {'; '.join(reasons)}{more}.", "reason" if failed else "caution")]


def _sentence(run: MarketRun) -> str:
    """State how well one market is fitted."""
    record = run.record
    error = number(run, "iv_rmse")
    if not np.isfinite(error):
        return f"{_title(run)}: not fitted."
    inside = sections.share_inside(run)
    share = f", {inside:.0%} of them inside the bid-ask spread" if np.isfinite(inside) else ""
    quotes = f"{record.get('n_options') or 0:,d} quotes{share}"
    bp = blocks.basis_points(error)
    return f"{_title(run)}: {record.get('model')} fits {quotes}, with an error of volatility of {bp}."


def _why(run: MarketRun) -> str:
    """Return why a market does not pass: the reason why it stopped, or its worst gates."""
    reason = _reason(run)
    if reason:
        return reason.rstrip(".")
    found = [gate for _, gate in sections.evaluated(run) if gate.outcome == run.outcome]
    names = ", ".join(gate.name for gate in found[:SHOWN_GATES])
    more = f" and {len(found) - SHOWN_GATES} more" if len(found) > SHOWN_GATES else ""
    return f"{names}{more} ({run.outcome})"


def _first(runs: Sequence[MarketRun]) -> list[blocks.Block]:
    from .pipeline_charts import errors_by_expiry  # loads JAX

    fitted = [run for run in runs if run.record.get("iv_rmse_per_maturity")][-SHOWN_LINES:]
    chart = errors_by_expiry(fitted, [_title(run) for run in fitted]) if fitted else None
    return [chart] if chart else []


def _all(runs: Sequence[MarketRun]) -> list[blocks.Block]:
    return [
        blocks.table(
            HEADER, [_line(i, run) for i, run in enumerate(runs)], range(5), "All markets", stacked=True
        ),
        blocks.Text(
            "Vol RMSE: the root mean square error of implied volatility in basis points. Condition: the "
            "ratio of the largest to the smallest singular value of the scaled Jacobian; above 200 the "
            "quotes do not determine some combination of parameters. Outcome: the worst of all gates; a "
            "gate that cannot be determined does not pass.",
            "note",
        ),
    ]


def _line(i: int, run: MarketRun) -> list[blocks.Cell | str]:
    """Return the row of one market in the table of all markets."""
    record = run.record
    time = minute_text(run.market.timestamp)
    status = record.get("status") or ("refused" if _reason(run) else "not fitted")
    rejected = run.market.n_rejected if record.get("n_rejected") is None else record["n_rejected"]
    return [
        blocks.Cell(_name(run), anchor=_anchor(i)),
        blocks.Cell(time, kind="time") if time else "-",
        blocks.badge(run.outcome),
        status,
        record.get("model") or "-",
        blocks.number(number(run, "iv_rmse", 1e4), ",.1f"),
        blocks.number(number(run, "condition_number"), ".3g"),
        blocks.number(number(run, "n_options"), ",.0f"),
        blocks.number(rejected, ",d"),
        blocks.number(run.seconds, ".1f"),
    ]


def _market(run: MarketRun, drawn: list[blocks.Block]) -> list[blocks.Block]:
    """Return the section of one market."""
    record = run.record
    reason = _reason(run)
    facts = {
        "file": run.market.file,
        "SHA-256": run.market.sha256[:HASH],
        "model": record.get("model"),
        "use": record.get("application"),
        "configuration": (record.get("config_hash") or "")[:HASH],
        "neutral": record.get("code_version"),
    }
    note = " · ".join(f"{name} {value}" for name, value in facts.items() if value)
    return [
        blocks.Text(note, "note"),
        *([blocks.Text(reason, "reason")] if reason else []),
        *([blocks.Items(run.market.findings)] if run.market.findings else []),
        *sections.key_figures(run),
        *drawn[:1],
        *sections.gates(run),
        *sections.parameters(run),
        *drawn[1:],
        *sections.in_words(run),
        *sections.stages(run),
        *sections.log(run),
        *sections.refused(run),
    ]


def _pictures(run: MarketRun, history: Sequence[Mapping[str, Any]]) -> list[blocks.Block]:
    from .pipeline_charts import drawn  # loads JAX

    return drawn(run, history, _title(run))
