"""The root mean square of errors, in NumPy alone, so that callers on the host need no JAX."""

import numpy as np


def root_mean_square(values: np.ndarray) -> float:
    """Root mean square of the finite values.

    Args:
        values: Errors of any shape.

    Returns:
        The root mean square, or nan if no value is finite.
    """
    finite = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(finite**2))) if finite.size else np.nan
