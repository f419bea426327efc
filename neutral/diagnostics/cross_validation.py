"""Out-of-sample errors of fits: on held-out folds of one surface, and on later days."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from ..calibration import calibrate_batch, price_surface
from ..calibration.batch import lanes_a_call, solve_batch
from ..calibration.recipe import Recipe
from ..calibration.result import CalibrationResult
from ..errors import ArgumentError
from ..numerics.root_mean_square import root_mean_square
from ..presentation.frame import Tabular
from ..quotes.stack import stack
from ..quotes.surface import QuoteSurface
from ..typing import Numbers, Values
from .arguments import request_of
from .residuals import Residuals, misses

Kind = Literal["random", "strikes", "expiries"]
Unit = Literal["vol", "price", "spreads"]
Recipes = Mapping[str, Recipe] | Sequence[Recipe]
Entry = TypeVar("Entry", bound=Recipe | CalibrationResult)
_OF_BATCHES = {"workers", "chunk", "programs"}  # options of how a batch runs, not of what it fits


@dataclass(frozen=True)
class CrossValidation(Tabular):
    """Out-of-sample errors of m models over folds, or over days.

    Attributes:
        names: Names of the models.
        fits: Fits of each model, a batch with a leading axis of folds.
        residuals: `Residuals` of the held-out quotes by model and fold; nan for other quotes, and for a fold
            whose fit has not converged.
        reason: Why there are no errors; "" if there are.
    """

    names: tuple[str, ...]
    fits: tuple[CalibrationResult, ...] = ()
    residuals: tuple[tuple[Residuals, ...], ...] = ()
    reason: str = ""

    @property
    def converged(self) -> Numbers:
        """True for fits that have converged, shape (m, folds)."""
        return _table([np.asarray(fit.converged) for fit in self.fits], self.names)

    def errors(self, unit: Unit = "vol") -> Float[np.ndarray, "m folds"]:
        """Compute the root mean square error of each fold; nan without a fit or a finite residual."""
        rows = [[root_mean_square(getattr(r, unit)) for r in row] for row in self.residuals]
        return _table([np.array(row) for row in rows], self.names)

    def variation(self, unit: Unit = "vol") -> Float[np.ndarray, " m"]:
        """Compute the standard deviation of the folds' errors over their mean; nan if a fold has no error."""
        errors = self.errors(unit)
        if errors.shape[1] < 2:
            return np.full(len(self.names), np.nan)
        mean = np.mean(errors, axis=1)
        return np.std(errors, axis=1, ddof=1) / np.where(mean > 0.0, mean, np.nan)

    def observations(self, unit: Unit = "vol") -> Float[np.ndarray, "quotes m"]:
        """Return residuals of all held-out quotes, as `stacking_weights` needs them; nan if unknown."""
        columns = [np.stack([getattr(r, unit) for r in row]).ravel() for row in self.residuals]
        table = _table(columns, self.names).T
        return table[np.any(np.isfinite(table), axis=1)]

    def rows(self, unit: Unit = "vol") -> list[dict[str, Any]]:
        """Return one row per model and fold."""
        return [
            {"model": name, "fold": j, "converged": bool(is_converged), "error": float(error)}
            for name, fits, errors in zip(self.names, self.converged, self.errors(unit), strict=True)
            for j, (is_converged, error) in enumerate(zip(fits, errors, strict=True))
        ]

    def __str__(self) -> str:
        """Write one line per model."""
        if self.reason:
            return f"out-of-sample errors cannot be determined: {self.reason}"
        lines = ["out-of-sample errors by fold, root mean square, bp of volatility:"]
        for name, errors, spread in zip(self.names, 1e4 * self.errors(), self.variation(), strict=True):
            folds = ", ".join("no fit" if np.isnan(x) else f"{x:.3g}" for x in errors)
            mean = f"; mean {np.mean(errors):.3g}, standard deviation {spread:.0%} of the mean"
            lines.append(f"  {name}: {folds}{'' if np.isnan(spread) else mean}")
        return "\n".join(lines)


def fold_masks(
    surface: QuoteSurface,
    folds: int = 5,
    kind: Kind = "strikes",
    *,
    seed: int = 0,
    block: int = 3,
    mask: Values | None = None,
) -> Bool[np.ndarray, "folds 2 T K"]:
    """Assign quotes to the folds that hold them out; call and put of a strike share a fold.

    Args:
        surface: A single surface.
        folds: Number of folds, at least 2.
        kind: "strikes": blocks of neighbouring strikes of an expiry, assigned to the folds expiry by expiry;
            "expiries": whole expiries; "random": single strikes, whose neighbours usually remain in the fit.
        seed: Seed of the random assignment.
        block: Approximate number of strikes in a block, at least 1.
        mask: True for quotes to assign, shape (2, T, K); the surface's `train` if None.

    Returns:
        True where a fold holds out a quote; each quote is held out by one fold.

    Raises:
        ArgumentError: the surface is a stack, an argument is not accepted, or there are fewer groups of
            quotes than folds.
    """
    if not isinstance(surface, QuoteSurface) or np.ndim(surface.t) != 1:
        raise ArgumentError(f"surface must be a single QuoteSurface, got {surface!r}.")
    if kind not in get_args(Kind) or folds < 2 or block < 1:
        accepted = ", ".join(map(repr, get_args(Kind)))
        raise ArgumentError(
            f"kind must be one of {accepted}, folds at least 2, block at least 1; "
            f"got kind={kind!r}, folds={folds}, block={block}."
        )
    used = np.asarray(surface.train if mask is None else np.asarray(mask, bool) & surface.mask)
    group = _groups(np.asarray(surface.k), np.any(used, axis=0), kind, block)
    count = int(group.max(initial=-1)) + 1
    if count < folds:
        raise ArgumentError(
            f"{folds} folds need at least {folds} groups of quotes, but kind={kind!r} gives {count}."
        )
    fold = _assign(group, folds, np.random.default_rng(seed), by_expiry=kind == "strikes")
    return used & (fold == np.arange(folds)[:, None, None])[:, None]


def cross_validate(
    recipes: CalibrationResult
    | Mapping[str, Recipe | CalibrationResult]
    | Sequence[Recipe | CalibrationResult],
    surface: QuoteSurface,
    folds: int = 5,
    kind: Kind = "strikes",
    *,
    seed: int = 0,
    block: int = 3,
    mask: Values | None = None,
    **options: Any,
) -> CrossValidation:
    """Fit each model to a surface without the quotes of each fold; all folds of a model are one batch.

    Args:
        recipes: Models by name, or a sequence of models as `calibrate` takes them. An entry may also be a
            result of `calibrate`: its calibration is repeated with the same settings, starting from its fit.
        surface: A single surface.
        folds: Number of folds, as in `neutral.diagnostics.fold_masks`.
        kind: Kind of folds, as in `fold_masks`.
        seed: Seed of the random assignment.
        block: Approximate number of strikes in a block.
        mask: True for quotes to assign to folds. If None, these are the quotes that the results were fitted
            to, or without results the surface's `train`.
        options: Options of `calibrate_batch`. With results, only `workers`, `chunk` and `programs` are
            accepted.

    Returns:
        Errors of the held-out quotes, by model and fold.

    Raises:
        ArgumentError: an argument is not valid.
    """
    by_name = _by_name([recipes] if isinstance(recipes, CalibrationResult) else recipes)
    results = [entry for entry in by_name.values() if isinstance(entry, CalibrationResult)]
    if results and set(options) - _OF_BATCHES:
        raise ArgumentError(
            f"a result keeps its settings, so {', '.join(sorted(set(options) - _OF_BATCHES))} cannot be "
            "passed with it; pass models that need these options in a separate call."
        )
    assignable = _fitted_quotes(results, surface) if mask is None else mask
    held_out = fold_masks(surface, folds, kind, seed=seed, block=block, mask=assignable)
    fitted = np.any(held_out, axis=0) & ~held_out
    surfaces = stack([surface] * folds)
    devices = jax.device_count()
    lanes = devices * -(-min(folds, lanes_a_call()) // devices)  # calls without idle lanes
    options = {"chunk": lanes} | options
    fits = tuple(_fold_fits(entry, surfaces, fitted, options) for entry in by_name.values())
    return CrossValidation(
        tuple(by_name), fits, tuple(_held_out_residuals(fit, surfaces, held_out) for fit in fits)
    )


def walk_forward(
    recipes: Recipes,
    surfaces: QuoteSurface | Sequence[QuoteSurface],
    ahead: int = 1,
    **options: Any,
) -> CrossValidation:
    """Price each day's quotes with the model fitted on an earlier day; all days of a model are one batch.

    Args:
        recipes: Models by name, or a sequence of models as `calibrate` takes them.
        surfaces: Surfaces of the days, in order of time.
        ahead: Number of days from a fit to its test, at least 1.
        options: Options of `calibrate_batch`.

    Returns:
        Errors by model and day of the fit, (m, days - ahead), or a reason if there are too few days.

    Raises:
        ArgumentError: an argument is not valid.
    """
    by_name = _by_name(recipes)
    if ahead < 1:
        raise ArgumentError(f"ahead must be at least 1 day, got {ahead}.")
    days = surfaces if isinstance(surfaces, QuoteSurface) else stack(surfaces)
    if len(days) <= ahead:
        reason = f"ahead={ahead} needs at least {ahead + 1} days, got {len(days)}."
        return CrossValidation(tuple(by_name), reason=reason)
    fit_days = days[:-ahead]
    test_days = days[ahead:]
    fits = tuple(calibrate_batch(recipe, fit_days, **options) for recipe in by_name.values())
    return CrossValidation(
        tuple(by_name),
        fits,
        tuple(_held_out_residuals(_reprice(fit, test_days), test_days, test_days.mask) for fit in fits),
    )


def _table(rows: Sequence[np.ndarray], names: tuple[str, ...]) -> np.ndarray:
    """Stack one row per model; without rows, return a table without columns."""
    return np.array(rows) if rows else np.empty((len(names), 0))


def _by_name(recipes: Mapping[str, Entry] | Sequence[Entry]) -> dict[str, Entry]:
    """Return models or results by name; the default name is that of the model's class."""
    if isinstance(recipes, Mapping):
        by_name = {str(name): recipe for name, recipe in recipes.items()}
    else:
        by_name = {_class_name(recipe): recipe for recipe in recipes}
        if len(by_name) < len(recipes):
            raise ArgumentError(
                "two recipes are of one class: pass a mapping with names, as in {'one': ..., 'other': ...}."
            )
    if not by_name:
        raise ArgumentError("there is no model to fit: recipes is empty.")
    return by_name


def _class_name(entry: Recipe | CalibrationResult) -> str:
    model = entry.model if isinstance(entry, CalibrationResult) else entry
    return getattr(model, "__name__", type(model).__name__).lower()


def _fitted_quotes(results: Sequence[CalibrationResult], surface: QuoteSurface) -> np.ndarray | None:
    """Return flags of the quotes that all results were fitted to, shape (2, T, K); None without results.

    Raises:
        ArgumentError: a result is a batch, or results were fitted to different quotes.
    """
    masks = []
    for result in results:
        if np.ndim(result.status):
            raise ArgumentError(
                "cross_validate needs results of single fits, such as results[3], got a batch."
            )
        request = request_of(result, surface, {})
        masks.append(np.asarray(surface.train if request.mask is None else request.mask, bool))
    if any(not np.array_equal(mask, masks[0]) for mask in masks):
        raise ArgumentError(
            "the results were fitted to different quotes: pass mask= with the quotes to assign."
        )
    return masks[0] if masks else None


def _fold_fits(
    entry: Recipe | CalibrationResult,
    surfaces: QuoteSurface,
    fitted: Bool[np.ndarray, "folds 2 T K"],
    options: Mapping[str, Any],
) -> CalibrationResult:
    """Fit one model to the quotes `fitted` of each fold."""
    if not isinstance(entry, CalibrationResult):
        return calibrate_batch(entry, surfaces, mask=fitted, **options)
    assert entry.request is not None
    request = dataclasses.replace(entry.request.again(entry.model), mask=fitted)
    return solve_batch(request, request.lanes(surfaces), **options)


def _groups(
    k: Float[np.ndarray, "T K"], cells: Bool[np.ndarray, "T K"], kind: Kind, block: int
) -> Int[np.ndarray, "T K"]:
    """Number the group of each cell from 0, expiry by expiry; -1 where there is no quote."""
    group = np.full(cells.shape, -1)
    count = 0
    for row, quoted in enumerate(cells):
        places = np.flatnonzero(quoted)
        places = places[np.argsort(k[row, places], kind="stable")]
        size = {"random": 1, "strikes": block, "expiries": max(places.size, 1)}[kind]
        blocks = max(1, round(places.size / size)) if places.size else 0
        group[row, places] = count + np.arange(places.size) * blocks // max(places.size, 1)
        count += blocks
    return group


def _assign(
    group: Int[np.ndarray, "T K"], folds: int, draw: np.random.Generator, by_expiry: bool
) -> Int[np.ndarray, "T K"]:
    """Assign shuffled groups to folds in turn, expiry by expiry or all at once; -1 without quote."""
    groups_by_turn = (
        [np.unique(row[row >= 0]) for row in group] if by_expiry else [np.unique(group[group >= 0])]
    )
    order = np.concatenate([draw.permutation(groups) for groups in groups_by_turn])
    fold = np.empty(order.size, int)
    fold[order] = np.arange(order.size) % folds
    return np.where(group >= 0, fold[group], -1)


def _reprice(fits: CalibrationResult, surfaces: QuoteSurface) -> CalibrationResult:
    """Replace the prices and residuals of fits by those of other surfaces."""
    prices = np.stack([np.asarray(price_surface(fits[i].model, surfaces[i])) for i in range(len(fits))])
    errors = np.where(surfaces.mask, prices - np.asarray(surfaces.prices), 0.0)
    return eqx.tree_at(lambda fit: (fit.prices, fit.residuals), fits, (prices, errors))


def _held_out_residuals(
    fits: CalibrationResult, surfaces: QuoteSurface, held_out: Bool[Numbers, "folds 2 T K"]
) -> tuple[Residuals, ...]:
    """Compute residuals of the held-out quotes by fold; nan where the fit has not converged."""
    converged = np.asarray(fits.converged)[:, None, None, None]
    all_residuals = misses(fits, surfaces, np.asarray(held_out) & converged)
    arrays = (all_residuals.price, all_residuals.vol, all_residuals.spreads, all_residuals.k, all_residuals.t)
    return tuple(
        Residuals(price=price, vol=vol, spreads=spreads, k=k, t=t)
        for price, vol, spreads, k, t in zip(*arrays, strict=True)
    )
