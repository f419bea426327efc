"""Judges what a reader made of a file: right, refused with a reason, or silently wrong.

Nothing here depends on how the package computes: volatilities follow from the kept quotes by SciPy, and the
truth is that of the market from which the file was made.
"""

import ast
import dataclasses
import inspect
import itertools
import re
import warnings
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from neutral import NeutralError, open_source, prepare
from neutral.market import Filters, Quotes

from .layout import Case, Truth, typed
from .markets import black

Table: TypeAlias = Any  # of pandas, whose columns have no types of their own

TOLERANCE = 1e-3  # of an implied volatility: 10 basis points
FORWARD_TOLERANCE = 1e-3
DAY_TOLERANCE = 1.6 / 365  # of a maturity: a day is counted from midnight or to the hour
UNDATED = 1975  # expiries up to this year count from 1970 because the file states no date
NEAR = 0.06  # largest distance of a quote from the money, in log-moneyness
QUARTER = 0.3  # standard deviations: less than half the distance of an option of 25 delta
ROUNDS = 6
SNAPSHOTS = 8  # that are read of a file; no file has more than four
LOOSE = Filters(min_quotes=1)
MAP = re.compile(r"columns=(\{[^{}]*\})")
OPTION = re.compile(r"\b(exercise|rates?|settlement|spot|symbol|asset|pair|date)\s*=")
OPTIONS = ("rates", "exercise", "spot")  # of `Source.quotes`
DATED = re.compile(r"date_format")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What came of a file."""

    kind: str  # "right", "told" (right after the error's advice), "refused", "wrong" or "escaped"
    detail: str = ""
    told: Mapping[str, object] = dataclasses.field(default_factory=dict)

    @property
    def is_safe(self) -> bool:
        return self.kind not in ("wrong", "escaped")

    @property
    def is_read(self) -> bool:
        return self.kind in ("right", "told")

    def __str__(self) -> str:
        advice = f" after {dict(self.told)}" if self.told else ""
        return f"{self.kind}{advice}: {self.detail}"


def judge(case: Case, folder: Path, listens: bool = True) -> Verdict:
    """Read a file as a user does, with nothing told at first, and compare with the truth.

    Args:
        case: The file.
        folder: Where it is written.
        listens: Whether the reader of the error messages does what they say.
    """
    data = _placed(case, folder)
    told: dict[str, object] = {}
    for _ in range(ROUNDS):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                problems = _problems(case, data, told)
        except NeutralError as error:
            message = str(error)
            advice = _advice(message, case) if listens else {}
            news = {key: value for key, value in advice.items() if told.get(key) != value}
            if not news:
                return Verdict("refused" if len(message) > 20 else "escaped", message, told)
            told |= news
        except Exception as error:  # what else a reader raises is a fault of it
            return Verdict("escaped", f"{type(error).__name__}: {error}", told)
        else:
            if problems:
                return Verdict("wrong", "; ".join(problems[:3]), told)
            return Verdict("told" if told else "right", "", told)
    return Verdict("refused", "the advice of the errors does not end", told)


def _placed(case: Case, folder: Path) -> object:
    if case.form.kind == "table":
        return typed(case.frame)
    path = folder / case.file_name
    path.write_bytes(case.content())
    return path


def _advice(message: str, case: Case) -> dict[str, object]:
    """What the message of an error tells to write, with the facts that a user knows."""
    told: dict[str, object] = {}
    mapped = MAP.search(message)
    if mapped:
        try:
            columns = ast.literal_eval(mapped[1])
        except (SyntaxError, ValueError):
            columns = {}
        told["columns"] = {name: _filled(name, column, case) for name, column in columns.items()}
    if DATED.search(message) and "date_format" in case.facts:
        columns = told.get("columns", {})
        assert isinstance(columns, dict)
        told["columns"] = {**columns, "date_format": case.facts["date_format"]}
    for name in OPTION.findall(message):
        if name in case.facts:
            told[name] = case.facts[name]
    return told


def _filled(name: str, column: object, case: Case) -> object:
    """The file's column where the message leaves it open."""
    return case.names.get(name, column) if column == "..." else column


def _problems(case: Case, data: object, told: dict[str, object]) -> list[str]:
    """What is silently wrong; an error of the package where a whole file is refused."""
    opening = inspect.signature(open_source).parameters
    for_source = {name: value for name, value in told.items() if name in opening}
    source = open_source(data, **for_source)
    refusals: list[NeutralError] = []
    problems: list[str] = []
    seen: list[Truth] = []
    rows = 0
    for asset, day in source.snapshots[:SNAPSHOTS]:
        accepted = getattr(source, "options", OPTIONS)
        options = {name: value for name, value in told.items() if name in accepted and name not in opening}
        try:
            quotes = source.quotes(asset, day or told.get("date"), **options)
            rows += len(quotes.frame)
            kept, rejected = prepare(quotes, LOOSE, rate=told.get("rate", told.get("rates")))
        except NeutralError as error:
            refusals.append(error)
            continue
        truths = _truths(case, quotes.currency, day or quotes.snapshot_ts)
        seen.extend(truths)
        problems.extend(f"{asset} {day}: {text}" for text in _faults(quotes, kept, rejected, truths))
    if not problems and refusals:
        raise refusals[0]
    lost = [truth for truth in case.truths if not truth.root and truth not in seen]
    if lost and not problems:
        problems.append(f"lost in silence: {', '.join(f'{x.market.asset} {x.day} {x.time}' for x in lost)}")
    return problems


def _truths(case: Case, asset: str, taken: object) -> list[Truth]:
    """The truths that the quotes of an asset on a day can be; all of the asset if the day is none of them."""
    named = [truth for truth in case.truths if _plain(asset).startswith(_plain(truth.market.asset))]
    known = named or list(case.truths)
    dated = [truth for truth in known if truth.day == pd.Timestamp(taken).date()]
    timed = [truth for truth in dated if truth.time == f"{pd.Timestamp(taken):%H:%M}"]
    return timed or dated or known


def _plain(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", name.upper())


def _faults(quotes: Quotes, kept: Table, rejected: Table, truths: list[Truth]) -> Iterator[str]:
    """What is wrong with the quotes of one snapshot."""
    if not truths:
        yield f"no such underlying in the file: {quotes.currency}"
        return
    market = truths[0].market
    if len(kept) + len(rejected) != len(quotes.frame):
        yield f"{len(quotes.frame) - len(kept) - len(rejected)} rows lost"
    if (rejected["reason"] == "").any():
        yield "rows refused without a reason"
    if quotes.settlement != market.settlement:
        yield f"settlement {quotes.settlement}, not {market.settlement}"
    if quotes.exercise != market.exercise:
        yield f"exercise {quotes.exercise}, not {market.exercise}"
    yield from _smile_faults(kept, rejected, truths)


def _smile_faults(kept: Table, rejected: Table, truths: list[Truth]) -> Iterator[str]:
    refused_days = {_day(expiry) for expiry in rejected["expiry_datetime"].unique()}
    found: set[date] = set()
    for expiry, group in kept.groupby("expiry_datetime"):
        day = _day(expiry) if _day(expiry).year > UNDATED else _by_maturity(group, truths[0])
        found.add(day)
        faults = [list(_expiry_faults(day, group, truth)) for truth in truths]
        if all(faults):
            yield min(faults, key=len)[0]
    for day, _ in truths[0].market.vols:
        if day not in found and day not in refused_days and min(refused_days | found).year > UNDATED:
            yield f"expiry {day} lost"
    if any(truth.root for truth in truths) and not _separated(kept, rejected):
        yield "one series was taken in silence"


def _separated(kept: Table, rejected: Table) -> bool:
    """Whether rows of another series have a reason that says so, or both series are kept apart."""
    reasons = rejected["reason"].str.contains("root|series|settle|SPXW", regex=True)
    counts = kept.groupby(["expiry_datetime", "strike", "kind"]).size()
    return bool(reasons.any()) or bool((counts > 1).any()) or kept["expiry_datetime"].nunique() > 2


def _expiry_faults(day: date, group: Table, truth: Truth) -> Iterator[str]:
    market = truth.market
    vols = dict(market.vols)
    if day not in vols:
        yield f"there is no expiry {day}"
        return
    maturity = market.maturity(day)
    tolerance = DAY_TOLERANCE if _day(group["expiry_datetime"].iloc[0]).year > UNDATED else 2 * DAY_TOLERANCE
    if abs(group["maturity"].iloc[0] - maturity) > tolerance:
        yield f"{day}: maturity {group['maturity'].iloc[0]:.4f}, not {maturity:.4f}"
    forward = float(group["forward"].median())
    if not abs(forward / market.forward(day) - 1) < FORWARD_TOLERANCE:
        yield f"{day}: forward {forward:.6g}, not {market.forward(day):.6g}"
    k, vol = _smile(group)
    at_strike = truth.at_strike(day, vols[day])
    if not len(k) or np.abs(k - at_strike).min() > NEAR:
        return  # every quote near the money was refused, with reasons
    if truth.straddle and np.abs(k - at_strike).min() > QUARTER * vols[day] * np.sqrt(maturity):
        return  # the file has no volatility at the money, only those of other deltas
    found = float(np.interp(at_strike, k, vol))
    # the truth counts whole days, quotes with a time of day the hours to settlement
    by_hours = found * np.sqrt(group["maturity"].iloc[0] / maturity)
    if not min(abs(found - vols[day]), abs(by_hours - vols[day])) < TOLERANCE:
        yield f"{day}: volatility {found:.4f}, not {vols[day]:.4f}"
    if truth.straddle and np.abs(k - at_strike).min() > 0.3 * abs(at_strike):
        yield f"{day}: no strike at the money in the convention of the pair"
    if truth.skew and not abs(vol[-1] - vol[0] - truth.skew) < 2 * TOLERANCE:
        yield f"{day}: skew {vol[-1] - vol[0]:.4f}, not {truth.skew:.4f}"
    stated = group["implied_volatility"].median() if "implied_volatility" in group else np.nan
    if (
        np.isfinite(stated)
        and not truth.skew
        and not 0.5 < stated / vols[day] < 2
        and stated != 100 * vols[day]
    ):
        yield f"{day}: stated volatility {stated:.4g}, not {vols[day]:.4g}"


def _by_maturity(group: Table, truth: Truth) -> date:
    """The expiry of a file that states no dates, which counts from an unknown one."""
    maturity = group["maturity"].iloc[0]
    return min(
        (day for day, _ in truth.market.vols), key=lambda day: abs(truth.market.maturity(day) - maturity)
    )


def _smile(group: Table) -> tuple[np.ndarray, np.ndarray]:
    """Log-moneyness and volatility of out-of-the-money quotes; of skewed smiles all, of flat "
    "ones the nearest."""
    k = np.log(group["strike"].to_numpy() / group["forward"].to_numpy())
    is_call = group["kind"].to_numpy(bool)
    out = np.where(is_call, k >= -1e-3, k <= 1e-3)
    out |= ~group["strike"].duplicated(keep=False).to_numpy()  # the only option of its strike
    order = np.flatnonzero(out)[np.argsort(k[out], kind="stable")]
    ends = {*order[:1], *order[-1:], *order[np.argsort(np.abs(k[order]))[:6]]}
    chosen = [row for row in order if row in ends]
    rows = group.iloc[chosen]
    vols = np.array([_vol(row) for _, row in rows.iterrows()])
    solved = np.isfinite(vols)
    return _averaged(k[chosen][solved], vols[solved])


def _averaged(k: np.ndarray, vols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean volatility at each strike."""
    pairs = itertools.groupby(zip(k.round(12), vols, strict=True), key=lambda pair: pair[0])
    points = [(key, float(np.mean([vol for _, vol in group]))) for key, group in pairs]
    return np.array([key for key, _ in points]), np.array([vol for _, vol in points])


def _vol(row: Any) -> float:
    """The volatility of a kept quote's mid price."""
    unit = 1.0 if row["settlement"] == "coin" else row["discount"] * row["forward"]
    price = 0.5 * (row["bid_price"] + row["ask_price"]) / unit
    root = np.sqrt(row["maturity"])
    moneyness = row["strike"] / row["forward"]

    def error(vol: float) -> float:
        return black(1.0, moneyness, vol * root, bool(row["kind"])) - price

    return float(brentq(error, 1e-4, 50.0)) if error(1e-4) < 0 < error(50.0) else np.nan


def _day(expiry: object) -> date:
    return pd.Timestamp(expiry).date()
