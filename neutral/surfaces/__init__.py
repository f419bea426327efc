"""Volatility surfaces free of static arbitrage, and the evidence that they are."""

from .base import VolSurface as VolSurface
from .certificate import Certificate as Certificate
from .delta_strikes import strike_at_delta as strike_at_delta
from .essvi import ESSVI as ESSVI
from .essvi_mixture import ESSVIMixture as ESSVIMixture
from .evidence import SurfaceFit as SurfaceFit
from .fit_essvi import fit_essvi as fit_essvi
from .fit_essvi import fit_essvi_batch as fit_essvi_batch
from .fit_surface import fit_surface as fit_surface
from .fit_surface import fit_surface_batch as fit_surface_batch
from .global_parametrisation import essvi_from_unconstrained as essvi_from_unconstrained
from .sequential import sequential_essvi as sequential_essvi
from .ssvi import SSVI as SSVI
from .svi import SVI as SVI
from .variance_swap import VarianceSwap as VarianceSwap
from .variance_swap import variance_swap as variance_swap
