"""`ESSVI`: a surface of eSSVI smiles, interpolated so that it stays free of static arbitrage."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float

from ...errors import ArgumentError
from ...typing import Flags, Numbers, Real
from ..certificate import ROUNDING, Certificate
from ..evidence import FittedSurface, SurfaceFit
from .slice import Smile, butterfly_bound, calendar_margin, sufficient_psi, variance

_INSIDE = 15  # maturities tested inside an interval that no proof covers


class ESSVI(FittedSurface[SurfaceFit]):
    """Extended SSVI (Hendriks and Martini 2019): one smile per expiry.

    Between expiries theta, psi and rho psi are linear in time. Before the first expiry theta and psi shrink
    in proportion to t; after the last theta continues its last growth while psi and rho stay. An interval is
    free at every maturity if both its smiles obey the Gatheral-Jacquier bound, both wings and theta rise and
    psi / theta does not (Corbetta et al. 2019). `certificate` says for which intervals that holds, and tests
    the others. Before the first and after the last expiry a free smile stays free.

    Attributes:
        expiries: Years, ascending, shape (T,).
        theta: Total variance at the money, (T,); nan where there is no smile (padded).
        psi: theta phi, (T,); slopes of the wings are psi (1 +- rho) / 2.
        rho: Tilt, (T,), in (-1, 1).
        fit: How it was fitted; None where it was not.
    """

    expiries: Any
    theta: Any
    psi: Any
    rho: Any

    def __check_init__(self) -> None:
        """Refuse fields that do not make a surface; traced numbers are not checked."""
        fields = {name: getattr(self, name) for name in ("expiries", "theta", "psi", "rho")}
        shapes = {np.shape(x) for x in fields.values()}
        if len(shapes) != 1 or shapes == {()}:
            raise ArgumentError(
                f"expiries, theta, psi and rho must have one shape (T,), got {sorted(shapes)}."
            )
        if any(isinstance(x, Tracer) for x in fields.values()):
            return
        t, theta, psi, rho = (np.asarray(x, np.float64) for x in fields.values())
        known = np.isfinite(theta)
        rules = {
            "expiries must be positive and ascend": np.all(np.diff(t, axis=-1) > 0) and np.all(t > 0),
            "theta and psi must be above 0, rho in (-1, 1)": np.all(
                ~known | ((theta > 0) & (psi > 0) & (np.abs(rho) < 1))
            ),
        }
        for rule, holds in rules.items():
            if not holds:
                raise ArgumentError(f"ESSVI: {rule}.")

    @property
    def known(self) -> Flags:
        """Expiries that have a smile, (T,)."""
        return jnp.isfinite(jnp.asarray(self.theta))

    def nodes(self) -> tuple[Float[Numbers, " T"], Float[Numbers, "3 T"]]:
        """Maturities (T,) and rows (3, T) of theta, psi, rho psi, expiries with a smile first.

        Padded places follow, with maturity inf and rows 1, 1, 0.
        """
        theta = jnp.asarray(self.theta, jnp.float64)
        psi = jnp.asarray(self.psi, jnp.float64)
        rho = jnp.asarray(self.rho, jnp.float64)
        known = self.known
        order = jnp.argsort(~known, stable=True)
        t = jnp.where(known, jnp.asarray(self.expiries, jnp.float64), jnp.inf)[order]
        rows = jnp.stack([theta, psi, rho * psi])
        return t, jnp.where(known[None], rows, jnp.array([[1.0], [1.0], [0.0]]))[:, order]

    def parameters(self, t: Real) -> Smile:
        """theta, psi and rho at maturities t > 0 of any shape."""
        at, rows = self.nodes()
        count = jnp.sum(self.known)
        # everything starts from 0 at t = 0
        at = jnp.append(0.0, at)
        rows = jnp.concatenate([jnp.zeros((3, 1)), rows], axis=1)
        i = jnp.clip(jnp.searchsorted(at, t, side="right") - 1, 0, jnp.maximum(count - 1, 0))
        share = (t - at[i]) / (at[i + 1] - at[i])
        # beyond the last expiry theta goes on growing, psi and rho psi stay
        held = jnp.minimum(share, 1.0)
        theta = rows[0][i] + share * (rows[0][i + 1] - rows[0][i])
        psi = rows[1][i] + held * (rows[1][i + 1] - rows[1][i])
        tilt = rows[2][i] + held * (rows[2][i + 1] - rows[2][i])
        empty = count == 0
        theta, psi, rho = (jnp.where(empty, jnp.nan, x) for x in (theta, psi, tilt / psi))
        return theta, psi, rho

    def variance_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.variance_at`."""
        return variance(k, *self.parameters(t))

    @property
    def certificate(self) -> Certificate:
        """The exact tests of all smiles and neighbours, and of the intervals between them."""
        return _certify(self)


@eqx.filter_jit
def _certify(surface: ESSVI) -> Certificate:
    certify = _certify_one
    for _ in range(np.ndim(surface.theta) - 1):
        certify = jax.vmap(certify)
    return certify(surface)


def _certify_one(surface: ESSVI) -> Certificate:
    t, (theta, psi, tilt) = surface.nodes()
    known = jnp.isfinite(t)
    rho = tilt / psi
    bound, at = butterfly_bound(psi, rho)
    smiles = theta, psi, rho
    calendar, calendar_k = calendar_margin(_each(smiles, slice(None, -1)), _each(smiles, slice(1, None)))
    proven = _proven(*smiles)
    share = jnp.arange(1, _INSIDE + 1) / (_INSIDE + 1.0)
    between, place = _between(jnp.stack([theta, psi, tilt]), share)
    pair = known[1:]
    start = jnp.where(pair, t[:-1], 0.0)
    between_t = start + place * (jnp.where(pair, t[1:], 0.0) - start)
    return Certificate(
        expiries=t,
        butterfly=jnp.where(known, theta / bound - 1.0, jnp.inf),
        butterfly_k=jnp.where(known, at * theta / psi, jnp.nan),
        calendar=jnp.where(pair, calendar, jnp.inf),
        calendar_k=jnp.where(pair, calendar_k, jnp.nan),
        between=jnp.where(pair & ~proven, between, jnp.inf),
        between_t=jnp.where(pair, between_t, jnp.nan),
        proven=pair & proven,
    )


def _each(smiles: Smile, index: slice) -> Smile:
    theta, psi, rho = (x[..., index] for x in smiles)
    return theta, psi, rho


def _proven(theta: Real, psi: Real, rho: Real) -> Flags:
    """Whether the interval before each expiry but the first is free by proof, (T - 1,).

    The conditions are, at both ends, psi <= the bound of theorem 4.2 of Gatheral and Jacquier (2014), and
    from end to end theta and psi (1 +- rho) that do not fall and psi / theta that does not rise (Hendriks and
    Martini 2019; Corbetta et al. 2019).
    """
    bounded = psi <= sufficient_psi(theta, rho) * (1.0 + ROUNDING)
    # a wing is known to the rounding of psi, not to that of its own size
    theta_rises = jnp.diff(theta) >= -ROUNDING * theta[1:]
    right_rises = jnp.diff(psi * (1.0 + rho)) >= -ROUNDING * psi[1:]
    left_rises = jnp.diff(psi * (1.0 - rho)) >= -ROUNDING * psi[1:]
    widens = jnp.diff(theta / psi) >= -ROUNDING * (theta / psi)[1:]
    return bounded[1:] & bounded[:-1] & theta_rises & right_rises & left_rises & widens


def _between(rows: Float[Numbers, "3 T"], share: Float[Numbers, " M"]) -> tuple[Real, Real]:
    """Smallest margin of butterfly and calendar inside each interval, and its share of the interval."""
    first = jnp.expand_dims(rows[:, :-1], -1)
    last = jnp.expand_dims(rows[:, 1:], -1)
    grid = jnp.concatenate([jnp.zeros(1), share, jnp.ones(1)])[None, None]
    theta, psi, tilt = first + grid * (last - first)
    smiles = theta, psi, tilt / psi
    inner_theta, inner_psi, inner_rho = _each(smiles, slice(1, -1))
    butterfly = inner_theta / butterfly_bound(inner_psi, inner_rho)[0] - 1.0
    calendar, _ = calendar_margin(_each(smiles, slice(None, -1)), _each(smiles, slice(1, None)))
    margins = jnp.concatenate([butterfly, calendar], axis=-1)
    places = jnp.concatenate([share, 0.5 * (grid[0, 0, 1:] + grid[0, 0, :-1])])
    worst = jnp.argmin(margins, axis=-1)
    return jnp.min(margins, axis=-1), places[worst]
