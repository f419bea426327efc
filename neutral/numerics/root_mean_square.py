"""The root mean square of errors; numpy alone, so that the host side computes it without JAX."""

import numpy as np


def root_mean_square(values: np.ndarray) -> float:
    """The root mean square of those values that are finite, or nan where none is.

    Args:
        values: Errors of any shape.
    """
    finite = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(finite**2))) if finite.size else np.nan
