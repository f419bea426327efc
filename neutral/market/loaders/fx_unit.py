"""Finds out whether foreign-exchange volatilities are percent or decimals."""

import re
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from ...errors import ArgumentError
from ..fx.pairs import is_pegged
from .listing import Listing

Unit = Literal["percent", "decimal"]
SCALES: Mapping[str, float] = {"percent": 0.01, "decimal": 1.0}
DECIMAL_UNTIL = 1.0  # up to here a usual volatility is a decimal: as percent no free currency has so little
PERCENT_FROM = 2.0  # from here on it is percent: as a decimal no currency has so much
PEGGED_DECIMAL_UNTIL = 0.1  # the same where all pairs are pegged, with volatilities of half a percent
PEGGED_PERCENT_FROM = 0.2
_LEVEL = re.compile(r"(?:atm|put.*|call.*?)(?:_bid|_ask)?")


def scale_of(vols: Listing, unit: Unit | None) -> float:
    """Return the factor from the volatilities of a file to decimals.

    Args:
        vols: The parsed file.
        unit: The caller's unit; None takes that which the file declares, or else that which the size of its
            volatilities shows.

    Raises:
        ArgumentError: The unit is not clear.
    """
    declared = unit or str(vols.frame["unit"].iloc[0])
    if declared:
        return SCALES[declared]
    level = typical_level(vols.frame)
    pegged = all(is_pegged(name) for name in vols.frame["underlying"].unique())
    if level <= (PEGGED_DECIMAL_UNTIL if pegged else DECIMAL_UNTIL):
        return SCALES["decimal"]
    if level >= (PEGGED_PERCENT_FROM if pegged else PERCENT_FROM) or np.isnan(level):
        return SCALES["percent"]
    raise ArgumentError(
        f"{vols.path}: it is not clear whether volatilities around {level:g} are percent or decimals. Pass "
        "unit='percent' or unit='decimal', set unit in the section [fx] of a configuration, write "
        "--fx unit=percent, or end the names of the columns with _pct."
    )


def typical_level(rows: pd.DataFrame) -> float:
    """Return the geometric median of the volatilities of rows, in the file's unit; nan if there are none."""
    names = [name for name in rows if _LEVEL.fullmatch(str(name))]
    values = rows[names].to_numpy(float)
    logarithms = np.log(values[values > 0])
    return float(np.exp(np.median(logarithms))) if len(logarithms) else np.nan
