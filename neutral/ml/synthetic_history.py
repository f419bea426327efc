"""Random histories of volatility surfaces, free of static arbitrage by construction."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ..errors import ArgumentError
from ..precision import require_precision
from ..surfaces import ESSVI, essvi_from_unconstrained
from ..typing import Numbers

EXPIRIES = (7 / 365, 14 / 365, 1 / 12, 2 / 12, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
_VOL = 0.2  # typical volatility at the money
_SKEW = -0.55  # typical rho
_WIDTH = 0.4  # typical place of psi between its bounds, from 0 to 1
_DAYS = 252.0  # trading days a year
_RETURN_TIME = 0.25  # years in which the autocorrelation of a factor falls to 1/e
_DEVIATIONS = (0.3, 0.15, 0.2, 0.5)  # standard deviations of the factors level, term slope, skew and width
_LEVERAGE = -0.7  # correlation of the moves of spot and level


class History(NamedTuple):
    """Daily surfaces, with a leading axis of days, and the spot of each day."""

    surfaces: ESSVI
    spot: Float[Numbers, " days"]


def synthetic_history(
    key: jax.Array, days: int, expiries: ArrayLike | tuple[float, ...] = EXPIRIES, vol: float = _VOL
) -> History:
    """A random history of eSSVI surfaces and of the spot, with one step per trading day.

    Four factors, which are level, term slope, skew and width of the smile, follow Ornstein-Uhlenbeck
    processes in the unconstrained coordinates of `essvi_from_unconstrained`, so that every surface is free of
    static arbitrage. The volatility of the spot is that at the money of the shortest expiry, and the spot
    tends to fall when the level rises.

    Args:
        key: Key of `jax.random`.
        days: Number of days, at least 1.
        expiries: Years, ascending, (T,).
        vol: Typical volatility at the money, > 0.

    Returns:
        The surfaces, with a leading axis of days, and spot prices that begin at 100, (days,).

    Raises:
        ArgumentError: there is no day, or the volatility is not positive.
        PrecisionError: double precision is off.
    """
    require_precision("float64")
    if days < 1 or not vol > 0.0:
        raise ArgumentError(f"expected days >= 1 and vol > 0, got days={days} and vol={vol}.")
    t = np.asarray(expiries, float)
    shocks = jax.random.normal(key, (days, 5))
    factors = _stationary(shocks[:, :4])
    surfaces = jax.vmap(lambda f: essvi_from_unconstrained(t, _coordinates(f, t, vol)))(factors)
    move = _LEVERAGE * shocks[:, 0] + jnp.sqrt(1.0 - _LEVERAGE**2) * shocks[:, 4]
    day_variance = surfaces.theta[:, 0] / t[0] / _DAYS
    returns = jnp.sqrt(day_variance) * move - 0.5 * day_variance
    spot = 100.0 * jnp.exp(jnp.append(0.0, jnp.cumsum(returns[1:])))
    return History(surfaces=jax.device_get(surfaces), spot=spot)


def _stationary(shocks: Float[Numbers, "days factors"]) -> Float[Numbers, "days factors"]:
    """Ornstein-Uhlenbeck paths of unit variance that start in their stationary law, (days, factors)."""
    memory = jnp.exp(-1.0 / (_DAYS * _RETURN_TIME))

    def step(
        now: Float[Numbers, " factors"], shock: Float[Numbers, " factors"]
    ) -> tuple[Float[Numbers, " factors"], Float[Numbers, " factors"]]:
        now = memory * now + jnp.sqrt(1.0 - memory**2) * shock
        return now, now

    _, later = jax.lax.scan(step, shocks[0], shocks[1:])
    return jnp.concatenate([shocks[:1], later])


def _coordinates(
    factors: Float[Numbers, "4"], t: Float[np.ndarray, " T"], vol: float
) -> Float[Numbers, " n"]:
    """The vector (3 T,) of `essvi_from_unconstrained` for a day's four factors."""
    level, slope, tilt, spread = factors * jnp.array(_DEVIATIONS)
    # the effect of the level fades with maturity, as for a variance that reverts to its mean
    variance = (vol * jnp.exp(level / jnp.sqrt(1.0 + 4.0 * t) + slope * jnp.log(t) / 4.0)) ** 2 * t
    growth = jnp.maximum(jnp.diff(variance), 1e-2 * variance[1:])
    rho = jnp.arctanh(_SKEW) + tilt + 0.05 * jnp.log(t)
    width = jnp.full(t.size, jnp.log(_WIDTH / (1.0 - _WIDTH)) + spread)
    return jnp.concatenate([rho, jnp.log(jnp.append(variance[0], growth)), width])
