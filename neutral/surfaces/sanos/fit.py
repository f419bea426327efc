"""`fit_sanos`: the linear program behind a `SANOS` surface, and its kernel's width from the quotes."""

from typing import Any, NamedTuple

import jax
import numpy as np

from ...calibration import CalibrationStatus, Loss
from ...calibration.losses import Targets
from ...errors import ArgumentError
from ...numerics.buckets import bucket
from ...options import black
from ...precision import require_precision
from ...quotes.surface import QuoteSurface
from ..fitting import asked_for, usable
from .surface import SANOS, SanosFit

WIDTHS = (
    0.15,
    0.25,
    0.35,
    0.5,
    0.65,
)  # kernel's variance over that at the money; 0.25 is the authors' choice
_SIDE = 56  # nodes on either side of the forward, even in asinh(k / shortest standard deviation)
_BEYOND = 2.0  # longest standard deviations that nodes reach past the quotes
_FOLD = 3  # one strike of so many is held out when widths are compared
_STATUS = {0: CalibrationStatus.converged, 1: CalibrationStatus.max_steps}


class Program(NamedTuple):
    """Quotes of the known expiries as rows: expiry, place in k, and what is asked of them."""

    row: np.ndarray  # (Q,) of the known expiries
    k: np.ndarray  # (Q,)
    targets: Targets  # (Q,)
    variance: np.ndarray  # (T,) at the money, not falling
    nodes: np.ndarray  # (N,)


class Laws(NamedTuple):
    """What a linear program found."""

    weights: np.ndarray  # (T, N)
    status: int
    steps: int


def fit_sanos(
    surface: QuoteSurface, loss: Loss | None = None, *, widths: Any = WIDTHS, mask: Any = None
) -> SANOS:
    """Fit a `SANOS` surface by linear programming: the mean absolute error under no-arbitrage conditions.

    Each width of the kernel is tried on two strikes of three; the one that prices the others best is fitted
    to all. Nodes are even in asinh(k) and reach past the quotes. Not differentiable in the quotes.

    Args:
        surface: Quotes of one underlying at one time.
        loss: Whose scale, weights and `inside` are used, of absolute instead of square errors.
        widths: Kernel's variance over that at the money, in (0, 1); a single one is taken as it is.
        mask: Quotes to fit, shape (2, T, K); the surface's `train` where None.

    Raises:
        ArgumentError: an argument is wrong; a program that fails is the status, with a surface of nan.
    """
    require_precision("float64")
    loss = Loss() if loss is None else loss
    widths = np.atleast_1d(np.asarray(widths, float))
    if np.ndim(surface.t) != 1:
        raise ArgumentError("fit_sanos fits one surface; call it for each of a stack.")
    if loss.robust != "none":
        raise ArgumentError(
            f"SANOS minimises absolute errors, which are robust already; got Loss(robust={loss.robust!r}), "
            "leave robust out."
        )
    if widths.ndim != 1 or not np.all((widths > 0.0) & (widths < 1.0)):
        raise ArgumentError(f"widths must be one or more numbers in (0, 1), got {widths}.")
    quotes = jax.tree.map(np.asarray, usable(loss, surface, asked_for(surface, mask)))
    if not quotes.fine:
        return _nothing(surface, widths, CalibrationStatus.bad_quotes)
    known = np.any(quotes.used, axis=(0, 2))
    program = _program(loss, quotes.surface, quotes.used, known)
    held_out, steps = np.full(widths.size, np.nan), 0
    if widths.size > 1:
        held_out, steps = _compared(program, widths)
    width = float(widths[np.argmin(np.nan_to_num(held_out, nan=np.inf))])
    laws = _solved(program, width)
    if laws.status != CalibrationStatus.converged:
        return _nothing(surface, widths, laws.status)
    error = _mean_error(program, laws.weights, width, slice(None))
    weights = np.full((known.size, program.nodes.size), np.nan)
    variance = np.full(known.size, np.nan)
    weights[known], variance[known] = laws.weights, width * program.variance
    fit = SanosFit(laws.status, error, steps + laws.steps, widths, held_out)
    return SANOS(np.asarray(surface.t), program.nodes, weights, variance, width, fit=fit)


def _nothing(surface: QuoteSurface, widths: np.ndarray, status: int) -> SANOS:
    t = np.asarray(surface.t)
    fit = SanosFit(int(status), np.nan, 0, widths, np.full(widths.size, np.nan))
    return SANOS(t, np.ones(1), np.full((t.size, 1), np.nan), np.full(t.size, np.nan), np.nan, fit=fit)


def _program(loss: Loss, surface: QuoteSurface, used: Any, known: np.ndarray) -> Program:
    targets = loss.targets(surface, used)
    where = np.nonzero(used)
    k = np.asarray(surface.k)[where[1:]]
    stdev = np.maximum.accumulate(np.asarray(surface.stdev)[known])
    unit, far = stdev[0], np.max(np.abs(k)) + _BEYOND * stdev[-1]
    nodes = np.exp(unit * np.sinh(np.arcsinh(far / unit) * np.linspace(-1.0, 1.0, 2 * _SIDE + 1)))
    pick: Any = [np.asarray(x)[where] for x in targets]
    return Program((np.cumsum(known) - 1)[where[1]], k, Targets(*pick), stdev**2, nodes)


def _prices(program: Program, width: float) -> np.ndarray:
    """Out-of-the-money price of each quote under each node alone, (Q, N)."""
    s = np.sqrt(width * program.variance)[program.row]
    count = s.size
    k, s = (np.resize(x, bucket(count))[:, None] for x in (program.k, s))  # few shapes, few compilations
    return program.nodes * np.asarray(black.price(k - np.log(program.nodes), s, k >= 0.0))[:count]


def _mean_error(program: Program, weights: np.ndarray, width: float, pick: Any) -> float:
    """Mean of the absolute scaled errors of some quotes."""
    price = np.sum(_prices(program, width) * weights[program.row], axis=1)
    target = program.targets
    outside = np.maximum(price - target.high, 0.0) + np.maximum(target.low - price, 0.0)
    share = target.share[pick]
    return float(np.sum(share * (outside / target.scale)[pick]) / np.sum(share))


def _compared(program: Program, widths: np.ndarray) -> tuple[np.ndarray, int]:
    """Loss of each width over strikes that its program did not see, and the iterations spent."""
    unseen = np.zeros(program.row.size, bool)
    for i in range(program.variance.size):
        here = np.flatnonzero(program.row == i)
        strikes, place = np.unique(program.k[here], return_inverse=True)
        # beyond the outermost strikes the nodes decide, not the kernel
        unseen[here] = (place % _FOLD == _FOLD // 2) & (place < strikes.size - 1)
    seen = ~unseen
    if not np.any(unseen):
        return np.zeros(widths.size), 0
    rest = program._replace(
        row=program.row[seen], k=program.k[seen], targets=Targets(*(x[seen] for x in program.targets))
    )
    laws = [_solved(rest, float(width)) for width in widths]
    errors = [
        _mean_error(program, law.weights, float(width), unseen)
        if law.status == CalibrationStatus.converged
        else np.inf
        for law, width in zip(laws, widths, strict=True)
    ]
    return np.array(errors), sum(law.steps for law in laws)


def _solved(program: Program, width: float) -> Laws:
    """The laws that price the quotes best at one width.

    Unknowns: probabilities (T, N), then of each quote the price within its interval, what the model is above
    it and below it.
    """
    from scipy import sparse
    from scipy.optimize import linprog

    nodes, target = program.nodes, program.targets
    expiries, quotes, count = program.variance.size, program.k.size, nodes.size
    column = program.row[:, None] * count + np.arange(count)
    prices = sparse.csr_array(
        (_prices(program, width).ravel(), column.ravel(), count * np.arange(quotes + 1)),
        shape=(quotes, expiries * count),
    )
    scale = sparse.diags_array(1.0 / target.scale)
    one = sparse.eye_array(quotes)
    errors = sparse.hstack([scale @ prices, -scale, -one, one])
    moments = sparse.kron(sparse.eye_array(expiries), np.stack([np.ones(count), nodes]))
    empty = sparse.csr_array((2 * expiries, 3 * quotes))
    calls = np.maximum(nodes - nodes[:, None], 0.0)[1:-1]
    before = sparse.eye_array(expiries - 1, expiries) - sparse.eye_array(expiries - 1, expiries, k=1)
    order: Any = sparse.kron(before, calls)
    share = target.share / np.sum(target.share)
    bounds = np.concatenate([
        np.tile([0.0, 1.0], (expiries * count, 1)), np.stack([target.low, target.high], axis=1),
        np.tile([0.0, np.inf], (2 * quotes, 1)),
    ])  # fmt: skip
    found: Any = linprog(
        np.concatenate([np.zeros(expiries * count + quotes), share, share]),
        A_ub=sparse.hstack([order, sparse.csr_array((order.shape[0], 3 * quotes))]) if expiries > 1 else None,
        b_ub=np.zeros(order.shape[0]) if expiries > 1 else None,
        A_eq=sparse.vstack([errors, sparse.hstack([moments, empty])]),
        b_eq=np.concatenate([np.zeros(quotes), np.ones(2 * expiries)]),
        bounds=bounds, method="highs-ds",
    )  # fmt: skip
    status = _STATUS.get(found.status, CalibrationStatus.stalled)
    if found.x is None:
        return Laws(np.full((expiries, count), np.nan), int(CalibrationStatus.stalled), 0)
    return Laws(_ordered(found.x[: expiries * count].reshape(expiries, count), nodes), int(status), found.nit)


def _ordered(weights: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """The nearest laws without the solver's tolerance (1e-7): mean 1, and increasing in convex order.

    Calls at the nodes, as a function of the strike, stay convex under a maximum with those of earlier
    expiries and with intrinsic value; their second differences are the probabilities.
    """
    weights = np.maximum(weights, 0.0)
    weights = weights / np.sum(weights, axis=1, keepdims=True)
    excess = np.maximum(weights @ nodes - 1.0, 0.0)[:, None]
    calls = weights @ np.maximum(nodes[:, None] - nodes, 0.0) - excess
    calls = np.maximum.accumulate(np.maximum(calls, np.maximum(1.0 - nodes, 0.0)), axis=0)
    slopes = np.diff(calls, axis=1) / np.diff(nodes)
    edge = np.ones((len(weights), 1))
    return np.maximum(np.diff(np.concatenate([-edge, slopes, 0.0 * edge], axis=1), axis=1), 0.0)
