"""Errors of quotes that a fit has not seen: folds of one surface, and days ahead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import numpy as np

from ..calibration import calibrate_batch, price_surface
from ..calibration.batch import CHUNK
from ..calibration.result import CalibrationResult
from ..errors import ArgumentError
from ..numerics.root_mean_square import root_mean_square
from ..quotes.stack import stack
from ..quotes.surface import QuoteSurface
from .residuals import Residuals, misses

Kind = Literal["random", "strikes", "expiries"]
Unit = Literal["vol", "price", "spreads"]


@dataclass(frozen=True)
class CrossValidation:
    """Out-of-sample errors of m models over folds, or over days.

    Attributes:
        names: Models.
        fits: Of each model, a batch with a leading axis of folds.
        residuals: By model and fold: `Residuals` of the quotes held out, nan elsewhere, and where the fold's
            fit has not converged.
        reason: Why there are none; "" where there are.
    """

    names: tuple[str, ...]
    fits: tuple[CalibrationResult, ...] = ()
    residuals: tuple[tuple[Residuals, ...], ...] = ()
    reason: str = ""

    @property
    def converged(self) -> np.ndarray:
        """Which fits have, (m, folds)."""
        return _table([np.asarray(fit.converged) for fit in self.fits], self.names)

    def errors(self, unit: Unit = "vol") -> np.ndarray:
        """Root mean square error of each fold, (m, folds); nan without a fit, or without a known residual."""
        return _table(
            [[root_mean_square(getattr(r, unit)) for r in row] for row in self.residuals], self.names
        )

    def variation(self, unit: Unit = "vol") -> np.ndarray:
        """Standard deviation of the folds' errors over their mean, (m,); nan where a fold has no error."""
        errors = self.errors(unit)
        if errors.shape[1] < 2:
            return np.full(len(self.names), np.nan)
        mean = np.mean(errors, axis=1)
        return np.std(errors, axis=1, ddof=1) / np.where(mean > 0.0, mean, np.nan)

    def observations(self, unit: Unit = "vol") -> np.ndarray:
        """Residuals of all quotes held out, (quotes, m): what `stacking_weights` takes; nan where unknown."""
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
            told = "" if np.isnan(spread) else f"; mean {np.mean(errors):.3g}, deviation {spread:.0%} of it"
            lines.append(f"  {name}: {folds}{told}")
        return "\n".join(lines)


def fold_masks(
    surface: QuoteSurface,
    folds: int = 5,
    kind: Kind = "strikes",
    *,
    seed: int = 0,
    block: int = 3,
    mask: Any = None,
) -> np.ndarray:
    """Quotes that each fold holds out; call and put of a strike always go together.

    Args:
        surface: One surface.
        folds: How many.
        kind: "strikes": blocks of neighbouring strikes of an expiry, dealt to the folds expiry by expiry;
            "expiries": whole expiries; "random": single strikes, whose neighbours then stay in the fit.
        seed: Of the draw.
        block: Strikes of a block, about.
        mask: Quotes to share out, (2, T, K); the surface's `train` where None.

    Returns:
        Flags, (folds, 2, T, K), of which each quote has one.

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
    recipes: Mapping[str, Any] | Sequence[Any],
    surface: QuoteSurface,
    folds: int = 5,
    kind: Kind = "strikes",
    *,
    seed: int = 0,
    block: int = 3,
    mask: Any = None,
    **options: Any,
) -> CrossValidation:
    """Fit each model without each fold of a surface's quotes; all folds of a model are one batch.

    Args:
        recipes: Models by name, or several of what `calibrate` takes.
        surface: One surface.
        folds: How many.
        kind: How quotes are shared out: see `neutral.diagnostics.fold_masks`, as for the next three.
        seed: Of the draw.
        block: Strikes of a block, about.
        mask: Quotes to share out.
        options: Of `calibrate_batch`.

    Returns:
        Errors of the quotes held out, by model and fold.

    Raises:
        ArgumentError: an argument is wrong.
    """
    named = _named(recipes)
    held = fold_masks(surface, folds, kind, seed=seed, block=block, mask=mask)
    fitted = np.any(held, axis=0) & ~held
    surfaces = stack([surface] * folds)
    devices = jax.device_count()
    options = {"chunk": devices * -(-min(folds, CHUNK) // devices)} | options  # no idle lanes
    fits = tuple(calibrate_batch(recipe, surfaces, mask=fitted, **options) for recipe in named.values())
    return CrossValidation(tuple(named), fits, tuple(_held_out(fit, surfaces, held) for fit in fits))


def walk_forward(
    recipes: Mapping[str, Any] | Sequence[Any],
    surfaces: QuoteSurface | Sequence[QuoteSurface],
    ahead: int = 1,
    **options: Any,
) -> CrossValidation:
    """Price each day's quotes with the model of an earlier day; all days of a model are one batch.

    Args:
        recipes: Models by name, or several of what `calibrate` takes.
        surfaces: Days in order of time.
        ahead: Days from a fit to its test.
        options: Of `calibrate_batch`.

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
    first, later = days[:-ahead], days[ahead:]
    fits = tuple(calibrate_batch(recipe, first, **options) for recipe in named.values())
    return CrossValidation(
        tuple(named), fits, tuple(_held_out(_priced(fit, later), later, later.mask) for fit in fits)
    )


def _table(rows: list[Any], names: tuple[str, ...]) -> np.ndarray:
    """One row per model, without a column where there is none."""
    return np.array(rows) if rows else np.empty((len(names), 0))


def _named(recipes: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
    if isinstance(recipes, Mapping):
        named = {str(name): recipe for name, recipe in recipes.items()}
    else:
        named = {getattr(r, "__name__", type(r).__name__).lower(): r for r in recipes}
        if len(named) < len(recipes):
            raise ArgumentError(
                "two recipes are of one class: give them names, as in {'one': ..., 'other': ...}."
            )
    if not named:
        raise ArgumentError("there is no model to fit.")
    return named


def _groups(k: np.ndarray, cells: np.ndarray, kind: Kind, block: int) -> np.ndarray:
    """The group of each cell, numbered from 0, expiry by expiry; -1 where there is none."""
    group, count = np.full(cells.shape, -1), 0
    for row, here in enumerate(cells):
        places = np.flatnonzero(here)
        places = places[np.argsort(k[row, places], kind="stable")]
        size = {"random": 1, "strikes": block, "expiries": max(places.size, 1)}[kind]
        blocks = max(1, round(places.size / size)) if places.size else 0
        group[row, places] = count + np.arange(places.size) * blocks // max(places.size, 1)
        count += blocks
    return group


def _deal(group: np.ndarray, folds: int, draw: np.random.Generator, by_expiry: bool) -> np.ndarray:
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


def _held_out(fits: CalibrationResult, surfaces: QuoteSurface, held: Any) -> tuple[Residuals, ...]:
    done = np.asarray(fits.converged)[:, None, None, None]
    found = misses(fits, surfaces, np.asarray(held) & done)
    arrays = (found.price, found.vol, found.spreads, found.k, found.t)
    return tuple(Residuals(*one) for one in zip(*arrays, strict=True))
