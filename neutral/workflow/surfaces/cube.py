"""Builds a cube of volatilities: evaluates the surfaces of markets on one grid, and lists all markets."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from ...errors import ArgumentError
from ...ml import CubeGrid, Sample, VolCube, carry_rates, sample_cube, summarise_cube, synthetic_history
from ...surfaces import TimeChangedSurface
from ..calibrate.rows import QUOTE_COLUMNS
from ..inputs.markets import Market, noted
from .cube_files import beside, identity, split_cube
from .earlier import EarlierRows
from .fit import MarketSurface, fit_markets

SYNTHETIC = "SYN"
LONGEST_AXIS = 10_000  # values
SHOWN_REASONS = 5  # number of reasons in the summary
UNDATED = np.datetime64("NaT", "s")


class Entry(NamedTuple):
    """A market with its part of a cube."""

    row: dict[str, Any]
    cube: VolCube | None  # of one date; None if the market has no surface
    market: Market
    failed: bool = False  # whether a fit was attempted and did not converge


class CubeBuild(NamedTuple):
    """A cube, and the rows of all markets."""

    cube: VolCube
    rows: pd.DataFrame  # `position` is the index in the cube, <NA> if the market has no surface
    complete: bool = True  # whether every attempted fit converged
    chains: pd.DataFrame | None = None  # the quotes that the surfaces were fitted to, if they were asked for
    unreadable: int = 0  # number of files that could not be read

    @property
    def usable(self) -> bool:
        """Whether every file could be read, every attempted fit converged, and there is a surface."""
        return self.complete and not self.unreadable and len(self.cube) > 0


class EarlierCube(EarlierRows):
    """The parts of a cube that an earlier run with the same settings and grid has stored."""

    def __init__(self, path: Path, labels: Mapping[str, str] | None):
        """Read the rows beside a cube, and the cube; see `EarlierRows`."""
        same = None if labels is None or not path.is_file() else {**labels, **identity(path)}
        super().__init__(beside(path, "rows.parquet"), same)
        self._cube = VolCube.load(path) if len(self) else None

    def entry(self, market: Market) -> Entry | None:
        """Return the stored part of a market; None if there is none."""
        row = self.row(market)
        if row is None or self._cube is None or pd.isna(row["position"]):
            return None
        position = int(row.pop("position"))
        return Entry(row, self._cube[position], market) if position < len(self._cube) else None


def build_cube(markets: Iterable[Market], grid: CubeGrid | None = None, **options: Any) -> CubeBuild:
    """Fit surfaces to markets, and evaluate them on a grid.

    Args:
        markets: As `read_markets` yields them.
        grid: As for `sample_cube`; None takes the default of `CubeGrid`.
        options: As for `fit_markets`.

    Returns:
        The cube, sorted by underlying and time, and a row for each market in the same order. The row of a
        market without a surface states why it has none.
    """
    chosen = grid or CubeGrid()
    return join_entries(list(cube_entries(markets, chosen, **options)), chosen)


def cube_entries(
    markets: Iterable[Market], grid: CubeGrid, earlier: EarlierCube | None = None, **options: Any
) -> Iterator[Entry]:
    """Fit surfaces to markets, and evaluate each on a grid.

    Args:
        markets: As `read_markets` yields them.
        grid: The grid.
        earlier: Parts that an earlier run has stored, which are not fitted again.
        options: As for `fit_markets`.

    Returns:
        An entry for each market, in any order.
    """
    stored: list[Entry] = []

    def others() -> Iterator[Market]:
        for market in markets:
            entry = earlier.entry(market) if earlier else None
            if entry is None:
                yield market
            else:
                stored.append(entry)

    for result in fit_markets(others(), **options):
        while stored:
            yield stored.pop()
        sample = _sample(result, grid)
        part = None if sample is None else sample_cube([sample], grid)
        yield Entry(result.row, part, result.market, result.failed)
    yield from stored


def join_entries(entries: Sequence[Entry], grid: CubeGrid, chains: bool = False) -> CubeBuild:
    """Make a cube of entries, sorted by underlying and time.

    Args:
        entries: As `cube_entries` yields them.
        grid: The grid on which they were evaluated.
        chains: Whether the quotes are collected as well.
    """
    ordered = sorted(entries, key=lambda entry: _place(entry.row))
    frame = pd.DataFrame([entry.row for entry in ordered])
    frame.insert(0, "position", _positions([entry.cube is not None for entry in ordered]))
    return CubeBuild(
        cube=_joined([entry.cube for entry in ordered if entry.cube is not None], grid),
        rows=frame,
        complete=not any(entry.failed for entry in ordered),
        chains=_chains(ordered) if chains else None,
        unreadable=sum(not entry.market.readable for entry in ordered),
    )


def _joined(cubes: Sequence[VolCube], grid: CubeGrid) -> VolCube:
    """Join cubes on one grid along their dates."""
    if not cubes:
        return sample_cube([], grid)
    return VolCube(
        values=np.concatenate([cube.values for cube in cubes]),
        dates=np.concatenate([cube.dates for cube in cubes]),
        assets=np.concatenate([cube.assets for cube in cubes]),
        grid=grid,
    )


def _chains(entries: Sequence[Entry]) -> pd.DataFrame:
    """Return the cleaned quotes of the markets that have a surface, with their position in the cube."""
    frames = []
    for position, entry in enumerate(entry for entry in entries if entry.cube is not None):
        market = entry.market
        assert market.frame is not None  # a surface was fitted to it
        front = {"position": position, "snapshot_ts": market.timestamp, "currency": market.underlying}
        columns = [name for name in QUOTE_COLUMNS if name in market.frame and name not in front]
        frames.append(market.frame[columns].assign(**front)[[*front, *columns]])
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["position"])


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


def described(built: CubeBuild, test_from: str | None = None) -> str:
    """Describe the contents of the cube, what was refused and why, the certificates, and both static tests.

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
    free = int(rows.loc[in_cube, "free"].sum()) if in_cube.any() else 0
    lines = [f"{int(in_cube.sum())} surfaces of {len(rows)} ({shape}), {free} certified free"]
    if not in_cube.all():
        reasons = Counter(rows.loc[~in_cube, "message"])
        lines += [f"{count} x {reason}" for reason, count in reasons.most_common(SHOWN_REASONS)]
    if "findings" in rows:
        found = rows[rows["findings"].fillna("") != ""]
        lines += noted([(f"{row.currency} {row.snapshot_ts}", row.findings) for row in found.itertuples()])
    if test_from is None:
        return "\n".join([*lines, str(summarise_cube(cube))])
    parts = split_cube(cube, test_from)
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
