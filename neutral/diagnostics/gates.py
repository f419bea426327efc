"""Gates, which decide whether a calibration may be used: limits from a file, compared with measurements."""

import math
import sys
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
    """One limit, as in `configs/gates.toml`.

    Attributes:
        set: Step or playbook that the limit belongs to.
        name: Name of the gate.
        measure: Name of the measurement that is limited.
        rule: "below", "at_most", "above", "at_least" or "between".
        value: The limit, a pair for "between"; or a mapping from applications to limits.
        otherwise: Outcome of a violation, "warn" or "fail".
        meaning: What a violation means, in words.
    """

    set: str
    name: str
    measure: str
    rule: str
    value: LimitValue | dict[str, LimitValue]
    otherwise: Outcome
    meaning: str

    def of(self, application: str) -> tuple[float, ...]:
        """Return the limit for an application: one number, or both ends of an interval."""
        value = self.value[application] if isinstance(self.value, dict) else self.value
        return tuple(value) if isinstance(value, list) else (value,)


@dataclass(frozen=True)
class Gate:
    """The outcome of one limit.

    Attributes:
        set: Step or playbook that the limit belongs to.
        name: Name of the gate.
        measure: Name of the measurement.
        outcome: "pass", "warn", "fail" or "cannot be determined".
        number: The measurement; nan if it is unknown.
        reason: Measurement, limit and meaning of a violation in words.
    """

    set: str
    name: str
    measure: str
    outcome: Outcome
    number: float
    reason: str

    def __str__(self) -> str:
        """Write one line."""
        return f"{self.outcome}: {self.name}: {self.reason}"


def load_limits(path: str | PathLike[str] | None = None) -> tuple[Limit, ...]:
    """Read limits from a file.

    Args:
        path: File in the format of `configs/gates.toml`; the shipped limits if None.

    Returns:
        The limits in the order of the file.

    Raises:
        DataError: the file cannot be read or a gate is not valid; the message names the file and the gate.
    """
    file = configuration("gates") if path is None else Path(path)
    try:
        gates = tomllib.loads(file.read_text(encoding="utf-8")).get("gate", [])
    except (OSError, ValueError, RecursionError) as error:  # includes tomllib.TOMLDecodeError
        raise DataError(f"{file}: cannot be read as limits: {error}. Correct the file.") from error
    if not isinstance(gates, list) or not gates:
        raise DataError(f"{file}: has no [[gate]]; at least one is needed.")
    return tuple(_limit(f"{file}: gate {i}", gate) for i, gate in enumerate(gates, start=1))


def evaluate_gates(
    measurements: Mapping[str, float],
    application: str,
    *,
    sets: Collection[str] | None = None,
    limits: Collection[Limit] | None = None,
    why: Mapping[str, str] | None = None,
) -> tuple[Gate, ...]:
    """Compare measurements with the limits.

    Args:
        measurements: Numbers by the names in the shipped file or in `limits`. A measurement that is absent,
            nan or infinite passes no gate.
        application: "market_making", "vanilla_hedging" or "exotics".
        sets: Sets to evaluate ("quotes", "objective", "search", "fit", "plausibility", "storage", "heston",
            "sabr", "segments", "slv"); all sets if None.
        limits: Limits from `load_limits`; the shipped ones if None.
        why: Reasons for measurements that are nan, by name of the measurement.

    Returns:
        One gate per limit, in the order of the limits.

    Raises:
        ArgumentError: an application, set or measurement is unknown.
    """
    all_limits = load_limits() if limits is None else tuple(limits)
    _check_known("application", [application], APPLICATIONS)
    _check_known("measurement", measurements, {limit.measure for limit in (*all_limits, *load_limits())})
    known_sets = {limit.set for limit in all_limits}
    chosen_sets = known_sets
    if sets is not None:
        chosen_sets = {sets} if isinstance(sets, str) else set(sets)
    _check_known("set", chosen_sets, known_sets)
    reasons = why or {}
    return tuple(
        _gate(limit, measurements.get(limit.measure), application, reasons.get(limit.measure))
        for limit in all_limits
        if limit.set in chosen_sets
    )


def worst_outcome(gates: Collection[Gate]) -> Outcome:
    """Return the worst of "fail", "cannot be determined" (also without gates), "warn", "pass"."""
    outcomes = {gate.outcome for gate in gates} or {"cannot be determined"}
    return next(outcome for outcome in GRAVITY if outcome in outcomes)


def _gate(limit: Limit, value: float | None, application: str, why: str | None) -> Gate:
    is_kept, words = _RULES[limit.rule]
    ends = limit.of(application)
    rule = words.format(*(f"{end:g}" for end in ends))
    number = math.nan if value is None else float(value)
    if math.isnan(number):
        absence = "not measured" if value is None else why or "not a number"
        return _make_gate(limit, "cannot be determined", number, f"{limit.measure} is {absence}; it {rule}")
    measurement = f"{limit.measure} is {number:.6g}"
    is_within = is_kept(number, ends if limit.rule == "between" else ends[0])
    if is_within and math.isinf(number):
        return _make_gate(
            limit, "cannot be determined", number, f"{measurement}, which never passes; it {rule}"
        )
    if is_within:
        return _make_gate(limit, "pass", number, f"{measurement}, and it {rule}")
    return _make_gate(limit, limit.otherwise, number, f"{measurement}, but it {rule}: {limit.meaning}")


def _make_gate(limit: Limit, outcome: Outcome, number: float, reason: str) -> Gate:
    return Gate(
        set=limit.set,
        name=limit.name,
        measure=limit.measure,
        outcome=outcome,
        number=number,
        reason=reason,
    )


def _check_known(what: str, values: Collection[str], accepted: Collection[str]) -> None:
    """Raise an error for names that are not accepted."""
    unknown = sorted(set(values) - set(accepted))
    if unknown:
        names = ", ".join(sorted(accepted))
        raise ArgumentError(f"there is no {what} {', '.join(unknown)}; accepted: {names}.")


def _limit(where: str, gate: dict[str, Any]) -> Limit:
    """Check one table of a file and convert it to a limit.

    Args:
        where: File and gate, for messages.
        gate: The table of the gate; anything but a table with the accepted keys is an error.
    """
    rules = sorted(set(gate) - _KEYS) if isinstance(gate, dict) else []
    if len(rules) != 1 or rules[0] not in _RULES or len(gate) != len(_KEYS) + 1:
        raise DataError(
            f"{where}: needs {', '.join(sorted(_KEYS))} and one of {', '.join(_RULES)}, got {gate}."
        )
    rule = rules[0]
    texts = {key: gate[key] for key in sorted(_KEYS)}
    if not all(isinstance(text, str) and text for text in texts.values()):
        raise DataError(f"{where}: {', '.join(texts)} must be text and not empty, got {texts}.")
    if gate["otherwise"] not in ("warn", "fail"):
        raise DataError(f"{where}: otherwise must be 'warn' or 'fail', got {gate['otherwise']!r}.")
    value = gate[rule]
    limits_by_use = value if isinstance(value, dict) else {name: value for name in APPLICATIONS}
    if set(limits_by_use) != set(APPLICATIONS) or not all(_is_limit(rule, x) for x in limits_by_use.values()):
        raise DataError(
            f"{where}: {rule} must be a finite number (between: two, in order), or a table with one for "
            f"each of {', '.join(APPLICATIONS)}, got {value!r}."
        )
    return Limit(**texts, rule=rule, value=value)


def _is_limit(rule: str, value: object) -> bool:
    """Test whether a value of a file is a finite number, or for "between" two ascending ones."""
    ends = value if rule == "between" else [value]
    if not isinstance(ends, list) or len(ends) != (2 if rule == "between" else 1):
        return False
    numbers = [x for x in ends if isinstance(x, int | float) and not isinstance(x, bool)]
    # an int of a file can be larger than every float
    return numbers == ends == sorted(numbers) and all(abs(x) <= sys.float_info.max for x in numbers)
