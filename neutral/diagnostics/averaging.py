"""Averages of several models: stacking weights, and the mixture of their predictions."""

import numpy as np
from jaxtyping import Bool, Float

from ..errors import ArgumentError
from ..numerics.root_mean_square import root_mean_square
from ..typing import Values

_GAP = 1e-10  # largest gap of the mean log score to the optimum at which the iteration stops
_ROUNDS = 100_000  # limit of iterations


def stacking_weights(errors: Values) -> Float[np.ndarray, " m"]:
    """Compute weights with which the average of the models has the least mean square error out of sample.

    This is stacking of means (Wolpert 1992; Breiman 1996; Yao, Vehtari, Simpson and Gelman 2018, section 2),
    a quadratic program on the simplex. Non-negative least squares with an additional row of ones solves it
    exactly.

    Args:
        errors: Prediction less observation on quotes that no model was fitted to, (observations, m).
            Observations for which an error is not finite are left out.

    Returns:
        Weights >= 0 with sum 1, (m,).

    Raises:
        ArgumentError: there are fewer complete observations than models, or every error is 0.
    """
    from scipy.optimize import nnls

    table = _complete(errors, "errors", np.isfinite(np.asarray(errors, float)))
    size = root_mean_square(table)
    if size == 0.0:
        raise ArgumentError("every error is 0, so the errors cannot rank the models.")
    # for weights s v with v on the simplex, the least square over s increases with |E v|, so that the optimal
    # v minimises |E v|
    rows = np.vstack([table / (size * np.sqrt(len(table))), np.ones(table.shape[1])])
    direction, _ = nnls(rows, np.append(np.zeros(len(table)), 1.0))
    return direction / direction.sum()


def log_score_weights(log_densities: Values) -> Float[np.ndarray, " m"]:
    """Compute weights with which the mixture of predictive densities has the largest mean log score.

    This is stacking of predictive distributions (Yao et al. 2018, equation 4). Expectation maximisation runs
    until the gap to the optimum is below 1e-10, or for 100,000 iterations.

    Args:
        log_densities: Log densities of quotes that no model was fitted to, (observations, m); -inf where an
            observation is impossible under a model. Observations that are nan or inf, or impossible under all
            models, are left out.

    Returns:
        Weights >= 0 with sum 1, (m,).

    Raises:
        ArgumentError: there are fewer complete observations than models.
    """
    scores = _densities(log_densities)
    density = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = np.full(scores.shape[1], 1.0 / scores.shape[1])
    for _ in range(_ROUNDS):
        # the score is concave, so that the gap to the optimum is at most the largest slope less 1
        slope = np.mean(density / (density @ weights)[:, None], axis=0)
        if slope.max() - 1.0 < _GAP:
            break
        weights = weights * slope
    return weights / weights.sum()


def pseudo_bma_weights(log_densities: Values) -> Float[np.ndarray, " m"]:
    """Compute weights in proportion to the total predictive density (Geisser and Eddy 1979; Yao et al. 2018).

    Args:
        log_densities: As in `log_score_weights`.

    Returns:
        Weights >= 0 with sum 1, (m,).

    Raises:
        ArgumentError: there are fewer complete observations than models, or some observation is impossible
            under every model.
    """
    total = np.sum(_densities(log_densities), axis=0)
    if not np.any(np.isfinite(total)):
        raise ArgumentError(
            "every model rules some observation out, so total log scores cannot rank the models."
        )
    likelihood = np.exp(total - total.max())
    return likelihood / likelihood.sum()


def model_average(
    means: Values, deviations: Values, weights: Values, level: float = 0.9
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Compute the mean of a mixture of Gaussian predictions and its central interval.

    Args:
        means: Mean of each model's prediction, (..., m).
        deviations: Standard deviation of each model's prediction, (..., m), above 0.
        weights: Weights of the models, >= 0 with sum 1, (m,).
        level: Probability of the interval, in (0, 1).

    Returns:
        Mean, lower end and upper end, each of shape (...,).

    Raises:
        ArgumentError: level, deviations or weights are out of their ranges.
    """
    from scipy.special import ndtr

    mean, deviation, weight = np.broadcast_arrays(
        *(np.asarray(x, float) for x in (means, deviations, weights))
    )
    if not 0.0 < level < 1.0 or not np.all((deviation > 0.0) & np.isfinite(deviation)):
        raise ArgumentError(
            "level must lie between 0 and 1, and deviations must be above 0 and finite; "
            f"got level {level} and deviations from {np.min(deviation)} to {np.max(deviation)}."
        )
    if not np.all(weight >= 0.0) or not np.allclose(np.sum(weight, axis=-1), 1.0):
        raise ArgumentError(f"weights must not be negative and must sum to 1, got {weights}.")
    reach = 40.0 * deviation

    def quantile(p: float) -> np.ndarray:
        """Compute a quantile of the mixture by bisection."""
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
    """Return the observations with a log density under all models that are possible under at least one."""
    values = np.asarray(log_densities, float)
    possible = np.max(values, axis=-1, keepdims=True, initial=-np.inf) > -np.inf
    return _complete(values, "log_densities", possible & (values < np.inf))


def _complete(
    values: Values, name: str, valid: Bool[np.ndarray, "..."]
) -> Float[np.ndarray, "observations m"]:
    """Return the rows of a table in which every entry is good.

    Raises:
        ArgumentError: the values are not a table, or fewer rows than columns are left.
    """
    table = np.asarray(values, float)
    if table.ndim != 2 or table.shape[1] < 1:
        raise ArgumentError(f"{name} must have shape (observations, models), got {table.shape}.")
    complete = table[np.all(valid, axis=1)]
    if len(complete) < table.shape[1]:
        raise ArgumentError(
            f"{name} needs as many complete observations as models, got {len(complete)} for "
            f"{table.shape[1]} models."
        )
    return complete
