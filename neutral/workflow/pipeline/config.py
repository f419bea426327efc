"""The configuration of the pipeline: one model for each market, and the limits that its fit has to keep."""

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import equinox as eqx
import jax
import numpy as np
from pydantic import Field, field_validator, model_validator

from ...calibration import DifferentialEvolution, QuasiRandom, Search, Tikhonov
from ...calibration.coordinates import Coordinates
from ...calibration.recipe import entries_of
from ...diagnostics.gates import Limit, load_limits
from ...errors import ArgumentError
from ...models import Bates, DoubleHeston, PiecewiseHeston
from ...models.parameters import domains
from ...shipped import configuration
from ..calibrate import fit
from ..config import (
    Count,
    DataRules,
    Document,
    LossRules,
    NotNegative,
    Positive,
    Section,
    Solver,
    read_document,
)

CLASSES: Mapping[str, Any] = fit.CLASSES | {
    "bates": Bates,
    "double_heston": DoubleHeston,
    "piecewise_heston": PiecewiseHeston,
}
Model = Literal["black", "heston", "bates", "svcj", "svcj++", "double_heston", "piecewise_heston"]
Playbook = Literal["plausibility", "heston", "sabr", "segments", "slv"]


class FileRules(DataRules):
    """`[data]`: which files and underlyings are read, and how."""

    files: list[str] = []
    assets: list[str] | None = None


class BoundRules(Section):
    """`[bounds]`: intervals of parameters by name, which replace the bounds from the data."""

    from_data: bool = True
    intervals: dict[str, tuple[float, float]] = {}


class AnchorRules(Section):
    """`[prior]`: the pull to the previous fit, and the pull in directions that quotes do not determine."""

    strength: NotNegative = 0.0
    weights: dict[str, NotNegative] | None = None
    days: Positive = 7.0
    on_degenerate: Literal["keep", "damp"] = "keep"


class StartRules(Section):
    """`[search]`: where a fit starts, and how many of the starts are run to the end."""

    v0: list[float] = []
    screening: Count = 15
    finalists: Count = 8
    explore: Literal["none", "quasi_random", "differential_evolution"] = "none"

    def build(self, explore: QuasiRandom | DifferentialEvolution | None = None) -> Search:
        """The search over starting points that `neutral.calibrate` takes.

        Args:
            explore: The global search that gives further starts; none by default, because the global stage
                of the pipeline runs before the search.
        """
        return Search(self.screening, self.finalists, explore)


class ValidationRules(Section):
    """`[validation]`: the number of folds of the cross-validation; 0 leaves it out."""

    folds: Annotated[int, Field(ge=0)] = 5

    @field_validator("folds")
    @classmethod
    def _not_one(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError("expected 0, or 2 folds or more")
        return folds


class GateRules(Section):
    """`[gates]`: sets of limits beside those of the stages, and a file that replaces the shipped limits."""

    playbooks: list[Playbook] = []
    file: str | None = None


class PipelineConfig(Document[FileRules]):
    """The whole file. The shipped `heston_index.toml` explains the keys."""

    application: Literal["market_making", "vanilla_hedging", "exotics"] = "vanilla_hedging"
    model: Model = "heston"
    breakpoints: list[float] = []
    simpler: list[Model] = []
    data: FileRules = FileRules()
    loss: LossRules = LossRules(weight="vega", robust="none", c=1.0)
    bounds: BoundRules = BoundRules()
    prior: AnchorRules = AnchorRules()
    solver: Solver = Solver()
    search: StartRules = StartRules()
    validation: ValidationRules = ValidationRules()
    gates: GateRules = GateRules()

    @field_validator("simpler")
    @classmethod
    def _distinct(cls, names: list[Model]) -> list[Model]:
        if len(set(names)) < len(names):
            raise ValueError("expected models, none twice")
        return names

    @model_validator(mode="after")
    def _agrees(self) -> "PipelineConfig":
        self.filters.build()
        if self.model in self.simpler:
            raise ValueError(f"simpler names {self.model}, which is the model itself")
        if ("piecewise_heston" in (self.model, *self.simpler)) != bool(self.breakpoints):
            raise ValueError("breakpoints, in years, go with the model piecewise_heston, and with it alone")
        known = set().union(*(domains(CLASSES[name]) for name in (self.model, *self.simpler)))
        unknown = sorted({*self.bounds.intervals, *(self.prior.weights or {})} - known)
        if unknown:
            raise ValueError(f"no parameter {', '.join(unknown)}; the models have {', '.join(sorted(known))}")
        return self

    @property
    def content(self) -> dict[str, Any]:
        """The keys that change the results of a market, by section, together with the limits themselves."""
        skip = {"data": {"files", "assets", "limit"}}
        content = self.model_dump(mode="json", exclude=skip)  # pyright: ignore[reportArgumentType]
        return content | {"limits": [dataclasses.asdict(limit) for limit in self.limits]}

    @cached_property
    def limits(self) -> tuple[Limit, ...]:
        """The limits of all gates.

        Raises:
            ArgumentError: The file of limits has none for a playbook.
            DataError: As `load_limits`.
        """
        limits = load_limits(self.gates.file)
        missing = sorted(set(self.gates.playbooks) - {limit.set for limit in limits})
        if missing:
            raise ArgumentError(f"{self.gates.file}: has no limits of {', '.join(missing)}.")
        return limits

    def recipe(self, name: Model) -> Any:
        """What `calibrate` takes for a model."""
        if name == "piecewise_heston":
            return PiecewiseHeston(breakpoints=tuple(self.breakpoints))
        return fit.RECIPES.get(name, CLASSES[name])

    def starts(self, name: Model, before: Mapping[str, float] | None) -> list[Any]:
        """Starts beside those from the data: an earlier fit, and typical models with the listed variances.

        Without an earlier fit a nan start fills its slot, so that the compiled shape stays the same.
        """
        axes, _ = entries_of(self.recipe(name))
        typical = Coordinates(CLASSES[name], False, 0, axes).typical()
        absent = jax.tree.map(lambda x: np.full(np.shape(x), np.nan), typical)
        listed = self.search.v0 if "v0" in domains(CLASSES[name]) else []
        given = [eqx.tree_at(lambda model: model.v0, typical, np.float64(v0)) for v0 in listed]
        return [absent if before is None else self.model_of(name, before), *given]

    def anchor(self, name: Model, before: Mapping[str, float] | None) -> Tikhonov:
        """The pull to the parameters of an earlier fit of the same model; its strength is 0 without one."""
        own = domains(CLASSES[name])
        given = self.prior.weights
        weights = None if given is None else {key: x for key, x in given.items() if key in own}
        if before is None:
            return Tikhonov(0.0, None, weights)
        return Tikhonov(self.prior.strength, self.model_of(name, before), weights)

    def model_of(self, name: Model, parameters: Mapping[str, float]) -> Any:
        """The model with parameters by name (`kappa`, or `kappa[0]` for an entry), without its shift."""
        fields: dict[str, Any] = {}
        for field in domains(CLASSES[name]):
            entries = [x for key, x in parameters.items() if key.split("[")[0] == field]
            fields[field] = entries[0] if field in parameters else np.array(entries)
        return CLASSES[name](**fields)


def load_pipeline_config(path: str | Path) -> PipelineConfig:
    """Read a configuration of the pipeline.

    Args:
        path: A TOML file, or the name of a shipped one: "heston_index" or "heston_index.toml".

    Raises:
        ArgumentError: The file does not exist, is no TOML, or has an unknown key or a value that is not
            accepted.
    """
    inside = configuration(Path(path).stem)
    if Path(path).exists() or not inside.is_file():
        return read_document(Path(path), PipelineConfig)
    return read_document(inside, PipelineConfig)
