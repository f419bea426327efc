"""Differentiable pricing and calibration of option models in JAX; start with `neutral.price`.

`__init__.pyi` lists the public names and the modules that define them. Each name is imported on first use, so
that the command line starts without JAX.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ = ["__version__", *__all__]  # pyright: ignore[reportUnsupportedDunderAll]
