"""Single options: their terms, closed formulas, implied volatilities and static arbitrage."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach(__name__, submodules=["american"])  # it loads JAX
