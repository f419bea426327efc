"""The page of `neutral pipeline`: what became of every market, why, and pictures of some."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..diagnostics.gates import GRAVITY, Gate
from ..errors import ArgumentError
from . import durable, html
from .rows import CODE_VERSION
from .stages import MarketRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADER = ["market", "time, UTC", "outcome", "status", "model", "vol RMSE, bp", "condition"]
HEADER += ["quotes", "refused", "seconds"]
SHOWN_ROWS = 100  # refused quotes of a market that are listed one by one
QUOTE_COLUMNS = ["instrument_name", "expiry_datetime", "maturity", "option_type", "kind", "strike"]
QUOTE_COLUMNS += ["bid_price", "ask_price", "mid_price", "reason"]
TITLE = "Calibration of markets"


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
    drawn = [run for run in runs if run.diagnosis is not None][:pictures]
    known = [*history, *(run.record for run in runs)]
    counts = _counted(run.outcome for run in runs)
    body = [
        f"<h1>{TITLE}</h1>",
        f"<p class='note'>{len(runs)} markets: {counts}; neutral {escape(CODE_VERSION)}</p>",
        html.table(HEADER, [_line(i, run) for i, run in enumerate(runs)], (0, 1, 2, 3, 4)),
        "<p class='note'>Vol RMSE: root mean square error of implied volatility, basis points. Condition: "
        "largest over smallest singular value of the scaled Jacobian; beyond 200 a combination of parameters "
        "is not seen. The outcome is the gravest of all gates; what cannot be determined does not pass.</p>",
    ]
    for i, run in enumerate(runs):
        chosen = any(run is one for one in drawn)
        body += [f"<section id='{_anchor(i)}'>", *_market(run)]
        body += _pictures(run, past(run, known)) if chosen else []
        body.append("</section>")
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
        and "" < str(record.get("timestamp") or "") <= own["timestamp"]
    ]
    by_time = {record["timestamp"]: record for record in [*same, own]}
    return [by_time[time] for time in sorted(by_time)]


def _counted(outcomes: Iterable[str]) -> str:
    """`1 fail, 3 pass`."""
    counts = Counter(outcomes)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in GRAVITY if counts[outcome]) or "none"


def _anchor(i: int) -> str:
    return f"market-{i + 1}"


def _title(run: MarketRun) -> str:
    """Underlying and time; the file where the time is not known."""
    time = _time(run)
    return f"{run.market.asset} {run.market.file if time == '-' else time}"


def _time(run: MarketRun) -> str:
    at = run.market.timestamp
    return f"{at:%Y-%m-%d %H:%M}" if at == at else "-"  # NaT is not itself


def _status(run: MarketRun) -> str:
    return run.record.get("status") or ("refused" if _reason(run) else "not fitted")


def _reason(run: MarketRun) -> str:
    """Why a market has not been finished; "" where it has."""
    return run.market.reason or next((stage.reason for stage in run.stages if stage.reason), "")


def _number(run: MarketRun, key: str, scale: float = 1.0) -> float:
    value = run.record.get(key)
    return math.nan if value is None else scale * float(value)


def _refused(run: MarketRun) -> float:
    return float(run.market.rejected if run.record.get("n_rejected") is None else run.record["n_rejected"])


def _seconds(run: MarketRun) -> float:
    return sum(stage.seconds for stage in run.stages)


def _line(i: int, run: MarketRun) -> list[html.Cell]:
    return [
        html.link(run.market.asset, _anchor(i)), _time(run), html.badge(run.outcome), _status(run),
        str(run.record.get("model") or "-"), (_number(run, "iv_rmse", 1e4), ".1f"),
        (_number(run, "condition_number"), ".3g"), (_number(run, "n_options"), ",.0f"),
        (_refused(run), ",.0f"), (_seconds(run), ".1f"),
    ]  # fmt: skip


def _market(run: MarketRun) -> list[str]:
    record = run.record
    names = ("file", "model", "application", "config_hash", "sha256", "code_version")
    known = {"file": run.market.file, "sha256": run.market.sha256} | {k: v for k, v in record.items() if v}
    facts = " · ".join(f"{name.replace('_', ' ')} {known[name]}" for name in names if known.get(name))
    reason = _reason(run)
    return [
        f"<h2>{escape(_title(run))} {html.badge(run.outcome)}</h2>",
        f"<p class='note'>{escape(facts)}</p>",
        f"<p class='reason'>{escape(reason)}</p>" if reason else "",
        _figures_that_matter(run),
        *_gates(run),
        *_stages(run),
        *_log(run),
        *_parameters(run),
        *_in_words(run),
        *_quotes(run),
    ]


def _figures_that_matter(run: MarketRun) -> str:
    shown = {
        "vol RMSE": (_number(run, "iv_rmse", 1e4), ".1f", " bp"),
        "largest vol error": (_number(run, "largest_iv_error", 1e4), ".0f", " bp"),
        "quotes": (_number(run, "n_options"), ",.0f", ""),
        "expiries": (_number(run, "n_maturities"), ".0f", ""),
        "condition number": (_number(run, "condition_number"), ".3g", ""),
        "Feller ratio": (_number(run, "feller_ratio"), ".3g", ""),
        "half-life": (_number(run, "half_life"), ".3g", " years"),
        "steps": (_number(run, "steps"), ".0f", ""),
    }
    known = [(name, f"{x:{form}}{unit}") for name, (x, form, unit) in shown.items() if math.isfinite(x)]
    return html.tiles(known) if known else ""


def _gates(run: MarketRun) -> list[str]:
    """Those that do not pass, the gravest first; the others folded."""
    found = [(stage.name, gate) for stage in run.stages for gate in stage.gates]
    if not found:
        return ["<h3>Gates</h3>", "<p class='note'>No gate was evaluated.</p>"]
    found.sort(key=lambda one: GRAVITY.index(one[1].outcome))
    passed = [one for one in found if one[1].outcome == "pass"]
    others = found[: len(found) - len(passed)]
    return [
        f"<h3>Gates: {_counted(gate.outcome for _, gate in found)}</h3>",
        _gate_table(others) if others else "",
        html.folded(f"{len(passed)} passed", _gate_table(passed)) if passed else "",
    ]


def _gate_table(gates: Sequence[tuple[str, Gate]]) -> str:
    rows: list[list[html.Cell]] = [
        [html.badge(gate.outcome), gate.name, gate.reason, stage] for stage, gate in gates
    ]
    return html.table(["outcome", "gate", "reason", "stage"], rows, range(4))


def _stages(run: MarketRun) -> list[str]:
    rows: list[list[html.Cell]] = []
    for stage in run.stages:
        metrics = " · ".join(f"{name} {value:.4g}" for name, value in stage.metrics.items())
        outcome = stage.outcome if stage.gates or stage.reason else "done"
        rows.append(
            [stage.name, html.badge(outcome), (stage.seconds, ".2f"), metrics or "-", stage.reason or "-"]
        )
    header = ["stage", "outcome", "seconds", "measured", "why it stopped"]
    return ["<h3>Stages</h3>", html.table(header, rows, (0, 1, 3, 4))] if rows else []


def _log(run: MarketRun) -> list[str]:
    return ["<h3>What was tried</h3>", html.items(run.log, ordered=True)] if run.log else []


def _parameters(run: MarketRun) -> list[str]:
    values, errors = (run.record.get(key) or {} for key in ("parameters", "standard_errors"))
    if not values:
        return []
    rows: list[list[html.Cell]] = []
    for name, value in values.items():
        error = math.nan if errors.get(name) is None else errors[name]
        rows.append(
            [name, (value, ".6g"), (error, ".2g"), (abs(error / value) if value else math.nan, ".1%")]
        )
    header = ["parameter", "value", "standard error", "relative"]
    days: list[list[html.Cell]] = [[f"{365 * t:.3g} days", (1e4 * x, ".1f")] for t, x in _by_maturity(run)]
    by_maturity = html.table(["expiry", "vol RMSE, bp"], days, (0,)) if days else ""
    return ["<h3>Parameters</h3>", html.row([html.table(header, rows, (0,)), by_maturity])]


def _by_maturity(run: MarketRun) -> list[tuple[float, float]]:
    times, errors = (run.record.get(key) or [] for key in ("maturities", "iv_rmse_per_maturity"))
    return [(t, math.nan if x is None else x) for t, x in zip(times, errors, strict=False)]


def _in_words(run: MarketRun) -> list[str]:
    """What the quotes do not tell of the parameters, and where the model misses."""
    if run.diagnosis is None:
        return []
    seen, misses = run.diagnosis.identifiability, run.diagnosis.residuals
    first = seen.reason and f"identifiability cannot be determined: {seen.reason}"
    told = [
        first or f"{seen.effective_rank} of {len(seen.names)} directions of the parameters are seen",
        *(f"{finding.text}: {finding.action}" for finding in seen.findings),
        *(
            f"{p.name} pattern, {p.share:.0%} of the variance of the errors: {p.meaning}"
            for p in misses.patterns
        ),
        str(run.diagnosis.influence),
    ]
    return ["<h3>What the quotes tell, and what they do not</h3>", html.items(told)]


def _quotes(run: MarketRun) -> list[str]:
    """Refused quotes by reason, and their rows."""
    rejected = run.rejected
    if rejected is None or rejected.empty:
        return []
    counts = rejected["reason"].value_counts()
    by_reason: list[list[html.Cell]] = [[str(reason), (count, ",d")] for reason, count in counts.items()]
    columns = [name for name in QUOTE_COLUMNS if name in rejected]
    shown = rejected[columns].head(SHOWN_ROWS)
    rows: list[list[html.Cell]] = [[_value(x) for x in row] for row in shown.itertuples(index=False)]
    texts = [i for i, name in enumerate(columns) if name in ("instrument_name", "option_type", "reason")]
    more = len(rejected) - len(rows)
    note = f"<p class='note'>{more:,d} more are not listed here.</p>" if more else ""
    header = [name.removesuffix("_datetime").replace("_", " ") for name in columns]
    return [
        f"<h3>Refused quotes: {len(rejected):,d}</h3>",
        html.table(["reason", "quotes"], by_reason, (0,)),
        html.folded(f"{len(rows)} of them", html.table(header, rows, texts) + note),
    ]


def _value(x: Any) -> html.Cell:
    """A value of a table of quotes."""
    return (float(x), ".6g") if isinstance(x, int | float) and not isinstance(x, bool) else str(x)


def _pictures(run: MarketRun, records: Sequence[Mapping[str, Any]]) -> list[str]:
    from .. import plot  # loads JAX and matplotlib

    diagnosis = run.diagnosis
    assert diagnosis is not None  # of the markets that are drawn
    fit = diagnosis.fit
    figures: list[tuple[Callable[[], Figure], str, str]] = [
        (
            partial(plot.smiles, fit.surface, fit.result.model),
            "smiles of the model over bid and ask of the market",
            "Implied volatilities: bars from bid to ask of out-of-the-money quotes, and the model, where its "
            "prices are accurate enough to be drawn.",
        ),
        (
            partial(plot.residual_map, diagnosis),
            "errors of volatility by moneyness and expiry",
            "Errors of the fitted quotes: red where the model is above the market, blue where below.",
        ),
        (
            partial(plot.intervals, diagnosis),
            "90 % intervals of the parameters",
            "How far the noise of the quotes lets each parameter move.",
        ),
        (
            partial(plot.correlations, diagnosis),
            "correlations of the estimates",
            "Correlations of the estimates; a frame where two can hardly be told apart.",
        ),
        (
            partial(plot.directions, diagnosis),
            "singular values and directions",
            "What the quotes see of the parameters: a short bar is a combination that they hardly tell.",
        ),
        (
            partial(plot.history, records),
            "parameters from fit to fit",
            "Parameters up to this fit, with 90 % intervals; crosses did not converge.",
        ),
    ]
    wide, *others, path = (_picture(draw, f"{_title(run)}: {what}", words) for draw, what, words in figures)
    return ["<h3>Pictures</h3>", wide, html.row(others), path]


def _picture(draw: "Callable[[], Figure]", alt: str, caption: str) -> str:
    """A figure with its caption, or why it cannot be drawn."""
    try:
        return html.captioned(html.image(draw(), alt), caption)
    except ArgumentError as error:
        return f"<p class='note'>{escape(alt)}: {escape(str(error))}</p>"
