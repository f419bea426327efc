"""Every model and engine that the contract tests run over: a new one adds one line."""

import numpy as np

from neutral.models import SVCJ, Bates, Black, Heston, Merton, Shifted
from neutral.pricing import Contour, Lewis

MODELS = {
    "black": Black.typical,
    "merton": Merton.typical,
    "heston": Heston.typical,
    "bates": Bates.typical,
    "svcj": SVCJ.typical,
    "svcj++": lambda: Shifted(SVCJ.typical(), np.array([0.1, 0.5]), np.array([0.001, 0.002])),
}
ENGINES = {"contour": Contour, "lewis": lambda: Lewis(128)}
# models with hand-written parameter derivatives; automatic differentiation is their oracle
HAND_DIFFERENTIATED = ("heston", "bates", "svcj")
