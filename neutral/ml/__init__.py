"""Machine learning on volatility surfaces: the cube and its tests, synthetic histories, learned priors."""

from .cube_tests import CubeSummary as CubeSummary
from .cube_tests import summarise_cube as summarise_cube
from .gaussian_prior import GaussianPrior as GaussianPrior
from .prior_network import HandPrior as HandPrior
from .prior_network import PriorNetwork as PriorNetwork
from .prior_network import train_prior as train_prior
from .synthetic_history import synthetic_history as synthetic_history
from .synthetic_quotes import synthetic_quotes as synthetic_quotes
from .updates import Outcome as Outcome
from .updates import Update as Update
from .updates import draw_fresh as draw_fresh
from .updates import outcomes as outcomes
from .updates import outcomes_without_fit as outcomes_without_fit
from .updates import stack_updates as stack_updates
from .updates import update_fit as update_fit
from .vol_cube import CHANNELS as CHANNELS
from .vol_cube import CubeGrid as CubeGrid
from .vol_cube import Sample as Sample
from .vol_cube import VolCube as VolCube
from .vol_cube import carry_rates as carry_rates
from .vol_cube import sample_cube as sample_cube
