"""`fit_sanos`: fit of a `SANOS` surface by linear programming, with a kernel width chosen from the quotes."""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from ...calibration import CalibrationStatus, Loss
from ...calibration.losses import Targets
from ...errors import ArgumentError
from ...numerics.buckets import bucket
from ...options import black
from ...precision import require_precision
from ...quotes.surface import QuoteSurface
from ...typing import Numbers
from ..fitting import quotes_to_fit, usable_quotes
from .surface import SANOS, SanosFit

if TYPE_CHECKING:
    from scipy.sparse import sparray as Sparse

WIDTHS = (0.15, 0.25, 0.35, 0.5, 0.65)
"""Default widths to try: the kernel's variance over that at the money. The authors chose 0.25."""

_SIDE = 56  # nodes on either side of the forward, evenly spaced in asinh(k / first expiry's deviation)
_BEYOND = 2.0  # how far nodes reach past the quotes, in standard deviations of the last expiry
_FOLD = 3  # one of so many strikes is held out when widths are compared
_STATUS = {0: CalibrationStatus.converged, 1: CalibrationStatus.max_steps}


class Program(NamedTuple):
    """Q quotes of the T expiries that have quotes, as rows of a linear program."""

    row: np.ndarray  # (Q,) expiry of each quote
    k: np.ndarray  # (Q,) log-forward moneyness
    targets: Targets  # (Q,)
    variance: np.ndarray  # (T,) at the money, made nondecreasing
    nodes: np.ndarray  # (N,)


class Laws(NamedTuple):
    """Solution of a linear program: the probabilities of each expiry's distribution."""

    weights: np.ndarray  # (T, N)
    status: int
    steps: int


def fit_sanos(
    surface: QuoteSurface,
    loss: Loss | None = None,
    *,
    widths: ArrayLike | tuple[float, ...] = WIDTHS,
    mask: ArrayLike | None = None,
) -> SANOS:
    """Fit a `SANOS` surface: minimise the mean absolute error under no-arbitrage conditions.

    Each width of the kernel is tried on two strikes of three, and the width that prices the other strikes
    best is fitted to all. The result cannot be differentiated in the quotes.

    Args:
        surface: Quotes of one underlying at one time.
        loss: Loss whose scale, weights and `inside` are used, with absolute instead of square errors;
            `Loss()` if None. It must not be robust.
        widths: Kernel's variance over that at the money, in (0, 1); a single width is used without
            comparison.
        mask: True for quotes to fit, shape (2, T, K); the surface's `train` if None.

    Returns:
        The surface, with its `fit` and `certificate`. If the linear program fails, the surface is nan and the
        status gives the reason.

    Raises:
        ArgumentError: an argument is not valid.
    """
    require_precision("float64")
    loss = Loss() if loss is None else loss
    width_grid = _check_widths(surface, loss, widths)
    quotes = jax.tree.map(np.asarray, usable_quotes(loss, surface, quotes_to_fit(surface, mask)))
    if not quotes.sufficient:
        return _nan_surface(surface, width_grid, CalibrationStatus.bad_quotes)
    known = np.any(quotes.used, axis=(0, 2))
    program = _program(loss, quotes.surface, quotes.used, known)
    held_out = np.full(width_grid.size, np.nan)
    steps = 0
    if width_grid.size > 1:
        held_out, steps = _compare_widths(program, width_grid)
    width = float(width_grid[np.argmin(np.nan_to_num(held_out, nan=np.inf))])
    laws = _solve(program, width)
    if laws.status != CalibrationStatus.converged:
        return _nan_surface(surface, width_grid, laws.status)
    error = _mean_error(program, laws.weights, width)
    fit = SanosFit(
        status=laws.status, loss=error, steps=steps + laws.steps, widths=width_grid, held_out=held_out
    )
    return _surface(surface, program, known, laws=laws.weights, fit=fit, width=width)


def _check_widths(
    surface: QuoteSurface, loss: Loss, widths: ArrayLike | tuple[float, ...]
) -> Float[np.ndarray, " W"]:
    """Check all arguments and return the widths to try."""
    width_grid = np.atleast_1d(np.asarray(widths, float))
    if np.ndim(surface.t) != 1:
        raise ArgumentError("fit_sanos fits one surface, got a stack; call it for each surface.")
    if loss.robust != "none":
        raise ArgumentError(
            f"SANOS minimises absolute errors, which are robust already; got Loss(robust={loss.robust!r}), "
            "pass a loss without robust."
        )
    if loss.weight == "log_price":
        raise ArgumentError(
            "SANOS is a linear program in prices, and Loss('log_price') is not linear in them; pass "
            "Loss('relative'), which agrees with it for small errors."
        )
    if width_grid.ndim != 1 or not np.all((width_grid > 0.0) & (width_grid < 1.0)):
        raise ArgumentError(f"widths must be one or more numbers in (0, 1), got {width_grid}.")
    return width_grid


def _surface(
    surface: QuoteSurface,
    program: Program,
    known: Bool[np.ndarray, " T"],
    laws: Float[np.ndarray, "t N"],
    fit: SanosFit,
    width: float,
) -> SANOS:
    """Build the surface from the distributions of the expiries with quotes; the other expiries are nan."""
    weights = np.full((known.size, program.nodes.size), np.nan)
    variance = np.full(known.size, np.nan)
    weights[known] = laws
    variance[known] = width * program.variance
    return SANOS(
        expiries=np.asarray(surface.t),
        nodes=program.nodes,
        weights=weights,
        variance=variance,
        width=width,
        fit=fit,
    )


def _nan_surface(surface: QuoteSurface, widths: np.ndarray, status: int) -> SANOS:
    """Build a surface of nan, with the status that gives the reason."""
    t = np.asarray(surface.t)
    fit = SanosFit(
        status=int(status), loss=np.nan, steps=0, widths=widths, held_out=np.full(widths.size, np.nan)
    )
    return SANOS(
        expiries=t,
        nodes=np.ones(1),
        weights=np.full((t.size, 1), np.nan),
        variance=np.full(t.size, np.nan),
        width=np.nan,
        fit=fit,
    )


def _program(
    loss: Loss, surface: QuoteSurface, used: Bool[Numbers, "2 T K"], known: Bool[Numbers, " T"]
) -> Program:
    """Collect the quotes as rows, and place nodes that reach past them."""
    targets = loss.targets(surface, used)
    where = np.nonzero(used)
    k = np.asarray(surface.k)[where[1:]]
    stdev = np.maximum.accumulate(np.asarray(surface.stdev)[known])
    unit = stdev[0]
    farthest = np.max(np.abs(k)) + _BEYOND * stdev[-1]
    nodes = np.exp(unit * np.sinh(np.arcsinh(farthest / unit) * np.linspace(-1.0, 1.0, 2 * _SIDE + 1)))
    return Program(
        row=(np.cumsum(known) - 1)[where[1]],
        k=k,
        targets=Targets._make(np.asarray(x)[where] for x in targets),
        variance=stdev**2,
        nodes=nodes,
    )


def _prices(program: Program, width: float) -> np.ndarray:
    """Price the out-of-the-money option of each quote under each single node, (Q, N)."""
    s = np.sqrt(width * program.variance)[program.row]
    count = s.size
    # padded to few shapes, so that there are few compilations
    k, s = (np.resize(x, bucket(count))[:, None] for x in (program.k, s))
    return program.nodes * np.asarray(black.price(k - np.log(program.nodes), s, k >= 0.0))[:count]


def _mean_error(
    program: Program, weights: np.ndarray, width: float, pick: slice | np.ndarray = slice(None)
) -> float:
    """Compute the weighted mean of the absolute scaled errors of the quotes in `pick`."""
    price = np.sum(_prices(program, width) * weights[program.row], axis=1)
    target = program.targets
    outside = np.maximum(price - target.high, 0.0) + np.maximum(target.low - price, 0.0)
    share = np.asarray(target.share)[pick]
    return float(np.sum(share * (outside / target.scale)[pick]) / np.sum(share))


def _compare_widths(program: Program, widths: np.ndarray) -> tuple[np.ndarray, int]:
    """Compute the loss of each width over strikes held out from its program, and the iterations needed."""
    is_held_out = _held_out_quotes(program)
    is_training = ~is_held_out
    if not np.any(is_held_out):
        return np.zeros(widths.size), 0
    training = program._replace(
        row=program.row[is_training],
        k=program.k[is_training],
        targets=Targets._make(np.asarray(x)[is_training] for x in program.targets),
    )
    laws = [_solve(training, float(width)) for width in widths]
    errors = [
        _mean_error(program, law.weights, float(width), is_held_out)
        if law.status == CalibrationStatus.converged
        else np.inf
        for law, width in zip(laws, widths, strict=True)
    ]
    return np.array(errors), sum(law.steps for law in laws)


def _held_out_quotes(program: Program) -> Bool[np.ndarray, " Q"]:
    """Flag the quotes at every third strike of each expiry, except the outermost strikes, (Q,)."""
    is_held_out = np.zeros(program.row.size, bool)
    for i in range(program.variance.size):
        of_expiry = np.flatnonzero(program.row == i)
        strikes, place = np.unique(program.k[of_expiry], return_inverse=True)
        # prices beyond the other strikes depend on the nodes, not on the kernel's width
        is_held_out[of_expiry] = (place % _FOLD == _FOLD // 2) & (place < strikes.size - 1)
    return is_held_out


def _solve(program: Program, width: float) -> Laws:
    """Find the distributions that price the quotes best at one width.

    The unknowns are the probabilities (T, N), then for each quote a price within its interval, and by how
    much the model is above or below that price.
    """
    from scipy import sparse
    from scipy.optimize import linprog

    target = program.targets
    expiries = program.variance.size
    quotes = program.k.size
    count = program.nodes.size
    laws = expiries * count
    order: Any = _convex_order(expiries, program.nodes)
    share = target.share / np.sum(target.share)
    slack = np.tile([0.0, np.inf], (2 * quotes, 1))
    interval = np.stack([target.low, target.high], axis=1)
    solution: Any = linprog(
        np.concatenate([np.zeros(laws + quotes), share, share]),
        A_ub=sparse.hstack([order, sparse.csr_array((order.shape[0], 3 * quotes))]) if expiries > 1 else None,
        b_ub=np.zeros(order.shape[0]) if expiries > 1 else None,
        A_eq=_equalities(program, width),
        b_eq=np.concatenate([np.zeros(quotes), np.ones(2 * expiries)]),
        bounds=np.concatenate([np.tile([0.0, 1.0], (laws, 1)), interval, slack]),
        method="highs-ds",
    )
    status = _STATUS.get(solution.status, CalibrationStatus.stalled)
    if solution.x is None:
        weights = np.full((expiries, count), np.nan)
        return Laws(weights=weights, status=int(CalibrationStatus.stalled), steps=0)
    weights = _restore_order(solution.x[:laws].reshape(expiries, count), program.nodes)
    return Laws(weights=weights, status=int(status), steps=solution.nit)


def _convex_order(expiries: int, nodes: np.ndarray) -> "Sparse":
    """Subtract calls of each next expiry from those of the expiry, at inner nodes; none may be positive."""
    from scipy import sparse

    calls = np.maximum(nodes - nodes[:, None], 0.0)[1:-1]
    before = sparse.eye_array(expiries - 1, expiries) - sparse.eye_array(expiries - 1, expiries, k=1)
    order: Any = sparse.kron(before, calls)
    return order


def _equalities(program: Program, width: float) -> "Sparse":
    """Build the equality constraints of the linear program.

    There is one row per quote, model = price + above - below in units of its scale, with right-hand side 0,
    and then one row each for the mass and mean of every distribution, with right-hand side 1.
    """
    from scipy import sparse

    nodes = program.nodes
    expiries = program.variance.size
    quotes = program.k.size
    count = nodes.size
    column = program.row[:, None] * count + np.arange(count)
    prices = sparse.csr_array(
        (_prices(program, width).ravel(), column.ravel(), count * np.arange(quotes + 1)),
        shape=(quotes, expiries * count),
    )
    scale = sparse.diags_array(1.0 / program.targets.scale)
    identity = sparse.eye_array(quotes)
    errors = sparse.hstack([scale @ prices, -scale, -identity, identity])
    moments = sparse.kron(sparse.eye_array(expiries), np.stack([np.ones(count), nodes]))
    empty = sparse.csr_array((2 * expiries, 3 * quotes))
    rows: Any = sparse.vstack([errors, sparse.hstack([moments, empty])])
    return rows


def _restore_order(weights: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Remove violations within the solver's tolerance (1e-7): restore mean 1 and increasing convex order.

    Call prices at the nodes, as a function of the strike, remain convex under a maximum with those of earlier
    expiries and with intrinsic value; differences of their slopes are the probabilities.
    """
    weights = np.maximum(weights, 0.0)
    weights = weights / np.sum(weights, axis=1, keepdims=True)
    excess = np.maximum(weights @ nodes - 1.0, 0.0)[:, None]
    calls = weights @ np.maximum(nodes[:, None] - nodes, 0.0) - excess
    calls = np.maximum.accumulate(np.maximum(calls, np.maximum(1.0 - nodes, 0.0)), axis=0)
    slopes = np.diff(calls, axis=1) / np.diff(nodes)
    edge = np.ones((len(weights), 1))
    return np.maximum(np.diff(np.concatenate([-edge, slopes, 0.0 * edge], axis=1), axis=1), 0.0)
