"""`ESSVI`: a surface of eSSVI smiles, interpolated so that it stays free of static arbitrage."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ...errors import ArgumentError
from ...typing import Flags, Real
from ..certificate import ROUNDING, Certificate
from ..evidence import FittedSurface
from .slice import butterfly_bound, calendar_margin, sufficient_psi, variance

_INSIDE = 15  # maturities tested inside an interval that no proof covers


class ESSVI(FittedSurface):
    """Extended SSVI (Hendriks and Martini 2019): a smile per expiry; linear in theta, psi, rho psi between.

    Before the first expiry theta and psi shrink in proportion to t; after the last theta grows as it last
    did, psi and rho stay. If both smiles of an interval obey the Gatheral-Jacquier bound, both wings and
    theta rise and psi / theta does not, every maturity between is free (Corbetta et al. 2019); `certificate`
    says for which intervals that holds, and tests the others. Before the first and after the last expiry a
    free smile stays free.

    Attributes:
        expiries: Years, ascending, shape (T,).
        theta: Total variance at the money, (T,); nan where there is no smile (padded).
        psi: theta phi; slopes of the wings are psi (1 +- rho) / 2, (T,).
        rho: (T,).
        fit: How it was fitted; None where it was not.
    """

    expiries: Any
    theta: Any
    psi: Any
    rho: Any

    def __check_init__(self) -> None:
        """Refuse what is no surface; numbers that are traced are not looked at."""
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

    def nodes(self) -> tuple[Real, Real]:
        """Maturities (T,) and rows (3, T) of theta, psi, rho psi, known ones first; then inf and 1, 1, 0."""
        theta, psi, rho = (jnp.asarray(x, jnp.float64) for x in (self.theta, self.psi, self.rho))
        known = self.known
        first = jnp.argsort(~known, stable=True)
        t = jnp.where(known, jnp.asarray(self.expiries, jnp.float64), jnp.inf)[first]
        rows = jnp.stack([theta, psi, rho * psi])
        return t, jnp.where(known[None], rows, jnp.array([[1.0], [1.0], [0.0]]))[:, first]

    def parameters(self, t: Real) -> tuple[Real, Real, Real]:
        """theta, psi and rho at maturities t > 0 of any shape."""
        at, rows = self.nodes()
        last = jnp.sum(self.known)
        # everything starts from 0 at t = 0
        at, rows = jnp.append(0.0, at), jnp.concatenate([jnp.zeros((3, 1)), rows], axis=1)
        i = jnp.clip(jnp.searchsorted(at, t, side="right") - 1, 0, jnp.maximum(last - 1, 0))
        share = (t - at[i]) / (at[i + 1] - at[i])
        theta, psi, tilt = (row[i] + s * (row[i + 1] - row[i]) for row, s in
                            zip(rows, (share, *2 * [jnp.minimum(share, 1.0)]), strict=True))  # fmt: skip
        empty = last == 0
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
        t,
        jnp.where(known, theta / bound - 1.0, jnp.inf),
        jnp.where(known, at * theta / psi, jnp.nan),
        jnp.where(pair, calendar, jnp.inf),
        jnp.where(pair, calendar_k, jnp.nan),
        jnp.where(pair & ~proven, between, jnp.inf),
        jnp.where(pair, between_t, jnp.nan),
        pair & proven,
    )


def _each(smiles: tuple[Real, ...], index: Any) -> tuple[Real, Real, Real]:
    theta, psi, rho = (x[..., index] for x in smiles)
    return theta, psi, rho


def _proven(theta: Real, psi: Real, rho: Real) -> Flags:
    """Whether the sufficient conditions hold at both ends of an interval, (T - 1,)."""
    bounded = psi <= sufficient_psi(theta, rho) * (1.0 + ROUNDING)
    # a wing is known to the rounding of psi, not to its own
    rising = [jnp.diff(x) >= -ROUNDING * scale[1:] for x, scale in
              ((theta, theta), (psi * (1.0 + rho), psi), (psi * (1.0 - rho), psi))]  # fmt: skip
    flattening = jnp.diff(theta / psi) >= -ROUNDING * (theta / psi)[1:]
    return bounded[1:] & bounded[:-1] & rising[0] & rising[1] & rising[2] & flattening


def _between(rows: Real, share: Real) -> tuple[Real, Real]:
    """Smallest margin of butterfly and calendar inside each interval, and the share of it where that is."""
    ends = [jnp.expand_dims(x, -1) for x in (rows[:, :-1], rows[:, 1:])]
    grid = jnp.concatenate([jnp.zeros(1), share, jnp.ones(1)])[None, None]
    theta, psi, tilt = ends[0] + grid * (ends[1] - ends[0])
    smiles = theta, psi, tilt / psi
    inside = _each(smiles, slice(1, -1))
    butterfly = inside[0] / butterfly_bound(*inside[1:])[0] - 1.0
    calendar, _ = calendar_margin(_each(smiles, slice(None, -1)), _each(smiles, slice(1, None)))
    margins = jnp.concatenate([butterfly, calendar], axis=-1)
    places = jnp.concatenate([share, 0.5 * (grid[0, 0, 1:] + grid[0, 0, :-1])])
    worst = jnp.argmin(margins, axis=-1)
    return jnp.min(margins, axis=-1), places[worst]
