"""Models: frozen pytrees of parameters with their characteristic functions."""

from .base import AbstractFourierModel as AbstractFourierModel
from .base import AbstractModel as AbstractModel
from .base import hand_differentiated as hand_differentiated
from .bates import Bates as Bates
from .black import Black as Black
from .double_heston import DoubleHeston as DoubleHeston
from .heston import Heston as Heston
from .kou import Kou as Kou
from .merton import Merton as Merton
from .nig import NIG as NIG
from .piecewise_heston import PiecewiseHeston as PiecewiseHeston
from .shifted import Shifted as Shifted
from .svcj import SVCJ as SVCJ
from .variance_gamma import VarianceGamma as VarianceGamma
