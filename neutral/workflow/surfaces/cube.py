"""Builds a cube of volatilities: evaluates the surfaces of markets on one grid, and lists all markets."""

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
from ...surfaces import TimeChangedSurface
from ..csv_files import write_csv
from ..inputs.markets import Market, noted
from .fit import MarketSurface, fit_markets

SYNTHETIC = "SYN"
LONGEST_AXIS = 10_000  # values
SHOWN_REASONS = 5  # number of reasons in the summary
UNDATED = np.datetime64("NaT", "s")


class CubeBuild(NamedTuple):
    """A cube, and the rows of all markets."""

    cube: VolCube
    rows: pd.DataFrame  # `position` is the index in the cube, <NA> if the market has no surface
    complete: bool = True  # whether every attempted fit converged


def build_cube(markets: Iterable[Market], grid: CubeGrid | None = None, **options: Any) -> CubeBuild:
    """Fit surfaces to markets, and evaluate them on a grid.

    Args:
        markets: As `read_markets` yields them.
        grid: As for `sample_cube`; None takes the default of `CubeGrid`.
        options: As for `fit_markets`.

    Returns:
        The cube, sorted by underlying and time, and a row for each market in the same order. The row of a
        market without a surface says why it has none.
    """
    grid = grid or CubeGrid()
    rows = []
    samples = []
    complete = True
    for result in fit_markets(markets, **options):
        rows.append(result.row)
        samples.append(_sample(result, grid))
        complete = complete and not result.failed
    order = sorted(range(len(rows)), key=lambda i: _place(rows[i]))
    ordered = [samples[i] for i in order]
    frame = pd.DataFrame([rows[i] for i in order])
    frame.insert(0, "position", _positions([sample is not None for sample in ordered]))
    return CubeBuild(sample_cube([sample for sample in ordered if sample is not None], grid), frame, complete)


def _place(row: dict[str, Any]) -> tuple[str, bool, Any]:
    """Return the sort key of a row: its underlying and time; rows without a time are last."""
    return row["currency"], bool(pd.isna(row["snapshot_ts"])), row["snapshot_ts"]


def _positions(in_cube: list[bool]) -> pd.Series:
    """Number the rows that are in the cube from 0; the others are <NA>."""
    count = pd.Series(np.cumsum(np.array(in_cube, bool)) - 1, dtype="Int64")
    return count.where(np.array(in_cube, bool), pd.NA)


def synthetic_cube(days: int, seed: int = 0, grid: CubeGrid | None = None) -> CubeBuild:
    """Build the cube of a random history (`synthetic_history`) on weekdays from 2020 on, without carry.

    Args:
        days: Number of days.
        seed: Seed of the history.
        grid: As for `sample_cube`; None takes the default of `CubeGrid`.
    """
    grid = grid or CubeGrid()
    surfaces, spot = synthetic_history(jax.random.key(seed), days)
    dates = pd.bdate_range("2020-01-01", periods=days)
    underlyings = np.full(days, SYNTHETIC)
    rate = np.zeros((days, len(grid.days)))
    certificate = surfaces.certificate
    rows = pd.DataFrame(
        {
            "position": np.arange(days),
            "snapshot_ts": dates.tz_localize("UTC"),
            "currency": underlyings,
            "status": "converged",
            "spot": np.asarray(spot),
            "free": certificate.free,
            "margin": certificate.margin,
        }
    )
    return CubeBuild(sample_cube([Sample(surfaces, spot, rate, dates, underlyings)], grid), rows)


def cube_grid(moneyness: str, days: str) -> CubeGrid:
    """Read a grid from two texts, each of the form first:last:step or numbers separated by commas.

    Args:
        moneyness: Values of strike / spot.
        days: Days to maturity.

    Raises:
        ArgumentError: A text has neither form.
    """
    return CubeGrid(_axis("moneyness", moneyness), _axis("days", days))


def write_cube(built: CubeBuild, path: Path) -> list[Path]:
    """Write the cube, and its rows as a CSV file beside it.

    Returns:
        The paths of both files.

    Raises:
        WriteError: A file cannot be written.
    """
    rows = path.with_name(f"{path.name.removesuffix('.npz')}_rows.csv")
    with durable.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        built.cube.save(path)
    write_csv(rows, built.rows)
    return [path, rows]


def described(built: CubeBuild, test_from: str | None = None) -> str:
    """Describe what the cube holds, what was refused and why, the certificates, and both static tests.

    Args:
        built: The cube.
        test_from: A date; the days before it are described separately from the others.

    Raises:
        ArgumentError: `test_from` is not a date.
    """
    cube = built.cube
    rows: Any = built.rows
    in_cube = rows["position"].notna()
    shape = " x ".join(map(str, cube.values.shape))
    free = int(rows.loc[in_cube, "free"].sum())
    lines = [f"{int(in_cube.sum())} surfaces of {len(rows)} ({shape}), {free} certified free"]
    if not in_cube.all():
        reasons = Counter(rows.loc[~in_cube, "message"])
        lines += [f"{count} x {reason}" for reason, count in reasons.most_common(SHOWN_REASONS)]
    if "findings" in rows:
        found = rows[rows["findings"].fillna("") != ""]
        lines += noted([(f"{row.currency} {row.snapshot_ts}", row.findings) for row in found.itertuples()])
    if test_from is None:
        return "\n".join([*lines, str(summarise_cube(cube))])
    try:
        parts = cube.split(test_from)
    except ValueError as error:
        raise ArgumentError(f"test_from={test_from!r}: expected a date such as 2026-02-01.") from error
    for name, part in zip((f"before {test_from}", f"from {test_from} on"), parts, strict=True):
        lines.append(f"{name}: {summarise_cube(part)}")
    return "\n".join(lines)


def _axis(name: str, text: str) -> tuple[float, ...]:
    try:
        if ":" not in text:
            return tuple(float(part) for part in text.split(","))
        first, last, step = (float(part) for part in text.split(":"))
        count = int((last - first) / step + 1e-9) + 1
        if count > LONGEST_AXIS:
            raise ArgumentError(
                f"{name}={text!r} has {count:,} values; at most {LONGEST_AXIS:,} are accepted."
            )
        return tuple(round(first + step * i, 12) for i in range(count))
    except ArgumentError:
        raise
    except (ValueError, ArithmeticError) as error:
        raise ArgumentError(
            f"{name}={text!r}: expected first:last:step, or numbers separated by commas."
        ) from error


def _sample(result: MarketSurface, grid: CubeGrid) -> Sample | None:
    """Make the sample of a market for the cube; None if it has no surface that can be evaluated."""
    market = result.market
    if result.surface is None or market.frame is None or not np.isfinite(result.row["margin"]):
        return None
    first = market.frame.drop_duplicates("maturity").sort_values("maturity")
    rate = carry_rates(first["maturity"], first["forward"], market.spot, grid.maturities)
    surface = result.surface
    if market.clock is not None:  # the grid is in calendar time
        years = float(grid.maturities.max())
        surface = TimeChangedSurface(surface, *market.clock.time_map(market.timestamp, years))
    time = market.timestamp
    date = UNDATED if pd.isna(time) else np.datetime64(time.replace(tzinfo=None), "s")
    return Sample([surface], [market.spot], rate[None], [date], [market.underlying])
