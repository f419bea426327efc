"""Solvers minimise an objective of vectors within bounds; they know nothing of finance."""

from .adam_lbfgs import AdamLBFGS as AdamLBFGS
from .adam_lbfgs import scalar_objective as scalar_objective
from .base import EXACT as EXACT
from .base import AbstractSolver as AbstractSolver
from .base import Evaluation as Evaluation
from .base import Objective as Objective
from .base import Solution as Solution
from .base import Stop as Stop
from .base import Trace as Trace
from .base import gradient_norm as gradient_norm
from .base import movable as movable
from .base import select as select
from .levenberg_marquardt import LevenbergMarquardt as LevenbergMarquardt
