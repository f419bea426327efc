"""Models: frozen pytrees of parameters with their characteristic functions."""

from .base import AbstractFourierModel as AbstractFourierModel
from .base import AbstractModel as AbstractModel
from .base import hand_differentiated as hand_differentiated
from .bates import Bates as Bates
from .black import Black as Black
from .heston import Heston as Heston
from .merton import Merton as Merton
from .shifted import Shifted as Shifted
from .svcj import SVCJ as SVCJ
