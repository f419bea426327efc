"""Registers a recipe for every model that the workflow calibrates, and derives columns and classes from it.

A recipe names the class of the model as text, so that the command line and the configuration do not load JAX;
the class is imported when a fit, a table or a figure needs it.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..models import AbstractFourierModel

PIPELINE_MODEL = "heston"
"""The model of a pipeline whose configuration names no model."""

SHIFT = ("shift_times", "shift_increments")
"""Columns of a variance shift: its maturities, and the total variance added between consecutive ones."""


@dataclass(frozen=True)
class Recipe:
    """A model as the workflow calibrates it.

    Attributes:
        name: The name in configurations, on the command line and in tables.
        home: The location of the class, as "module:Class".
        nested: The name of the simpler model that it contains, whose fit is a further start; "" for none.
        shifted: Whether a variance shift at the expiries is calibrated with it.
        settings: The keys of the configuration with which the class is built.
        standard: Whether it is fitted if a configuration names no models. Every table of results has the
            columns of the standard models; other models add theirs if they are configured.
        colour: The colour in figures, as matplotlib names it.
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
        """The column of the model's prices in the table of quotes."""
        return f"price_{self._plain_name}"

    @property
    def sheet(self) -> str:
        """The sheet of the model's parameters in the workbook."""
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
        """The column in the table of fits of each parameter of the class."""
        from ..models.parameters import domains

        cls = self.model_class
        with_axis = {name for name in domains(cls) if cls.field_ndim(name) and name not in cls.given}
        return {name: f"{name}_pieces" if name in with_axis else name for name in domains(cls)}

    @cached_property
    def errors(self) -> dict[str, str]:
        """The column of the standard error of each calibrated parameter of the class."""
        given = self.model_class.given
        return {name: f"{column}_se" for name, column in self.columns.items() if name not in given}

    @property
    def values(self) -> list[str]:
        """The columns of the parameters, with those of the shift if there is one."""
        return [*self.columns.values(), *(SHIFT if self.shifted else ())]

    def kind(self, parameter: str) -> str:
        """Return the kind of a parameter's columns: "real", or "reals" if the parameter has an axis."""
        return "reals" if self.model_class.field_ndim(parameter) else "real"

    def build(
        self, settings: Mapping[str, Sequence[float]]
    ) -> "type[AbstractFourierModel] | AbstractFourierModel":
        """Make the class or model that `neutral.calibrate` takes as its first argument.

        Args:
            settings: Values by key of the configuration; keys that the recipe does not list are ignored.
        """
        from ..models import Shifted

        arguments = {name: tuple(settings[name]) for name in self.settings}
        model = self.model_class(**arguments) if arguments else self.model_class
        return Shifted(model) if self.shifted else model

    def lengths(self, settings: Mapping[str, Sequence[float]]) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter of the class that has an axis.

        Args:
            settings: As for `build`.
        """
        if not self.settings:
            return {}
        arguments = {name: tuple(settings[name]) for name in self.settings}
        return {name: (count,) for name, count in self.model_class(**arguments).entries().items()}


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
"""Every model that can be calibrated, simpler ones first; fits, rows and figures have this order."""


def standard_models() -> list[str]:
    """Return the names of the models that are fitted if a configuration names no models."""
    return [recipe.name for recipe in RECIPES.values() if recipe.standard]


def known_model(name: str) -> str:
    """Return the name after checking that it is the name of a model.

    Raises:
        ValueError: There is no such model; the message lists the models.
    """
    if name not in RECIPES:
        raise ValueError(f"expected one of {', '.join(RECIPES)}")
    return name


def in_order(names: Iterable[str]) -> list[str]:
    """Sort names of models in the order of the registry."""
    chosen = set(names)
    return [name for name in RECIPES if name in chosen]


def nearest_nested(name: str, among: Iterable[str]) -> str | None:
    """Find the simpler model nearest to a model along the chain of nested models.

    Args:
        name: Name of the model.
        among: Names of the models that may be chosen.

    Returns:
        The name of the simpler model; None if there is none.
    """
    fitted = set(among)
    simpler = RECIPES[name].nested
    while simpler and simpler not in fitted:
        simpler = RECIPES[simpler].nested
    return simpler or None


def settings_of(names: Iterable[str]) -> set[str]:
    """Return the keys of a configuration with which some models are built."""
    return {key for name in names for key in RECIPES[name].settings}


def parameter_columns(models: Iterable[str]) -> dict[str, str]:
    """Return the columns of the parameters of some models with their kinds, the standard models first."""
    standard = [RECIPES[name] for name in standard_models()]
    columns = _own_columns(standard) | dict.fromkeys(SHIFT, "reals") | _error_columns(standard)
    further = [RECIPES[name] for name in in_order(models) if not RECIPES[name].standard]
    return columns | _own_columns(further) | _error_columns(further)


def value_columns(models: Iterable[str]) -> dict[str, str]:
    """Return the columns of the parameters of some models with their kinds, without standard errors."""
    recipes = [RECIPES[name] for name in in_order([*standard_models(), *models])]
    errors = _error_columns(recipes)
    return {name: kind for name, kind in parameter_columns(models).items() if name not in errors}


def number_columns(models: Iterable[str]) -> list[str]:
    """Return the columns of the parameters of some models that are a single number."""
    return [name for name, kind in value_columns(models).items() if kind == "real"]


def price_columns(models: Iterable[str]) -> dict[str, str]:
    """Return the columns of the prices of the standard models and of some other models, by model."""
    further = [name for name in in_order(models) if not RECIPES[name].standard]
    return {name: RECIPES[name].price_column for name in [*standard_models(), *further]}


def model_of(name: str, parameters: Mapping[str, Any]) -> "AbstractFourierModel":
    """Make the model that parameters describe, with its shift if they include one.

    Args:
        name: Name of the model.
        parameters: Values by column of the table of fits, or entry by entry (`kappa[0]`); other keys are
            ignored.
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
    """Return the number of a parameter, or its numbers along its axis."""
    import numpy as np

    column = recipe.columns[field]
    if recipe.kind(field) == "real":
        return float(parameters[column])
    if column in parameters:
        return np.asarray(parameters[column], float)
    return np.array([float(x) for key, x in parameters.items() if key.startswith(f"{field}[")])


def _own_columns(recipes: Iterable[Recipe]) -> dict[str, str]:
    return {column: recipe.kind(name) for recipe in recipes for name, column in recipe.columns.items()}


def _error_columns(recipes: Iterable[Recipe]) -> dict[str, str]:
    return {column: recipe.kind(name) for recipe in recipes for name, column in recipe.errors.items()}
