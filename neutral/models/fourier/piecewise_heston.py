"""Piecewise Heston (Mikhailov and Noegel 2003; Elices 2009): parameters that change at given times."""

from typing import Any, ClassVar, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...errors import ArgumentError
from ...numerics.materialise import materialise
from ...typing import Flags, Frequencies, Real
from ..base import AbstractFourierModel, Gradient, Strip, hand_differentiated, with_leading_axes
from ..parameters import Interval, Positive, Unbounded, is_concrete, param
from ..starts import Guess, Level, ParameterValues
from .riccati import (
    Riccati,
    explosion_time_from,
    moment_strip,
    reversion_time,
    riccati_from_zero,
    riccati_slopes,
    riccati_slopes_in_q,
)

_PIECES = ("kappa", "theta", "sigma_v", "rho")


class PiecewiseHeston(AbstractFourierModel):
    """Heston with parameters constant between breakpoints (Mikhailov and Noegel 2003; Elices 2009).

    n breakpoints make n + 1 pieces: the first begins at time 0, every other one at a breakpoint, and the last
    has no end. The price of an option depends only on the pieces that begin before it expires.
    `PiecewiseHeston(breakpoints=(0.5, 1.0))`, without other numbers, is a recipe for calibration. Equation
    numbers refer to docs/mathematics.md.
    """

    given: ClassVar = ("breakpoints",)

    breakpoints: Any = param(Unbounded(), "times at which parameters change, yr, ascending, shape (n,)")
    v0: Any = param(Positive(), "spot variance, 1/yr", (0.0, 10.0), default=None)
    kappa: Any = param(
        Positive(), "mean-reversion speed of each piece, 1/yr, shape (n + 1,)", (0.0, 50.0), default=None
    )
    theta: Any = param(
        Positive(), "long-run variance of each piece, 1/yr, shape (n + 1,)", (0.0, 10.0), default=None
    )
    sigma_v: Any = param(
        Positive(), "volatility of variance of each piece, 1/yr, shape (n + 1,)", (0.0, 20.0), default=None
    )
    rho: Any = param(
        Interval(-1.0, 1.0), "correlation of forward and variance of each piece, shape (n + 1,)", default=None
    )

    @staticmethod
    def field_ndim(name: str) -> int:
        """Number of axes: 0 for v0, and 1 for every other parameter, which has one value per piece."""
        return 0 if name == "v0" else 1

    @property
    def is_recipe(self) -> bool:
        """Whether the model has breakpoints alone, so that calibration determines the other numbers."""
        return all(getattr(self, name) is None for name in ("v0", *_PIECES))

    def entries(self) -> dict[str, int]:
        """Number of entries of each parameter with an axis."""
        n = jnp.shape(self.breakpoints)[-1]
        return {"breakpoints": n} | dict.fromkeys(_PIECES, n + 1)

    def _check_joint(self) -> None:
        times = np.asarray(self.breakpoints, float)
        if is_concrete(self.breakpoints) and not np.all(np.diff(times, prepend=0.0) > 0):
            raise ArgumentError(f"PiecewiseHeston.breakpoints must ascend from above 0, got {times}.")
        if self.is_recipe:
            return
        missing = [name for name in ("v0", *_PIECES) if getattr(self, name) is None]
        if missing:
            raise ArgumentError(
                f"PiecewiseHeston lacks {', '.join(missing)}: give all parameters, or breakpoints "
                "alone, which is a recipe for calibration."
            )
        for name in _PIECES:
            if np.shape(getattr(self, name)) != (times.size + 1,):
                raise ArgumentError(
                    f"PiecewiseHeston.{name} needs one entry per piece, {times.size + 1} for {times.size} "
                    f"breakpoints, got shape {np.shape(getattr(self, name))}."
                )

    def is_admissible(self) -> Flags:
        """Whether the parameters lie in their domains and the breakpoints ascend."""
        ascending = jnp.all(jnp.diff(self.breakpoints, prepend=0.0) > 0)
        return super().is_admissible() & ascending

    @classmethod
    def typical(cls) -> Self:
        """Three pieces whose smiles flatten with time."""
        return cls(
            breakpoints=(0.25, 1.0),
            v0=0.04,
            kappa=(2.0, 1.5, 1.0),
            theta=(0.05, 0.045, 0.06),
            sigma_v=(0.8, 0.5, 0.3),
            rho=(-0.7, -0.6, -0.5),
        )

    @classmethod
    def starts(cls, level: Level) -> list[ParameterValues]:
        """Two starts with equal pieces: the usual one of Heston, and one with slow mean reversion."""
        return [Guess().values(level), Guess(kappa=1.0, sigma_v=1.5, rho=-0.7).values(level)]

    @classmethod
    def search_box(cls, level: Level) -> dict[str, tuple[Real | float, Real | float]]:
        """Every parameter is searched around its starting value."""
        return {}

    def expand(self, axes: int) -> Self:
        """See `AbstractModel.expand`; the axis of pieces stays last."""

        def field(name: str) -> Real:
            x = getattr(self, name)
            leading = jnp.ndim(x) - self.field_ndim(name)
            return jnp.reshape(x, jnp.shape(x)[:leading] + (1,) * axes + jnp.shape(x)[leading:])

        names = ("breakpoints", "v0", *_PIECES)
        return eqx.tree_at(lambda m: [getattr(m, name) for name in names], self, [field(n) for n in names])

    def _pieces(self, t: Real) -> "_Piece":
        """Parameters of the pieces and the time spent in each until t. Axes: pieces, then those of t."""
        axes = jnp.ndim(t) + 1
        times = with_leading_axes(self.breakpoints, axes)
        edge = jnp.zeros_like(times, shape=(*times.shape[:-1], 1))
        start = jnp.concatenate([edge, times], axis=-1)
        end = jnp.concatenate([times, edge + jnp.inf], axis=-1)
        time = jnp.maximum(jnp.minimum(jnp.expand_dims(t, -1), end) - start, 0.0)
        rows = {name: with_leading_axes(getattr(self, name), axes) for name in _PIECES} | {"time": time}
        return _Piece(**{name: jnp.moveaxis(x, -1, 0) for name, x in rows.items()})

    def _backwards(self, z: Frequencies, t: Real) -> tuple["_Piece", Frequencies, Frequencies, Riccati]:
        """Solve the Riccati equation backwards from the expiry, piece by piece.

        On a piece B = b + B~, where b is the value of B at the end of the piece: B~ starts at 0 and solves
        the same equation with the q~ and beta~ of (39). On a piece of length 0, B~ is 0.

        Returns:
            The pieces, B at time 0, and for each piece the value b and the Riccati solution B~.
        """
        pieces = self._pieces(t)
        shape = jnp.broadcast_shapes(z.shape, jnp.shape(pieces.time)[1:], jnp.shape(pieces.kappa)[1:])

        def step(b: Frequencies, piece: _Piece) -> tuple[Frequencies, tuple[Frequencies, Riccati]]:
            beta = piece.beta(z)
            pull = piece.sigma_v**2 * b
            # (39)
            q = z * (z + 1j) + b * (2.0 * beta - pull)
            r = riccati_from_zero(q, beta - pull, piece.sigma_v, piece.time)
            return b + r.b, (b, r)

        last = jnp.zeros(shape, z.dtype)
        first, (ends, solved) = jax.lax.scan(step, last, pieces, reverse=True)
        return pieces, first, ends, solved

    def _psi(self, pieces: "_Piece", first: Frequencies, ends: Frequencies, r: Riccati) -> Frequencies:
        """Log characteristic function (40) from the results of `_backwards`."""
        level = _beside(pieces.kappa * pieces.theta, ends)
        parts = level * (ends * _beside(pieces.time, ends) + r.integral)
        return self.v0 * first + jnp.sum(parts, axis=0)

    @hand_differentiated
    def log_cf(self, z: Frequencies, t: Real) -> Frequencies:
        """Log characteristic function (40): v0 B plus the sum of kappa theta int B over the pieces."""
        return self._psi(*self._backwards(z, t))

    def log_cf_and_gradient(self, z: Frequencies, t: Real) -> Gradient:
        """The value of log_cf with its parameter derivatives, by the adjoint (41)-(43) of the recursion."""
        pieces, first, ends, solved = materialise(self._backwards(z, t))

        def step(
            weight: Frequencies, at: tuple[_Piece, Frequencies, Riccati]
        ) -> tuple[Frequencies, tuple[Frequencies, ...]]:
            """Go from d log_cf / dB at the start of a piece (`weight`) to the same at its end."""
            piece, b, r = at
            variance = piece.sigma_v**2
            level = piece.kappa * piece.theta
            h = piece.time
            s = materialise(riccati_slopes(piece.sigma_v, r, h))
            in_q = materialise(riccati_slopes_in_q(piece.sigma_v, r, h))
            g_beta = level * s.integral[0] + weight * s.b[0]
            g_var = level * s.integral[1] + weight * s.b[1]
            g_q = level * in_q[1] + weight * in_q[0]
            # (41)
            d_beta = g_beta + 2.0 * b * g_q
            d_var = g_var - b * (g_beta + b * g_q)
            # (42), with the right side of (13) for B~'
            d_time = level * (b + r.b) + weight * (-0.5 * r.q + r.b * (0.5 * variance * r.b - r.beta))
            area = b * h + r.integral
            turn = -1j * z * d_beta
            slopes = (
                piece.theta * area + d_beta,
                piece.kappa * area,
                piece.rho * turn + 2.0 * piece.sigma_v * d_var,
                piece.sigma_v * turn,
                d_time,
            )
            # (43)
            return weight + level * h - variance * g_beta + 2.0 * r.beta * g_q, slopes

        start = self.v0 * jnp.ones_like(first)
        _, slopes = jax.lax.scan(step, start, (pieces, ends, solved))
        *by_piece, d_time = (jnp.moveaxis(x, 0, -1) for x in slopes)
        # a later breakpoint lengthens the piece before it and shortens the next, once t is past it
        times = with_leading_axes(self.breakpoints, jnp.ndim(t) + 1)
        reached = jnp.expand_dims(t, -1) > times
        d_times = jnp.where(with_leading_axes(reached, d_time.ndim), d_time[..., :-1] - d_time[..., 1:], 0.0)
        return self._psi(pieces, first, ends, solved), (d_times, first, *by_piece)

    def strip(self, t: Real) -> Strip:
        """Orders between which B is finite on every piece."""

        def finite(a: Real) -> Flags:
            pieces, _, ends, r = self._backwards(-1j * a, t)
            beta = jnp.real(r.beta)
            force = -jnp.real(r.q)
            times = explosion_time_from(beta, force, _beside(pieces.sigma_v, ends))
            sound = jnp.isfinite(beta) & jnp.isfinite(force)  # false after a piece on which B overflowed
            return jnp.all(sound & (times > _beside(pieces.time, ends)), axis=0)

        return moment_strip(finite, t)

    def total_variance(self, t: Real) -> Real:
        """Expected integrated variance: (26) piece by piece."""
        pieces = self._pieces(t)

        def step(mean: Real, piece: _Piece) -> tuple[Real, Real]:
            gap = mean - piece.theta
            rt = reversion_time(piece.kappa, piece.time)
            return mean - gap * piece.kappa * rt, piece.theta * piece.time + gap * rt

        shape = jnp.broadcast_shapes(*(jnp.shape(x)[1:] for x in pieces), jnp.shape(self.v0))
        _, parts = jax.lax.scan(step, jnp.broadcast_to(self.v0, shape), pieces)
        return jnp.sum(parts, axis=0)


class _Piece(NamedTuple):
    """Parameters of one piece and the time spent in it, or those of all pieces with a leading axis."""

    kappa: Real
    theta: Real
    sigma_v: Real
    rho: Real
    time: Real

    def beta(self, z: Frequencies) -> Frequencies:
        """The beta of (12)."""
        return self.kappa - 1j * (self.rho * self.sigma_v) * z


def _beside(x: Real, rows: Frequencies) -> Real:
    """Insert axes of size 1 behind the axis of pieces, so that values per piece broadcast with `rows`."""
    return jnp.reshape(x, jnp.shape(x)[:1] + (1,) * (rows.ndim - jnp.ndim(x)) + jnp.shape(x)[1:])
