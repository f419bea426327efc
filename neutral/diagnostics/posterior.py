"""Draws from the posterior of a fit by Hamiltonian Monte Carlo: a check of the intervals by curvature."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple, TypeVar, Unpack

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from ..calibration.problem import Problem, Setting
from ..calibration.result import CalibrationResult
from ..errors import ArgumentError, NeutralError
from ..quotes.surface import QuoteSurface
from ..typing import Codes, Flags, Numbers, Real, Values
from .arguments import CalibrationArguments
from .linearisation import Fit, fits_of, problem_of
from .uncertainty import Uncertainty, uncertainty

State = TypeVar("State")  # of a chain
_FAR = 40.0  # standard deviations: a bound of coordinates that have none nearer
_DISPERSED = 2.0  # standard deviations of the chains' starts: wider than the posterior, as R-hat asks
_problem_of = eqx.filter_jit(problem_of)


@dataclass(frozen=True)
class Posterior:
    """Draws of a fit's parameters.

    Attributes:
        names: Names of the parameters that move, n.
        draws: Values in natural units, shape (chains, draws, n).
        r_hat: Rank-normalised split R-hat of each parameter (Vehtari et al. 2021); 1 where chains agree.
        effective_size: Number of independent draws that these are worth, of each parameter.
        divergences: Steps in which the integrator lost the energy; with more than a few the draws are not to
            be trusted.
        reason: Why there are no draws; "" where there are.
    """

    names: tuple[str, ...]
    draws: Float[np.ndarray, "chains draws n"]
    r_hat: Float[np.ndarray, " n"]
    effective_size: Float[np.ndarray, " n"]
    divergences: int
    reason: str = ""

    def intervals(self, level: float = 0.9) -> Float[np.ndarray, "n 2"]:
        """Central credible intervals in natural units."""
        tail = 50.0 * (1.0 - level)
        return np.percentile(self.draws, [tail, 100.0 - tail], axis=(0, 1)).T

    def standard_errors(self) -> Float[np.ndarray, " n"]:
        """Standard deviations of the draws in natural units."""
        return np.std(self.draws, axis=(0, 1), ddof=1)

    def __str__(self) -> str:
        """One line per parameter."""
        if self.reason:
            return f"the posterior cannot be drawn: {self.reason}"
        chains, draws, _ = self.draws.shape
        lines = [f"posterior, {chains} chains of {draws} draws, {self.divergences} divergences:"]
        lines += [
            f"  {row['parameter']}: {row['median']:.5g} [{row['low']:.4g}, {row['high']:.4g}] "
            f"R-hat {row['r_hat']:.3f}, effective size {row['effective_size']:.0f}"
            for row in self.rows()
        ]
        return "\n".join(lines)

    def rows(self, level: float = 0.9) -> list[dict[str, Any]]:
        """One row per parameter: median, interval, standard deviation, R-hat, effective size."""
        if self.reason:
            return []
        columns = {
            "parameter": self.names,
            "median": np.median(self.draws, axis=(0, 1)),
            "low": self.intervals(level)[:, 0],
            "high": self.intervals(level)[:, 1],
            "standard_error": self.standard_errors(),
            "r_hat": self.r_hat,
            "effective_size": self.effective_size,
        }
        return [
            {name: x if isinstance(x, str) else float(x) for name, x in zip(columns, row, strict=True)}
            for row in zip(*columns.values(), strict=True)
        ]


class Draws(NamedTuple):
    """Draws of chains: positions (chains, draws, n), and flags (chains, draws) of lost energy."""

    positions: Real
    divergent: Flags


def sample_posterior(
    result: CalibrationResult,
    surface: QuoteSurface,
    draws: int = 1000,
    chains: int = 4,
    warmup: int = 500,
    seed: int = 0,
    *,
    noise: Values | None = None,
    **options: Unpack[CalibrationArguments],
) -> Posterior:
    """Draw from the posterior of a fit by the No-U-Turn sampler (Hoffman and Gelman 2014); needs blackjax.

    The prior is flat in calibration's coordinates (logarithms of positive parameters, atanh of correlations)
    within their bounds, times Tikhonov's and the penalties. Where the scatter tells the noise, its variance
    is integrated out under Jeffreys' prior: the density is the loss to the power of minus half the strikes,
    for a linear model Student's t of `Uncertainty.intervals(kind="laplace")`.

    Args:
        result: One fit.
        surface: The surface that was calibrated.
        draws: Number of draws that are kept of each chain, at least 10.
        chains: Number of chains, at least 2. They start around the fit, twice as far as Laplace's
            approximation spreads.
        warmup: Number of first steps of each chain that adapt step and metric and are dropped, at least 10.
        seed: Seed of the draws.
        noise: Noise of the quotes, as in `diagnose`.
        options: engine, loss, prior, fixed, bounds and mask of the calibration, which the result knows: only
            one that an older version has saved needs them.

    Returns:
        The draws; with a reason where the fit has no Laplace approximation.

    Raises:
        ArgumentError: a batch, a damped fit, too few draws or chains, another surface, or options that
            contradict the calibration.
        NeutralError: blackjax is not installed.
    """
    if np.ndim(result.status) or min(draws, warmup) < 10 or chains < 2:
        raise ArgumentError(
            "sample_posterior takes one fit, as in results[3], at least 10 draws and steps of warm-up, and 2 "
            f"chains; got draws={draws}, warmup={warmup}, chains={chains}."
        )
    if result.damping is not None:
        raise ArgumentError("the pull of a damped fit is no prior: give a fit of on_degenerate='keep'.")
    sampler = _blackjax()
    (fit,) = fits_of(result, surface, **options)
    laplace = uncertainty(fit, noise)
    reason = laplace.reason or laplace.notes.get("laplace", "")
    if reason:
        nothing = np.full(len(fit.names), np.nan)
        return Posterior(
            names=fit.names,
            draws=np.zeros((chains, 0, nothing.size)),
            r_hat=nothing,
            effective_size=nothing,
            divergences=0,
            reason=reason,
        )
    density, start, covariance = _log_density(fit, laplace)
    key = jax.random.key(seed)
    sampled = nuts(density, start, covariance, key=key, draws=draws, chains=chains, warmup=warmup)
    y = np.asarray(jax.vmap(jax.vmap(density.coordinates))(sampled.positions))
    values = fit.named(y)[..., fit.moving]
    by_name = np.moveaxis(values, -1, 0)
    r_hat = jax.jit(sampler.diagnostics.rhat)
    effective_size = jax.jit(sampler.diagnostics.ess_bulk)
    return Posterior(
        names=fit.names,
        draws=values,
        r_hat=np.array([float(r_hat(x)) for x in by_name]),
        effective_size=np.array([float(effective_size(x)) for x in by_name]),
        divergences=int(np.sum(sampled.divergent)),
    )


class LogDensity(eqx.Module):
    """Log density of a fit's posterior on the whole line: y = lower + (upper - lower) / (1 + e^{-z}).

    Attributes:
        setting: The calibration.
        problem: Its constants, one surface.
        y: Coordinates of the fit, shape (n,).
        moving: Which of them z stands for.
        lower: Lower bounds of these.
        upper: Upper bounds of these.
        strikes: Number of independent errors.
        excess: What the loss has above the squares of these: what call and put of a strike differ by is no
            misfit.
        variance: Variance of the noise, in units of the loss; None where it is integrated out.
    """

    setting: Setting
    problem: Problem
    y: Real
    moving: Codes
    lower: Real
    upper: Real
    strikes: Real
    excess: Real
    variance: Real | None

    def coordinates(self, z: Real) -> Real:
        """All coordinates, shape (n,), of a position."""
        inside = self.lower + (self.upper - self.lower) * jax.nn.sigmoid(z)
        return jnp.asarray(self.y).at[self.moving].set(inside)

    def __call__(self, z: Real) -> Real:
        """Logarithm of the density, up to a constant."""
        cost = self.setting.cost(self.problem, self.coordinates(z)[None])[0] - self.excess
        misfit = self.strikes * jnp.log(cost) if self.variance is None else cost / self.variance
        return -0.5 * misfit + jnp.sum(jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z))


def _log_density(
    fit: Fit, laplace: Uncertainty
) -> tuple[LogDensity, Float[np.ndarray, " n"], Float[np.ndarray, "n n"]]:
    """The density, and where and how wide it is by Laplace's approximation."""
    at = fit.at
    moving = fit.moving
    covariance = laplace.covariances["laplace"]
    y = np.asarray(at.y)[moving]
    far = _FAR * np.sqrt(np.diag(covariance))
    lower = np.maximum(np.asarray(at.lower)[moving], y - far)
    upper = np.minimum(np.asarray(at.upper)[moving], y + far)
    share = (y - lower) / (upper - lower)
    slope = (upper - lower) * share * (1.0 - share)
    residuals, _ = fit.strikes()
    density = LogDensity(
        setting=fit.request.setting,
        problem=_problem_of(fit.request, fit.lane),
        y=at.y,
        moving=moving,
        lower=lower,
        upper=upper,
        strikes=np.asarray(float(residuals.size)),
        excess=np.asarray(at.loss - np.sum(residuals**2)),
        variance=np.asarray(laplace.variance) if np.isinf(laplace.freedom) else None,
    )
    return density, np.log(share / (1.0 - share)), covariance / np.outer(slope, slope)


@eqx.filter_jit
def nuts(
    log_density: Callable[[Real], Real],
    start: Float[Numbers, " n"],
    covariance: Float[Numbers, "n n"],
    key: PRNGKeyArray,
    draws: int,
    chains: int,
    warmup: int,
) -> Draws:
    """Run chains of the No-U-Turn sampler on any density, in units in which `covariance` is the identity.

    Args:
        log_density: Logarithm of the density at a position of shape (n,), up to a constant.
        start: Where the density is.
        covariance: Roughly the covariance of the density.
        key: Key of the draws.
        draws: Number of draws that are kept of each chain.
        chains: Number of chains, which run one after the other.
        warmup: Number of steps that adapt step size and metric.
    """
    sampler = _blackjax()
    root = jnp.linalg.cholesky(covariance)

    def place(u: Real) -> Real:
        return start + root @ u

    def density(u: Real) -> Real:
        return log_density(place(u))

    def chain(key: PRNGKeyArray) -> Draws:
        first, adapt, run = jax.random.split(key, 3)
        begin = _DISPERSED * jax.random.normal(first, jnp.shape(start))
        (state, tuned), _ = sampler.window_adaptation(sampler.nuts, density).run(adapt, begin, warmup)
        step = sampler.nuts(density, **tuned).step

        def move(state: State, key: PRNGKeyArray) -> tuple[State, Draws]:
            moved, info = step(key, state)
            return moved, Draws(place(moved.position), info.is_divergent)

        return jax.lax.scan(move, state, jax.random.split(run, draws))[1]

    return jax.lax.map(chain, jax.random.split(key, chains))


def _blackjax() -> ModuleType:
    try:
        import blackjax
    except ImportError:
        raise NeutralError("sampling needs blackjax: pip install 'neutral[posterior]'") from None
    return blackjax
