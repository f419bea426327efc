"""Averages of several models: weights by stacking, and the mixture of their predictions."""

import numpy as np
from jaxtyping import Bool, Float

from ..errors import ArgumentError
from ..numerics.root_mean_square import root_mean_square
from ..typing import Values

_GAP = 1e-10  # gap of the mean log score to the optimum at which the rounds stop
_ROUNDS = 100_000  # at most


def stacking_weights(errors: Values) -> Float[np.ndarray, " m"]:
    """Weights whose average of the models has the least mean square error out of sample.

    Stacking of means (Wolpert 1992; Breiman 1996; Yao, Vehtari, Simpson and Gelman 2018, section 2): the
    quadratic program on the simplex, exact by non-negative least squares with one more row of ones.

    Args:
        errors: Prediction less observation on quotes that no model was fitted to, (observations, m); an
            observation that a model has no error for is left out.

    Returns:
        Weights, not negative, with sum 1.

    Raises:
        ArgumentError: fewer observations than models are known of all models, or every error is 0.
    """
    from scipy.optimize import nnls

    table = _complete(errors, "errors", np.isfinite(np.asarray(errors, float)))
    size = root_mean_square(table)
    if size == 0.0:
        raise ArgumentError("every error is 0, so errors do not compare the models.")
    # With weights s v, v on the simplex, the least over s rises with |E v|: the direction is v's own optimum
    rows = np.vstack([table / (size * np.sqrt(len(table))), np.ones(table.shape[1])])
    direction, _ = nnls(rows, np.append(np.zeros(len(table)), 1.0))
    return direction / direction.sum()


def log_score_weights(log_densities: Values) -> Float[np.ndarray, " m"]:
    """Weights whose mixture of predictive densities has the largest mean log score out of sample.

    Stacking of predictive distributions (Yao et al. 2018, equation 4), by expectation maximisation up to a
    gap of 1e-10 to the optimum, or 100,000 rounds.

    Args:
        log_densities: Log densities of quotes that no model was fitted to, (observations, m); -inf where a
            model rules an observation out. Observations that are nan or inf, or that all models rule out, are
            left out.

    Returns:
        Weights, not negative, with sum 1.

    Raises:
        ArgumentError: fewer observations than models are known of all models.
    """
    scores = _densities(log_densities)
    density = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = np.full(scores.shape[1], 1.0 / scores.shape[1])
    for _ in range(_ROUNDS):
        # Concave: no mixture scores more than the largest slope less 1 above this one
        slope = np.mean(density / (density @ weights)[:, None], axis=0)
        if slope.max() - 1.0 < _GAP:
            break
        weights = weights * slope
    return weights / weights.sum()


def pseudo_bma_weights(log_densities: Values) -> Float[np.ndarray, " m"]:
    """Weights by total log score out of sample (Geisser and Eddy 1979; Yao et al. 2018).

    Args:
        log_densities: As in `log_score_weights`.

    Raises:
        ArgumentError: too few observations, or every model rules some observation out.
    """
    total = np.sum(_densities(log_densities), axis=0)
    if not np.any(np.isfinite(total)):
        raise ArgumentError(
            "every model rules some observation out, so total log scores do not compare them."
        )
    likelihood = np.exp(total - total.max())
    return likelihood / likelihood.sum()


def model_average(
    means: Values, deviations: Values, weights: Values, level: float = 0.9
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """The mean of a mixture of Gaussian predictions, and its central interval.

    Args:
        means: Mean of each model's prediction, (..., m).
        deviations: Standard deviation of each model's prediction, (..., m), above 0.
        weights: Weights of the models, (m,), with sum 1.
        level: Probability of the interval, between 0 and 1.

    Returns:
        Mean, lower and upper end, each of shape (...,).

    Raises:
        ArgumentError: a level, deviations or weights out of their ranges.
    """
    from scipy.special import ndtr

    mean, deviation, weight = np.broadcast_arrays(
        *(np.asarray(x, float) for x in (means, deviations, weights))
    )
    if not 0.0 < level < 1.0 or not np.all((deviation > 0.0) & np.isfinite(deviation)):
        raise ArgumentError("level must lie between 0 and 1, and deviations must be above 0 and finite.")
    if not np.all(weight >= 0.0) or not np.allclose(np.sum(weight, axis=-1), 1.0):
        raise ArgumentError("weights must not be negative, and sum to 1.")
    reach = 40.0 * deviation

    def quantile(p: float) -> np.ndarray:
        """The quantile of the mixture, by bisection."""
        low = np.min(mean - reach, axis=-1)
        high = np.max(mean + reach, axis=-1)
        for _ in range(100):
            middle = 0.5 * (low + high)
            below = np.sum(weight * ndtr((middle[..., None] - mean) / deviation), axis=-1) < p
            low = np.where(below, middle, low)
            high = np.where(below, high, middle)
        return 0.5 * (low + high)

    tail = 0.5 * (1.0 - level)
    return np.asarray(np.sum(weight * mean, axis=-1)), quantile(tail), quantile(1.0 - tail)


def _densities(log_densities: Values) -> Float[np.ndarray, "observations m"]:
    """Observations whose log density is known of all models, and possible under one of them."""
    values = np.asarray(log_densities, float)
    possible = np.max(values, axis=-1, keepdims=True, initial=-np.inf) > -np.inf
    return _complete(values, "log_densities", possible & (values < np.inf))


def _complete(
    values: Values, name: str, good: Bool[np.ndarray, "..."]
) -> Float[np.ndarray, "observations m"]:
    """Rows of a table in which every entry is good.

    Raises:
        ArgumentError: it is no table, or fewer rows than columns are left.
    """
    table = np.asarray(values, float)
    if table.ndim != 2 or table.shape[1] < 1:
        raise ArgumentError(f"{name} must have shape (observations, models), got {table.shape}.")
    complete = table[np.all(good, axis=1)]
    if len(complete) < table.shape[1]:
        raise ArgumentError(
            f"{name} holds {len(complete)} observations that are known of all {table.shape[1]} models; it "
            "takes as many as models."
        )
    return complete
