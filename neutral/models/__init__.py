"""Models: frozen pytrees of parameters with their characteristic functions."""

from .base import AbstractFourierModel as AbstractFourierModel
from .base import AbstractModel as AbstractModel
from .base import hand_differentiated as hand_differentiated
from .fourier.bates import Bates as Bates
from .fourier.black import Black as Black
from .fourier.double_heston import DoubleHeston as DoubleHeston
from .fourier.heston import Heston as Heston
from .fourier.kou import Kou as Kou
from .fourier.merton import Merton as Merton
from .fourier.nig import NIG as NIG
from .fourier.piecewise_heston import PiecewiseHeston as PiecewiseHeston
from .fourier.shifted import Shifted as Shifted
from .fourier.svcj import SVCJ as SVCJ
from .fourier.variance_gamma import VarianceGamma as VarianceGamma
