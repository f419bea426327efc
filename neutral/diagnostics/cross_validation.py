"""Errors on quotes that a fit has not seen: folds of one surface, and days ahead."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from ..calibration import calibrate_batch, price_surface
from ..calibration.batch import CHUNK, solve_batch
from ..calibration.recipe import Recipe
from ..calibration.result import CalibrationResult
from ..errors import ArgumentError
from ..numerics.root_mean_square import root_mean_square
from ..quotes.stack import stack
from ..quotes.surface import QuoteSurface
from ..typing import Numbers, Values
from .arguments import request_of
from .residuals import Residuals, misses

Kind = Literal["random", "strikes", "expiries"]
Unit = Literal["vol", "price", "spreads"]
Recipes = Mapping[str, Recipe] | Sequence[Recipe]
Entry = TypeVar("Entry", bound=Recipe | CalibrationResult)
_OF_BATCHES = {"workers", "chunk", "programs"}  # options that say how a batch runs, not what it fits


@dataclass(frozen=True)
class CrossValidation:
    """Out-of-sample errors of m models over folds, or over days.

    Attributes:
        names: Names of the models.
        fits: Fits of each model, a batch with a leading axis of folds.
        residuals: By model and fold the `Residuals` of the quotes held out; nan elsewhere, and where the
            fold's fit has not converged.
        reason: Why there are no errors; "" where there are.
    """

    names: tuple[str, ...]
    fits: tuple[CalibrationResult, ...] = ()
    residuals: tuple[tuple[Residuals, ...], ...] = ()
    reason: str = ""

    @property
    def converged(self) -> Numbers:
        """Which fits have converged, shape (m, folds)."""
        return _table([np.asarray(fit.converged) for fit in self.fits], self.names)

    def errors(self, unit: Unit = "vol") -> Float[np.ndarray, "m folds"]:
        """Root mean square error of each fold; nan without a fit, or without a known residual."""
        rows = [[root_mean_square(getattr(r, unit)) for r in row] for row in self.residuals]
        return _table([np.array(row) for row in rows], self.names)

    def variation(self, unit: Unit = "vol") -> Float[np.ndarray, " m"]:
        """Standard deviation of the folds' errors over their mean; nan where a fold has no error."""
        errors = self.errors(unit)
        if errors.shape[1] < 2:
            return np.full(len(self.names), np.nan)
        mean = np.mean(errors, axis=1)
        return np.std(errors, axis=1, ddof=1) / np.where(mean > 0.0, mean, np.nan)

    def observations(self, unit: Unit = "vol") -> Float[np.ndarray, "quotes m"]:
        """Residuals of all quotes held out, as `stacking_weights` takes them; nan where unknown."""
        columns = [np.stack([getattr(r, unit) for r in row]).ravel() for row in self.residuals]
        table = _table(columns, self.names).T
        return table[np.any(np.isfinite(table), axis=1)]

    def rows(self, unit: Unit = "vol") -> list[dict[str, Any]]:
        """One row per model and fold."""
        return [
            {"model": name, "fold": j, "converged": bool(done), "error": float(error)}
            for name, fits, errors in zip(self.names, self.converged, self.errors(unit), strict=True)
            for j, (done, error) in enumerate(zip(fits, errors, strict=True))
        ]

    def __str__(self) -> str:
        """One line per model."""
        if self.reason:
            return f"errors out of sample cannot be determined: {self.reason}"
        lines = ["errors out of sample, root mean square, bp of volatility:"]
        for name, errors, spread in zip(self.names, 1e4 * self.errors(), self.variation(), strict=True):
            folds = ", ".join("no fit" if np.isnan(x) else f"{x:.3g}" for x in errors)
            mean = f"; mean {np.mean(errors):.3g}, deviation {spread:.0%} of it"
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
    """Quotes that each fold holds out; call and put of a strike always go together.

    Args:
        surface: One surface.
        folds: Number of folds, at least 2.
        kind: "strikes": blocks of neighbouring strikes of an expiry, dealt to the folds expiry by expiry;
            "expiries": whole expiries; "random": single strikes, whose neighbours then stay in the fit.
        seed: Seed of the draw.
        block: Approximate number of strikes of a block, at least 1.
        mask: Quotes to share out, shape (2, T, K); the surface's `train` where None.

    Returns:
        Flags, of which each quote has one.

    Raises:
        ArgumentError: an unknown kind, or fewer groups of quotes than folds.
    """
    if not isinstance(surface, QuoteSurface) or np.ndim(surface.t) != 1:
        raise ArgumentError(f"folds are of one QuoteSurface, got {surface!r}.")
    if kind not in get_args(Kind) or folds < 2 or block < 1:
        accepted = ", ".join(map(repr, get_args(Kind)))
        raise ArgumentError(
            f"kind must be one of {accepted}, folds at least 2, block at least 1; "
            f"got {kind!r}, {folds}, {block}."
        )
    used = np.asarray(surface.train if mask is None else np.asarray(mask, bool) & surface.mask)
    group = _groups(np.asarray(surface.k), np.any(used, axis=0), kind, block)
    count = int(group.max(initial=-1)) + 1
    if count < folds:
        raise ArgumentError(f"{folds} folds need as many groups of quotes, and there are {count} of {kind}.")
    fold = _deal(group, folds, np.random.default_rng(seed), by_expiry=kind == "strikes")
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
    """Fit each model without each fold of a surface's quotes; all folds of a model are one batch.

    Args:
        recipes: Models by name, or several of what `calibrate` takes. In place of a model a result of
            `calibrate` is calibrated as it was, from its own fit; it needs no options.
        surface: One surface.
        folds: Number of folds.
        kind: How quotes are shared out: see `neutral.diagnostics.fold_masks`, as for the next three.
        seed: Seed of the draw.
        block: Approximate number of strikes of a block.
        mask: Quotes to share out; None takes those that the results were fitted to, without results the
            surface's `train`.
        options: Options of `calibrate_batch`; of results `workers`, `chunk` and `programs` alone.

    Returns:
        Errors of the quotes held out, by model and fold.

    Raises:
        ArgumentError: an argument is wrong.
    """
    named = _named([recipes] if isinstance(recipes, CalibrationResult) else recipes)
    results = [entry for entry in named.values() if isinstance(entry, CalibrationResult)]
    if results and set(options) - _OF_BATCHES:
        raise ArgumentError(
            f"a result is calibrated as it was, so {', '.join(sorted(set(options) - _OF_BATCHES))} cannot be "
            "given beside one; models without a result take these options in a call of their own."
        )
    shared_out = _fitted_quotes(results, surface) if mask is None else mask
    held = fold_masks(surface, folds, kind, seed=seed, block=block, mask=shared_out)
    fitted = np.any(held, axis=0) & ~held
    surfaces = stack([surface] * folds)
    devices = jax.device_count()
    options = {"chunk": devices * -(-min(folds, CHUNK) // devices)} | options  # no idle lanes
    fits = tuple(_fold_fits(entry, surfaces, fitted, options) for entry in named.values())
    return CrossValidation(tuple(named), fits, tuple(_held_out(fit, surfaces, held) for fit in fits))


def walk_forward(
    recipes: Recipes,
    surfaces: QuoteSurface | Sequence[QuoteSurface],
    ahead: int = 1,
    **options: Any,
) -> CrossValidation:
    """Price each day's quotes with the model of an earlier day; all days of a model are one batch.

    Args:
        recipes: Models by name, or several of what `calibrate` takes.
        surfaces: Surfaces of the days, in order of time.
        ahead: Number of days from a fit to its test, at least 1.
        options: Options of `calibrate_batch`.

    Returns:
        Errors by model and day of the fit, days - ahead of them; a reason where there are too few days.

    Raises:
        ArgumentError: an argument is wrong.
    """
    named = _named(recipes)
    if ahead < 1:
        raise ArgumentError(f"ahead must be at least 1 day, got {ahead}.")
    days = surfaces if isinstance(surfaces, QuoteSurface) else stack(surfaces)
    if len(days) <= ahead:
        reason = f"a history of {len(days)} days has none to test on {ahead} ahead; it takes {ahead + 1}."
        return CrossValidation(tuple(named), reason=reason)
    first = days[:-ahead]
    later = days[ahead:]
    fits = tuple(calibrate_batch(recipe, first, **options) for recipe in named.values())
    return CrossValidation(
        tuple(named), fits, tuple(_held_out(_priced(fit, later), later, later.mask) for fit in fits)
    )


def _table(rows: Sequence[np.ndarray], names: tuple[str, ...]) -> np.ndarray:
    """One row per model; without any column where there are no rows."""
    return np.array(rows) if rows else np.empty((len(names), 0))


def _named(recipes: Mapping[str, Entry] | Sequence[Entry]) -> dict[str, Entry]:
    """Models or results by name; names are those of the models' classes where none are given."""
    if isinstance(recipes, Mapping):
        named = {str(name): recipe for name, recipe in recipes.items()}
    else:
        named = {_class_name(recipe): recipe for recipe in recipes}
        if len(named) < len(recipes):
            raise ArgumentError(
                "two recipes are of one class: give them names, as in {'one': ..., 'other': ...}."
            )
    if not named:
        raise ArgumentError("there is no model to fit.")
    return named


def _class_name(entry: Recipe | CalibrationResult) -> str:
    model = entry.model if isinstance(entry, CalibrationResult) else entry
    return getattr(model, "__name__", type(model).__name__).lower()


def _fitted_quotes(results: Sequence[CalibrationResult], surface: QuoteSurface) -> np.ndarray | None:
    """The quotes that all results were fitted to, shape (2, T, K); None without results.

    Raises:
        ArgumentError: a batch, or results that were fitted to different quotes.
    """
    masks = []
    for result in results:
        if np.ndim(result.status):
            raise ArgumentError("cross_validate takes results of one fit each, as in results[3].")
        request = request_of(result, surface, {})
        masks.append(np.asarray(surface.train if request.mask is None else request.mask, bool))
    if any(not np.array_equal(mask, masks[0]) for mask in masks):
        raise ArgumentError("the results were fitted to different quotes: say by mask= which to share out.")
    return masks[0] if masks else None


def _fold_fits(
    entry: Recipe | CalibrationResult,
    surfaces: QuoteSurface,
    fitted: Bool[np.ndarray, "folds 2 T K"],
    options: Mapping[str, Any],
) -> CalibrationResult:
    """Fits of one model to the quotes `fitted` of each fold."""
    if not isinstance(entry, CalibrationResult):
        return calibrate_batch(entry, surfaces, mask=fitted, **options)
    assert entry.request is not None
    request = dataclasses.replace(entry.request.again(entry.model), mask=fitted)
    return solve_batch(request, request.lanes(surfaces), **options)


def _groups(
    k: Float[np.ndarray, "T K"], cells: Bool[np.ndarray, "T K"], kind: Kind, block: int
) -> Int[np.ndarray, "T K"]:
    """The group of each cell, numbered from 0, expiry by expiry; -1 where there is no quote."""
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


def _deal(
    group: Int[np.ndarray, "T K"], folds: int, draw: np.random.Generator, by_expiry: bool
) -> Int[np.ndarray, "T K"]:
    """The fold of each cell, -1 for none: shuffled groups dealt in turn, expiry by expiry or at once."""
    decks = [np.unique(row[row >= 0]) for row in group] if by_expiry else [np.unique(group[group >= 0])]
    order = np.concatenate([draw.permutation(deck) for deck in decks])
    fold = np.empty(order.size, int)
    fold[order] = np.arange(order.size) % folds
    return np.where(group >= 0, fold[group], -1)


def _priced(fits: CalibrationResult, surfaces: QuoteSurface) -> CalibrationResult:
    """Fits with the prices and residuals of other surfaces."""
    prices = np.stack([np.asarray(price_surface(fits[i].model, surfaces[i])) for i in range(len(fits))])
    errors = np.where(surfaces.mask, prices - np.asarray(surfaces.prices), 0.0)
    return eqx.tree_at(lambda fit: (fit.prices, fit.residuals), fits, (prices, errors))


def _held_out(
    fits: CalibrationResult, surfaces: QuoteSurface, held: Bool[Numbers, "folds 2 T K"]
) -> tuple[Residuals, ...]:
    """Residuals of the quotes held out, fold by fold; nan where the fit has not converged."""
    converged = np.asarray(fits.converged)[:, None, None, None]
    every = misses(fits, surfaces, np.asarray(held) & converged)
    arrays = (every.price, every.vol, every.spreads, every.k, every.t)
    return tuple(
        Residuals(price=price, vol=vol, spreads=spreads, k=k, t=t)
        for price, vol, spreads, k, t in zip(*arrays, strict=True)
    )
