"""The registry of recipes: every model that the workflow calibrates, and all that follows from it.

An entry names the model's class as text, so that the command line and the configuration load no JAX; the
class is imported when a fit, a table or a figure needs it.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..models import AbstractFourierModel

PIPELINE_MODEL = "heston"
"""Model of a pipeline whose configuration names none."""

SHIFT = ("shift_times", "shift_increments")
"""Columns of a variance shift: its maturities, and the total variance added between consecutive ones."""


@dataclass(frozen=True)
class Recipe:
    """A model as the workflow calibrates it.

    Attributes:
        name: Name in configurations, on the command line and in tables.
        home: Where its class is, as "module:Class".
        nested: Name of the simpler model that it contains, from whose fit it also starts; "" where none is.
        shifted: Whether a variance shift at the expiries is calibrated with it.
        settings: Keys of the configuration that the class is built with.
        standard: Whether it is fitted where a configuration names no models. Every table of results has the
            columns of the standard models; others add theirs where they are configured.
        colour: Colour in figures, as matplotlib names it.
    """

    name: str
    home: str
    nested: str = ""
    shifted: bool = False
    settings: tuple[str, ...] = ()
    standard: bool = False
    colour: str = "C7"

    @property
    def price_column(self) -> str:
        """Column of the model's prices in the table of quotes."""
        return f"price_{self._plain_name}"

    @property
    def sheet(self) -> str:
        """Sheet of the model's parameters in the workbook."""
        return f"{self._plain_name}_params"

    @property
    def _plain_name(self) -> str:
        return self.name.replace("+", "p")

    @cached_property
    def model_class(self) -> "type[AbstractFourierModel]":
        """The class of the model, without its shift."""
        module, _, name = self.home.partition(":")
        return getattr(importlib.import_module(module), name)

    @cached_property
    def columns(self) -> dict[str, str]:
        """For each parameter of the class its column in the table of fits."""
        from ..models.parameters import domains

        cls = self.model_class
        with_axis = {name for name in domains(cls) if cls.field_ndim(name) and name not in cls.given}
        return {name: f"{name}_pieces" if name in with_axis else name for name in domains(cls)}

    @cached_property
    def errors(self) -> dict[str, str]:
        """For each calibrated parameter of the class the column of its standard error."""
        given = self.model_class.given
        return {name: f"{column}_se" for name, column in self.columns.items() if name not in given}

    def kind(self, parameter: str) -> str:
        """Kind of a parameter's columns: "real", or "reals" of one with an axis."""
        return "reals" if self.model_class.field_ndim(parameter) else "real"

    def build(
        self, settings: Mapping[str, Sequence[float]]
    ) -> "type[AbstractFourierModel] | AbstractFourierModel":
        """What `neutral.calibrate` takes for the model.

        Args:
            settings: Values by key of the configuration; others than the recipe's own are passed over.
        """
        from ..models import Shifted

        given = {name: tuple(settings[name]) for name in self.settings}
        inner = self.model_class(**given) if given else self.model_class
        return Shifted(inner) if self.shifted else inner

    def lengths(self, settings: Mapping[str, Sequence[float]]) -> dict[str, tuple[int, ...]]:
        """The shape of each parameter of the class with an axis.

        Args:
            settings: As of `build`.
        """
        if not self.settings:
            return {}
        given = {name: tuple(settings[name]) for name in self.settings}
        return {name: (count,) for name, count in self.model_class(**given).entries().items()}


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("black", "neutral.models:Black", standard=True, colour="C0"),
        Recipe("black++", "neutral.models:Black", "black", shifted=True, colour="lightsteelblue"),
        Recipe("merton", "neutral.models:Merton", "black", colour="C4"),
        Recipe("merton++", "neutral.models:Merton", "merton", shifted=True, colour="mediumorchid"),
        Recipe("kou", "neutral.models:Kou", "black", colour="C5"),
        Recipe("kou++", "neutral.models:Kou", "kou", shifted=True, colour="rosybrown"),
        Recipe("vg", "neutral.models:VarianceGamma", "black", colour="C6"),
        Recipe("vg++", "neutral.models:VarianceGamma", "vg", shifted=True, colour="hotpink"),
        Recipe("nig", "neutral.models:NIG", "black", colour="C7"),
        Recipe("nig++", "neutral.models:NIG", "nig", shifted=True, colour="black"),
        Recipe("heston", "neutral.models:Heston", "black", standard=True, colour="C1"),
        Recipe("heston++", "neutral.models:Heston", "heston", shifted=True, colour="gold"),
        Recipe("double_heston", "neutral.models:DoubleHeston", "heston", colour="C8"),
        Recipe("double_heston++", "neutral.models:DoubleHeston", "double_heston", shifted=True, colour="y"),
        Recipe(
            "piecewise_heston",
            "neutral.models:PiecewiseHeston",
            "heston",
            settings=("breakpoints",),
            colour="C9",
        ),
        Recipe(
            "piecewise_heston++",
            "neutral.models:PiecewiseHeston",
            "piecewise_heston",
            shifted=True,
            settings=("breakpoints",),
            colour="teal",
        ),
        Recipe("bates", "neutral.models:Bates", "heston", colour="navy"),
        Recipe("bates++", "neutral.models:Bates", "bates", shifted=True, colour="royalblue"),
        Recipe("svcj", "neutral.models:SVCJ", "bates", standard=True, colour="C2"),
        Recipe("svcj++", "neutral.models:SVCJ", "svcj", shifted=True, standard=True, colour="C3"),
    )
}
"""Every model that can be calibrated, simpler ones first: the order of fits, of rows and of figures."""


def standard_models() -> list[str]:
    """Names of the models that are fitted where a configuration names none."""
    return [recipe.name for recipe in RECIPES.values() if recipe.standard]


def known_model(name: str) -> str:
    """The name itself.

    Raises:
        ValueError: there is no such model; lists those that there are.
    """
    if name not in RECIPES:
        raise ValueError(f"expected one of {', '.join(RECIPES)}")
    return name


def in_order(names: Iterable[str]) -> list[str]:
    """Names of models in the order of the registry."""
    chosen = set(names)
    return [name for name in RECIPES if name in chosen]


def nearest_nested(name: str, among: Iterable[str]) -> str | None:
    """The richest simpler model that a model contains, among some; None where there is none.

    Args:
        name: Name of the model.
        among: Names of the models that have been fitted.
    """
    fitted = set(among)
    simpler = RECIPES[name].nested
    while simpler and simpler not in fitted:
        simpler = RECIPES[simpler].nested
    return simpler or None


def settings_of(names: Iterable[str]) -> set[str]:
    """Keys of a configuration that some models are built with."""
    return {key for name in names for key in RECIPES[name].settings}


def parameter_columns(models: Iterable[str]) -> dict[str, str]:
    """Columns of the parameters of some models with their kinds, those of the standard models first."""
    standard = [RECIPES[name] for name in standard_models()]
    columns = _own_columns(standard) | dict.fromkeys(SHIFT, "reals") | _error_columns(standard)
    further = [RECIPES[name] for name in in_order(models) if not RECIPES[name].standard]
    return columns | _own_columns(further) | _error_columns(further)


def value_columns(models: Iterable[str]) -> dict[str, str]:
    """Columns of the parameters of some models with their kinds, without those of standard errors."""
    recipes = [RECIPES[name] for name in in_order([*standard_models(), *models])]
    errors = _error_columns(recipes)
    return {name: kind for name, kind in parameter_columns(models).items() if name not in errors}


def number_columns(models: Iterable[str]) -> list[str]:
    """Columns of the parameters of some models that are one number each."""
    return [name for name, kind in value_columns(models).items() if kind == "real"]


def price_columns(models: Iterable[str]) -> dict[str, str]:
    """Columns of the prices of the standard models and of some others, by model."""
    further = [name for name in in_order(models) if not RECIPES[name].standard]
    return {name: RECIPES[name].price_column for name in [*standard_models(), *further]}


def model_of(name: str, parameters: Mapping[str, Any]) -> "AbstractFourierModel":
    """The model that parameters describe, with a shift where they hold one.

    Args:
        name: Name of the model.
        parameters: Values by column of the table of fits, or entry by entry (`kappa[0]`); others are passed
            over.
    """
    import numpy as np

    from ..models import Shifted

    recipe = RECIPES[name]
    fields = {field: _value(recipe, field, parameters) for field in recipe.columns}
    model = recipe.model_class(**fields)
    if not recipe.shifted or any(column not in parameters for column in SHIFT):
        return model
    times, increments = (np.asarray(parameters[column], float) for column in SHIFT)
    return Shifted(model, times, increments)


def _value(recipe: Recipe, field: str, parameters: Mapping[str, Any]) -> Any:
    """A parameter's number, or its numbers along its axis."""
    import numpy as np

    column = recipe.columns[field]
    if recipe.kind(field) == "real":
        return float(parameters[column])
    if column in parameters:
        return np.asarray(parameters[column], float)
    return np.array([float(x) for key, x in parameters.items() if key.startswith(f"{field}[")])


def _own_columns(recipes: Iterable[Recipe]) -> dict[str, str]:
    return {column: one.kind(name) for one in recipes for name, column in one.columns.items()}


def _error_columns(recipes: Iterable[Recipe]) -> dict[str, str]:
    return {column: one.kind(name) for one in recipes for name, column in one.errors.items()}
