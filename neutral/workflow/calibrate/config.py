"""Defines the configuration of `neutral calibrate`, and chooses a shipped one by the kind of file."""

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

ALL = "all"  # as the only underlying: all underlyings that the files have


class ArchiveRules(DataRules):
    """`[data]`: how files are read, which underlyings they have, and the position of the first snapshot."""

    currencies: list[str] = ["BTC", "ETH"]
    first_index: Annotated[int, Field(ge=0)] = 0

    @property
    def listed(self) -> list[str] | None:
        """The underlyings that a file of settings lists; None if it lists none, or all."""
        is_listed = "currencies" in self.model_fields_set and self.currencies != [ALL]
        return self.currencies if is_listed else None

    @field_validator("currencies")
    @classmethod
    def _distinct(cls, names: list[str]) -> list[str]:
        if not names or len(set(names)) < len(names):
            raise ValueError("expected one or more different currencies")
        return names


class SplitRules(Section):
    """`[split]`: the fields of `neutral.market.Split` except the seed, which follows from the position."""

    kind: Literal["random", "strikes", "expiries"] = "random"
    train_share: Annotated[float, Field(gt=0, lt=1)] = 0.7
    block: Count = 3

    def build(self, seed: int = BASE_SEED) -> Split:
        """Make the split for `neutral.market.prepare`."""
        return Split(**self.model_dump(), seed=seed)


class PriorRules(Section):
    """`[prior]`: the strengths of the penalties that are added to the loss; 0 leaves a penalty out."""

    shift: NotNegative = 1e-4
    strength: NotNegative = 0.0
    toward: Literal["typical", "previous"] = "typical"
    feller: NotNegative = 0.0
    jump_moment: NotNegative = 0.0


class SearchRules(Section):
    """`[search]`: the numeric fields of `neutral.Search`."""

    screening: Count = 15
    finalists: Count = 2

    def build(self) -> "Search":
        """Make the search over starting points for `neutral.calibrate`."""
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
            raise ValueError("expected one or more different models")
        return in_order(names)

    @field_validator("breakpoints")
    @classmethod
    def _ascending(cls, times: list[float]) -> list[float]:
        return ascending(times)

    @model_validator(mode="after")
    def _market_rules(self) -> Self:
        self.filters.build()
        self.clock.build()
        self.split.build()
        known = self.data.currencies
        unknown = [name for name in self.underlyings if name not in known and known != [ALL]]
        if unknown or not self.underlyings:
            raise ValueError(
                f"run.currencies = {self.underlyings}: expected one or more of data.currencies: "
                f"{', '.join(self.data.currencies)}"
            )
        return self

    def resolved(self, underlyings: Sequence[str]) -> "Config":
        """Return a copy in which the word "all" is replaced by the underlyings that the files have.

        If these are unknown, the ones that the run is limited to replace it.

        Raises:
            DataError: The configuration has "all", and no underlyings are known.
        """
        if self.data.currencies != [ALL]:
            return self
        names = list(underlyings) or self.run.currencies
        if not names:
            raise DataError(
                'the underlyings of the files are unknown; list them in data.currencies, not "all", or '
                "choose some with --currency."
            )
        return self.replaced(data={"currencies": names})

    def seed(self, underlying: str, position: int) -> int:
        """Return the seed of a snapshot's split, which depends only on the underlying and the position."""
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
        """The settings that change the results of a snapshot and underlying, by section."""
        skip = {"data": {"first_index", "limit"}, "run": {"chunk", "workers", "currencies"}}
        content = self.model_dump(mode="json", exclude=skip)  # pyright: ignore[reportArgumentType]
        unused = set(self.model_settings) - settings_of(self.models)
        return without_defaults({key: x for key, x in content.items() if key not in unused})

    @property
    def model_settings(self) -> dict[str, list[float]]:
        """The settings of model classes by key; `Recipe.settings` lists the keys of each model."""
        return {"breakpoints": self.breakpoints}


def load_config(path: str | Path | None = None) -> Config:
    """Read a configuration of `neutral calibrate`.

    Args:
        path: A TOML file, or the name of a shipped one: "deribit" or "markets". None reads "deribit".

    Raises:
        ArgumentError: The file does not exist, is not TOML, or has an unknown key or a value that is not
            accepted.
    """
    return shipped_config("deribit") if path is None else read_document(path, Config)


@cache
def shipped_config(kind: str) -> Config:
    """Return the shipped configuration for a kind of file: one for "deribit", and one for all other kinds."""
    name = "deribit" if kind == "deribit" else "markets"
    return read_document(configuration(name), Config)
