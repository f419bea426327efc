"""Array aliases shared by the whole package."""

import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Int

Scalar = Float[Array, ""] | float
"""A real number: a model holds it as an array of shape (), and is built from plain numbers too."""

Real = Float[Array, "..."]
"""Real numbers of any shape; arguments of one call broadcast."""

Row = Float[Array, "..."] | np.ndarray
"""A parameter with one axis: built from numpy too."""

Frequencies = Complex[Array, "*u"]
"""Complex frequencies z of a characteristic function, any shape."""

Flags = Bool[Array, "..."]
Codes = Int[Array, "..."]
