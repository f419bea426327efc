"""Calibration: from quotes to models, for one surface or thousands, with a status for every fit."""

from .batch import calibrate_batch as calibrate_batch
from .calibrate import calibrate as calibrate
from .calibrate import price_surface as price_surface
from .losses import Loss as Loss
from .priors import FellerPenalty as FellerPenalty
from .priors import JumpMomentPenalty as JumpMomentPenalty
from .priors import Tikhonov as Tikhonov
from .result import CalibrationResult as CalibrationResult
from .solvers import AdamLBFGS as AdamLBFGS
from .solvers import LevenbergMarquardt as LevenbergMarquardt
from .starts.data import data_bounds as data_bounds
from .starts.global_search import DifferentialEvolution as DifferentialEvolution
from .starts.global_search import QuasiRandom as QuasiRandom
from .starts.nested import nested_start as nested_start
from .starts.search import Search as Search
from .status import CalibrationStatus as CalibrationStatus
from .volatility_weights import volatility_weighted as volatility_weighted
