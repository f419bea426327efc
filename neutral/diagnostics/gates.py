"""Gates decide whether a calibration may be used: limits from a file, held against measurements."""

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
LimitValue = float | list[float]
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
        set: The step or playbook that it belongs to.
        name: Name of the gate.
        measure: Name of the measurement that it looks at.
        rule: "below", "at_most", "above", "at_least" or "between".
        value: The limit; a pair for "between"; a mapping from application to limit where they differ.
        otherwise: Outcome where the limit is broken, "warn" or "fail".
        meaning: What it means that the limit is broken, in words.
    """

    set: str
    name: str
    measure: str
    rule: str
    value: LimitValue | dict[str, LimitValue]
    otherwise: Outcome
    meaning: str

    def of(self, application: str) -> tuple[float, ...]:
        """The limit for an application: one number, or both ends of an interval."""
        value = self.value[application] if isinstance(self.value, dict) else self.value
        return tuple(value) if isinstance(value, list) else (value,)


@dataclass(frozen=True)
class Gate:
    """The outcome of one limit.

    Attributes:
        set: The step or playbook that the limit belongs to.
        name: Name of the gate.
        measure: Name of the measurement.
        outcome: "pass", "warn", "fail" or "cannot be determined".
        number: The measurement; nan where it is unknown.
        reason: Number, limit and meaning in words.
    """

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
    """Read limits from a file.

    Args:
        path: A file as `configs/gates.toml`; the shipped limits where None.

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
        measurements: Numbers by the names in the shipped file or in `limits`. A measurement that is absent,
            nan or infinite passes no gate.
        application: "market_making", "vanilla_hedging" or "exotics".
        sets: Sets to evaluate ("quotes", "objective", "search", "fit", "plausibility", "storage", "heston",
            "sabr", "segments", "slv"); all where None.
        limits: Limits from `load_limits`; the shipped ones where None.
        why: Reasons for measurements that are nan, by name.

    Returns:
        One gate per limit, in the order of the file.

    Raises:
        ArgumentError: an unknown application, set or measurement.
    """
    given = load_limits() if limits is None else tuple(limits)
    _check_known("application", [application], APPLICATIONS)
    _check_known("measurement", measurements, {limit.measure for limit in (*given, *load_limits())})
    every = {limit.set for limit in given}
    chosen = every
    if sets is not None:
        chosen = {sets} if isinstance(sets, str) else set(sets)
    _check_known("set", chosen, every)
    reasons = why or {}
    return tuple(
        _gate(limit, measurements.get(limit.measure), application, reasons.get(limit.measure))
        for limit in given
        if limit.set in chosen
    )


def worst_outcome(gates: Collection[Gate]) -> Outcome:
    """The gravest outcome: "fail", then "cannot be determined" (also without gates), "warn", "pass"."""
    outcomes = {gate.outcome for gate in gates} or {"cannot be determined"}
    return next(outcome for outcome in GRAVITY if outcome in outcomes)


def _gate(limit: Limit, value: float | None, application: str, why: str | None) -> Gate:
    keeps, words = _RULES[limit.rule]
    ends = limit.of(application)
    rule = words.format(*(f"{end:g}" for end in ends))
    number = math.nan if value is None else float(value)
    if math.isnan(number):
        missing = "not measured" if value is None else why or "not a number"
        return _ended(limit, "cannot be determined", number, f"{limit.measure} is {missing}; it {rule}")
    measured = f"{limit.measure} is {number:.6g}"
    kept = keeps(number, ends if limit.rule == "between" else ends[0])
    if kept and math.isinf(number):
        return _ended(limit, "cannot be determined", number, f"{measured}, which tells nothing; it {rule}")
    if kept:
        return _ended(limit, "pass", number, f"{measured}, as it {rule}")
    return _ended(limit, limit.otherwise, number, f"{measured}, it {rule}: {limit.meaning}")


def _ended(limit: Limit, outcome: Outcome, number: float, reason: str) -> Gate:
    return Gate(
        set=limit.set,
        name=limit.name,
        measure=limit.measure,
        outcome=outcome,
        number=number,
        reason=reason,
    )


def _check_known(what: str, given: Collection[str], accepted: Collection[str]) -> None:
    """Refuse names that are not accepted."""
    unknown = sorted(set(given) - set(accepted))
    if unknown:
        names = ", ".join(sorted(accepted))
        raise ArgumentError(f"there is no {what} {', '.join(unknown)}; accepted: {names}.")


def _limit(where: str, gate: dict[str, Any]) -> Limit:
    """One checked limit of a file.

    Args:
        where: File and gate, for messages.
        gate: The table of the gate; whatever else stands there is refused.
    """
    rules = sorted(set(gate) - _KEYS) if isinstance(gate, dict) else []
    if len(rules) != 1 or rules[0] not in _RULES or len(gate) != len(_KEYS) + 1:
        raise DataError(
            f"{where}: needs {', '.join(sorted(_KEYS))} and one of {', '.join(_RULES)}, got {gate}."
        )
    rule = rules[0]
    texts = {key: gate[key] for key in sorted(_KEYS)}
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


def _is_limit(rule: str, value: object) -> bool:
    """Whether a value of a file is a finite number, or for "between" two in order."""
    ends = value if rule == "between" else [value]
    if not isinstance(ends, list) or len(ends) != (2 if rule == "between" else 1):
        return False
    numbers = [x for x in ends if isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)]
    return numbers == ends == sorted(numbers)
