"""Draws from the posterior of a fit by Hamiltonian Monte Carlo, which check intervals from the curvature."""

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
from ..numerics.compiled import compiled
from ..presentation.frame import Tabular
from ..quotes.given_surfaces import OneSurface
from ..typing import Codes, Flags, Numbers, Real, Values
from .arguments import CalibrationArguments
from .linearisation import Fit, fits_of, problem_of
from .uncertainty import Uncertainty, uncertainty

State = TypeVar("State")  # of a chain
_FAR = 40.0  # bound of coordinates without a nearer one, in standard deviations from the fit
_DISPERSED = 2.0  # spread of the chains' starts over that of the posterior; R-hat needs dispersed starts
_problem_of = compiled(problem_of)


@dataclass(frozen=True)
class Posterior(Tabular):
    """Draws of a fit's parameters.

    Attributes:
        names: Names of the n parameters that are neither fixed nor on a bound.
        draws: Values in natural units, (chains, draws, n).
        r_hat: Rank-normalised split R-hat of each parameter (Vehtari et al. 2021); 1 if the chains agree.
        effective_size: Effective number of independent draws of each parameter.
        divergences: Number of divergent transitions of the integrator; with more than a few the draws are not
            reliable.
        reason: Why there are no draws; "" if there are.
    """

    names: tuple[str, ...]
    draws: Float[np.ndarray, "chains draws n"]
    r_hat: Float[np.ndarray, " n"]
    effective_size: Float[np.ndarray, " n"]
    divergences: int
    reason: str = ""

    def intervals(self, level: float = 0.9) -> Float[np.ndarray, "n 2"]:
        """Compute central credible intervals in natural units; nan without draws."""
        if not self.draws.size:
            return np.full((len(self.names), 2), np.nan)
        tail = 50.0 * (1.0 - level)
        return np.percentile(self.draws, [tail, 100.0 - tail], axis=(0, 1)).T

    def standard_errors(self) -> Float[np.ndarray, " n"]:
        """Compute standard deviations of the draws in natural units; nan without draws."""
        if not self.draws.size:
            return np.full(len(self.names), np.nan)
        return np.std(self.draws, axis=(0, 1), ddof=1)

    def __str__(self) -> str:
        """Write one line per parameter."""
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
        """Return one row per parameter: median, interval, standard deviation, R-hat, effective size."""
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
    """Draws of chains: positions (chains, draws, n), and flags (chains, draws) of divergent transitions."""

    positions: Real
    divergent: Flags


def sample_posterior(
    result: CalibrationResult,
    surface: OneSurface | None = None,
    draws: int = 1000,
    chains: int = 4,
    warmup: int = 500,
    seed: int = 0,
    *,
    noise: Values | None = None,
    **options: Unpack[CalibrationArguments],
) -> Posterior:
    """Draw from the posterior of a fit by the No-U-Turn sampler (Hoffman and Gelman 2014); needs blackjax.

    The prior is flat in the calibration's coordinates (logarithms of positive parameters, atanh of
    correlations) within their bounds, times the Tikhonov prior and the penalties. If the noise is estimated
    from the residuals, its variance is integrated out under Jeffreys' prior: the density is the loss to the
    power of minus half the number of strikes, which for a linear model is the Student's t distribution of
    `Uncertainty.intervals(kind="laplace")`.

    Args:
        result: One fit.
        surface: The surface that was calibrated; not needed for a result that contains it.
        draws: Number of draws of each chain after warm-up, at least 10.
        chains: Number of chains, at least 2. Their starts have twice the standard deviation of the Laplace
            approximation.
        warmup: Number of first steps of each chain, at least 10, which adapt step size and metric and are
            discarded.
        seed: Seed of the draws.
        noise: Noise of the quotes, as in `diagnose`.
        options: engine, loss, prior, fixed, bounds and mask of the calibration. Only a result without
            request, saved by an older version, needs them.

    Returns:
        The draws, or a reason if the fit has no Laplace approximation.

    Raises:
        ArgumentError: the result is a batch or a damped fit, there are too few draws or chains, the surface
            is another one, or options contradict the calibration.
        NeutralError: blackjax is not installed.
    """
    if np.ndim(result.status) or min(draws, warmup) < 10 or chains < 2:
        raise ArgumentError(
            "sample_posterior needs a single fit, such as results[3], at least 10 draws, 10 warm-up steps "
            f"and 2 chains; got draws={draws}, warmup={warmup}, chains={chains}."
        )
    if result.damping is not None:
        raise ArgumentError("a damped fit has no prior to sample from: pass a fit with on_degenerate='keep'.")
    sampler = _blackjax()
    (fit,) = fits_of(result, surface, **options)
    laplace = uncertainty(fit, noise)
    reason = laplace.reason or laplace.notes.get("laplace", "")
    if reason:
        all_nan = np.full(len(fit.names), np.nan)
        return Posterior(
            names=fit.names,
            draws=np.zeros((chains, 0, all_nan.size)),
            r_hat=all_nan,
            effective_size=all_nan,
            divergences=0,
            reason=reason,
        )
    density, start, covariance = _log_density(fit, laplace)
    key = jax.random.key(seed)
    sample = nuts(density, start, covariance, key=key, draws=draws, chains=chains, warmup=warmup)
    y = np.asarray(jax.vmap(jax.vmap(density.coordinates))(sample.positions))
    values = fit.named(y)[..., fit.moving]
    by_name = np.moveaxis(values, -1, 0)
    r_hat = jax.jit(sampler.diagnostics.rhat)
    effective_size = jax.jit(sampler.diagnostics.ess_bulk)
    return Posterior(
        names=fit.names,
        draws=values,
        r_hat=np.array([float(r_hat(x)) for x in by_name]),
        effective_size=np.array([float(effective_size(x)) for x in by_name]),
        divergences=int(np.sum(sample.divergent)),
    )


class LogDensity(eqx.Module):
    """Log density of a fit's posterior in unbounded z, with y = lower + (upper - lower) / (1 + e^{-z}).

    Attributes:
        setting: Setting of the calibration.
        problem: Constants of the calibration of one surface.
        y: Coordinates of the fit, (n,).
        moving: Indices of the coordinates that z replaces.
        lower: Lower bounds of these coordinates.
        upper: Upper bounds of these coordinates.
        strikes: Number of independent errors, one per strike.
        excess: Loss less the squares of these errors; the difference of call and put of a strike is not a
            misfit.
        variance: Variance of the noise, in units of the loss; None if it is integrated out.
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
        """Convert a position z to all coordinates, shape (n,)."""
        inside = self.lower + (self.upper - self.lower) * jax.nn.sigmoid(z)
        return jnp.asarray(self.y).at[self.moving].set(inside)

    def __call__(self, z: Real) -> Real:
        """Compute the logarithm of the density at z, up to a constant."""
        cost = self.setting.cost(self.problem, self.coordinates(z)[None])[0] - self.excess
        misfit = self.strikes * jnp.log(cost) if self.variance is None else cost / self.variance
        return -0.5 * misfit + jnp.sum(jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z))


def _log_density(
    fit: Fit, laplace: Uncertainty
) -> tuple[LogDensity, Float[np.ndarray, " n"], Float[np.ndarray, "n n"]]:
    """Build the density, with location and covariance of its Laplace approximation in z."""
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


@compiled
def nuts(
    log_density: Callable[[Real], Real],
    start: Float[Numbers, " n"],
    covariance: Float[Numbers, "n n"],
    key: PRNGKeyArray,
    draws: int,
    chains: int,
    warmup: int,
) -> Draws:
    """Run chains of the No-U-Turn sampler on any density, in units where `covariance` is the identity.

    Args:
        log_density: Logarithm of the density at a position of shape (n,), up to a constant.
        start: Center of the starts, (n,).
        covariance: Approximate covariance of the density, (n, n).
        key: Random key.
        draws: Number of draws of each chain after warm-up.
        chains: Number of chains, which run one after another.
        warmup: Number of steps that adapt step size and metric.

    Returns:
        The draws of all chains.
    """
    sampler = _blackjax()
    root = jnp.linalg.cholesky(covariance)

    def position(u: Real) -> Real:
        return start + root @ u

    def density(u: Real) -> Real:
        return log_density(position(u))

    def chain(key: PRNGKeyArray) -> Draws:
        start_key, adapt_key, run_key = jax.random.split(key, 3)
        initial = _DISPERSED * jax.random.normal(start_key, jnp.shape(start))
        (state, parameters), _ = sampler.window_adaptation(sampler.nuts, density).run(
            adapt_key, initial, warmup
        )
        step = sampler.nuts(density, **parameters).step

        def advance(state: State, key: PRNGKeyArray) -> tuple[State, Draws]:
            new_state, info = step(key, state)
            return new_state, Draws(position(new_state.position), info.is_divergent)

        return jax.lax.scan(advance, state, jax.random.split(run_key, draws))[1]

    return jax.lax.map(chain, jax.random.split(key, chains))


def _blackjax() -> ModuleType:
    try:
        import blackjax
    except ImportError:
        raise NeutralError("sampling needs blackjax: pip install 'neutral[posterior]'") from None
    return blackjax
