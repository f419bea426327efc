"""The page of `neutral pipeline`: what became of every market, why, and pictures of some."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import durable
from ...errors import ArgumentError
from ...shipped import CODE_VERSION
from ..inputs.markets import UNKNOWN
from ..pipeline.stages import MarketRun, reason_of
from . import html
from . import pipeline_tables as tables
from .pipeline_tables import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Calibration of markets"
HEADER = ["market", "time, UTC", "outcome", "status", "model", "vol RMSE, bp", "condition"]
HEADER += ["quotes", "refused", "seconds"]
HASH = 12  # digits of a hash that are written


def write_page(
    runs: Sequence[MarketRun], history: Sequence[Mapping[str, Any]], path: str | Path, pictures: int = 4
) -> Path:
    """Write the page.

    Args:
        runs: Markets as they came out of the pipeline, in the order of the page.
        history: Records of earlier runs, as `MarketRun.record`; those of these runs may be among them.
        path: The file; its folder exists.
        pictures: Markets to draw, the first ones that have a diagnosis.

    Returns:
        The path of the page.

    Raises:
        NeutralError: matplotlib is not installed, or the page cannot be written.
    """
    records = [*history, *(run.record for run in runs)]
    known = [i for i, run in enumerate(runs) if run.diagnosis is not None]
    body = [
        f"<h1>{TITLE}</h1>",
        f"<p class='note'>{len(runs)} markets: {tables.counted(run.outcome for run in runs)}; "
        f"neutral {escape(CODE_VERSION)}</p>",
        html.table(HEADER, [_line(i, run) for i, run in enumerate(runs)], range(5), stacked=True),
        "<p class='note'>Vol RMSE: root mean square error of implied volatility, basis points. Condition: "
        "largest over smallest singular value of the scaled Jacobian; beyond 200 a combination of parameters "
        "is not seen. The outcome is the gravest of all gates; what cannot be determined does not pass.</p>",
    ]
    for i, run in enumerate(runs):
        drawn = _pictures(run, past(run, records)) if i in known[:pictures] else []
        body += [f"<section id='{_anchor(i)}'>", *_market(run), *drawn, "</section>"]
    path = Path(path)
    durable.write_text(path, html.page(TITLE, body))
    return path


def past(run: MarketRun, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Records of the same underlying and model up to the run's own, one per time, in order of time."""
    own = run.record
    if not own.get("timestamp"):
        return [own]
    same = [
        record
        for record in records
        if all(record.get(key) == own.get(key) for key in ("asset", "model"))
        and "" < (record.get("timestamp") or "") <= own["timestamp"]
    ]
    by_time = {record["timestamp"]: record for record in [*same, own]}
    return [by_time[time] for time in sorted(by_time)]


def _anchor(i: int) -> str:
    return f"market-{i + 1}"


def _name(run: MarketRun) -> str:
    return run.market.file if run.market.asset == UNKNOWN else run.market.asset


def _time(run: MarketRun) -> str:
    at = run.market.timestamp
    return f"{at:%Y-%m-%d %H:%M}" if at == at else ""  # NaT is not itself


def _title(run: MarketRun) -> str:
    return f"{_name(run)} {_time(run)}".strip()


def _reason(run: MarketRun) -> str:
    """Why a market has not been finished; "" where it has."""
    return run.market.reason or reason_of(run.stages)


def _line(i: int, run: MarketRun) -> list[html.Cell]:
    record, time = run.record, _time(run)
    status = record.get("status") or ("refused" if _reason(run) else "not fitted")
    rejected = run.market.n_rejected if record.get("n_rejected") is None else record["n_rejected"]
    return [
        html.link(_name(run), _anchor(i)), html.time(time) if time else "-", html.badge(run.outcome), status,
        record.get("model") or "-", (number(run, "iv_rmse", 1e4), ",.1f"),
        (number(run, "condition_number"), ".3g"), (number(run, "n_options"), ",.0f"), (rejected, ",d"),
        (sum(stage.seconds for stage in run.stages), ".1f"),
    ]  # fmt: skip


def _market(run: MarketRun) -> list[str]:
    record, reason = run.record, _reason(run)
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
        tables.key_figures(run),
        *tables.gates(run),
        *tables.stages(run),
        *tables.log(run),
        *tables.parameters(run),
        *tables.in_words(run),
        *tables.refused(run),
    ]


def _pictures(run: MarketRun, records: Sequence[Mapping[str, Any]]) -> list[str]:
    from ... import plot  # loads matplotlib

    diagnosis = run.diagnosis
    assert diagnosis is not None  # of the markets that are drawn
    unseen, unknown = diagnosis.identifiability.reason, diagnosis.uncertainty.reason
    figures: list[tuple[Callable[[], Figure], str, str, str]] = [
        (
            partial(plot.smiles, diagnosis.fit.surface, diagnosis.fit.result.model),
            "smiles of the model over bid and ask of the market",
            "Implied volatilities: bars from bid to ask of out-of-the-money quotes, and the model, where its "
            "prices are accurate enough to be drawn.",
            "",
        ),
        (
            partial(plot.residual_map, diagnosis),
            "errors of volatility by moneyness and expiry",
            "Errors of the fitted quotes: red where the model is above the market, blue where below.",
            diagnosis.residuals.reason,
        ),
        (
            partial(plot.correlations, diagnosis),
            "correlations of the estimates",
            "Correlations of the estimates; a frame where two can hardly be told apart.",
            unseen,
        ),
        (
            partial(plot.intervals, diagnosis),
            "90 % intervals of the parameters",
            "How far the noise of the quotes lets each parameter move.",
            unknown,
        ),
        (
            partial(plot.directions, diagnosis),
            "singular values and directions",
            "What the quotes see of the parameters: a short bar is a combination that they hardly tell.",
            unseen,
        ),
        (
            partial(plot.history, records),
            "parameters from fit to fit",
            "Parameters up to this fit, with 90 % intervals; crosses did not converge.",
            "",
        ),
    ]
    wide, *others, path = (_picture(_title(run), *figure) for figure in figures)
    return ["<h3>Pictures</h3>", wide, html.row(others), path]


def _picture(name: str, draw: "Callable[[], Figure]", what: str, caption: str, reason: str) -> str:
    """A figure with its caption, or why it is not drawn."""
    try:
        if not reason:
            return html.captioned(html.image(draw(), f"{name}: {what}"), caption)
    except ArgumentError as error:
        reason = str(error)
    return f"<p class='note'>Not drawn, {escape(what)}: {escape(reason)}</p>"
