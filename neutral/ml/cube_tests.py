"""Static no-arbitrage tests of a vol cube's call prices: at fixed strikes, and at equal forward moneyness.

Calls of two maturities are often compared at one strike. That test misses arbitrage where forwards rise, and
reports arbitrage where there is none as soon as dividends or negative rates make forwards fall. The correct
test compares normalised prices at equal forward moneyness, for which the grid need not be aligned (Cousot
2007).
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool

from ..options import black
from ..options.arbitrage import violations
from .vol_cube import VolCube

TOLERANCE = 1e-8  # size that a violation must exceed, in units of the spot or of the forward


@dataclasses.dataclass(frozen=True)
class Tested:
    """The result of one test of a cube of N dates."""

    name: str
    counts: dict[str, np.ndarray]  # number of violations of each date, by kind, (N,)
    first: str  # details of the first violation; "" where there is none
    dates: int  # N

    @property
    def violating(self) -> Bool[np.ndarray, " N"]:
        """Whether each date has a violation, (N,)."""
        return np.sum([np.zeros(self.dates, int), *self.counts.values()], axis=0) > 0

    def __str__(self) -> str:
        """Numbers of clean and violating dates, totals by kind, and the first violation."""
        bad = self.violating
        totals = ", ".join(f"{name} {int(np.sum(count))}" for name, count in self.counts.items())
        head = f"{self.name}: {int(np.sum(~bad))} clean, {int(np.sum(bad))} violating; {totals}"
        return f"{head}; first: {self.first}" if self.first else head


@dataclasses.dataclass(frozen=True)
class CubeSummary:
    """The results of both tests of a cube."""

    total: int  # number of dates
    incomplete: int  # number of dates with a volatility that is nan, which are left out of both tests
    fixed_strike: Tested
    forward_moneyness: Tested

    def __str__(self) -> str:
        """One line about the cube and one about each test."""
        without = f", {self.incomplete} of them without some volatility" * bool(self.incomplete)
        return f"{self.total} surfaces{without}\n{self.forward_moneyness}\n{self.fixed_strike}"


def summarise_cube(cube: VolCube, tolerance: float = TOLERANCE) -> CubeSummary:
    """Count violations of static no-arbitrage on the grid of a cube by both tests.

    Args:
        cube: The cube.
        tolerance: Size that a violation must exceed to count, in units of the spot at fixed strikes, of the
            forward at equal forward moneyness.

    Returns:
        The results of both tests.
    """
    whole = np.all(np.isfinite(cube.channel("iv")), axis=(1, 2))
    return CubeSummary(
        total=len(cube),
        incomplete=int(np.sum(~whole)),
        fixed_strike=_tested("at fixed strikes", fixed_strike, cube, whole, tolerance),
        forward_moneyness=_tested("at equal forward moneyness", forward_moneyness, cube, whole, tolerance),
    )


def fixed_strike(cube: VolCube, i: int) -> dict[str, np.ndarray]:
    """Sizes of the violations of one date, where calls of two maturities are compared at one strike.

    The discount factor is exp(-rate ttm), as if the carry were interest alone.

    Args:
        cube: The cube.
        i: Position of the date.

    Returns:
        For each kind of violation, sizes in units of the spot, positive where violated, in an array of
        maturities x strikes, or of differences along one of them.
    """
    t = cube.channel("ttm")[i]
    rate = cube.channel("rate")[i]
    x = cube.channel("strike")[i] / cube.channel("spot")[i]
    k = cube.log_moneyness[i]
    # these normalised prices are in units of the spot, because D F = S with this discount factor
    call = np.asarray(black.price(k, cube.channel("iv")[i] * np.sqrt(t)))
    left = np.diff(x)[:, :-1]
    right = np.diff(x)[:, 1:]
    chord = (right * call[:, :-2] + left * call[:, 2:]) / (left + right)
    return {
        "lower bound": np.maximum(1.0 - x * np.exp(-rate * t), 0.0) - call,
        "upper bound": call - 1.0,
        "strike": np.diff(call, axis=1),
        "butterfly": call[:, 1:-1] - chord,
        "maturity": -np.diff(call, axis=0),
    }


def forward_moneyness(cube: VolCube, i: int) -> dict[str, np.ndarray]:
    """Sizes of the violations of one date, where normalised calls are compared at equal forward moneyness.

    Args:
        cube: The cube.
        i: Position of the date.

    Returns:
        For each kind of violation, sizes in units of the forward, positive where violated.
    """
    k = cube.log_moneyness[i]
    call = np.asarray(black.price(k, cube.channel("iv")[i] * np.sqrt(cube.channel("ttm")[i])))
    return violations(k, call)._asdict()


def _tested(
    name: str,
    test: Callable[[VolCube, int], dict[str, np.ndarray]],
    cube: VolCube,
    whole: Bool[np.ndarray, " N"],
    tolerance: float,
) -> Tested:
    """The result of one test of the dates on which no volatility is nan."""
    counts: dict[str, np.ndarray] = {}
    first = ""
    for i in map(int, np.flatnonzero(whole)):
        for kind, sizes in test(cube, i).items():
            bad = sizes > tolerance
            counts.setdefault(kind, np.zeros(len(cube), int))[i] = np.sum(bad)
            if bad.any() and not first:
                first = _details(cube, i, kind, sizes, bad)
    return Tested(name=name, counts=counts, first=first, dates=len(cube))


def _details(cube: VolCube, i: int, kind: str, sizes: np.ndarray, bad: np.ndarray) -> str:
    """Description of the first violation of date i: its date, kind, place and size."""
    row, column = (int(n) for n in np.argwhere(bad)[0])
    # a difference between two maturities is reported at the later, one between two strikes at the higher
    row += len(cube.grid.days) - sizes.shape[0]
    column += (len(cube.grid.moneyness) - sizes.shape[1] + 1) // 2
    where = f"{cube.grid.days[row]:g} days, strike {cube.grid.moneyness[column]:g} of spot"
    return f"{cube.assets[i]} {cube.dates[i]} (number {i}), {kind} at {where}, {sizes[bad][0]:.2e}"
