"""`SANOS`: a surface of discrete distributions smoothed by Black's kernel, free of static arbitrage.

The method follows Kratsios, Horvath, Buehler, Limmer and Saqur (2026, arXiv 2601.11209), as far as the
abstract and summaries describe it. At expiry j the underlying over its forward is
N_j exp(sqrt(V_j) Z - V_j / 2). N_j takes the value kappa_i with probability q_ji and has mean 1, and Z is an
independent standard normal. If the distributions of N_j increase in convex order and V_j does not fall, the
products increase in convex order too (by Jensen's inequality given N_j, then given Z). So there is no
calendar arbitrage. There is no butterfly arbitrage, because each expiry has a distribution.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...models.parameters import as_parameter
from ...numerics.normal import pdf
from ...options import black
from ...presentation.frame import frame_of_arrays
from ...typing import Codes, Flags, Real
from ..base import PricedSurface
from ..certificate import ROUNDING, check_single
from ..evidence import AbstractSurfaceFit, FittedSurface

if TYPE_CHECKING:
    import pandas as pd


class SanosCertificate(eqx.Module):
    """Margins of all no-arbitrage conditions of the surface; a margin below zero is a violation.

    Padded entries are inf in margins and 0 in errors.

    Attributes:
        weight: Smallest probability of each expiry, (T,).
        mass_error: Sum of the probabilities less 1, (T,).
        mean_error: Mean of the discrete distribution less 1, (T,).
        order: Smallest rise, over all strikes, of the discrete distribution's call prices from one expiry to
            the next, (T - 1,).
        kernel: Relative rise of the kernel's variance from one expiry to the next, (T - 1,).
        expiries: Expiries in years, those with a distribution first, (T,); inf where padded.
    """

    weight: Any
    mass_error: Any
    mean_error: Any
    order: Any
    kernel: Any
    expiries: Any

    @property
    def margin(self) -> float:
        """The smallest of all margins; 0 where a condition binds, as in most solutions of a linear program.

        An error of mass or mean beyond rounding counts as a negative margin.
        """
        margins = [self.weight, self.order, self.kernel]
        errors = np.abs(np.concatenate([np.asarray(self.mass_error), np.asarray(self.mean_error)]))
        least = min(float(np.min(np.asarray(x), initial=np.inf)) for x in margins)
        return least if np.max(errors) <= ROUNDING else min(least, -float(np.max(errors)))

    @property
    def free(self) -> bool:
        """True if no condition is violated by more than rounding (1e-12)."""
        return self.margin >= -ROUNDING

    def worst(self) -> tuple[str, float, float]:
        """Find the condition with the smallest margin.

        Returns:
            Name of the condition ("weight", "order", "kernel", or "mass_error" or "mean_error" if such an
            error is beyond rounding), its maturity in years, and nan: no condition is one of a single k.
        """
        values = {name: np.asarray(getattr(self, name)) for name in ("weight", "order", "kernel")}
        for name in ("mass_error", "mean_error"):
            size = np.abs(np.asarray(getattr(self, name)))
            values[name] = np.where(size <= ROUNDING, np.inf, -size)
        name = min(values, key=lambda name: values[name].min(initial=np.inf))
        later = len(self.expiries) - len(values[name])  # margins between expiries belong to the later one
        return name, float(self.expiries[int(np.argmin(values[name])) + later]), float("nan")

    def to_frame(self) -> "pd.DataFrame":
        """Return a table of the margins, with one row per expiry.

        Columns: `maturity` (years), `weight`, `mass_error`, `mean_error`; and of the step from the expiry
        before `order` and `kernel`, missing in the first row.
        """
        expiries = np.asarray(self.expiries)
        count = int(np.sum(np.isfinite(expiries)))
        steps = {
            name: np.append(np.nan, np.asarray(getattr(self, name)))[:count] for name in ("order", "kernel")
        }
        names = ("weight", "mass_error", "mean_error")
        values = {name: np.asarray(getattr(self, name))[:count] for name in names}
        return frame_of_arrays({"maturity": expiries[:count]} | values | steps)

    def __str__(self) -> str:
        """Write one line with the verdict and the smallest margin."""
        verdict = "free of static arbitrage" if self.free else "NOT free of static arbitrage"
        return f"{verdict}: smallest margin {self.margin:.2e} of distributions in convex order"


class SanosFit(AbstractSurfaceFit):
    """Record of a fit by linear programming.

    Attributes:
        status: `CalibrationStatus` code.
        loss: Weighted mean of the absolute errors in units of the loss, over the quotes that were fitted.
        steps: Number of iterations of all linear programs.
        widths: Widths of the kernel that were tried, (W,).
        held_out: Loss of each width over the training quotes held out from its program, (W,); nan if only one
            width was tried.
    """

    status: Any
    loss: Any
    steps: Any
    widths: Any
    held_out: Any


class Law(NamedTuple):
    """The distribution of one expiry, as it enters prices at maturities t of any shape (...)."""

    share: Real  # (...) share in the price
    nodes: Real  # (N, ...)
    weights: Real  # (N, ...)
    variance: Real  # (1, ...) of the kernel


class SANOS(PricedSurface, FittedSurface[SanosFit]):
    """Smooth strictly arbitrage-free non-parametric option surface (Kratsios, Horvath et al. 2026).

    A call price is sum_i q_i times the Black price on a forward of kappa_i. Between expiries call prices are
    linear in time at fixed k, so they are convex in strike and do not fall in time. Before the first expiry N
    is replaced by 1 + sqrt(t / t_1) (N - 1), whose distribution increases in convex order with t, and the
    kernel's variance is proportional to t. After the last expiry the kernel's variance grows at the rate of a
    constant volatility at the money.

    Attributes:
        expiries: Expiries in years, ascending, (T,).
        nodes: Values kappa of N, ascending, > 0, (N,).
        weights: Probabilities q, (T, N); nan where there is no distribution (padded).
        variance: Total variance V of the kernel at the expiries, (T,).
        width: V over the total variance at the money, which sets the smoothness.
        fit: Record of the fit; None if the surface was not fitted.
    """

    expiries: Any = eqx.field(converter=as_parameter)
    nodes: Any = eqx.field(converter=as_parameter)
    weights: Any = eqx.field(converter=as_parameter)
    variance: Any = eqx.field(converter=as_parameter)
    width: Any = eqx.field(converter=as_parameter)

    @property
    def known(self) -> Flags:
        """True for expiries that have a distribution, (T,)."""
        return jnp.isfinite(jnp.asarray(self.weights)[..., 0])

    def to_frame(self) -> "pd.DataFrame":
        """Return a table of the distributions, with one row per expiry and node.

        Columns: `maturity` (years), `node` (value of the underlying over its forward), `weight` (its
        probability), and `variance` (total variance of the kernel).

        Raises:
            ArgumentError: the object is a batch.
        """
        check_single(self.expiries, "surface")
        known = np.asarray(self.known)
        columns = {
            "maturity": np.asarray(self.expiries, float)[known][:, None],
            "node": np.asarray(self.nodes)[None],
            "weight": np.asarray(self.weights)[known],
            "variance": np.asarray(self.variance)[known][:, None],
        }
        return frame_of_arrays(columns).reset_index(drop=True)

    def _laws(self, t: Real) -> tuple[Law, Law]:
        """Return the distributions of the expiries before and after t, with their shares."""
        known = self.known
        order = jnp.argsort(~known, stable=True)
        at = jnp.where(known, jnp.asarray(self.expiries, float), jnp.inf)[order]
        q = jnp.asarray(self.weights)[order]
        v = jnp.asarray(self.variance)[order]
        last = jnp.sum(known) - 1
        after = jnp.clip(jnp.searchsorted(at, t, side="right"), 0, last)
        before = jnp.maximum(jnp.where(t >= at[last], last, after - 1), 0)
        early_share = jnp.minimum(t / at[0], 1.0)
        late_variance = jnp.maximum(t / at[last] - 1.0, 0.0) * v[last] / self.width
        gap = at[after] - at[before]
        share = jnp.where(gap > 0.0, (t - at[before]) / jnp.where(gap > 0.0, gap, 1.0), 1.0)
        nodes = jnp.reshape(jnp.asarray(self.nodes), (-1,) + (1,) * jnp.ndim(t))
        scaled_nodes = 1.0 + jnp.sqrt(early_share)[None] * (nodes - 1.0)

        def law(share: Real, i: Codes) -> Law:
            weights = jnp.moveaxis(q[i], -1, 0)
            return Law(
                share=share,
                nodes=scaled_nodes,
                weights=weights,
                variance=(v[i] * early_share + late_variance)[None],
            )

        return law(1.0 - share, before), law(share, after)

    def out_of_the_money_price(self, k: Real, t: Real) -> Real:
        """See `PricedSurface.out_of_the_money_price`."""
        total = jnp.zeros_like(k)
        for law in self._laws(t):
            s = jnp.sqrt(law.variance)
            prices = law.nodes * black.price(k[None] - jnp.log(law.nodes), s, k[None] >= 0.0)
            total = total + law.share * jnp.sum(law.weights * prices, axis=0)
        return total

    def density_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.density_at`; the density is the weighted sum of the kernels."""
        total = jnp.zeros_like(k)
        for law in self._laws(t):
            s = jnp.sqrt(law.variance)
            x = (k[None] - jnp.log(law.nodes)) / s + 0.5 * s
            total = total + law.share * jnp.sum(law.weights * pdf(x) / s, axis=0)
        return total

    def local_variance_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.local_variance_at`; nan where the density underflows."""
        time_slope = jax.jvp(lambda t: self.out_of_the_money_price(k, t), (t,), (jnp.ones_like(t),))[1]
        density = self.density_at(k, t)
        # Dupire's formula on normalised calls: 2 dc/dt / (x^2 d2c/dx2), where x^2 d2c/dx2 = e^k density
        positive = density > 0.0
        return jnp.where(
            positive, 2.0 * time_slope / (jnp.exp(k) * jnp.where(positive, density, 1.0)), jnp.nan
        )

    @property
    def certificate(self) -> SanosCertificate:
        """Margins of the no-arbitrage conditions, computed from the fields."""
        known = np.asarray(self.known)
        q = np.asarray(self.weights)[known]
        v = np.asarray(self.variance)[known]
        nodes = np.asarray(self.nodes)
        calls = q @ np.maximum(nodes[:, None] - nodes, 0.0)

        def padded(x: np.ndarray, size: int, empty: float) -> np.ndarray:
            return np.append(x, np.full(size - x.size, empty))

        size = known.size
        return SanosCertificate(
            weight=padded(q.min(axis=1), size, np.inf),
            mass_error=padded(q.sum(axis=1) - 1.0, size, 0.0),
            mean_error=padded(q @ nodes - 1.0, size, 0.0),
            order=padded(np.min(np.diff(calls, axis=0), axis=1), size - 1, np.inf),
            kernel=padded(np.diff(v) / v[1:], size - 1, np.inf),
            expiries=padded(np.asarray(self.expiries, float)[known], size, np.inf),
        )
