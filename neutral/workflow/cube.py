"""The vol cube of files: surfaces read on one grid, and a row for each market, also for bad ones."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..ml import CubeGrid, Sample, VolCube, carry_rates, sample_cube
from .markets import Market
from .surfaces import Fitted, fit_markets

UNDATED = np.datetime64("NaT", "s")


class CubeBuild(NamedTuple):
    """A cube and the rows of all markets: `position` is that in the cube, <NA> where there is no surface."""

    cube: VolCube
    rows: pd.DataFrame


def build_cube(markets: Iterable[Market], grid: CubeGrid | None = None, **options: Any) -> CubeBuild:
    """Fit surfaces to markets and read them on a grid.

    Args:
        markets: As `read_markets` gives them.
        grid: As in `sample_cube`.
        options: Of `fit_markets`.

    Returns:
        The cube, sorted by underlying and time, and a row for each market in the same order, those without a
        surface with the reason.
    """
    grid = grid or CubeGrid()
    done = [(fitted.row or {}, _sample(fitted, grid)) for fitted in fit_markets(markets, **options)]
    done.sort(key=lambda one: (one[0]["asset"], pd.isna(one[0]["snapshot_ts"]), one[0]["snapshot_ts"]))
    samples = [sample for _, sample in done if sample is not None]
    rows = pd.DataFrame([row for row, _ in done])
    there = np.array([sample is not None for _, sample in done], bool)
    rows.insert(0, "position", pd.array(np.where(there, np.cumsum(there) - 1, 0), "Int64"))
    rows.loc[~there, "position"] = pd.NA
    return CubeBuild(sample_cube(samples, grid), rows)


def _sample(fitted: Fitted, grid: CubeGrid) -> Sample | None:
    market = fitted.market
    if fitted.surface is None or market.frame is None or not np.isfinite((fitted.row or {})["margin"]):
        return None
    first = market.frame.drop_duplicates("maturity").sort_values("maturity")
    rate = carry_rates(first["maturity"], first["forward"], market.spot, grid.maturities)
    at = market.timestamp
    date = UNDATED if pd.isna(at) else np.datetime64(at.tz_convert(None).to_pydatetime(), "s")
    return Sample([fitted.surface], [market.spot], rate[None], [date], [market.asset])
