"""Defines the configuration of the pipeline: one model for all markets, and the limits on its fits."""

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
from ...calibration.coordinates import ModelCoordinates
from ...calibration.recipe import entries_of
from ...diagnostics.gates import Limit, load_limits
from ...errors import ArgumentError
from ...models import AbstractFourierModel
from ..config import DataRules, Document, LossRules, ModelName, ascending, read_document
from ..methods import Engine, LewisEngine, MarquardtSolver, Solver, without_defaults
from ..recipes import PIPELINE_MODEL, RECIPES, model_of, settings_of
from ..sections import Count, NotNegative, Positive, Section

Playbook = Literal["plausibility", "heston", "sabr", "segments", "slv"]


class FileRules(DataRules):
    """`[data]`: which files and underlyings are read, and how."""

    files: list[str] = []
    assets: list[str] | None = None


class BoundRules(Section):
    """`[bounds]`: intervals of parameters by name, which replace bounds that follow from the data."""

    from_data: bool = True
    intervals: dict[str, tuple[float, float]] = {}


class AnchorRules(Section):
    """`[prior]`: the penalty towards the previous fit, and damping in directions that quotes leave free."""

    strength: NotNegative = 0.0
    weights: dict[str, NotNegative] | None = None
    days: Positive = 7.0
    on_degenerate: Literal["keep", "damp"] = "keep"


class StartRules(Section):
    """`[search]`: where a fit starts, and how many of the starts are iterated to convergence."""

    v0: list[float] = []
    screening: Count = 15
    finalists: Count = 8
    explore: Literal["none", "quasi_random", "differential_evolution"] = "none"

    def build(self, explore: QuasiRandom | DifferentialEvolution | None = None) -> Search:
        """Make the search over starting points for `neutral.calibrate`.

        Args:
            explore: The global search that gives further starts; None by default, because the global stage
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
            raise ValueError("expected 0, or at least 2 folds")
        return folds


class GateRules(Section):
    """`[gates]`: sets of limits besides those of the stages, and a file in place of the shipped limits."""

    playbooks: list[Playbook] = []
    file: str | None = None


class PipelineConfig(Document[FileRules]):
    """The whole configuration file. Comments in the shipped `heston_index.toml` explain the keys."""

    application: Literal["market_making", "vanilla_hedging", "exotics"] = "vanilla_hedging"
    model: ModelName = PIPELINE_MODEL
    breakpoints: list[float] = []
    simpler: list[ModelName] = []
    data: FileRules = FileRules()
    loss: LossRules = LossRules(weight="vega", robust="none", c=1.0)
    bounds: BoundRules = BoundRules()
    prior: AnchorRules = AnchorRules()
    solver: Solver = MarquardtSolver()
    engine: Engine = LewisEngine()
    search: StartRules = StartRules()
    validation: ValidationRules = ValidationRules()
    gates: GateRules = GateRules()

    @field_validator("simpler")
    @classmethod
    def _distinct(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError("expected different models")
        return names

    @model_validator(mode="after")
    def _agrees(self) -> "PipelineConfig":
        self.filters.build()
        self.clock.build()
        if self.model in self.simpler:
            raise ValueError(
                f"simpler = {self.simpler}: expected models other than {self.model}, the model itself"
            )
        self._check_breakpoints()
        parameters = set().union(*(RECIPES[name].columns for name in self.models))
        unknown = sorted({*self.bounds.intervals, *(self.prior.weights or {})} - parameters)
        if unknown:
            listed = ", ".join(sorted(parameters))
            raise ValueError(
                f"unknown parameter {', '.join(unknown)}; expected parameters of the models: {listed}"
            )
        return self

    def _check_breakpoints(self) -> None:
        """Refuse breakpoints without a model that needs them, and such a model without breakpoints."""
        if ("breakpoints" in settings_of(self.models)) != bool(self.breakpoints):
            piecewise = [name for name, recipe in RECIPES.items() if "breakpoints" in recipe.settings]
            raise ValueError(
                f"breakpoints = {self.breakpoints}: expected times in years for the model "
                f"{' or '.join(piecewise)}, and none for the other models"
            )
        if self.breakpoints:
            ascending(self.breakpoints)

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the model and of the simpler models that replace it if its fit fails."""
        return (self.model, *self.simpler)

    @property
    def content(self) -> dict[str, Any]:
        """The settings that change the results of a market, by section, and the limits."""
        skip = {"data": {"files", "assets", "limit"}}
        content = self.model_dump(mode="json", exclude=skip)  # pyright: ignore[reportArgumentType]
        if self.engine == LewisEngine():  # so that the hash is the same as before engines could be chosen
            del content["engine"]
        return without_defaults(content) | {"limits": [dataclasses.asdict(limit) for limit in self.limits]}

    @cached_property
    def limits(self) -> tuple[Limit, ...]:
        """The limits of all gates.

        Raises:
            ArgumentError: The file of limits has no limits for a playbook.
            DataError: As for `load_limits`.
        """
        limits = load_limits(self.gates.file)
        missing = sorted(set(self.gates.playbooks) - {limit.set for limit in limits})
        if missing:
            raise ArgumentError(
                f"{self.gates.file}: has no limits of the set {', '.join(missing)}; add them."
            )
        return limits

    def recipe(self, name: str) -> type[AbstractFourierModel] | AbstractFourierModel:
        """Make the class or model that `neutral.calibrate` takes as its first argument."""
        return RECIPES[name].build({"breakpoints": self.breakpoints})

    def starts(self, name: str, before: Mapping[str, float] | None) -> list[AbstractFourierModel]:
        """Return starts besides those from the data: an earlier fit, and typical models with other variances.

        The variances are those of `search.v0`. If there is no earlier fit, a start of nan takes its place, so
        that the compiled shapes are the same.

        Args:
            name: Name of the model.
            before: Parameters of its last fit, as records store them.
        """
        cls = RECIPES[name].model_class
        axes, _ = entries_of(self.recipe(name))
        typical = ModelCoordinates(cls, axes).typical()
        absent = jax.tree.map(lambda x: np.full(np.shape(x), np.nan), typical)
        listed = self.search.v0 if "v0" in RECIPES[name].columns else []
        variances = [eqx.tree_at(lambda model: model.v0, typical, np.float64(v0)) for v0 in listed]
        return [absent if before is None else model_of(name, before), *variances]

    def anchor(self, name: str, before: Mapping[str, float] | None) -> Tikhonov:
        """Make the penalty towards an earlier fit of the same model; without such a fit its strength is 0.

        Args:
            name: Name of the model.
            before: Parameters of its last fit, as records store them; None if there is no such fit.
        """
        parameters = RECIPES[name].columns
        weights = self.prior.weights
        if weights is not None:
            weights = {key: x for key, x in weights.items() if key in parameters}
        if before is None:
            return Tikhonov(0.0, None, weights)
        return Tikhonov(self.prior.strength, model_of(name, before), weights)


def load_pipeline_config(path: str | Path) -> PipelineConfig:
    """Read a configuration of the pipeline.

    Args:
        path: A TOML file, or the name of a shipped one: "heston_index" or "heston_index.toml".

    Raises:
        ArgumentError: The file does not exist, is not TOML, or has an unknown key or a value that is not
            accepted.
    """
    return read_document(path, PipelineConfig)
