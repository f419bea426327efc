"""Static no-arbitrage tests of a vol cube's call prices: at fixed strikes, as is usual, and done right.

Calls of two maturities are often compared at one strike. That misses arbitrage where forwards rise and sees
it where there is none as soon as dividends or negative rates make forwards fall. Right is the comparison of
normalised prices at equal forward moneyness, for which the grid need not be aligned (Cousot 2007).
"""

import dataclasses
from typing import Any

import numpy as np

from ..options import black
from ..options.arbitrage import violations
from .vol_cube import VolCube

TOLERANCE = 1e-8  # of both tests, in units of the spot


@dataclasses.dataclass(frozen=True)
class Tested:
    """One test over a cube: violating pairs of grid points of each kind and date."""

    name: str
    counts: dict[str, np.ndarray]  # by kind, (N,)
    first: str  # details of the first violation, "" where there is none

    @property
    def violating(self) -> np.ndarray:
        """Dates with a violation, (N,)."""
        return np.sum(list(self.counts.values()), axis=0) > 0

    def __str__(self) -> str:
        """Clean and violating dates, totals by kind, the first violation."""
        bad = self.violating
        totals = ", ".join(f"{name} {int(np.sum(count))}" for name, count in self.counts.items())
        head = f"{self.name}: {int(np.sum(~bad))} clean, {int(np.sum(bad))} violating; {totals}"
        return f"{head}; first: {self.first}" if self.first else head


@dataclasses.dataclass(frozen=True)
class CubeSummary:
    """Both tests of a cube, beside one another."""

    total: int
    incomplete: int  # dates with a volatility that is nan: left out of both tests
    fixed_strike: Tested
    forward_moneyness: Tested

    def __str__(self) -> str:
        """Three lines."""
        without = f", {self.incomplete} of them without some volatility" * bool(self.incomplete)
        return f"{self.total} surfaces{without}\n{self.forward_moneyness}\n{self.fixed_strike}"


def summarise_cube(cube: VolCube, tolerance: float = TOLERANCE) -> CubeSummary:
    """Count violations of static no-arbitrage on the grid of a cube by both tests.

    Args:
        cube: The cube.
        tolerance: Size below which nothing counts, in units of the spot.
    """
    whole = np.all(np.isfinite(cube.channel("iv")), axis=(1, 2))
    tests = [_tested(name, test, cube, whole, tolerance) for name, test in TESTS.items()]
    return CubeSummary(len(cube), int(np.sum(~whole)), *tests)


def fixed_strike(cube: VolCube, i: int) -> dict[str, np.ndarray]:
    """Sizes of violations of one date, in units of the spot, of calls compared at one strike.

    The discount is exp(-rate ttm), as if the carry were interest alone.
    """
    t, rate = (cube.channel(name)[i] for name in ("ttm", "rate"))
    x = cube.channel("strike")[i] / cube.channel("spot")[i]
    k = cube.log_moneyness[i]
    call = np.asarray(black.price(k, cube.channel("iv")[i] * np.sqrt(t)))  # of spot, as D F = S then
    left, right = np.diff(x)[:, :-1], np.diff(x)[:, 1:]
    chord = (right * call[:, :-2] + left * call[:, 2:]) / (left + right)
    return {
        "lower bound": np.maximum(1.0 - x * np.exp(-rate * t), 0.0) - call,
        "upper bound": call - 1.0,
        "strike": np.diff(call, axis=1),
        "butterfly": call[:, 1:-1] - chord,
        "maturity": -np.diff(call, axis=0),
    }


def forward_moneyness(cube: VolCube, i: int) -> dict[str, np.ndarray]:
    """Sizes of violations of one date, in units of the forward, at equal forward moneyness."""
    k = cube.log_moneyness[i]
    call = np.asarray(black.price(k, cube.channel("iv")[i] * np.sqrt(cube.channel("ttm")[i])))
    return violations(k, call)._asdict()


TESTS: dict[str, Any] = {"at fixed strikes": fixed_strike, "at equal forward moneyness": forward_moneyness}


def _tested(name: str, test: Any, cube: VolCube, whole: np.ndarray, tolerance: float) -> Tested:
    counts: dict[str, np.ndarray] = {}
    first = ""
    for i in map(int, np.flatnonzero(whole)):
        for kind, sizes in test(cube, i).items():
            bad = sizes > tolerance
            counts.setdefault(kind, np.zeros(len(cube), int))[i] = np.sum(bad)
            if bad.any() and not first:
                first = _details(cube, i, kind, sizes, bad)
    return Tested(name, counts, first)


def _details(cube: VolCube, i: int, kind: str, sizes: np.ndarray, bad: np.ndarray) -> str:
    """Where the first violation of a date is, and how large."""
    row, column = (int(n) for n in np.argwhere(bad)[0])
    # differences in strike or maturity belong to the later of the two
    row += len(cube.grid.days) - sizes.shape[0]
    column += (len(cube.grid.moneyness) - sizes.shape[1] + 1) // 2
    where = f"{cube.grid.days[row]:g} days, strike {cube.grid.moneyness[column]:g} of spot"
    return f"{cube.assets[i]} {cube.dates[i]} (number {i}), {kind} at {where}, {sizes[bad][0]:.2e}"
