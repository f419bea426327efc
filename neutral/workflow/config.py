"""Defines what configuration files share: sections, reading from TOML, and a hash of what changes results.

Each section of a file is a class whose name ends in Rules. Its method `build`, if it has one, makes the
object that the section describes.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, ValidationError, field_validator

from ..errors import ArgumentError
from ..market import DividendSchedule, Filters, load_dividends, load_rates
from ..market.fx.conventions import CHOICES as CONVENTIONS
from ..market.loaders.column_map import ColumnMap, column_map
from ..market.loaders.rates import Rates
from ..shipped import configuration, configurations
from ..times import DAYS_A_YEAR
from .clock_section import ClockSection
from .methods import another_kind
from .recipes import known_model
from .sections import Count, NotNegative, Positive, Section, explained

if TYPE_CHECKING:
    from ..calibration import Loss

ModelName = Annotated[str, AfterValidator(known_model)]
"""The name of a model in the registry `RECIPES`."""

READING_OPTIONS = tuple("day_count rates spot root exercise settlement settlement_time timezone".split())
"""The keys of `[data]` that are passed on to every loader that has an option of that name."""

R = TypeVar("R", bound="DataRules")
D = TypeVar("D", bound="Document")


class DataRules(Section):
    """`[data]`: how files are read. Comments in the shipped configurations explain the keys."""

    day_count: Literal["file", "365", "365.25"] = "file"
    date: str | None = None
    rates: float | str | None = None
    dividends: str | None = None
    dividend_model: Literal["spot", "escrowed"] = "spot"
    spot: Positive | None = None
    symbol: str | None = None
    root: str | None = None
    exercise: Literal["european", "american"] | None = None
    settlement: Literal["cash", "coin"] | None = None
    limit: Count | None = None
    settlement_time: str | None = None
    timezone: str | None = None
    max_unchanged: Count | None = None

    LATER = frozenset(
        {"date", "dividends", "dividend_model", "symbol", "root", "exercise", "settlement"}
        | {"settlement_time", "timezone", "max_unchanged"}
    )

    @property
    def given(self) -> dict[str, Any]:
        """The arguments of loaders that are stated, by name; "file" leaves the day count to the loader."""
        values = {name: getattr(self, name) for name in READING_OPTIONS}
        return {name: x for name, x in values.items() if x is not None and x != "file"}

    @cached_property
    def interest(self) -> float | Rates | None:
        """The interest rate for loaders: None, a flat rate, or the history in a file that is read once."""
        return load_rates(self.rates) if isinstance(self.rates, str) else self.rates

    @cached_property
    def schedule(self) -> DividendSchedule | None:
        """The dividends in a file, which is read once; None where no file is named."""
        return None if self.dividends is None else load_dividends(self.dividends, self.dividend_model)


class FxRules(Section):
    """`[fx]`: how volatilities of currency pairs are quoted, in place of what files state."""

    delta: Literal["spot", "forward"] | None = None
    premium_adjusted: bool | None = None
    atm: Literal["delta_neutral_straddle", "unadjusted_straddle", "forward"] | None = None
    butterfly: Literal["market_strangle", "smile"] | None = None
    domestic_rate: float | None = None
    foreign_rate: float | None = None
    unit: Literal["percent", "decimal"] | None = None

    def build(self) -> dict[str, Any]:
        """Make the arguments of `neutral.load_fx_vols`."""
        stated = {key: value for key, value in self.model_dump().items() if value is not None}
        conventions = {key: stated.pop(key) for key in CONVENTIONS if key in stated}
        return stated | {"conventions": conventions or None}


class FilterRules(Section):
    """`[filters]`: the fields of `neutral.market.Filters`."""

    min_price: NotNegative = 0.0
    allow_crossed: bool = False
    min_maturity: NotNegative = 1 / DAYS_A_YEAR
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
    max_quote_age: NotNegative | None = None
    max_equal_strikes: Count | None = None

    LATER = frozenset({"max_quote_age", "max_equal_strikes"})

    def build(self) -> Filters:
        """Make the liquidity rules for `neutral.market.prepare`."""
        low, high = self.moneyness
        return Filters(**self.model_dump(exclude={"moneyness"}), moneyness=(low, high))


class LossRules(Section):
    """`[loss]`: the fields of `neutral.Loss`, and the power of open interest that weights quotes."""

    weight: Literal["default", "spread", "vega", "price", "relative"] = "spread"
    robust: Literal["none", "soft_l1", "huber", "cauchy"] = "soft_l1"
    c: Positive = 0.4
    inside: Literal["mid", "free"] = "mid"
    vega_power: float = 0.0
    open_interest_power: float = 0.0

    def build(self) -> "Loss":
        """Make the loss that `neutral.calibrate` minimises."""
        from ..calibration import Loss  # loads JAX

        return Loss(**self.model_dump(exclude={"open_interest_power"}))


class Document(Section, Generic[R]):
    """A whole configuration file. Each kind of file adds sections to these two."""

    data: R
    filters: FilterRules = FilterRules()
    columns: dict[str, str | list[str]] = {}
    clock: ClockSection = ClockSection()
    fx: FxRules = FxRules()

    LATER = frozenset({"columns", "clock", "fx"})

    @field_validator("columns")
    @classmethod
    def _can_be_read(cls, columns: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
        column_map(columns)
        return columns

    @cached_property
    def column_map(self) -> ColumnMap:
        """The map of the columns of the files, for loaders."""
        return column_map(self.columns)

    def replaced(self, **sections: Any) -> Self:
        """Return a copy with some settings changed, which is checked again.

        Args:
            sections: New values by key, such as `models=[...]` or `data={"limit": 3}`. A value of None
                changes nothing. For a solver or engine of another kind the new settings replace all others.

        Raises:
            ArgumentError: A key is unknown, or a value is not accepted.
        """
        content = self.model_dump()
        for name, value in sections.items():
            if isinstance(value, Mapping):
                changes = {key: entry for key, entry in value.items() if entry is not None}
                replaces_all = another_kind(name, content.get(name, {}), changes)
                content[name] = changes if replaces_all else content.get(name, {}) | changes
            elif value is not None:
                content[name] = value
        return validated(content, "the changed settings", type(self))

    @property
    def content(self) -> dict[str, Any]:
        """The settings that change results, by section."""
        return self.model_dump(mode="json")

    @cached_property
    def hash(self) -> str:
        """The SHA-256 of `content` as canonical JSON, hexadecimal."""
        text = json.dumps(self.content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


def configuration_file(given: str | Path) -> Path:
    """Return the path of a configuration.

    Args:
        given: A TOML file, or the name of a shipped configuration such as "deribit" or "deribit.toml", unless
            there is a file of this name.
    """
    path = Path(given)
    shipped = configuration(path.name.removesuffix(".toml"))
    is_name = path.name == str(path) and not path.is_file()
    return shipped if is_name and shipped.is_file() else path


def read_document(given: str | Path, kind: type[D]) -> D:
    """Read a configuration file.

    Args:
        given: As for `configuration_file`.
        kind: The class of the configuration.

    Raises:
        ArgumentError: The file does not exist, is not TOML, or has an unknown key or a value that is not
            accepted.
    """
    path = configuration_file(given)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArgumentError(
            f"{path}: cannot be read: {error.strerror or error}. Give a TOML file, or the name of a shipped "
            f"configuration: {', '.join(configurations())}. `neutral configs` explains them."
        ) from error
    except (ValueError, RecursionError) as error:  # includes tomllib.TOMLDecodeError and text not in UTF-8
        raise ArgumentError(f"{path}: is not a TOML file: {error}. Correct the file.") from error
    return validated(content, str(path), kind)


def validated(content: Mapping[str, Any], source: str, kind: type[D]) -> D:
    """Make a configuration from its content.

    Args:
        content: Values by key, and sections as mappings.
        source: Where the content is from, for the message.
        kind: The class of the configuration.

    Raises:
        ArgumentError: A key is unknown or a value is not accepted. The message names the source and the key,
            and states what the value was and what is accepted.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise ArgumentError(f"{source}: {explained(kind, error.errors()[0])}") from error


def ascending(times: list[float]) -> list[float]:
    """Return the times after checking that they ascend.

    Raises:
        ValueError: There is no time, or a time is not later than the one before it.
    """
    if not times or sorted(set(times)) != times:
        raise ValueError("expected one or more times in ascending order")
    return times
