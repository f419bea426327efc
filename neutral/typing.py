"""Defines type aliases of arrays. Annotations of fixed axes name them, as in `Float[Numbers, "2 T K"]`."""

import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Bool, Complex, Float, Int

Numbers = Array | np.ndarray
"""An array of JAX or of numpy; functions of the package accept both."""

Values = npt.ArrayLike
"""Whatever `numpy.asarray` takes: numbers, nested lists, arrays, columns of a table."""

Real = Float[Numbers, "..."]
"""Real numbers of any shape. The arguments of one call broadcast."""

Scalar = Real | float
"""A parameter that is one number: an array of shape (), or of a model's leading axes, or a plain number."""

Row = Float[Numbers, "..."]
"""A parameter with one axis of entries, after any leading axes."""

Frequencies = Complex[Numbers, "..."]
"""Complex frequencies z, and functions of them, of any shape."""

Flags = Bool[Numbers, "..."]
"""Booleans of any shape."""

Codes = Int[Numbers, "..."]
"""Whole numbers of any shape: statuses, counts, indices."""
