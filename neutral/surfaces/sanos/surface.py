"""`SANOS`: a surface of discrete laws smoothed by Black's kernel, free of static arbitrage.

After Kratsios, Horvath, Buehler, Limmer and Saqur (2026, arXiv 2601.11209), as far as its abstract and
summaries tell. At expiry j the underlying over its forward is N_j exp(sqrt(V_j) Z - V_j / 2): N_j takes the
value kappa_i with probability q_ji and has mean 1, Z is normal and independent. If the laws of N_j increase
in convex order and V_j does not fall, so do the products (Jensen, given N_j; then given Z): no calendar
arbitrage, and no other, since each expiry has a law.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...numerics.normal import pdf
from ...options import black
from ...typing import Flags, Real
from ..base import PricedSurface
from ..certificate import ROUNDING
from ..evidence import FittedSurface


class SanosCertificate(eqx.Module):
    """Everything that makes the surface free; what is negative beyond rounding is an arbitrage.

    Padded entries are inf, or 0 where they are errors.

    Attributes:
        weight: Smallest probability of each expiry, (T,).
        mass_error: Sum of the probabilities less 1, (T,).
        mean_error: Mean of the law less 1, (T,).
        order: Smallest rise of the discrete law's calls since the expiry before, over all strikes, (T - 1,).
        kernel: Relative rise of the kernel's variance since the expiry before, (T - 1,).
    """

    weight: Any
    mass_error: Any
    mean_error: Any
    order: Any
    kernel: Any

    @property
    def margin(self) -> float:
        """The smallest of all margins; 0 where a condition binds, as at most vertices of a linear program."""
        margins = [self.weight, self.order, self.kernel]
        errors = np.abs(np.concatenate([np.asarray(self.mass_error), np.asarray(self.mean_error)]))
        least = min(float(np.min(np.asarray(x), initial=np.inf)) for x in margins)
        return least if np.max(errors) <= ROUNDING else min(least, -float(np.max(errors)))

    @property
    def free(self) -> bool:
        """Whether no condition is violated beyond rounding (1e-12)."""
        return self.margin >= -ROUNDING

    def __str__(self) -> str:
        """One line."""
        verdict = "free of static arbitrage" if self.free else "NOT free of static arbitrage"
        return f"{verdict}: laws in convex order, smallest margin {self.margin:.2e}"


class SanosFit(eqx.Module):
    """Evidence of a fit by linear programming.

    Attributes:
        status: `CalibrationStatus` code.
        loss: Weighted mean of the absolute errors in units of the loss, over the quotes that were fitted.
        steps: Iterations of all linear programs.
        widths: Widths of the kernel that were tried, (W,).
        held_out: Loss of each over the training quotes that its program did not see, (W,); nan where only
            one was allowed.
    """

    status: Any
    loss: Any
    steps: Any
    widths: Any
    held_out: Any


class SANOS(PricedSurface, FittedSurface):
    """Smooth strictly arbitrage-free non-parametric option surface (Kratsios, Horvath et al. 2026).

    A call is sum_i q_i times the Black call on a forward of kappa_i. Between expiries calls are linear in
    time at fixed k: convex combinations of convex functions, and rising as the later ones are above. Before
    the first, N becomes 1 + sqrt(t / t_1) (N - 1), whose law increases in convex order with t (it adds a
    multiple of a variable of mean 0), and the kernel's variance is in proportion to t; after the last the
    kernel's variance grows as if the volatility at the money stayed.

    Attributes:
        expiries: Years, ascending, (T,).
        nodes: kappa, ascending, > 0, (N,).
        weights: q, (T, N); nan where there is no law (padded).
        variance: V, kernel's total variance at the expiries, (T,).
        width: V over the total variance at the money: the smoothness.
        fit: How it was fitted; None where it was not.
    """

    expiries: Any
    nodes: Any
    weights: Any
    variance: Any
    width: Any
    fit: SanosFit | None = eqx.field(default=None, kw_only=True)

    @property
    def known(self) -> Flags:
        """Expiries that have a law, (T,)."""
        return jnp.isfinite(jnp.asarray(self.weights)[..., 0])

    def _laws(self, t: Real) -> tuple[tuple[Real, Real, Real, Real], ...]:
        """Of the expiry before and the one after t: share, nodes, weights, kernel variance (N, ...)."""
        known = self.known
        first = jnp.argsort(~known, stable=True)
        at = jnp.where(known, jnp.asarray(self.expiries, float), jnp.inf)[first]
        q, v = jnp.asarray(self.weights)[first], jnp.asarray(self.variance)[first]
        last = jnp.sum(known) - 1
        after = jnp.clip(jnp.searchsorted(at, t, side="right"), 0, last)
        before = jnp.maximum(jnp.where(t >= at[last], last, after - 1), 0)
        early = jnp.minimum(t / at[0], 1.0)
        late = jnp.maximum(t / at[last] - 1.0, 0.0) * v[last] / self.width
        gap = at[after] - at[before]
        share = jnp.where(gap > 0.0, (t - at[before]) / jnp.where(gap > 0.0, gap, 1.0), 1.0)
        nodes = jnp.reshape(jnp.asarray(self.nodes), (-1,) + (1,) * jnp.ndim(t))
        moved = 1.0 + jnp.sqrt(early)[None] * (nodes - 1.0)
        ends = ((1.0 - share, before), (share, after))
        return tuple((s, moved, jnp.moveaxis(q[i], -1, 0), (v[i] * early + late)[None]) for s, i in ends)

    def out_of_the_money_price(self, k: Real, t: Real) -> Real:
        """See `PricedSurface.out_of_the_money_price`."""
        total = jnp.zeros_like(k)
        for share, nodes, q, v in self._laws(t):
            prices = nodes * black.price(k[None] - jnp.log(nodes), jnp.sqrt(v), k[None] >= 0.0)
            total = total + share * jnp.sum(q * prices, axis=0)
        return total

    def density_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.density_at`: the sum of the kernels."""
        total = jnp.zeros_like(k)
        for share, nodes, q, v in self._laws(t):
            s = jnp.sqrt(v)
            x = (k[None] - jnp.log(nodes)) / s + 0.5 * s
            total = total + share * jnp.sum(q * pdf(x) / s, axis=0)
        return total

    def local_variance_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.local_variance_at`; nan where the density underflows."""
        later = jax.jvp(lambda t: self.out_of_the_money_price(k, t), (t,), (jnp.ones_like(t),))[1]
        density = self.density_at(k, t)
        some = density > 0.0
        return jnp.where(some, 2.0 * later / (jnp.exp(k) * jnp.where(some, density, 1.0)), jnp.nan)

    @property
    def certificate(self) -> SanosCertificate:
        """The conditions under which the surface is free, checked on its numbers."""
        known = np.asarray(self.known)
        q, v = np.asarray(self.weights)[known], np.asarray(self.variance)[known]
        nodes = np.asarray(self.nodes)
        calls = q @ np.maximum(nodes[:, None] - nodes, 0.0)
        rise = (np.min(np.diff(calls, axis=0), axis=1), np.diff(v) / v[1:])

        def padded(x: np.ndarray, size: int, empty: float) -> np.ndarray:
            return np.append(x, np.full(size - x.size, empty))

        size = known.size
        return SanosCertificate(
            padded(q.min(axis=1), size, np.inf),
            padded(q.sum(axis=1) - 1.0, size, 0.0),
            padded(q @ nodes - 1.0, size, 0.0),
            *(padded(x, size - 1, np.inf) for x in rise),
        )
