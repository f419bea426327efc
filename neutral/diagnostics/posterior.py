"""Draws from the posterior of a fit by Hamiltonian Monte Carlo: whether intervals by curvature are honest."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..calibration.problem import Problem, Setting
from ..calibration.result import CalibrationResult
from ..errors import ArgumentError, NeutralError
from ..quotes.surface import QuoteSurface
from ..typing import Real
from .linearisation import Fit, fits_of, problem_of
from .uncertainty import Uncertainty, uncertainty

_FAR = 40.0  # standard deviations: a bound of coordinates that have none nearer
_DISPERSED = 2.0  # standard deviations of the chains' starts: wider than the posterior, as R-hat asks
_problem_of = eqx.filter_jit(problem_of)


@dataclass(frozen=True)
class Posterior:
    """Draws of a fit's parameters.

    Attributes:
        names: Parameters that move, n.
        draws: Natural units, (chains, draws, n).
        r_hat: Rank-normalised split R-hat of each (Vehtari et al. 2021), (n,); 1 where chains agree.
        effective_size: Independent draws that these are worth, of each, (n,).
        divergences: Steps whose energy the integrator lost; of more than a few draws are not to be trusted.
        reason: Why there are none; "" where there are.
    """

    names: tuple[str, ...]
    draws: np.ndarray
    r_hat: np.ndarray
    effective_size: np.ndarray
    divergences: int
    reason: str = ""

    def intervals(self, level: float = 0.9) -> np.ndarray:
        """Central credible intervals, natural units, (n, 2)."""
        tail = 50.0 * (1.0 - level)
        return np.percentile(self.draws, [tail, 100.0 - tail], axis=(0, 1)).T

    def standard_errors(self) -> np.ndarray:
        """Standard deviations of the draws, natural units, (n,)."""
        return np.std(self.draws, axis=(0, 1), ddof=1)

    def __str__(self) -> str:
        """One line per parameter."""
        if self.reason:
            return f"the posterior cannot be drawn: {self.reason}"
        chains, draws, _ = self.draws.shape
        lines = [f"posterior, {chains} chains of {draws} draws, {self.divergences} divergences:"]
        return "\n".join(
            lines
            + [
                f"  {row['parameter']}: {row['median']:.5g} [{row['low']:.4g}, {row['high']:.4g}] "
                f"R-hat {row['r_hat']:.3f}, effective size {row['effective_size']:.0f}"
                for row in self.rows()
            ]
        )

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


_problem_of = eqx.filter_jit(problem_of)


class Draws(NamedTuple):
    """What chains leave: positions (chains, draws, n), and flags (chains, draws) of lost energy."""

    positions: Any
    divergent: Any


def sample_posterior(
    result: CalibrationResult,
    surface: QuoteSurface,
    draws: int = 1000,
    chains: int = 4,
    warmup: int = 500,
    seed: int = 0,
    *,
    noise: Any = None,
    **options: Any,
) -> Posterior:
    """Draw from the posterior of a fit by the No-U-Turn sampler (Hoffman and Gelman 2014); needs blackjax.

    The prior is flat in calibration's coordinates (logarithms of positive parameters, atanh of correlations)
    within their bounds, times Tikhonov's and the penalties. Where the scatter tells the noise, its variance
    is integrated out under Jeffreys' prior: the density is the loss to the power of minus half the strikes,
    for a linear model Student's t of `Uncertainty.intervals(kind="laplace")`.

    Args:
        result: One fit.
        surface: What it was calibrated to.
        draws: Kept of each chain.
        chains: Started around the fit, twice as far as Laplace's approximation spreads; at least 2.
        warmup: Steps of each chain that adapt step and metric, dropped.
        seed: Of the draws.
        noise: As in `diagnose`.
        options: engine, loss, prior, fixed, bounds and mask of the calibration.

    Returns:
        The draws; with a reason where the fit has no Laplace approximation.

    Raises:
        ArgumentError: a batch, a damped fit, too few draws or chains, arguments that are not those of the
            calibration.
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
        return Posterior(fit.names, np.zeros((chains, 0, nothing.size)), nothing, nothing, 0, reason)
    density, start, covariance = _log_density(fit, laplace)
    found = nuts(density, start, covariance, jax.random.key(seed), draws, chains, warmup)
    y = np.asarray(jax.vmap(jax.vmap(density.coordinates))(found.positions))
    values = fit.named(y)[..., fit.moving]
    by_name = np.moveaxis(values, -1, 0)
    r_hat, size = (
        np.array([float(judge(x)) for x in by_name])
        for judge in map(jax.jit, (sampler.diagnostics.rhat, sampler.diagnostics.ess_bulk))
    )
    return Posterior(fit.names, values, r_hat, size, int(np.sum(found.divergent)))


class LogDensity(eqx.Module):
    """Of a fit's posterior, of positions z on the whole line: y = lower + (upper - lower) / (1 + e^{-z}).

    Attributes:
        setting: The calibration.
        problem: Its constants, one surface.
        y: Coordinates of the fit, (n,).
        moving: Which of them z stands for.
        lower: Bounds of these.
        upper: Bounds of these.
        strikes: Independent errors.
        excess: Of the loss over their squares: what call and put of a strike differ by is no misfit.
        variance: Of the noise, in units of the loss; None where it is integrated out.
    """

    setting: Setting
    problem: Problem
    y: Any
    moving: Any
    lower: Any
    upper: Any
    strikes: Any
    excess: Any
    variance: Any

    def coordinates(self, z: Real) -> Real:
        """All coordinates, (n,), of a position."""
        inside = self.lower + (self.upper - self.lower) * jax.nn.sigmoid(z)
        return jnp.asarray(self.y).at[self.moving].set(inside)

    def __call__(self, z: Real) -> Real:
        """Logarithm of the density, up to a constant."""
        cost = self.setting.cost(self.problem, self.coordinates(z)[None])[0] - self.excess
        misfit = self.strikes * jnp.log(cost) if self.variance is None else cost / self.variance
        return -0.5 * misfit + jnp.sum(jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z))


def _log_density(fit: Fit, laplace: Uncertainty) -> tuple[LogDensity, np.ndarray, np.ndarray]:
    """The density, and where and how wide it is by Laplace's approximation."""
    at, moving, covariance = fit.at, fit.moving, laplace.covariances["laplace"]
    y, far = at.y[moving], _FAR * np.sqrt(np.diag(covariance))
    lower, upper = np.maximum(at.lower[moving], y - far), np.minimum(at.upper[moving], y + far)
    share = (y - lower) / (upper - lower)
    slope = (upper - lower) * share * (1.0 - share)
    residuals, _ = fit.strikes()
    density = LogDensity(
        fit.asked.setting, _problem_of(fit.asked, fit.lane), at.y, moving, lower, upper,
        np.asarray(float(residuals.size)), at.loss - np.sum(residuals**2),
        np.asarray(laplace.variance) if np.isinf(laplace.freedom) else None,
    )  # fmt: skip
    return density, np.log(share / (1.0 - share)), covariance / np.outer(slope, slope)


@eqx.filter_jit
def nuts(
    log_density: Callable[[Real], Real],
    start: Any,
    covariance: Any,
    key: Any,
    draws: int,
    chains: int,
    warmup: int,
) -> Draws:
    """Chains of the No-U-Turn sampler on any density, in units in which `covariance` is the identity.

    Args:
        log_density: Of a position (n,), up to a constant.
        start: Where the density is, (n,).
        covariance: Roughly its own, (n, n).
        key: Of the draws.
        draws: Kept of each chain.
        chains: Of them, one after the other.
        warmup: Steps that adapt step size and metric.
    """
    sampler, root = _blackjax(), jnp.linalg.cholesky(covariance)

    def place(u: Real) -> Real:
        return start + root @ u

    def density(u: Real) -> Real:
        return log_density(place(u))

    def chain(key: Any) -> Draws:
        first, adapt, run = jax.random.split(key, 3)
        begin = _DISPERSED * jax.random.normal(first, jnp.shape(start))
        (state, tuned), _ = sampler.window_adaptation(sampler.nuts, density).run(adapt, begin, warmup)
        step = sampler.nuts(density, **tuned).step

        def move(state: Any, key: Any) -> tuple[Any, Draws]:
            state, info = step(key, state)
            return state, Draws(place(state.position), info.is_divergent)

        return jax.lax.scan(move, state, jax.random.split(run, draws))[1]

    return jax.lax.map(chain, jax.random.split(key, chains))


def _blackjax() -> Any:
    try:
        import blackjax
    except ImportError:
        raise NeutralError("sampling needs blackjax: pip install 'neutral[posterior]'") from None
    return blackjax
