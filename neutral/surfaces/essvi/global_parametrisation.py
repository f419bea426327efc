"""Global parametrisation of eSSVI (Mingone 2022): every vector gives a surface free of static arbitrage."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float
from numpy.typing import ArrayLike

from ...errors import ArgumentError
from ...typing import Numbers, Real
from .slice import Smile, psi_max, sufficient_psi
from .surface import ESSVI

Cap = Literal["sufficient", "exact"]


class GlobalCoordinates(NamedTuple):
    """A point of the product domain of T expiries: rho in (-1, 1), theta_first > 0, a >= 0, c in (0, 1)."""

    rho: Float[Numbers, " T"]
    theta_first: Float[Numbers, ""]
    a: Float[Numbers, " T-1"]  # growth of theta beyond the least that the wings need
    c: Float[Numbers, " T"]  # position of psi between its bounds


def global_smiles(coordinates: GlobalCoordinates, cap: Cap = "sufficient") -> Smile:
    """Compute theta, psi and rho of smiles that are free of butterfly and calendar arbitrage.

    Args:
        coordinates: Any point of the domain.
        cap: Largest psi of a smile: "sufficient" (Gatheral and Jacquier 2014), with which a theorem
            excludes arbitrage between expiries too, or "exact", which reaches every smile free of butterfly
            arbitrage.

    Returns:
        theta, psi and rho, (T,) each. The slopes of the wings and theta do not fall with maturity, and
        psi / theta does not rise.
    """
    rho, first, a, c = (jnp.asarray(x, jnp.float64) for x in coordinates)
    before = rho[:-1]
    after = rho[1:]
    # p_i is the least growth of psi with which neither wing falls
    p = jnp.maximum((1.0 + before) / (1.0 + after), (1.0 - before) / (1.0 - after))
    theta = _theta(first, p, a)
    most = {"sufficient": sufficient_psi, "exact": psi_max}[cap](theta, rho)
    room = _room(most, p)
    return theta, _psi(theta, room, p, c), rho


def _theta(first: Real, p: Real, a: Real) -> Real:
    """Compute theta_i = p_i theta_{i-1} + a_i, (T,)."""

    def grow(theta: Real, step: tuple[Real, Real]) -> tuple[Real, Real]:
        theta = theta * step[0] + step[1]
        return theta, theta

    _, later = jax.lax.scan(grow, first, (p, a))
    return jnp.concatenate([first[None], later])


def _room(most: Real, p: Real) -> Real:
    """Compute the largest psi feasible for all later expiries, M_i = min(most_i, M_{i+1} / p_{i+1}), (T,)."""

    def leave_room(room: Real, step: tuple[Real, Real]) -> tuple[Real, Real]:
        room = jnp.minimum(step[0], room / step[1])
        return room, room

    # from the last expiry to the first
    _, room = jax.lax.scan(leave_room, most[-1], (most[:-1], p), reverse=True)
    return jnp.concatenate([room, most[-1:]])


def _psi(theta: Real, room: Real, p: Real, c: Real) -> Real:
    """Compute psi_i = A_i + c_i (C_i - A_i) between A_i = p_i psi_{i-1} and C_i, (T,).

    The upper bound is C_i = min(psi_{i-1} theta_i / theta_{i-1}, M_i), with M_i from `_room`.
    """

    def widen(psi: Real, step: tuple[Real, Real, Real, Real]) -> tuple[Real, Real]:
        p, growth, room, c = step
        low = psi * p
        psi = low + c * (jnp.minimum(psi * growth, room) - low)
        return psi, psi

    first = c[0] * room[0]
    _, later = jax.lax.scan(widen, first, (p, theta[1:] / theta[:-1], room[1:], c[1:]))
    return jnp.concatenate([first[None], later])


def essvi_from_unconstrained(expiries: ArrayLike, z: ArrayLike, cap: Cap = "sufficient") -> ESSVI:
    """Map any real vector to a surface free of static arbitrage, for learning and simulation.

    Args:
        expiries: Expiries in years, ascending, > 0, (T,).
        z: Vector (3 T,). rho is the tanh of the first T numbers. The exp of the next T is theta at the first
            expiry, then its growth at each later one. The sigmoid of the last T is the position of psi
            between its bounds.
        cap: Largest psi of a smile, "sufficient" or "exact" as in `fit_essvi`.

    Returns:
        The surface.

    Raises:
        ArgumentError: the lengths of expiries and z do not match.
    """
    expiries = jnp.asarray(expiries, jnp.float64)
    z = jnp.asarray(z, jnp.float64)
    if expiries.ndim != 1 or z.shape != (3 * expiries.size,):
        raise ArgumentError(
            "z must have three numbers per expiry, got shapes "
            f"{z.shape} of z and {expiries.shape} of expiries."
        )
    tilt, level, width = jnp.split(z, 3)
    growth = jnp.exp(level)
    coordinates = GlobalCoordinates(
        rho=jnp.tanh(tilt), theta_first=growth[0], a=growth[1:], c=jax.nn.sigmoid(width)
    )
    theta, psi, rho = global_smiles(coordinates, cap)
    return ESSVI(expiries=expiries, theta=theta, psi=psi, rho=rho)
