"""Data for machine learning on volatility surfaces: the cube, its static tests, synthetic histories."""

from .cube_tests import CubeSummary as CubeSummary
from .cube_tests import summarise_cube as summarise_cube
from .synthetic_history import synthetic_history as synthetic_history
from .synthetic_quotes import synthetic_quotes as synthetic_quotes
from .vol_cube import CHANNELS as CHANNELS
from .vol_cube import CubeGrid as CubeGrid
from .vol_cube import Sample as Sample
from .vol_cube import VolCube as VolCube
from .vol_cube import carry_rates as carry_rates
from .vol_cube import sample_cube as sample_cube
