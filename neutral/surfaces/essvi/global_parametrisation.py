"""Every vector is a surface free of static arbitrage: the global parametrisation of eSSVI (Mingone 2022)."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from ...errors import ArgumentError
from ...typing import Real
from .slice import psi_max, sufficient_psi
from .surface import ESSVI

Cap = Literal["sufficient", "exact"]


class GlobalCoordinates(NamedTuple):
    """A product domain, T expiries: rho in (-1, 1), theta_first > 0, a >= 0, c in (0, 1)."""

    rho: Any  # (T,)
    theta_first: Any  # ()
    a: Any  # (T - 1,) growth of theta beyond what the wings need
    c: Any  # (T,) where psi lies between its bounds


def global_smiles(coordinates: GlobalCoordinates, cap: Cap = "sufficient") -> tuple[Real, Real, Real]:
    """theta, psi and rho of smiles that are free of butterfly and calendar arbitrage.

    Args:
        coordinates: Any point of the domain.
        cap: Largest psi of a smile: "sufficient" (Gatheral and Jacquier 2014), with which interpolation is
            free by proof, or "exact", which reaches every smile free of butterfly arbitrage.

    Returns:
        theta, psi, rho, (T,) each. Wings and theta rise along T, psi / theta does not.
    """
    rho, first, a, c = (jnp.asarray(x, jnp.float64) for x in coordinates)
    before, after = rho[:-1], rho[1:]
    p = jnp.maximum((1.0 + before) / (1.0 + after), (1.0 - before) / (1.0 - after))

    def grow(theta: Real, step: tuple[Real, Real]) -> tuple[Real, Real]:
        theta = theta * step[0] + step[1]
        return theta, theta

    _, later = jax.lax.scan(grow, first, (p, a))
    theta = jnp.concatenate([first[None], later])
    most = {"sufficient": sufficient_psi, "exact": psi_max}[cap](theta, rho)

    def leave_room(room: Real, step: tuple[Real, Real]) -> tuple[Real, Real]:
        room = jnp.minimum(step[0], room / step[1])
        return room, room

    # what later expiries leave to each one, from the last to the first
    _, room = jax.lax.scan(leave_room, most[-1], (most[:-1], p), reverse=True)
    room = jnp.concatenate([room, most[-1:]])

    def widen(psi: Real, step: tuple[Real, ...]) -> tuple[Real, Real]:
        p, growth, room, c = step
        low = psi * p
        psi = low + c * (jnp.minimum(psi * growth, room) - low)
        return psi, psi

    first_psi = c[0] * room[0]
    _, psi = jax.lax.scan(widen, first_psi, (p, theta[1:] / theta[:-1], room[1:], c[1:]))
    return theta, jnp.concatenate([first_psi[None], psi]), rho


def essvi_from_unconstrained(expiries: Any, z: Any, cap: Cap = "sufficient") -> ESSVI:
    """A surface free of static arbitrage from any real vector, for learning and simulation.

    Args:
        expiries: Years, ascending, (T,).
        z: Vector (3 T,): rho is the tanh of the first T; theta at the first expiry and its growth at each
            later one are the exp of the next T; c is the sigmoid of the last T.
        cap: As in `global_smiles`.

    Raises:
        ArgumentError: the lengths do not fit.
    """
    expiries, z = jnp.asarray(expiries, jnp.float64), jnp.asarray(z, jnp.float64)
    if expiries.ndim != 1 or z.shape != (3 * expiries.size,):
        raise ArgumentError(f"z must have three numbers per expiry, got {z.shape} for {expiries.shape}.")
    tilt, level, width = jnp.split(z, 3)
    growth = jnp.exp(level)
    coordinates = GlobalCoordinates(jnp.tanh(tilt), growth[0], growth[1:], jax.nn.sigmoid(width))
    return ESSVI(expiries, *global_smiles(coordinates, cap))
