"""Defines the sections `[solver]` and `[engine]`, whose key `kind` chooses how a fit is computed.

Each kind has the settings of its class, and `build` makes the object for the calibration.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from .sections import Count, Positive, Section

if TYPE_CHECKING:
    from ..calibration.solvers import AbstractSolver
    from ..pricing.engines.base import AbstractEngine

Terms = Annotated[int, Field(ge=8)]


class MarquardtSolver(Section):
    """`[solver]` with `kind = "levenberg_marquardt"`: the fields of `neutral.LevenbergMarquardt`."""

    kind: Literal["levenberg_marquardt"] = "levenberg_marquardt"
    gtol: Positive = 1e-6
    max_steps: Count = 1000
    damping: Positive = 1e-2

    def build(self, steps: int = 1) -> "AbstractSolver":
        """Make the solver, with `steps` times `max_steps`."""
        from ..calibration import LevenbergMarquardt  # loads JAX

        return LevenbergMarquardt(gtol=self.gtol, max_steps=steps * self.max_steps, damping=self.damping)

    def other(self, steps: int = 1) -> "AbstractSolver":
        """Make a solver of the other kind with the same `gtol`, and `steps` times `max_steps`."""
        return AdamSolver(gtol=self.gtol, max_steps=self.max_steps).build(steps)


class AdamSolver(Section):
    """`[solver]` with `kind = "adam_lbfgs"`: the fields of `neutral.AdamLBFGS`."""

    kind: Literal["adam_lbfgs"] = "adam_lbfgs"
    gtol: Positive = 1e-6
    max_steps: Count = 1000
    adam_steps: Annotated[int, Field(ge=0)] = 30
    rate: Positive = 0.1
    patience: Count = 8
    memory: Count = 20

    def build(self, steps: int = 1) -> "AbstractSolver":
        """Make the solver, with `steps` times `max_steps`."""
        from ..calibration import AdamLBFGS  # loads JAX

        settings = self.model_dump(exclude={"kind"}) | {"max_steps": steps * self.max_steps}
        return AdamLBFGS(**settings)

    def other(self, steps: int = 1) -> "AbstractSolver":
        """Make a solver of the other kind with the same `gtol`, and `steps` times `max_steps`."""
        return MarquardtSolver(gtol=self.gtol, max_steps=self.max_steps).build(steps)


class LewisEngine(Section):
    """`[engine]` with `kind = "lewis"`: the nodes of `neutral.Lewis`; None takes the engine's default."""

    kind: Literal["lewis"] = "lewis"
    nodes: Terms | None = None

    def build(self) -> "AbstractEngine":
        """Make the engine."""
        from ..pricing import Lewis  # loads JAX

        return Lewis() if self.nodes is None else Lewis(nodes=self.nodes)


class CarrMadanEngine(Section):
    """`[engine]` with `kind = "carr_madan"`: the fields of `neutral.CarrMadan`."""

    kind: Literal["carr_madan"] = "carr_madan"
    N: Terms = 1024
    alpha: float = -0.5  # needs no moments; a damping such as 1.5 is refused where moments are infinite
    eta: Positive | None = None
    weights: Literal["trapezoid", "simpson"] = "trapezoid"
    interpolation: Literal["linear", "cubic", "quintic"] = "quintic"
    fractional: bool = False
    control: bool = True

    def build(self) -> "AbstractEngine":
        """Make the engine."""
        from ..pricing import CarrMadan  # loads JAX

        return CarrMadan(**self.model_dump(exclude={"kind"}))


class CosEngine(Section):
    """`[engine]` with `kind = "cos"`: the fields of `neutral.COS`; `range` is a rule, or two ends."""

    kind: Literal["cos"] = "cos"
    N: Terms | None = None
    range: Literal["tail", "cumulants"] | list[float] = "tail"
    L: Positive = 10.0
    tail: Positive = 1e-10
    most: Terms = 1024

    @field_validator("range")
    @classmethod
    def _ascends(cls, ends: str | list[float]) -> str | list[float]:
        if isinstance(ends, list) and (len(ends) != 2 or not ends[0] < ends[1]):
            raise ValueError("expected 'tail', 'cumulants', or two numbers in ascending order")
        return ends

    def build(self) -> "AbstractEngine":
        """Make the engine."""
        from ..pricing import COS  # loads JAX

        settings = self.model_dump(exclude={"kind", "range"})
        if isinstance(self.range, str):
            return COS(**settings, range=self.range)
        low, high = self.range
        return COS(**settings, range=(low, high))


def _kind_of(standard: str) -> Callable[[object], str | None]:
    """Make the function that reads the kind of a section from its key `kind`; the default is `standard`."""

    def kind(content: object) -> str | None:
        if isinstance(content, Mapping):
            return str(content.get("kind", standard))
        return getattr(content, "kind", None)

    return kind


def _one_of(standard: str, *kinds: str) -> Discriminator:
    """Make the rule by which pydantic chooses among the kinds of a section."""
    accepted = ", ".join(kinds)
    return Discriminator(
        _kind_of(standard),
        custom_error_type="kind",
        custom_error_message=f"expected a table whose kind is one of {accepted}",
    )


Solver = Annotated[
    Annotated[MarquardtSolver, Tag("levenberg_marquardt")] | Annotated[AdamSolver, Tag("adam_lbfgs")],
    _one_of("levenberg_marquardt", "levenberg_marquardt", "adam_lbfgs"),
]
Engine = Annotated[
    Annotated[LewisEngine, Tag("lewis")]
    | Annotated[CarrMadanEngine, Tag("carr_madan")]
    | Annotated[CosEngine, Tag("cos")],
    _one_of("lewis", "lewis", "carr_madan", "cos"),
]

_STANDARD = {"solver": "levenberg_marquardt", "engine": "lewis"}


def another_kind(name: str, section: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    """Whether changes to a section choose another solver or engine, which has other keys."""
    return name in _STANDARD and changes.get("kind", section["kind"]) != section["kind"]


def without_defaults(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a configuration without the kinds of solver and engine that are the default.

    The hash of a configuration with the default kinds is the same as before there were other kinds. The same
    holds for a section of currency pairs without settings.
    """
    result = dict(content)
    if all(x is None for x in result.get("fx", {}).values()):
        result.pop("fx", None)
    for name, standard in _STANDARD.items():
        section = result.get(name)
        if isinstance(section, Mapping) and section["kind"] == standard:
            result[name] = {key: x for key, x in section.items() if key != "kind"}
    return result
