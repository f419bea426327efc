"""The configuration of a run: read from TOML, checked, and reduced to a hash of what changes results."""

import hashlib
import json
import os
import tomllib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from ..errors import ArgumentError, DataError
from ..market import Filters, Split, load_rates, split_seed
from ..shipped import configuration
from .methods import Engine, LewisEngine, MarquardtSolver, Solver, another_kind, without_defaults
from .recipes import in_order, known_model, settings_of, standard_models
from .sections import Count, NotNegative, Positive, Section, explained

ALL = "all"  # of currencies: those that the files have
ModelName = Annotated[str, AfterValidator(known_model)]
Breakpoints = list[Positive]

D = TypeVar("D", bound="Section")


class Sources(Section):
    """What loaders are told. Names and meaning of the keys are in the shipped configurations."""

    day_count: Literal["file", "365", "365.25"] = "file"
    rates: float | str | None = None
    spot: Positive | None = None
    limit: Count | None = None

    @cached_property
    def interest(self) -> Any:
        """`rates` as a loader takes them: None, a flat rate, or the history in a file, read once."""
        return load_rates(self.rates) if isinstance(self.rates, str) else self.rates


class Data(Sources):
    """`[data]` of a run."""

    currencies: list[str] = ["BTC", "ETH"]
    first_index: Annotated[int, Field(ge=0)] = 0

    @field_validator("currencies")
    @classmethod
    def _distinct(cls, names: list[str]) -> list[str]:
        if not names or len(set(names)) < len(names):
            raise ValueError("expected one currency or more, none twice")
        return names


class FilterRules(Section):
    """`[filters]`: the fields of `neutral.market.Filters`."""

    min_price: NotNegative = 0.0
    allow_crossed: bool = False
    min_maturity: NotNegative = 1 / 365
    max_maturity: Positive | None = None
    min_open_interest: float = 1.0
    min_vega: float = 0.0
    max_relative_spread: NotNegative = 0.5
    moneyness: Annotated[list[NotNegative], Field(min_length=2, max_length=2)] = [0.5, 2.0]
    drop_synthetic: bool = False
    forward_agreement: NotNegative = 2e-4
    arbitrage: bool = False
    min_quotes: Count = 50
    max_expiries: Count | None = None
    max_quotes: Count | None = None
    sample_seed: Annotated[int, Field(ge=0)] = 123

    def build(self) -> Filters:
        """The rules as the market side takes them."""
        low, high = self.moneyness
        return Filters(**self.model_dump(exclude={"moneyness"}), moneyness=(low, high))


class SplitRule(Section):
    """`[split]`: the fields of `neutral.market.Split` but the seed, which currency and position give."""

    kind: Literal["random", "strikes", "expiries"] = "random"
    train_share: Annotated[float, Field(gt=0, lt=1)] = 0.7
    block: Count = 3

    def build(self) -> Split:
        """The split as the market side takes it."""
        return Split(**self.model_dump())


class Loss(Section):
    """`[loss]`: the fields of `neutral.Loss`, and what quotes count for."""

    weight: Literal["default", "spread", "vega", "price", "relative"] = "spread"
    robust: Literal["none", "soft_l1", "huber", "cauchy"] = "soft_l1"
    c: Positive = 0.4
    inside: Literal["mid", "free"] = "mid"
    vega_power: float = 0.0
    open_interest_power: float = 0.0


class Prior(Section):
    """`[prior]`: pulls that are added to the loss, each with its strength; 0 leaves it out."""

    shift: NotNegative = 1e-4
    strength: NotNegative = 0.0
    toward: Literal["typical", "previous"] = "typical"
    feller: NotNegative = 0.0
    jump_moment: NotNegative = 0.0


class Search(Section):
    """`[search]`: the fields of `neutral.Search` that are numbers."""

    screening: Count = 15
    finalists: Count = 2


class Run(Section):
    """`[run]`: how the work is cut, and how much of it is done."""

    block: Count = 32
    chunk: Count | None = None
    workers: Count | None = None
    currencies: list[str] | None = None


class Document(Section):
    """A whole file: what is read, what is refused, and more in each kind of it."""

    data: Any
    filters: FilterRules = FilterRules()

    def replaced(self, **sections: Any) -> Self:
        """A copy with some keys changed, checked again.

        Args:
            sections: `models=[...]`, or `data={"limit": 3}`; a key whose value is None stays as it is. A
                solver or engine of another kind has the settings given and no others.
        """
        content = self.model_dump()
        for name, value in sections.items():
            if isinstance(value, dict):
                given = {key: entry for key, entry in value.items() if entry is not None}
                content[name] = given if another_kind(name, content[name], given) else content[name] | given
            elif value is not None:
                content[name] = value
        return validated(content, "the options given", type(self))

    @property
    def content(self) -> dict[str, Any]:
        """What changes results, by section."""
        return self.model_dump(mode="json")

    @cached_property
    def hash(self) -> str:
        """SHA-256 of `content` as canonical JSON."""
        text = json.dumps(self.content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


class Config(Document):
    """The configuration of a run."""

    data: Data = Data()
    split: SplitRule = SplitRule()
    models: list[ModelName] = standard_models()
    breakpoints: Breakpoints = [0.25]
    loss: Loss = Loss()
    prior: Prior = Prior()
    solver: Solver = MarquardtSolver()
    search: Search = Search()
    engine: Engine = LewisEngine()
    run: Run = Run()

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
        unknown = [name for name in self.currencies if name not in self.data.currencies]
        if unknown or not self.currencies:
            raise ValueError(
                f"currencies to run are {self.currencies}; accepted are those of data.currencies: "
                f"{', '.join(self.data.currencies)}"
            )
        return self

    @property
    def is_resolved(self) -> bool:
        """Whether the underlyings are named."""
        return self.data.currencies != [ALL]

    def resolved(self, assets: Sequence[str]) -> "Config":
        """A copy in which `ALL` is replaced by the underlyings that there are."""
        if self.is_resolved:
            return self
        if not assets:
            raise DataError("no file tells what underlyings it has; name them with --currency")
        return self.replaced(data={"currencies": list(assets)})

    def seed(self, currency: str, position: int) -> int:
        """Seed of the split of a snapshot: it depends on nothing but the currency and the position."""
        return split_seed(currency, position, self.data.currencies)

    @property
    def currencies(self) -> list[str]:
        """Currencies to run, in the order of the tables."""
        chosen = self.data.currencies if self.run.currencies is None else self.run.currencies
        return sorted(set(chosen), key=[*self.data.currencies, *chosen].index)

    @property
    def workers(self) -> int:
        """Currencies calibrated at the same time."""
        return min(self.run.workers or os.cpu_count() or 1, len(self.currencies))

    @property
    def content(self) -> dict[str, Any]:
        """What changes the results of a snapshot and currency, by section."""
        skip = {"data": {"first_index", "limit"}, "run": {"chunk", "workers", "currencies"}}
        content = self.model_dump(mode="json", exclude=skip)  # pyright: ignore[reportArgumentType]
        unused = set(self.model_settings) - settings_of(self.models)
        return without_defaults({key: x for key, x in content.items() if key not in unused})

    @property
    def model_settings(self) -> dict[str, list[float]]:
        """Settings of model classes by key; `Recipe.settings` says which model is built with which."""
        return {"breakpoints": self.breakpoints}


def load_config(path: Any = None) -> Config:
    """Read a configuration from a path; None reads the one shipped for Deribit files.

    Raises:
        ArgumentError: no such file, no TOML, an unknown key or a value that is not accepted.
    """
    return read_document(configuration("deribit") if path is None else path, Config)


def read_document(path: Any, kind: type[D]) -> D:
    """A file as one kind of configuration; errors as of `load_config`."""
    source = Path(path) if isinstance(path, str) else path
    name = str(path) if isinstance(path, str | Path) else source.name
    try:
        content = tomllib.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArgumentError(f"{name}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # with tomllib.TOMLDecodeError and text that is not UTF-8
        raise ArgumentError(f"{name}: not a TOML file: {error}") from error
    return validated(content, name, kind)


def validated(content: dict[str, Any], source: str, kind: type[D]) -> D:
    """A configuration from its content.

    Raises:
        ArgumentError: names the source, the key, what came and what is accepted.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise ArgumentError(f"{source}: {explained(kind, wrong)}") from error


def ascending(times: list[float]) -> list[float]:
    """The times themselves.

    Raises:
        ValueError: they do not ascend.
    """
    if not times or sorted(set(times)) != times:
        raise ValueError("expected one time or more, ascending")
    return times
