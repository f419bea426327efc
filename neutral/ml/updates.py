"""A fit updated by few fresh quotes: the last fit, the snapshot after it, and the error on all other quotes.

It is the problem on which a prior is trained and judged. A prior is any module that maps an update and its
fresh quotes to a `GaussianPrior`.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..calibration import CalibrationResult, Loss, Search, calibrate
from ..calibration.losses import in_the_money_part
from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..precision import require_precision
from ..pricing import Lewis
from ..quotes.surface import QuoteSurface
from ..typing import Codes, Flags, Numbers, Real
from .gaussian_prior import GaussianPrior

ROBUST = Loss("spread", "soft_l1", c=0.4)
_SMOOTH = 1e-4  # price error below which the objective of training is quadratic
_FROM_LAST = Search(
    screening=0, finalists=1
)  # the fit starts from the last one, unless typical values are nearer


class Update(NamedTuple):
    """A snapshot and the fit before it; `stack_updates` gives N of them, with a leading axis on every field.

    Attributes:
        surface: Quotes of the snapshot.
        last: The last fit, of the model to fit.
        surprise: Relative error of the last fit in volatility, market over model less 1, as vega turns prices
            into volatilities; between -1 and 1, and 0 where there is no quote. Shape (2, T, K).
        context: What else is known, such as the hours since the last fit; numbers of the order of 1, (m,).
    """

    surface: QuoteSurface
    last: AbstractFourierModel
    surprise: Float[Numbers, "... 2 T K"]
    context: Float[Numbers, "... m"]


class Outcome(NamedTuple):
    """How well fits price the quotes that they were not fitted to; every field has the shape of the updates.

    Attributes:
        error: Mean absolute error of the unseen quotes, in normalised prices.
        inside: Share of the unseen quotes whose error is at most half of their spread.
        objective: The error with a smooth corner at 0, which training minimises; 0 without convergence.
        converged: Whether the fit has converged.
    """

    error: Real
    inside: Real
    objective: Real
    converged: Flags


PriorOf: TypeAlias = Callable[[Update, Flags], GaussianPrior]


def stack_updates(
    surfaces: QuoteSurface, last: AbstractFourierModel, context: Float[Numbers, "N m"]
) -> Update:
    """Updates of N fits by the N snapshots that follow them.

    Args:
        surfaces: A stack of N surfaces.
        last: The fits before them, whose fields have shape (N,).
        context: What else is known of each, numbers of the order of 1, (N, m).

    Returns:
        N updates, in the memory of the host.

    Raises:
        ArgumentError: the numbers of surfaces, fits and rows of `context` differ.
        PrecisionError: double precision is off.
    """
    require_precision("float64")
    counts = {len(surfaces), len(context), *(np.size(x) for x in jax.tree.leaves(last))}
    if len(counts) > 1:
        raise ArgumentError(f"expected as many surfaces as fits and rows of context, got {sorted(counts)}.")
    error = -np.asarray(_errors_of(last, surfaces))
    surprise = np.clip(error / np.maximum(surfaces.vega * surfaces.vol, 1e-9), -1.0, 1.0)
    return jax.device_get(Update(surfaces, last, surprise, np.asarray(context, float)))


def draw_fresh(key: jax.Array, updates: Update, count: int | Codes) -> Flags:
    """Draw the fresh quotes of N updates: out of the money, at most one of each strike.

    Args:
        key: Key of `jax.random`.
        updates: N updates.
        count: Number of fresh quotes, one or (N,); where an update has fewer quotes, all of them are drawn.

    Returns:
        Flags of the drawn quotes, (N, 2, T, K).
    """
    rows = np.shape(updates.surface.mask)[0]
    return _draw(jax.random.split(key, rows), updates.surface, np.broadcast_to(count, (rows,)))


@jax.jit
@jax.vmap
def _draw(key: jax.Array, surface: QuoteSurface, count: Codes) -> Flags:
    call = surface.k >= 0.0
    out = surface.mask & jnp.stack([call, ~call])
    place = jnp.where(out, jax.random.uniform(key, out.shape), 2.0)
    return out & (place <= jnp.sort(jnp.ravel(place))[count - 1])


def update_fit(prior: GaussianPrior, update: Update, fresh: Flags, loss: Loss = ROBUST) -> CalibrationResult:
    """Fit the fresh quotes of one update under a prior, from the last fit; differentiable in the prior.

    Args:
        prior: The prior.
        update: One update.
        fresh: Quotes to fit, (2, T, K).
        loss: The loss.
    """
    with jax.ensure_compile_time_eval():
        typical = type(update.last).typical()
    return calibrate(
        typical,
        update.surface,
        loss=loss,
        prior=prior,
        starts=[update.last],
        search=_FROM_LAST,
        mask=fresh,
    )


def outcome_of(update: Update, fresh: Flags, residuals: Real, converged: Flags) -> Outcome:
    """Judge the residuals of one fit on the strikes without a fresh quote.

    Args:
        update: One update.
        fresh: Quotes that were fitted, (2, T, K).
        residuals: Model less market of every quote, in normalised prices, (2, T, K).
        converged: Whether the fit has converged.
    """
    unseen = update.surface.mask & ~jnp.any(fresh, axis=0, keepdims=True)
    count = jnp.maximum(jnp.sum(unseen), 1)
    error = jnp.where(unseen, residuals, 0.0)
    smooth = jnp.sum(jnp.sqrt(error**2 + _SMOOTH**2) - _SMOOTH) / count
    return Outcome(
        error=jnp.sum(jnp.abs(error)) / count,
        inside=jnp.sum(unseen & (jnp.abs(error) <= 0.5 * update.surface.spread)) / count,
        objective=jnp.where(converged, smooth, 0.0),
        converged=converged,
    )


@eqx.filter_jit
def outcomes(prior_of: PriorOf, updates: Update, fresh: Flags) -> Outcome:
    """Fit the fresh quotes of N updates under their priors, and judge the fits on all other strikes.

    Args:
        prior_of: Maps an update and its fresh quotes to a prior, such as `HandPrior` or `PriorNetwork`.
        updates: N updates.
        fresh: Quotes to fit, (N, 2, T, K).

    Returns:
        One entry per update.
    """

    def one(row: tuple[Update, Flags]) -> Outcome:
        update, fresh = row
        fit = update_fit(prior_of(update, fresh), update, fresh)
        return outcome_of(update, fresh, fit.residuals, jnp.asarray(fit.converged))

    return jax.lax.map(one, (updates, fresh))


@eqx.filter_jit
def outcomes_without_fit(updates: Update, fresh: Flags) -> Outcome:
    """Judge the last fits themselves, on the quotes on which `outcomes` judges: a random walk of parameters.

    Args:
        updates: N updates.
        fresh: The quotes that others fit, (N, 2, T, K).
    """
    residuals = _errors_of(updates.last, updates.surface)
    return jax.vmap(outcome_of)(updates, fresh, residuals, jnp.ones(len(fresh), bool))


def fewer_strikes(updates: Update, count: int, generator: np.random.Generator) -> Update:
    """Draw at most `count` strikes of every expiry: fits then cost less, which is what training needs.

    Args:
        updates: N updates.
        count: Number of strikes, at most that of the padded surfaces.
        generator: A generator of NumPy.

    Returns:
        The same updates with other padded surfaces, on the host.
    """
    quoted = np.any(updates.surface.mask, axis=-3)
    strikes = quoted.shape[-1]
    order = np.argsort(generator.random(quoted.shape) + 2.0 * ~quoted, axis=-1)
    kept = np.sort(order[..., :count], axis=-1)

    def cut(x: np.ndarray) -> np.ndarray:
        if x.ndim < 3 or x.shape[-1] != strikes:
            return x
        return np.take_along_axis(x, kept if x.ndim == 3 else kept[:, None], axis=-1)

    surface = jax.tree.map(cut, updates.surface)
    return updates._replace(surface=surface, surprise=cut(np.asarray(updates.surprise)))


@eqx.filter_jit
def _errors_of(models: AbstractFourierModel, surfaces: QuoteSurface) -> Real:
    """Model less market of every quote, (N, 2, T, K); 0 where there is none."""
    engine = Lewis()
    price = engine.prices(models, engine.grid(surfaces.k, surfaces.t, surfaces.stdev))
    both = jnp.expand_dims(price, -3) + in_the_money_part(surfaces.k)
    return jnp.where(surfaces.mask, both - surfaces.prices, 0.0)
