"""A register of what must be true of each task, and what the checks share."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from worked_example import DAYS

import neutral as nt

from .tasks import Shown

HESTON = nt.Heston(v0=0.04, kappa=1.5, theta=0.05, sigma_v=0.6, rho=-0.7)
CHECKS: dict[str, Callable[[Shown], None]] = {}


def check(title: str) -> Callable[[Callable[[Shown], None]], Callable[[Shown], None]]:
    """Register what must be true of a task, judged by values from elsewhere."""

    def register(function: Callable[[Shown], None]) -> Callable[[Shown], None]:
        CHECKS[title] = function
        return function

    return register


def truth(day: str) -> pd.Series:
    """Parameters of the model that made the chain of a day."""
    return pd.Series({name: float(x) for name, x in vars(DAYS[day][1]).items()})


def chain_terms(chain: pd.DataFrame) -> list[np.ndarray]:
    """Forward, strike, maturity, kind and discount of the shipped chain."""
    columns = [chain[name].to_numpy(float) for name in ("forward", "strike", "T", "discount")]
    return [*columns[:3], (chain["type"] == "call").to_numpy(), columns[3]]


def line(axes, label: str) -> np.ndarray:
    """The points of a labelled line, shape (n, 2)."""
    (found,) = [one for one in axes.lines if one.get_label() == label]
    return np.column_stack([found.get_xdata(), found.get_ydata()])
