"""Volatility surfaces free of static arbitrage, and the evidence that they are."""

from .base import VolSurface as VolSurface
from .certificate import Certificate as Certificate
from .essvi import ESSVI as ESSVI
from .global_parametrisation import essvi_from_unconstrained as essvi_from_unconstrained
from .ssvi import SSVI as SSVI
from .svi import SVI as SVI
