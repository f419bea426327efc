"""Array aliases of the package; where axes are fixed annotations name them, as in `Float[Numbers, "2 T K"]`."""

import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Int

Numbers = Array | np.ndarray
"""An array of JAX or of numpy: functions of the package take either."""

Scalar = Float[Numbers, ""] | float
"""A real number: a model holds it as an array of shape (), and is built from plain numbers too."""

Real = Float[Numbers, "..."]
"""Real numbers of any shape; arguments of one call broadcast."""

Row = Float[Numbers, "..."]
"""A parameter with one axis."""

Frequencies = Complex[Numbers, "*u"]
"""Complex frequencies z of a characteristic function, any shape."""

Flags = Bool[Numbers, "..."]
Codes = Int[Numbers, "..."]
