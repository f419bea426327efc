"""Several models at once: weights by stacking, and what the average says."""

from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..numerics.root_mean_square import root_mean_square

_GAP = 1e-10  # of the mean log score: how far from the optimum is none
_ROUNDS = 100_000


def stacking_weights(errors: Any) -> np.ndarray:
    """Weights whose average of the models has the least mean square error out of sample.

    Stacking of means (Wolpert 1992; Breiman 1996; Yao, Vehtari, Simpson and Gelman 2018, section 2): the
    quadratic program on the simplex, exact by non-negative least squares with one more row of ones.

    Args:
        errors: Prediction less observation on quotes that no model was fitted to, (observations, m); an
            observation that a model has no error for is left out.

    Returns:
        Weights, (m,), not negative, sum 1.

    Raises:
        ArgumentError: fewer observations than models are known of all of them, or no model has any error.
    """
    from scipy.optimize import nnls

    known = _known(errors, "errors", np.isfinite(errors))
    size = root_mean_square(known)
    if size == 0.0:
        raise ArgumentError("every error is 0, so errors do not compare the models.")
    # With weights s v, v on the simplex, the least over s rises with |E v|: the direction is v's own optimum
    rows = np.vstack([known / (size * np.sqrt(len(known))), np.ones(known.shape[1])])
    found, _ = nnls(rows, np.append(np.zeros(len(known)), 1.0))
    return found / found.sum()


def log_score_weights(log_densities: Any) -> np.ndarray:
    """Weights whose mixture of predictive densities has the largest mean log score out of sample.

    Stacking of predictive distributions (Yao et al. 2018, equation 4), by expectation maximisation up to a
    gap of 1e-10 to the optimum, or 100,000 rounds.

    Args:
        log_densities: Of quotes that no model was fitted to, (observations, m); -inf where a model rules an
            observation out. Those that are nan or inf, or ruled out by all, are left out.

    Returns:
        Weights, (m,), not negative, sum 1.

    Raises:
        ArgumentError: fewer observations than models are known of all of them.
    """
    known = _densities(log_densities)
    density = np.exp(known - known.max(axis=1, keepdims=True))
    weights = np.full(known.shape[1], 1.0 / known.shape[1])
    for _ in range(_ROUNDS):
        # Concave: no mixture scores more than the largest slope less 1 above this one
        slope = np.mean(density / (density @ weights)[:, None], axis=0)
        if slope.max() - 1.0 < _GAP:
            break
        weights = weights * slope
    return weights / weights.sum()


def pseudo_bma_weights(log_densities: Any) -> np.ndarray:
    """Weights by total log score out of sample (Geisser and Eddy 1979; Yao et al. 2018), (m,)."""
    total = np.sum(_densities(log_densities), axis=0)
    if not np.any(np.isfinite(total)):
        raise ArgumentError(
            "every model rules some observation out, so total log scores do not compare them."
        )
    likelihood = np.exp(total - total.max())
    return likelihood / likelihood.sum()


def model_average(
    means: Any, deviations: Any, weights: Any, level: float = 0.9
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean of a mixture of Gaussian predictions, and its central interval.

    Args:
        means: Of each model, (..., m).
        deviations: Standard deviations, (..., m).
        weights: (m,), sum 1.
        level: Of the interval.

    Returns:
        Mean, lower and upper end, each (...,).

    Raises:
        ArgumentError: a level, deviations or weights out of their ranges.
    """
    from scipy.special import ndtr

    means, deviations, weights = np.broadcast_arrays(
        *(np.asarray(x, float) for x in (means, deviations, weights))
    )
    if not 0.0 < level < 1.0 or not np.all((deviations > 0.0) & np.isfinite(deviations)):
        raise ArgumentError("level must lie between 0 and 1, and deviations must be above 0 and finite.")
    if not np.all(weights >= 0.0) or not np.allclose(np.sum(weights, axis=-1), 1.0):
        raise ArgumentError("weights must not be negative, and sum to 1.")
    reach = 40.0 * deviations

    def quantile(p: float) -> np.ndarray:
        low, high = np.min(means - reach, axis=-1), np.max(means + reach, axis=-1)
        for _ in range(100):
            middle = 0.5 * (low + high)
            below = np.sum(weights * ndtr((middle[..., None] - means) / deviations), axis=-1) < p
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return 0.5 * (low + high)

    tail = 0.5 * (1.0 - level)
    return np.sum(weights * means, axis=-1), quantile(tail), quantile(1.0 - tail)


def _densities(values: Any) -> np.ndarray:
    values = np.asarray(values, float)
    possible = np.max(values, axis=-1, keepdims=True, initial=-np.inf) > -np.inf
    return _known(values, "log_densities", possible & (values < np.inf))


def _known(values: Any, name: str, good: np.ndarray) -> np.ndarray:
    values = np.asarray(values, float)
    if values.ndim != 2 or values.shape[1] < 1:
        raise ArgumentError(f"{name} must have shape (observations, models), got {values.shape}.")
    known = values[np.all(good, axis=1)]
    if len(known) < values.shape[1]:
        raise ArgumentError(
            f"{name} holds {len(known)} observations that are known of all {values.shape[1]} models; it "
            "takes as many as models."
        )
    return known
