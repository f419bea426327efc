"""Monte Carlo: paths of a scheme on a grid of times, and prices of options with their standard errors."""

import reprlib
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt32
from numpy.typing import ArrayLike

from ..errors import ArgumentError
from ..models.paths.base import AbstractScheme, State
from ..numerics.buckets import call_on_row
from ..numerics.compiled import compiled
from ..options.kinds import Kind, call_flags
from ..options.terms import as_numbers
from ..precision import require_precision
from ..presentation.frame import Labels, frame_of_arrays
from ..typing import Codes, Flags, Numbers, Real

if TYPE_CHECKING:
    import pandas as pd


class Estimate(NamedTuple):
    """Normalised prices, which are means over paths, and their standard errors; both have one shape."""

    price: Real
    standard_error: Real

    def to_frame(self, index: Labels | None = None) -> "pd.DataFrame":
        """Return a table with one row per option: columns `price` and `standard_error`, normalised.

        Args:
            index: Labels of the rows, such as the index of the table of the options; positions where None.
        """
        return frame_of_arrays(self._asdict(), index)


def time_grid(stops: ArrayLike, steps: int = 64) -> np.ndarray:
    """Times from 0 to the last stop, in steps of about equal length in sqrt(t): short where smiles move fast.

    Args:
        stops: Years, > 0, in any order: maturities of options, and expiries where a surface has a kink.
        steps: Approximate number of steps up to the last stop.

    Returns:
        Ascending times, shape (n,), that begin with 0 and contain every stop.

    Raises:
        ArgumentError: a stop is not above 0, there is no stop, or `steps` is below 1.
    """
    ends = np.unique(np.append(0.0, np.ravel(as_numbers("stops", stops))))
    if ends.size < 2 or ends[0] < 0.0 or not np.all(np.isfinite(ends)) or steps < 1:
        raise ArgumentError(f"time_grid needs stops above 0 and steps >= 1, got {stops!r} and {steps!r}.")
    root = np.sqrt(ends)
    counts = np.maximum(np.ceil(steps * np.diff(root) / root[-1]), 1).astype(int)
    pieces = [
        np.linspace(a, b, n, endpoint=False) for a, b, n in zip(root[:-1], root[1:], counts, strict=True)
    ]
    grid = np.append(np.concatenate(pieces) ** 2, ends[-1])
    grid[np.append(np.cumsum(counts) - counts, grid.size - 1)] = ends  # the square of the root may differ
    return grid


def monte_carlo(
    scheme: AbstractScheme,
    k: ArrayLike,
    t: ArrayLike,
    key: Key[Array, ""] | UInt32[Numbers, "2"] | None = None,
    *,
    kind: Kind = "call",
    grid: ArrayLike | None = None,
    paths: int = 2**16,
    chunk: int = 2**13,
    antithetic: bool = True,
) -> Estimate:
    """Normalised prices of calls or puts from simulated paths.

    Args:
        scheme: The process, such as `surface.local_volatility()`.
        k: Log-forward moneyness log(K / F), any shape.
        t: Maturities in years, broadcasting against k. They must be numbers, not traced values, because they
            are points of the grid.
        key: A random key, which must be given, such as `jax.random.key(0)`.
        kind: "call", "put" or booleans (True = call), broadcasting against k.
        grid: Times of the steps in years, shape (n,), ascending from 0, with every t among them;
            `time_grid(t)` where None.
        paths: Number of paths, rounded up to whole chunks.
        chunk: Number of paths simulated together, even; it bounds the memory.
        antithetic: Whether every path has a mirror image; a pair then counts as one observation.

    Returns:
        Price over (discount x forward) and standard error, both of the broadcast shape. The standard error
        does not contain the bias of the time steps; halve the steps to estimate it. Prices are differentiable
        in the parameters of the scheme, path by path.

    Raises:
        ArgumentError: there is no random key, a maturity is not on the grid, or an argument is outside its
            domain.
        PrecisionError: double precision is off.
    """
    given = _random_key(key)
    is_call = call_flags(kind)
    if chunk < 2 or chunk % 2 or paths < 2:
        raise ArgumentError(
            f"chunk must be even and at least 2, and paths at least 2, got chunk={chunk} and paths={paths}."
        )
    years = as_numbers("t", t)
    times = time_grid(years) if grid is None else np.asarray(as_numbers("grid", grid))
    place = np.searchsorted(times, years)
    nearest = times[np.minimum(place, times.size - 1)]
    if times[0] != 0.0 or np.any(np.diff(times) <= 0.0) or np.any(nearest != years):
        raise ArgumentError(
            f"grid must ascend from 0 and contain every maturity, got {times.size} times from {times[0]:g} "
            f"to {times[-1]:g} for maturities {years.tolist()}; time_grid(t) makes such a grid."
        )
    require_precision("float64")
    numbers = as_numbers("k", k)
    keys = jax.random.split(given, -(-paths // chunk))
    on_grid = partial(_estimate, scheme, grid=jnp.asarray(times), keys=keys)
    return call_on_row(
        lambda *x: Estimate(*on_grid(options=_Options(*x), chunk=chunk, antithetic=antithetic)),
        (numbers, place, is_call),
    )


def _random_key(key: object) -> Key[Array, ""]:
    """Return one key of JAX, new or old in style.

    Raises:
        ArgumentError: it is something else; the message shows how to make one.
    """
    if isinstance(key, jax.Array | np.ndarray):
        typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
        if typed and key.shape == ():
            return cast(jax.Array, key)
        if not typed and key.dtype == np.uint32 and key.ndim == 1:
            return jax.random.wrap_key_data(jnp.asarray(key))
    raise ArgumentError(
        f"monte_carlo needs one random key, got {reprlib.repr(key)}: pass key=jax.random.key(0), with "
        "another number for other paths."
    )


class _Options(NamedTuple):
    """Options of shape (n,)."""

    k: Real
    place: Codes  # index of the maturity on the grid of times
    is_call: Flags


@compiled
def _estimate(
    scheme: AbstractScheme,
    options: _Options,
    grid: Float[Array, " times"],
    keys: Key[Array, " chunks"],
    chunk: int,
    antithetic: bool,
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Means and standard errors, (n,), over chunks with one key each."""
    k, place, is_call = options
    sign = jnp.where(is_call, 1.0, -1.0)[:, None]
    strike = jnp.exp(k)[:, None]

    def sums(key: Key[Array, ""]) -> tuple[Real, Real]:
        """Mean payoff of a chunk's observations, and the sum of squared distances from it, (n,)."""
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


def _paths(
    scheme: AbstractScheme, grid: Float[Array, " times"], key: Key[Array, ""], count: int, antithetic: bool
) -> Float[Array, "times paths"]:
    """log(F_t / F_0) of `count` paths at all times of the grid."""

    def step(state: State, now: tuple[Real, Real, Key[Array, ""]]) -> tuple[State, Real]:
        t, dt, key = now
        z = jax.random.normal(key, (count // 2 if antithetic else count, scheme.normals), float)
        state = scheme.step(state, t, dt, jnp.concatenate([z, -z]) if antithetic else z)
        return state, scheme.log_forward(state)

    keys = jax.random.split(key, grid.size)
    u = jax.random.uniform(keys[0], (count // 2 if antithetic else count,), float)
    start = scheme.start(jnp.concatenate([u, 1.0 - u]) if antithetic else u)
    _, x = jax.lax.scan(step, start, (grid[:-1], jnp.diff(grid), keys[1:]))
    return jnp.concatenate([scheme.log_forward(start)[None], x])
