"""`ESSVI`: a surface of eSSVI smiles, with an interpolation that preserves the absence of arbitrage."""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float

from ...errors import ArgumentError
from ...models.parameters import as_parameter
from ...numerics.compiled import compiled
from ...presentation.frame import frame_of_arrays
from ...typing import Flags, Numbers, Real
from ..certificate import ROUNDING, Certificate, check_single
from ..evidence import FittedSurface, SurfaceFit
from .slice import Smile, butterfly_bound, calendar_margin, sufficient_psi, variance

if TYPE_CHECKING:
    import pandas as pd

_INSIDE = 15  # number of maturities tested inside an interval that no theorem covers


class ESSVI(FittedSurface[SurfaceFit]):
    """Extended SSVI (Hendriks and Martini 2019): one smile per expiry.

    Between expiries theta, psi and rho psi are linear in time. Before the first expiry theta and psi are
    proportional to t; after the last expiry theta continues its last growth while psi and rho are constant.
    An interval is free of arbitrage at every maturity if both its smiles satisfy the Gatheral-Jacquier bound,
    both wings and theta do not fall, and psi / theta does not rise (Corbetta et al. 2019). `certificate`
    states for which intervals this is proven, and tests the others. Before the first and after the last
    expiry an arbitrage-free smile remains arbitrage-free.

    Attributes:
        expiries: Expiries in years, ascending, > 0, (T,).
        theta: Total variance at the money, > 0, (T,); nan where there is no smile (padded).
        psi: Product theta phi, > 0, (T,); the slopes of the wings are psi (1 +- rho) / 2.
        rho: Tilt in (-1, 1), (T,).
        fit: Record of the fit; None if the surface was not fitted.
    """

    expiries: Any = eqx.field(converter=as_parameter)
    theta: Any = eqx.field(converter=as_parameter)
    psi: Any = eqx.field(converter=as_parameter)
    rho: Any = eqx.field(converter=as_parameter)

    def __check_init__(self) -> None:
        """Raise an error if the fields do not define a surface; traced numbers are not checked."""
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
        """True for expiries that have a smile, (T,)."""
        return jnp.isfinite(jnp.asarray(self.theta))

    def nodes(self) -> tuple[Float[Numbers, " T"], Float[Numbers, "3 T"]]:
        """Return maturities (T,) and rows (3, T) of theta, psi, rho psi, with padded expiries at the end.

        Padded expiries have maturity inf and rows 1, 1, 0.
        """
        theta = jnp.asarray(self.theta, jnp.float64)
        psi = jnp.asarray(self.psi, jnp.float64)
        rho = jnp.asarray(self.rho, jnp.float64)
        known = self.known
        order = jnp.argsort(~known, stable=True)
        t = jnp.where(known, jnp.asarray(self.expiries, jnp.float64), jnp.inf)[order]
        rows = jnp.stack([theta, psi, rho * psi])
        return t, jnp.where(known[None], rows, jnp.array([[1.0], [1.0], [0.0]]))[:, order]

    def to_frame(self) -> "pd.DataFrame":
        """Return a table of the smiles of one surface, with one row per expiry that has one.

        Columns: `maturity` (years), `theta` (total variance at the money), `psi`, `rho`, and `atm_vol`
        (volatility at the money).

        Raises:
            ArgumentError: the object is a batch.
        """
        check_single(self.expiries, "surface")
        known = np.asarray(self.known)
        columns = {"maturity": self.expiries, "theta": self.theta, "psi": self.psi, "rho": self.rho}
        smiles = {name: np.asarray(values)[known] for name, values in columns.items()}
        return frame_of_arrays(smiles | {"atm_vol": np.sqrt(smiles["theta"] / smiles["maturity"])})

    def parameters(self, t: Real) -> Smile:
        """Compute theta, psi and rho at maturities t > 0 of any shape; nan if the surface has no smile."""
        at, rows = self.nodes()
        count = jnp.sum(self.known)
        # theta, psi and rho psi are 0 at t = 0
        at = jnp.append(0.0, at)
        rows = jnp.concatenate([jnp.zeros((3, 1)), rows], axis=1)
        i = jnp.clip(jnp.searchsorted(at, t, side="right") - 1, 0, jnp.maximum(count - 1, 0))
        share = (t - at[i]) / (at[i + 1] - at[i])
        # beyond the last expiry theta continues to grow, while psi and rho psi are constant
        capped_share = jnp.minimum(share, 1.0)
        theta = rows[0][i] + share * (rows[0][i + 1] - rows[0][i])
        psi = rows[1][i] + capped_share * (rows[1][i + 1] - rows[1][i])
        tilt = rows[2][i] + capped_share * (rows[2][i + 1] - rows[2][i])
        empty = count == 0
        theta, psi, rho = (jnp.where(empty, jnp.nan, x) for x in (theta, psi, tilt / psi))
        return theta, psi, rho

    def variance_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.variance_at`."""
        return variance(k, *self.parameters(t))

    @property
    def certificate(self) -> Certificate:
        """Exact tests of all smiles and pairs of neighbours, and tests of the intervals between them."""
        return _certify(self)


@compiled
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
    calendar, calendar_k = calendar_margin(_select(smiles, slice(None, -1)), _select(smiles, slice(1, None)))
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


def _select(smiles: Smile, index: slice) -> Smile:
    theta, psi, rho = (x[..., index] for x in smiles)
    return theta, psi, rho


def _proven(theta: Real, psi: Real, rho: Real) -> Flags:
    """Flag intervals between expiries in which a theorem excludes arbitrage, (T - 1,).

    The conditions are that both ends satisfy the bound of psi in theorem 4.2 of Gatheral and Jacquier (2014),
    that theta and psi (1 +- rho) do not fall, and that psi / theta does not rise (Hendriks and Martini 2019;
    Corbetta et al. 2019).
    """
    bounded = psi <= sufficient_psi(theta, rho) * (1.0 + ROUNDING)
    # the rounding error of a wing is in proportion to psi, not to the slope of the wing
    theta_rises = jnp.diff(theta) >= -ROUNDING * theta[1:]
    right_rises = jnp.diff(psi * (1.0 + rho)) >= -ROUNDING * psi[1:]
    left_rises = jnp.diff(psi * (1.0 - rho)) >= -ROUNDING * psi[1:]
    width_rises = jnp.diff(theta / psi) >= -ROUNDING * (theta / psi)[1:]
    return bounded[1:] & bounded[:-1] & theta_rises & right_rises & left_rises & width_rises


def _between(rows: Float[Numbers, "3 T"], share: Float[Numbers, " M"]) -> tuple[Real, Real]:
    """Compute the smallest butterfly or calendar margin inside each interval, and its position in [0, 1]."""
    first = jnp.expand_dims(rows[:, :-1], -1)
    last = jnp.expand_dims(rows[:, 1:], -1)
    grid = jnp.concatenate([jnp.zeros(1), share, jnp.ones(1)])[None, None]
    theta, psi, tilt = first + grid * (last - first)
    smiles = theta, psi, tilt / psi
    inner_theta, inner_psi, inner_rho = _select(smiles, slice(1, -1))
    butterfly = inner_theta / butterfly_bound(inner_psi, inner_rho)[0] - 1.0
    calendar, _ = calendar_margin(_select(smiles, slice(None, -1)), _select(smiles, slice(1, None)))
    margins = jnp.concatenate([butterfly, calendar], axis=-1)
    positions = jnp.concatenate([share, 0.5 * (grid[0, 0, 1:] + grid[0, 0, :-1])])
    worst = jnp.argmin(margins, axis=-1)
    return jnp.min(margins, axis=-1), positions[worst]
