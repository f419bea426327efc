"""Writes the sections about one market on the page of `neutral pipeline`: tables and sentences."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from ...diagnostics.gates import GRAVITY, Gate
from ...plot.frame import days
from ..pipeline.stages import MarketRun
from . import blocks

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


def key_figures(run: MarketRun) -> list[blocks.Block]:
    """Return tiles of the most important numbers that the record has."""
    figures = [
        (name, form.format(value))
        for key, (name, scale, form) in TILES.items()
        if math.isfinite(value := number(run, key, scale))
    ]
    inside = share_inside(run)
    if math.isfinite(inside):
        figures.insert(0, ("inside bid-ask", f"{inside:.0%}"))
    return [blocks.Tiles(figures)] if figures else []


def share_inside(run: MarketRun) -> float:
    """Return the share of quotes that the model prices within half the spread of the mid price, or nan."""
    rows = [] if run.diagnosis is None else run.diagnosis.residuals.rows()
    return float(rows[0]["within_half_spread"]) if rows else math.nan


def evaluated(run: MarketRun) -> list[tuple[str, Gate]]:
    """Return the gates with the names of their stages, the worst first."""
    found = [(stage.name, gate) for stage in run.stages for gate in stage.gates]
    return sorted(found, key=lambda pair: GRAVITY.index(pair[1].outcome))


def gates(run: MarketRun) -> list[blocks.Block]:
    """Return the gates that do not pass, the worst first; those that pass are hidden until clicked."""
    found = evaluated(run)
    if not found:
        return [blocks.Heading("Gates"), blocks.Text("No gate was evaluated.", "note")]
    passed = [(stage, gate) for stage, gate in found if gate.outcome == "pass"]
    others = found[: len(found) - len(passed)]
    return [
        blocks.Heading(f"Gates: {counted(gate.outcome for _, gate in found)}"),
        *([_gate_table(others)] if others else []),
        *([blocks.Fold(f"{len(passed)} passed", [_gate_table(passed)])] if passed else []),
    ]


def _gate_table(gates: Sequence[tuple[str, Gate]]) -> blocks.Table:
    rows = [[gate.name, blocks.badge(gate.outcome), gate.reason, stage] for stage, gate in gates]
    return blocks.table(["gate", "outcome", "reason", "stage"], rows, range(4), "Gates", stacked=True)


def stages(run: MarketRun) -> list[blocks.Block]:
    """Return outcome, time and measurements of each stage."""
    rows: list[list[blocks.Cell | str]] = []
    for stage in run.stages:
        outcome = blocks.badge(stage.outcome) if stage.gates or stage.reason else "no gates"
        measured = " · ".join(
            f"{name} unknown" if math.isnan(value) else f"{name} {_shown(value)}"
            for name, value in stage.metrics.items()
        )
        rows.append(
            [stage.name, outcome, blocks.number(stage.seconds, ".2f"), stage.reason or measured or "-"]
        )
    header = ["stage", "outcome", "seconds", "measurements, or why it stopped"]
    if not rows:
        return []
    return [blocks.Heading("Stages"), blocks.table(header, rows, (0, 1, 3), "Stages", stacked=True)]


def log(run: MarketRun) -> list[blocks.Block]:
    """Return the attempts to fit the market."""
    return [blocks.Heading("Attempts"), blocks.Items(run.log, is_ordered=True)] if run.log else []


def parameters(run: MarketRun) -> list[blocks.Block]:
    """Return parameters with standard errors, and errors of volatility by expiry."""
    values = run.record.get("parameters") or {}
    errors = run.record.get("standard_errors") or {}
    if not values:
        return []
    bounds = set(run.record.get("at_bound") or ())
    rows: list[list[blocks.Cell | str]] = []
    for name, value in values.items():
        error = math.nan if errors.get(name) is None else errors[name]
        relative = abs(error / value) if value else math.nan
        numbers = ((value, ".6g"), (error, ".2g"), (relative, ".1%"))
        rows.append(
            [name, *(blocks.number(x, form) for x, form in numbers), "yes" if name in bounds else "no"]
        )
    header = ["parameter", "value", "standard error", "relative", "at a bound"]
    tables: list[blocks.Block] = [blocks.table(header, rows, (0, 4), "Parameters"), *_by_expiry(run)]
    return [blocks.Heading("Parameters"), blocks.Group(tables, is_even=False)]


def _by_expiry(run: MarketRun) -> list[blocks.Block]:
    times = run.record.get("maturities") or []
    errors = run.record.get("iv_rmse_per_maturity") or []
    rows = [
        [
            blocks.Cell(f"{days(t)} days", float(t)),
            blocks.number(math.nan if error is None else 1e4 * error, ",.1f"),
        ]
        for t, error in zip(times, errors, strict=False)
    ]
    return [blocks.table(["expiry", "vol RMSE, bp"], rows, (0,), "Errors by expiry")] if rows else []


def in_words(run: MarketRun) -> list[blocks.Block]:
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
    return [blocks.Heading("What the quotes determine, and what they do not"), blocks.Items(sentences)]


def refused(run: MarketRun) -> list[blocks.Block]:
    """Return the refused quotes by reason, and their rows."""
    rejected = run.rejected
    if rejected is None or rejected.empty:
        return []
    reasons: Any = rejected["reason"]
    counts = _kinds(reasons).value_counts().items()
    by_reason = [[str(reason), blocks.number(count, ",d")] for reason, count in counts]
    summary = "All refused quotes"
    if len(rejected) > SHOWN_ROWS:
        summary = f"The first {SHOWN_ROWS} refused quotes; the .refused.csv file beside the record has all"
    return [
        blocks.Heading(f"Refused quotes: {len(rejected):,d}"),
        blocks.table(["reason", "quotes"], by_reason, (0,), "Refused quotes by reason"),
        blocks.Fold(summary, [_refused_rows(rejected)]),
    ]


def _refused_rows(rejected: pd.DataFrame) -> blocks.Table:
    """Return a table of the first refused quotes."""
    candidates = NAMED if "instrument_name" in rejected else UNNAMED
    columns = [name for name in candidates if name in rejected]
    rows = [
        [str(x) if name in TEXTS else _cell(x) for name, x in zip(columns, row, strict=True)]
        for row in rejected[columns].head(SHOWN_ROWS).itertuples(index=False)
    ]
    header = [name.removesuffix("_datetime").replace("_", " ") for name in columns]
    texts = [i for i, name in enumerate(columns) if name in TEXTS]
    return blocks.table(header, rows, texts, "Refused quotes")


def _shown(value: float) -> str:
    """Format whole numbers in full and other numbers with four significant digits."""
    return f"{value:,.0f}" if value == round(value, 0) and abs(value) < 1e9 else f"{value:.4g}"


def _kinds(reasons: pd.Series) -> pd.Series:
    """Remove from reasons what differs between quotes: the trade after a colon, and numbers."""
    short = reasons.str.split(": ").str[0]
    blank = short.str.replace(_NUMBER, "...", regex=True)
    variants = short.groupby(blank).transform("nunique")
    return short.where(variants == 1, blank)


def _cell(value: object) -> blocks.Cell | str:
    """Return a number with its format, or text if the value is not a number."""
    try:
        return blocks.number(float(str(value)), ".6g")
    except ValueError:
        return str(value)
