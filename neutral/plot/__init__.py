"""Figures, returned as matplotlib `Figure`: a notebook shows them, and `figure.savefig(path)` saves one."""

from .diagnostics import correlations as correlations
from .diagnostics import directions as directions
from .diagnostics import intervals as intervals
from .diagnostics import residual_map as residual_map
from .diagnostics import vega_ladder as vega_ladder
from .fit_history import history as history
from .fits import comparison as comparison
from .fits import parameters as parameters
from .smile import smile as smile
from .surfaces import densities as densities
from .surfaces import smiles as smiles
from .surfaces import total_variance as total_variance
from .surfaces import vol_map as vol_map
