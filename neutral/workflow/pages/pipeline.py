"""Writes the page of `neutral pipeline`: the outcome of every market with its reasons, and some figures."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ... import durable
from ...errors import ArgumentError
from ...shipped import CODE_VERSION
from ...times import minute_text
from ..inputs.markets import UNKNOWN
from ..pipeline.stages import MarketRun, reason_of
from . import html
from . import pipeline_sections as sections
from .pipeline_sections import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...diagnostics import Diagnosis

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
        NeutralError: Matplotlib is not installed, or the page cannot be written.
    """
    records = [*history, *(run.record for run in runs)]
    diagnosed = [i for i, run in enumerate(runs) if run.diagnosis is not None]
    body = [
        f"<h1>{TITLE}</h1>",
        f"<p class='note'>{len(runs)} markets: {sections.counted(run.outcome for run in runs)}; "
        f"neutral {escape(CODE_VERSION)}</p>",
        html.table(HEADER, [_line(i, run) for i, run in enumerate(runs)], range(5), stacked=True),
        "<p class='note'>Vol RMSE is the root mean square error of implied volatility in basis points. The "
        "condition is the ratio of the largest to the smallest singular value of the scaled Jacobian; above "
        "200 the quotes do not determine some combination of parameters. The outcome is the worst of all "
        "gates; a gate that cannot be determined does not pass.</p>",
    ]
    for i, run in enumerate(runs):
        drawn = _pictures(run, past(run, records)) if i in diagnosed[:pictures] else []
        body += [f"<section id='{_anchor(i)}'>", *_market(run), *drawn, "</section>"]
    path = Path(path)
    durable.write_text(path, html.page(TITLE, body))
    return path


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


def _line(i: int, run: MarketRun) -> list[html.Cell]:
    """Return the row of one market in the table of all markets."""
    record = run.record
    time = minute_text(run.market.timestamp)
    status = record.get("status") or ("refused" if _reason(run) else "not fitted")
    rejected = run.market.n_rejected if record.get("n_rejected") is None else record["n_rejected"]
    return [
        html.link(_name(run), _anchor(i)),
        html.time(time) if time else "-",
        html.badge(run.outcome),
        status,
        record.get("model") or "-",
        (number(run, "iv_rmse", 1e4), ",.1f"),
        (number(run, "condition_number"), ".3g"),
        (number(run, "n_options"), ",.0f"),
        (rejected, ",d"),
        (run.seconds, ".1f"),
    ]


def _market(run: MarketRun) -> list[str]:
    """Return the section of one market, without its figures."""
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
        f"<h2>{escape(_title(run))} {html.badge(run.outcome)}</h2>",
        f"<p class='note'>{escape(note)}</p>",
        f"<p class='reason'>{escape(reason)}</p>" if reason else "",
        html.items(run.market.findings) if run.market.findings else "",
        sections.key_figures(run),
        *sections.gates(run),
        *sections.stages(run),
        *sections.log(run),
        *sections.parameters(run),
        *sections.in_words(run),
        *sections.refused(run),
    ]


class _Figure(NamedTuple):
    """A figure to be drawn, or the reason why it cannot be drawn."""

    draw: "Callable[[], Figure]"
    content: str  # what the figure shows, for readers who cannot see it
    caption: str
    reason: str = ""


def _pictures(run: MarketRun, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Draw the figures of one market."""
    assert run.diagnosis is not None  # only markets with a diagnosis are drawn
    wide, *others, history = (_picture(_title(run), figure) for figure in _figures(run.diagnosis, records))
    return ["<h3>Pictures</h3>", wide, html.row(others), history]


def _figures(diagnosis: "Diagnosis", records: Sequence[Mapping[str, Any]]) -> list[_Figure]:
    """Return the figures about one market."""
    from ... import plot  # loads matplotlib

    undetermined = diagnosis.identifiability.reason
    return [
        _Figure(
            partial(plot.smiles, diagnosis.fit.surface, diagnosis.fit.result.model),
            "smiles of the model over bid and ask of the market",
            "Implied volatilities: bars show bid and ask of out-of-the-money quotes, and curves the model "
            "where its prices are accurate enough.",
        ),
        _Figure(
            partial(plot.residual_map, diagnosis),
            "errors of volatility by moneyness and expiry",
            "Errors of the fitted quotes: the model is above the market where the map is red, and below the "
            "market where it is blue.",
            diagnosis.residuals.reason,
        ),
        _Figure(
            partial(plot.correlations, diagnosis),
            "correlations of the estimates",
            "Correlations of the estimates; a frame marks two parameters that the quotes hardly distinguish.",
            undetermined,
        ),
        _Figure(
            partial(plot.intervals, diagnosis),
            "90 % intervals of the parameters",
            "The 90 % interval of each parameter that follows from the noise of the quotes.",
            diagnosis.uncertainty.reason,
        ),
        _Figure(
            partial(plot.directions, diagnosis),
            "singular values and directions",
            "A short bar shows a combination of parameters that the quotes hardly determine.",
            undetermined,
        ),
        _Figure(
            partial(plot.history, records),
            "parameters from fit to fit",
            "Parameters up to this fit, with 90 % intervals; crosses mark fits that did not converge.",
        ),
    ]


def _picture(name: str, figure: _Figure) -> str:
    """Draw a figure with its caption, or state the reason why it is not drawn."""
    reason = figure.reason
    try:
        if not reason:
            image = html.image(figure.draw(), f"{name}: {figure.content}")
            return html.captioned(image, figure.caption)
    except ArgumentError as error:
        reason = str(error)
    return f"<p class='note'>Not drawn, {escape(figure.content)}: {escape(reason)}</p>"
