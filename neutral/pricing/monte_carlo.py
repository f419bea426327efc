"""Monte Carlo: paths of a scheme on a grid of times, and prices of options with their standard errors."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ArgumentError
from ..models.paths.base import AbstractScheme
from ..numerics.normal import as_float64
from ..options.terms import as_numbers
from ..typing import Real


class Estimate(NamedTuple):
    """Means over paths and their standard errors, in the unit of the prices."""

    price: Real
    standard_error: Real


def time_grid(stops: Any, steps: int = 64) -> np.ndarray:
    """Times from 0 through given ones, steps of equal length in sqrt(t): fine where smiles move fast.

    Args:
        stops: Years, > 0, in any order: maturities of options, and expiries where a surface has a kink.
        steps: About how many there are up to the last stop.

    Returns:
        Ascending, 0 first, every stop among them.
    """
    ends = np.unique(np.append(0.0, np.ravel(as_numbers("stops", stops))))
    if ends.size < 2 or ends[0] < 0.0 or not np.all(np.isfinite(ends)) or steps < 1:
        raise ArgumentError(f"time_grid takes times above 0 and at least one step, got {stops!r}, {steps!r}.")
    root = np.sqrt(ends)
    counts = np.maximum(np.ceil(steps * np.diff(root) / root[-1]), 1).astype(int)
    pieces = [
        np.linspace(a, b, n, endpoint=False) for a, b, n in zip(root[:-1], root[1:], counts, strict=True)
    ]
    grid = np.append(np.concatenate(pieces) ** 2, ends[-1])
    grid[np.append(np.cumsum(counts) - counts, grid.size - 1)] = ends  # to the last digit
    return grid


def monte_carlo(
    scheme: AbstractScheme,
    k: Any,
    t: Any,
    key: Any,
    *,
    kind: Any = "call",
    grid: Any = None,
    paths: int = 2**16,
    chunk: int = 2**13,
    antithetic: bool = True,
) -> Estimate:
    """Normalised prices of calls or puts from simulated paths.

    Args:
        scheme: The process, such as `surface.local_volatility()`.
        k: Log-forward moneyness log(K / F), any shape.
        t: Maturities in years, broadcast; numbers, not traced, since they are points of the grid.
        key: `jax.random.key`.
        kind: "call" or "put", or booleans (True = call), broadcast.
        grid: Times of the steps, 0 first, with every t in it; `time_grid(t)` where None.
        paths: Rounded up to whole chunks.
        chunk: Paths simulated together; it bounds the memory.
        antithetic: Whether every path has a mirror image; a pair then counts as one observation.

    Returns:
        Price over (discount x forward) and standard error, broadcast shape. The bias of the time steps is not
        in the error: halve them to see it. Differentiable in the scheme's parameters, path by path.

    Raises:
        ArgumentError: a maturity is not on the grid, or an argument is out of its domain.
    """
    is_call = kind == "call" if isinstance(kind, str) else kind
    if isinstance(kind, str) and kind not in ("call", "put"):
        raise ArgumentError(f"kind must be 'call' or 'put' or booleans (True = call), got {kind!r}.")
    if chunk < 2 or chunk % 2 or paths < 2:
        raise ArgumentError(f"chunk must be even and paths at least 2, got {chunk} and {paths}.")
    t = as_numbers("t", t)
    grid = time_grid(t) if grid is None else np.asarray(as_numbers("grid", grid))
    place = np.searchsorted(grid, t)
    if grid[0] != 0.0 or np.any(np.diff(grid) <= 0.0) or np.any(grid[np.minimum(place, grid.size - 1)] != t):
        raise ArgumentError(
            "grid must ascend from 0 and hold every maturity; time_grid(stops) makes such a one."
        )
    k, place, is_call = jnp.broadcast_arrays(*as_float64(k), jnp.asarray(place), jnp.asarray(is_call))
    options = (jnp.ravel(k), jnp.ravel(place), jnp.ravel(is_call))
    keys = jax.random.split(key, -(-paths // chunk))
    price, error = _estimate(scheme, options, jnp.asarray(grid), keys, chunk, antithetic)
    return Estimate(jnp.reshape(price, k.shape), jnp.reshape(error, k.shape))


@eqx.filter_jit
def _estimate(
    scheme: AbstractScheme, options: Any, grid: Real, keys: Any, chunk: int, antithetic: bool
) -> tuple[Real, Real]:
    """Means and standard errors, (options,), over chunks with one key each."""
    k, place, is_call = options
    sign, strike = jnp.where(is_call, 1.0, -1.0)[:, None], jnp.exp(k)[:, None]

    def sums(key: Any) -> tuple[Real, Real]:
        x = _paths(scheme, grid, key, chunk, antithetic)[place]
        payoff = jnp.maximum(sign * (jnp.exp(x) - strike), 0.0)
        if antithetic:
            payoff = jnp.mean(jnp.reshape(payoff, (k.size, 2, -1)), axis=1)
        mean = jnp.mean(payoff, axis=1)
        return mean, jnp.sum((payoff - mean[:, None]) ** 2, axis=1)

    means, squares = jax.lax.map(sums, keys)
    each = chunk // 2 if antithetic else chunk
    price = jnp.mean(means, axis=0)
    square = jnp.sum(squares, axis=0) + each * jnp.sum((means - price[None]) ** 2, axis=0)
    count = each * means.shape[0]
    return price, jnp.sqrt(square / (count * (count - 1.0)))


def _paths(scheme: AbstractScheme, grid: Real, key: Any, count: int, antithetic: bool) -> Real:
    """log(F_t / F_0) of some paths at all times of the grid, (times, paths)."""

    def step(state: Any, now: tuple[Real, Real, Any]) -> tuple[Any, Real]:
        t, dt, key = now
        z = jax.random.normal(key, (count // 2 if antithetic else count, scheme.normals), float)
        state = scheme.step(state, t, dt, jnp.concatenate([z, -z]) if antithetic else z)
        return state, scheme.log_forward(state)

    keys = jax.random.split(key, grid.size)
    u = jax.random.uniform(keys[0], (count // 2 if antithetic else count,), float)
    start = scheme.start(jnp.concatenate([u, 1.0 - u]) if antithetic else u)
    _, x = jax.lax.scan(step, start, (grid[:-1], jnp.diff(grid), keys[1:]))
    return jnp.concatenate([scheme.log_forward(start)[None], x])
