"""Market strangles: put and call are priced at one volatility, and have to cost as much on the smile.

They are those of Reiswich and Wystup (2010), and of Clark (2011), "Foreign exchange option pricing",
chapter 3.
"""

import dataclasses
import math

import numpy as np

from ...errors import ArgumentError
from .points import WingQuotes

STEPS = 60
TOLERANCE = 1e-13  # of the volatility by which a strangle is missed
DIFFERENCE = 1e-6  # of the volatility at the money, for derivatives
SHORTENED = 0.25 ** np.arange(8)  # shares of a Newton step that are tried at once
RISE = 2.0
"""How far a smile's wings may be above the brokers' volatilities, as a ratio. There are solutions several
times above them, whose smile falls steeply to the volatility at the money; no market looks like that."""
STARTS = 256  # starting points that are spread over butterflies, where the quotes are none
LARGEST = 100.0  # standard deviation at which an option costs all it can
SHARES = (0.9, 0.75, 0.5, 0.25, 0.0)  # of the strangles, which a message may propose


def butterflies_of_strangles(quotes: WingQuotes, strangles: np.ndarray) -> np.ndarray:
    """Return the butterflies b with which the smile prices market strangles as quoted.

    Newton's steps start from the quotes; where they fail, from points spread over all b that give
    volatilities up to twice those of the brokers. Of several solutions the nearest to the quotes is returned,
    if possible one whose strikes are in the order of their deltas.

    Args:
        quotes: Volatility at the money and risk reversals.
        strangles: The quotes of the market strangles, decimal, shape (n,).

    Returns:
        Shape (n,).

    Raises:
        ArgumentError: A volatility atm + quote is not between 0 and 10, a delta has no strike at it, or no
            smile reproduces the strangles.
        PrecisionError: Double precision is off.
    """
    problem = _Strangles.quoted(quotes, strangles)
    found = _solution(problem)
    if found is None:
        quotes.strikes(quotes.vols(strangles))  # raises where the quotes alone give impossible volatilities
        raise ArgumentError(_no_smile(quotes, strangles))
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class _Strangles:
    """The equations that butterflies have to meet."""

    quotes: WingQuotes
    strangles: np.ndarray  # shape (n,)
    k: np.ndarray  # log-moneyness of the brokers' puts, then calls, shape (2 n,)
    price: np.ndarray  # of the strangles at the brokers' volatility, shape (n,)
    vega: np.ndarray  # derivative of these prices in the volatility, shape (n,)

    @classmethod
    def quoted(cls, quotes: WingQuotes, strangles: np.ndarray) -> "_Strangles":
        """Price the strangles as brokers do."""
        from ...options import black

        vol = quotes.atm + np.tile(strangles, 2)
        k = np.log(quotes.strikes(vol) / quotes.forward)
        vega = quotes.root * _pairs(np.asarray(black.vega(k, vol * quotes.root)))
        price = _pairs(_prices(k[None], vol[None] * quotes.root, quotes.is_call))[0]
        return cls(quotes=quotes, strangles=strangles, k=k, price=price, vega=vega)

    def missed(self, b: np.ndarray) -> np.ndarray:
        """Return by how much volatility smiles price strangles too high, nan where there is no smile.

        Args:
            b: Butterflies, shape (smiles, n).

        Returns:
            Shape (smiles, n).
        """
        stdev = np.minimum(self.quotes.smile_vols(b, self.k), LARGEST / self.quotes.root) * self.quotes.root
        return (_pairs(_prices(self.k, stdev, self.quotes.is_call)) - self.price) / self.vega

    @property
    def lowest(self) -> np.ndarray:
        """The butterflies at which the lower volatility of each pair is 0, shape (n,)."""
        return 0.5 * np.abs(self.quotes.reversals) - self.quotes.atm

    @property
    def highest(self) -> np.ndarray:
        """The butterflies at which the mean of a pair is `RISE` times the brokers' volatility, shape (n,)."""
        return RISE * (self.quotes.atm + self.strangles) - self.quotes.atm


def _solution(problem: _Strangles) -> np.ndarray | None:
    """Return the butterflies that solve a problem, or None if the search finds none."""
    near = _newton(problem, problem.strangles[None])
    found = near if len(near) else _newton(problem, _spread(problem))
    ordered = found[problem.quotes.is_ordered(found)]
    solutions = ordered if len(ordered) else found
    return solutions[_size(solutions - problem.strangles).argmin()] if len(found) else None


def _spread(problem: _Strangles) -> np.ndarray:
    """Return starting points: zero, and a sequence that fills a box evenly (Roberts 2018), denser below."""
    n = len(problem.strangles)
    golden = 2.0
    for _ in range(50):  # the root of x^(n + 1) = x + 1
        golden = (1.0 + golden) ** (1.0 / (n + 1))
    shares = (0.5 + np.arange(1, STARTS)[:, None] * golden ** -np.arange(1.0, n + 1)) % 1.0
    inside = problem.lowest + (problem.highest - problem.lowest) * shares
    return np.concatenate([np.zeros((1, n)), inside])


def _newton(problem: _Strangles, b: np.ndarray) -> np.ndarray:
    """Return the solutions that damped Newton steps reach from starting points, shape (solutions, n).

    Args:
        problem: The equations.
        b: Starting points, shape (starts, n).
    """
    n = b.shape[1]
    solved = []
    missed = problem.missed(b)
    for _ in range(STEPS):
        exact = _size(missed) < TOLERANCE
        solved.append(b[exact])
        going = np.isfinite(missed).all(axis=-1) & ~exact
        b = b[going]
        if not len(b):
            break
        missed = missed[going]
        tried = b - SHORTENED[:, None, None] * _steps(problem, b, missed)
        missed_there = problem.missed(tried.reshape(-1, n)).reshape(tried.shape)
        size = _size(missed_there)
        best = size.argmin(axis=0)
        rows = np.arange(len(b))
        improved = size[best, rows] < _size(missed)  # where no shortened step improves, the search has ended
        b = tried[best, rows][improved]
        missed = missed_there[best, rows][improved]
    found = np.concatenate(solved)
    return found[(found <= problem.highest).all(axis=-1)]


@np.errstate(invalid="ignore")  # a step that does not exist is nan, and does not improve
def _steps(problem: _Strangles, b: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """Return full Newton steps, shape of b, with derivatives from differences."""
    count, n = b.shape
    shift = DIFFERENCE * problem.quotes.atm
    moved = (b[:, None, :] + shift * np.eye(n)).reshape(-1, n)
    change = problem.missed(moved).reshape(count, n, n) - missed[:, None, :]
    slope = np.swapaxes(change, 1, 2) / shift
    usable = np.asarray(np.isfinite(slope).all(axis=(1, 2)))
    inverse = np.linalg.pinv(np.where(usable[:, None, None], slope, 0.0))
    return np.where(usable[:, None], (inverse @ missed[..., None])[..., 0], np.nan)


def _prices(k: np.ndarray, stdev: np.ndarray, is_call: np.ndarray) -> np.ndarray:
    """Return normalised Black prices, padded to one of a few sizes, so that few are compiled."""
    from ...options import black

    every = np.broadcast_arrays(k, stdev, is_call)
    size = every[0].size
    padded = (np.resize(x, 4 ** max(2, math.ceil(math.log(max(size, 1), 4)))) for x in every)
    return np.asarray(black.price(*padded))[:size].reshape(stdev.shape)


def _pairs(values: np.ndarray) -> np.ndarray:
    """Add each put and its call, shape (..., 2 n) to (..., n)."""
    return values.reshape((*values.shape[:-1], 2, values.shape[-1] // 2)).sum(axis=-2)


def _size(values: np.ndarray) -> np.ndarray:
    """Return the largest absolute value of each row; infinite where one is missing."""
    largest = np.abs(values).max(axis=-1)
    return np.where(np.isnan(largest), np.inf, largest)


def _no_smile(quotes: WingQuotes, strangles: np.ndarray) -> str:
    """Say that there is no smile, and which parts of the quotes have one."""
    message = (
        f"No smile reproduces the market strangles {strangles.tolist()} with atm={quotes.atm:g}, "
        f"risk_reversals={quotes.reversals.tolist()} and a maturity of {quotes.maturity:g} years."
    )
    return f"{message} {'; '.join(_proposals(quotes, strangles)) or 'Correct the quotes'}."


def _proposals(quotes: WingQuotes, strangles: np.ndarray) -> list[str]:
    """Return changes of the quotes with which there is a smile, as sentences without a full stop."""
    proposals = []
    try:
        quotes.smile(strangles)
        proposals.append("If they are smile strangles, pass FxConventions(butterfly='smile')")
    except ArgumentError:
        pass
    for i, delta in enumerate(quotes.deltas if len(quotes.deltas) > 1 else ()):
        alone = dataclasses.replace(quotes, deltas=quotes.deltas[[i]], reversals=quotes.reversals[[i]])
        if _has_smile(alone, strangles[[i]]):
            proposals.append(f"the quotes of delta {delta:g} alone have a smile")
    share = next((share for share in SHARES if _has_smile(quotes, share * strangles)), None)
    if share is not None:
        proposals.append(f"strangles of {(share * strangles).tolist()}, {share:g} times these, have one")
    return proposals


def _has_smile(quotes: WingQuotes, strangles: np.ndarray) -> bool:
    """Whether Newton's steps from the quotes find a smile."""
    try:
        return len(_newton(_Strangles.quoted(quotes, strangles), strangles[None])) > 0
    except ArgumentError:
        return False
