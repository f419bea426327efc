"""Volatility surfaces free of static arbitrage, and certificates that check it."""

from .base import VolSurface as VolSurface
from .certificate import Certificate as Certificate
from .delta_strikes import strike_at_delta as strike_at_delta
from .essvi.fit import fit_essvi as fit_essvi
from .essvi.fit import fit_essvi_batch as fit_essvi_batch
from .essvi.global_parametrisation import essvi_from_unconstrained as essvi_from_unconstrained
from .essvi.mixture import ESSVIMixture as ESSVIMixture
from .essvi.sequential import sequential_essvi as sequential_essvi
from .essvi.surface import ESSVI as ESSVI
from .evidence import SurfaceFit as SurfaceFit
from .fit_surface import fit_surface as fit_surface
from .fit_surface import fit_surface_batch as fit_surface_batch
from .sanos.fit import fit_sanos as fit_sanos
from .sanos.surface import SANOS as SANOS
from .sanos.surface import SanosFit as SanosFit
from .svi.fit import fit_svi as fit_svi
from .svi.ssvi import SSVI as SSVI
from .svi.svi import SVI as SVI
from .time_changed import TimeChangedSurface as TimeChangedSurface
from .variance_swap import VarianceSwap as VarianceSwap
from .variance_swap import variance_swap as variance_swap
