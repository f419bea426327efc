"""Array aliases shared by the whole package."""

from jaxtyping import Array, Bool, Complex, Float, Int

Scalar = Float[Array, ""] | float
"""A real number: a model holds it as an array of shape (), and is built from plain numbers too."""

Real = Float[Array, "..."]
"""Real numbers of any shape; arguments of one call broadcast."""

Frequencies = Complex[Array, "*u"]
"""Complex frequencies z of a characteristic function, any shape."""

Flags = Bool[Array, "..."]
Codes = Int[Array, "..."]
