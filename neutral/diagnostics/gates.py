"""Whether a calibration may be used: limits from a file, each kept, broken or not to be determined."""

import math
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from ..errors import ArgumentError, DataError
from ..shipped import configuration

Outcome = Literal["pass", "warn", "fail", "cannot be determined"]
GRAVITY: tuple[Outcome, ...] = ("fail", "cannot be determined", "warn", "pass")
APPLICATIONS = ("market_making", "vanilla_hedging", "exotics")

_RULES = {
    "below": (lambda x, limit: x < limit, "must be below {}"),
    "at_most": (lambda x, limit: x <= limit, "must be at most {}"),
    "above": (lambda x, limit: x > limit, "must be above {}"),
    "at_least": (lambda x, limit: x >= limit, "must be at least {}"),
    "between": (lambda x, limit: limit[0] <= x <= limit[1], "must lie between {} and {}"),
}
_KEYS = {"set", "name", "measure", "otherwise", "meaning"}


@dataclass(frozen=True)
class Limit:
    """One limit, as `configs/gates.toml` states it.

    Attributes:
        set: The step or playbook it belongs to.
        name: Of the gate.
        measure: The number it looks at.
        rule: "below", "at_most", "above", "at_least" or "between".
        value: The limit; a pair for "between"; a mapping from application to limit where they differ.
        otherwise: "warn" or "fail".
        meaning: What a number out of limits says.
    """

    set: str
    name: str
    measure: str
    rule: str
    value: Any
    otherwise: Outcome
    meaning: str

    def of(self, application: str) -> tuple[float, ...]:
        """The limit, or both ends of it, for a use."""
        value = self.value[application] if isinstance(self.value, dict) else self.value
        return tuple(value) if isinstance(value, list) else (value,)


@dataclass(frozen=True)
class Gate:
    """What became of a limit: its outcome, the number (nan where unknown), and the reason in words."""

    set: str
    name: str
    measure: str
    outcome: Outcome
    number: float
    reason: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.outcome}: {self.name}: {self.reason}"


def load_limits(path: str | PathLike[str] | None = None) -> tuple[Limit, ...]:
    """Limits of a file; the shipped ones where None.

    Raises:
        DataError: names the file, the gate and what is wrong with it.
    """
    file = configuration("gates") if path is None else Path(path)
    try:
        gates = tomllib.loads(file.read_text(encoding="utf-8")).get("gate", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{file}: cannot be read as limits: {error}") from error
    if not isinstance(gates, list) or not gates:
        raise DataError(f"{file}: has no [[gate]].")
    return tuple(_limit(f"{file}: gate {i}", gate) for i, gate in enumerate(gates, start=1))


def evaluate_gates(
    measurements: Mapping[str, float],
    application: str,
    *,
    sets: Collection[str] | None = None,
    limits: Collection[Limit] | None = None,
    why: Mapping[str, str] | None = None,
) -> tuple[Gate, ...]:
    """Hold measurements against the limits.

    Args:
        measurements: Numbers by the names in the shipped file or in `limits`; one that is absent, nan
            or infinite passes no gate.
        application: "market_making", "vanilla_hedging" or "exotics".
        sets: Those to evaluate ("quotes", "objective", "search", "fit", "plausibility", "storage", "heston",
            "sabr", "segments", "slv"); all where None.
        limits: Of `load_limits`; the shipped ones where None.
        why: Of measurements that are nan the reason, where it is known.

    Returns:
        One gate per limit, in the order of the file.

    Raises:
        ArgumentError: an application, a set or a measurement that the limits do not know.
    """
    given = load_limits() if limits is None else tuple(limits)
    _check_known("application", [application], APPLICATIONS)
    _check_known("measurement", measurements, {limit.measure for limit in (*given, *load_limits())})
    chosen = (
        {limit.set for limit in given} if sets is None else {sets} if isinstance(sets, str) else set(sets)
    )
    _check_known("set", chosen, {limit.set for limit in given})
    reasons = why or {}
    return tuple(
        _gate(limit, measurements.get(limit.measure), application, reasons.get(limit.measure))
        for limit in given
        if limit.set in chosen
    )


def worst_outcome(gates: Collection[Gate]) -> Outcome:
    """The gravest outcome: fail, then what cannot be determined, then warn; of no gate, not determined."""
    found = {gate.outcome for gate in gates} or {"cannot be determined"}
    return next(outcome for outcome in GRAVITY if outcome in found)


def _gate(limit: Limit, value: float | None, application: str, why: str | None) -> Gate:
    keeps, words = _RULES[limit.rule]
    ends = limit.of(application)
    rule = words.format(*(f"{end:g}" for end in ends))
    number = math.nan if value is None else float(value)
    if math.isnan(number):
        missing = "not measured" if value is None else why or "not a number"
        return _ended(limit, "cannot be determined", number, f"{limit.measure} is {missing}; it {rule}")
    told = f"{limit.measure} is {number:.6g}"
    kept = keeps(number, ends if limit.rule == "between" else ends[0])
    if kept and math.isinf(number):
        return _ended(limit, "cannot be determined", number, f"{told}, which tells nothing; it {rule}")
    if kept:
        return _ended(limit, "pass", number, f"{told}, as it {rule}")
    return _ended(limit, limit.otherwise, number, f"{told}, it {rule}: {limit.meaning}")


def _ended(limit: Limit, outcome: Outcome, number: float, reason: str) -> Gate:
    return Gate(limit.set, limit.name, limit.measure, outcome, number, reason)


def _check_known(what: str, given: Collection[str], known: Collection[str]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ArgumentError(f"there is no {what} {', '.join(unknown)}; accepted: {', '.join(sorted(known))}.")


def _limit(where: str, gate: Any) -> Limit:
    """One checked limit of a file."""
    rules = sorted(set(gate) - _KEYS) if isinstance(gate, dict) else []
    if len(rules) != 1 or rules[0] not in _RULES or len(gate) != len(_KEYS) + 1:
        raise DataError(
            f"{where}: needs {', '.join(sorted(_KEYS))} and one of {', '.join(_RULES)}, got {gate}."
        )
    (rule,), texts = rules, {key: gate[key] for key in sorted(_KEYS)}
    if not all(isinstance(text, str) and text for text in texts.values()):
        raise DataError(f"{where}: {', '.join(texts)} must be text.")
    if gate["otherwise"] not in ("warn", "fail"):
        raise DataError(f"{where}: otherwise must be 'warn' or 'fail', got {gate['otherwise']!r}.")
    value = gate[rule]
    values = value if isinstance(value, dict) else {name: value for name in APPLICATIONS}
    if set(values) != set(APPLICATIONS) or not all(_is_limit(rule, x) for x in values.values()):
        raise DataError(
            f"{where}: {rule} must be a finite number (between: two, in order), or a table of one for "
            f"each of {', '.join(APPLICATIONS)}, got {value!r}."
        )
    return Limit(**texts, rule=rule, value=value)


def _is_limit(rule: str, value: Any) -> bool:
    ends = value if rule == "between" else [value]
    if not isinstance(ends, list) or len(ends) != (2 if rule == "between" else 1):
        return False
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in ends)
    return numbers and ends == sorted(ends)
