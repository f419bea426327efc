"""The configuration of `neutral calibrate`, and which shipped configuration goes with which kind of file."""

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ...errors import DataError
from ...market import Split, split_seed
from ...market.split import BASE_SEED
from ...shipped import configuration
from ..config import DataRules, Document, LossRules, ModelName, ascending, read_document
from ..methods import Engine, LewisEngine, MarquardtSolver, Solver, without_defaults
from ..recipes import in_order, settings_of, standard_models
from ..sections import Count, NotNegative, Positive, Section

if TYPE_CHECKING:
    from ...calibration import Search

ALL = "all"  # in the place of the underlyings: every one that the files have


class ArchiveRules(DataRules):
    """`[data]`: how files are read, which underlyings they have, and the position of the first one."""

    currencies: list[str] = ["BTC", "ETH"]
    first_index: Annotated[int, Field(ge=0)] = 0

    @field_validator("currencies")
    @classmethod
    def _distinct(cls, names: list[str]) -> list[str]:
        if not names or len(set(names)) < len(names):
            raise ValueError("expected one currency or more, none twice")
        return names


class SplitRules(Section):
    """`[split]`: the fields of `neutral.market.Split` but the seed, which underlying and position give."""

    kind: Literal["random", "strikes", "expiries"] = "random"
    train_share: Annotated[float, Field(gt=0, lt=1)] = 0.7
    block: Count = 3

    def build(self, seed: int = BASE_SEED) -> Split:
        """The split that `neutral.market.prepare` takes."""
        return Split(**self.model_dump(), seed=seed)


class PriorRules(Section):
    """`[prior]`: penalties that are added to the loss, each with its strength; 0 leaves a penalty out."""

    shift: NotNegative = 1e-4
    strength: NotNegative = 0.0
    toward: Literal["typical", "previous"] = "typical"
    feller: NotNegative = 0.0
    jump_moment: NotNegative = 0.0


class SearchRules(Section):
    """`[search]`: the fields of `neutral.Search` that are numbers."""

    screening: Count = 15
    finalists: Count = 2

    def build(self) -> "Search":
        """The search over starting points that `neutral.calibrate` takes."""
        from ...calibration import Search  # loads JAX

        return Search(**self.model_dump())


class RunRules(Section):
    """`[run]`: how the work is divided, and how much of it is done."""

    block: Count = 32
    chunk: Count | None = None
    workers: Count | None = None
    currencies: list[str] | None = None


class Config(Document[ArchiveRules]):
    """The configuration of a run of `neutral calibrate`."""

    data: ArchiveRules = ArchiveRules()
    split: SplitRules = SplitRules()
    models: list[ModelName] = standard_models()
    breakpoints: list[Positive] = [0.25]
    loss: LossRules = LossRules()
    prior: PriorRules = PriorRules()
    solver: Solver = MarquardtSolver()
    search: SearchRules = SearchRules()
    engine: Engine = LewisEngine()
    run: RunRules = RunRules()

    @field_validator("models")
    @classmethod
    def _in_order(cls, names: list[str]) -> list[str]:
        if not names or len(set(names)) < len(names):
            raise ValueError("expected one model or more, none twice")
        return in_order(names)

    @field_validator("breakpoints")
    @classmethod
    def _ascending(cls, times: list[float]) -> list[float]:
        return ascending(times)

    @model_validator(mode="after")
    def _market_rules(self) -> Self:
        self.filters.build()
        self.split.build()
        unknown = [name for name in self.underlyings if name not in self.data.currencies]
        if unknown or not self.underlyings:
            raise ValueError(
                f"currencies to run are {self.underlyings}; accepted are those of data.currencies: "
                f"{', '.join(self.data.currencies)}"
            )
        return self

    def resolved(self, underlyings: Sequence[str]) -> "Config":
        """A copy in which the word "all" is replaced by the underlyings that the files have."""
        if self.data.currencies != [ALL]:
            return self
        if not underlyings:
            raise DataError("no file tells what underlyings it has; name them with --currency")
        return self.replaced(data={"currencies": list(underlyings)})

    def seed(self, underlying: str, position: int) -> int:
        """The seed of a snapshot's split, which depends on the underlying and the position alone."""
        return split_seed(underlying, position, self.data.currencies)

    @property
    def underlyings(self) -> list[str]:
        """The underlyings to calibrate, in the order of the tables of results."""
        chosen = self.data.currencies if self.run.currencies is None else self.run.currencies
        return sorted(set(chosen), key=[*self.data.currencies, *chosen].index)

    @property
    def workers(self) -> int:
        """The number of underlyings that are calibrated at the same time."""
        return min(self.run.workers or os.cpu_count() or 1, len(self.underlyings))

    @property
    def content(self) -> dict[str, Any]:
        """The keys that change the results of a snapshot and underlying, by section."""
        skip = {"data": {"first_index", "limit"}, "run": {"chunk", "workers", "currencies"}}
        content = self.model_dump(mode="json", exclude=skip)  # pyright: ignore[reportArgumentType]
        unused = set(self.model_settings) - settings_of(self.models)
        return without_defaults({key: x for key, x in content.items() if key not in unused})

    @property
    def model_settings(self) -> dict[str, list[float]]:
        """The settings of model classes by key; `Recipe.settings` says which model is built with which."""
        return {"breakpoints": self.breakpoints}


def load_config(path: str | Path | None = None) -> Config:
    """Read a configuration of `neutral calibrate`.

    Args:
        path: A TOML file; None reads the one shipped for Deribit files.

    Raises:
        ArgumentError: The file does not exist, is no TOML, or has an unknown key or a value that is not
            accepted.
    """
    return shipped_config("deribit") if path is None else read_document(Path(path), Config)


@cache
def shipped_config(kind: str) -> Config:
    """The shipped configuration for files of a kind: one for Deribit snapshots, one for everything else."""
    return read_document(configuration("deribit" if kind == "deribit" else "markets"), Config)
