"""The vol cube of files: surfaces read on one grid, and a row for each market, also for bad ones."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from ... import durable
from ...errors import ArgumentError
from ...ml import CubeGrid, Sample, VolCube, carry_rates, sample_cube, summarise_cube, synthetic_history
from ..inputs.archive import TIME
from ..inputs.markets import Market
from .fit import Fitted, fit_markets

SYNTHETIC = "SYN"
SHOWN = 5
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
    done = [(fitted.row, _sample(fitted, grid)) for fitted in fit_markets(markets, **options)]
    done.sort(key=lambda one: (one[0]["currency"], pd.isna(one[0]["snapshot_ts"]), one[0]["snapshot_ts"]))
    samples = [sample for _, sample in done if sample is not None]
    rows = pd.DataFrame([row for row, _ in done])
    there = np.array([sample is not None for _, sample in done], bool)
    rows.insert(0, "position", pd.array(np.where(there, np.cumsum(there) - 1, 0), "Int64"))
    rows.loc[~there, "position"] = pd.NA
    return CubeBuild(sample_cube(samples, grid), rows)


def synthetic_cube(days: int, seed: int = 0, grid: CubeGrid | None = None) -> CubeBuild:
    """The cube of a random history (`synthetic_history`), on weekdays from 2020 on, without carry."""
    grid = grid or CubeGrid()
    surfaces, spot = synthetic_history(jax.random.key(seed), days)
    dates = pd.bdate_range("2020-01-01", periods=days)
    assets = np.full(days, SYNTHETIC)
    rate = np.zeros((days, len(grid.days)))
    certificate = surfaces.certificate
    rows = pd.DataFrame(
        {
            "position": np.arange(days),
            "snapshot_ts": dates.tz_localize("UTC"),
            "currency": assets,
            "status": "converged",
            "spot": np.asarray(spot),
            "free": certificate.free,
            "margin": certificate.margin,
        }
    )
    return CubeBuild(sample_cube([Sample(surfaces, spot, rate, dates, assets)], grid), rows)


def cube_grid(moneyness: str, days: str) -> CubeGrid:
    """A grid from text: first:last:step, or numbers with commas.

    Raises:
        ArgumentError: it is neither.
    """
    return CubeGrid(_axis("moneyness", moneyness), _axis("days", days))


def write_cube(built: CubeBuild, path: Path) -> list[Path]:
    """Write the cube, and its rows as CSV beside it; both paths.

    Raises:
        WriteError: a file cannot be written.
    """
    rows = path.with_name(f"{path.name.removesuffix('.npz')}_rows.csv")
    with durable.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        built.cube.save(path)
    durable.write_text(rows, built.rows.to_csv(index=False, date_format=TIME))
    return [path, rows]


def described(built: CubeBuild, test_from: str | None = None) -> str:
    """What the cube holds, what was refused and why, certificates, and both static tests.

    Args:
        built: The cube.
        test_from: Date from which dates are told apart.

    Raises:
        ArgumentError: it is no date.
    """
    rows: Any = built.rows
    cube = built.cube
    there = rows[rows["position"].notna()]
    shape, free = " x ".join(map(str, cube.values.shape)), int(there["free"].sum())
    lines = [f"{len(there)} surfaces of {len(rows)} ({shape}), {free} certified free"]
    refused = rows.loc[rows["position"].isna(), "message"] if len(there) < len(rows) else []
    lines += [f"{count} x {reason}" for reason, count in Counter(refused).most_common(SHOWN)]
    if test_from is None:
        return "\n".join([*lines, str(summarise_cube(cube))])
    try:
        parts = cube.split(test_from)
    except ValueError as error:
        raise ArgumentError(f"test_from={test_from!r}: expected a date such as 2026-02-01") from error
    for name, part in zip((f"before {test_from}", f"from {test_from} on"), parts, strict=True):
        lines.append(f"{name}: {summarise_cube(part)}")
    return "\n".join(lines)


def _axis(name: str, text: str) -> tuple[float, ...]:
    try:
        if ":" not in text:
            return tuple(float(part) for part in text.split(","))
        first, last, step = (float(part) for part in text.split(":"))
        count = int((last - first) / step + 1e-9) + 1
        return tuple(round(first + step * i, 12) for i in range(count))
    except (ValueError, ZeroDivisionError) as error:
        raise ArgumentError(
            f"{name}={text!r}: expected first:last:step, or numbers with commas between"
        ) from error


def _sample(fitted: Fitted, grid: CubeGrid) -> Sample | None:
    market = fitted.market
    if fitted.surface is None or market.frame is None or not np.isfinite(fitted.row["margin"]):
        return None
    first = market.frame.drop_duplicates("maturity").sort_values("maturity")
    rate = carry_rates(first["maturity"], first["forward"], market.spot, grid.maturities)
    at = market.timestamp
    date = UNDATED if pd.isna(at) else np.datetime64(at.tz_convert(None).to_pydatetime(), "s")
    return Sample([fitted.surface], [market.spot], rate[None], [date], [market.asset])
