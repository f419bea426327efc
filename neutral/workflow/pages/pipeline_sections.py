"""Writes the sections about one market on the page of `neutral pipeline`: tables and sentences."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from ...diagnostics.gates import GRAVITY, Gate
from ...plot.frame import days
from ..pipeline.stages import MarketRun
from . import html

_NUMBER = r"[+-]?\d[\d.,]*(?:e[+-]?\d+)?"
SHOWN_ROWS = 100  # number of refused quotes of a market that are listed one by one
TEXTS = ("instrument_name", "expiry_datetime", "option_type", "reason")
PRICES = ("bid_price", "ask_price", "mid_price", "reason")
NAMED = ("instrument_name", *PRICES)
UNNAMED = ("expiry_datetime", "maturity", "option_type", "strike", *PRICES)
TILES = {  # key of a record: name, scale, format
    "iv_rmse": ("vol RMSE", 1e4, "{:.1f} bp"),
    "largest_iv_error": ("largest vol error", 1e4, "{:,.0f} bp"),
    "n_options": ("quotes", 1.0, "{:,.0f}"),
    "n_maturities": ("expiries", 1.0, "{:.0f}"),
    "condition_number": ("condition", 1.0, "{:.3g}"),
    "feller_ratio": ("Feller ratio", 1.0, "{:.3g}"),
    "half_life": ("half-life", 1.0, "{:.3g} years"),
    "steps": ("steps", 1.0, "{:.0f}"),
}


def number(run: MarketRun, key: str, scale: float = 1.0) -> float:
    """Return a number of the record times a scale; nan if the record does not have it."""
    value = run.record.get(key)
    return math.nan if value is None else scale * float(value)


def counted(outcomes: Iterable[str]) -> str:
    """Count outcomes, the worst first, such as `1 fail, 3 pass`."""
    counts = Counter(outcomes)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in GRAVITY if counts[outcome]) or "none"


def key_figures(run: MarketRun) -> str:
    """Return tiles of the most important numbers that the record has."""
    figures = [
        (name, form.format(value))
        for key, (name, scale, form) in TILES.items()
        if math.isfinite(value := number(run, key, scale))
    ]
    return html.tiles(figures) if figures else ""


def gates(run: MarketRun) -> list[str]:
    """Return the gates that do not pass, the worst first; those that pass are hidden until clicked."""
    evaluated = [(stage.name, gate) for stage in run.stages for gate in stage.gates]
    if not evaluated:
        return ["<h3>Gates</h3>", "<p class='note'>No gate was evaluated.</p>"]
    evaluated.sort(key=lambda pair: GRAVITY.index(pair[1].outcome))
    passed = [(stage, gate) for stage, gate in evaluated if gate.outcome == "pass"]
    others = evaluated[: len(evaluated) - len(passed)]
    return [
        f"<h3>Gates: {counted(gate.outcome for _, gate in evaluated)}</h3>",
        _gate_table(others) if others else "",
        html.folded(f"{len(passed)} passed", _gate_table(passed)) if passed else "",
    ]


def _gate_table(gates: Sequence[tuple[str, Gate]]) -> str:
    rows: list[list[html.Cell]] = [
        [gate.name, html.badge(gate.outcome), gate.reason, stage] for stage, gate in gates
    ]
    return html.table(["gate", "outcome", "reason", "stage"], rows, range(4), stacked=True)


def stages(run: MarketRun) -> list[str]:
    """Return outcome, time and measurements of each stage."""
    rows: list[list[html.Cell]] = []
    for stage in run.stages:
        outcome = html.badge(stage.outcome) if stage.gates or stage.reason else "no gates"
        measured = " · ".join(
            f"{name} unknown" if math.isnan(value) else f"{name} {_shown(value)}"
            for name, value in stage.metrics.items()
        )
        rows.append([stage.name, outcome, (stage.seconds, ".2f"), stage.reason or measured or "-"])
    header = ["stage", "outcome", "seconds", "measurements, or why it stopped"]
    return ["<h3>Stages</h3>", html.table(header, rows, (0, 1, 3), stacked=True)] if rows else []


def log(run: MarketRun) -> list[str]:
    """Return the attempts to fit the market."""
    return ["<h3>Attempts</h3>", html.items(run.log, ordered=True)] if run.log else []


def parameters(run: MarketRun) -> list[str]:
    """Return parameters with standard errors, and errors of volatility by expiry."""
    values = run.record.get("parameters") or {}
    errors = run.record.get("standard_errors") or {}
    if not values:
        return []
    rows: list[list[html.Cell]] = []
    for name, value in values.items():
        error = math.nan if errors.get(name) is None else errors[name]
        relative = abs(error / value) if value else math.nan
        rows.append([name, (value, ".6g"), (error, ".2g"), (relative, ".1%")])
    header = ["parameter", "value", "standard error", "relative"]
    return ["<h3>Parameters</h3>", html.row([html.table(header, rows, (0,)), _by_expiry(run)])]


def _by_expiry(run: MarketRun) -> str:
    times = run.record.get("maturities") or []
    errors = run.record.get("iv_rmse_per_maturity") or []
    rows: list[list[html.Cell]] = [
        [f"{days(t)} days", (math.nan if error is None else 1e4 * error, ",.1f")]
        for t, error in zip(times, errors, strict=False)
    ]
    return html.table(["expiry", "vol RMSE, bp"], rows, (0,)) if rows else ""


def in_words(run: MarketRun) -> list[str]:
    """Describe what the quotes leave undetermined, where the model misses them, and which of them matter."""
    if run.diagnosis is None:
        return []
    identifiability = run.diagnosis.identifiability
    if identifiability.reason:
        sentences = [f"identifiability cannot be determined: {identifiability.reason}"]
    else:
        rank = identifiability.effective_rank
        total = len(identifiability.names)
        sentences = [f"the quotes determine {rank} of {total} directions of the parameters"]
    sentences += [f"{finding.text}: {finding.action}" for finding in identifiability.findings]
    sentences += [
        f"{pattern.name} pattern, {pattern.share:.0%} of the variance of errors: {pattern.meaning}"
        for pattern in run.diagnosis.residuals.patterns
    ]
    sentences.append(str(run.diagnosis.influence))
    return ["<h3>What the quotes determine, and what they do not</h3>", html.items(sentences)]


def refused(run: MarketRun) -> list[str]:
    """Return the refused quotes by reason, and their rows."""
    rejected = run.rejected
    if rejected is None or rejected.empty:
        return []
    reasons: Any = rejected["reason"]
    counts = _kinds(reasons).value_counts().items()
    by_reason: list[list[html.Cell]] = [[str(reason), (count, ",d")] for reason, count in counts]
    summary = "All refused quotes"
    if len(rejected) > SHOWN_ROWS:
        summary = f"The first {SHOWN_ROWS} refused quotes; the .refused.csv file beside the record holds all"
    return [
        f"<h3>Refused quotes: {len(rejected):,d}</h3>",
        html.table(["reason", "quotes"], by_reason, (0,)),
        html.folded(summary, _refused_rows(rejected)),
    ]


def _refused_rows(rejected: pd.DataFrame) -> str:
    """Return a table of the first refused quotes."""
    candidates = NAMED if "instrument_name" in rejected else UNNAMED
    columns = [name for name in candidates if name in rejected]
    rows: list[list[html.Cell]] = [
        [str(x) if name in TEXTS else _cell(x) for name, x in zip(columns, row, strict=True)]
        for row in rejected[columns].head(SHOWN_ROWS).itertuples(index=False)
    ]
    header = [name.removesuffix("_datetime").replace("_", " ") for name in columns]
    texts = [i for i, name in enumerate(columns) if name in TEXTS]
    return html.table(header, rows, texts)


def _shown(value: float) -> str:
    """Format whole numbers in full and other numbers with four significant digits."""
    return f"{value:,.0f}" if value == round(value, 0) and abs(value) < 1e9 else f"{value:.4g}"


def _kinds(reasons: pd.Series) -> pd.Series:
    """Remove from reasons what differs between quotes: the trade after a colon, and numbers."""
    short = reasons.str.split(": ").str[0]
    blank = short.str.replace(_NUMBER, "...", regex=True)
    variants = short.groupby(blank).transform("nunique")
    return short.where(variants == 1, blank)


def _cell(value: object) -> html.Cell:
    """Return a number with its format, or text if the value is not a number."""
    try:
        return float(str(value)), ".6g"
    except ValueError:
        return str(value)
