"""`TimeChangedSurface`: a surface fitted in the time of a variance clock, as a surface in calendar time."""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float

from ..errors import ArgumentError
from ..typing import Numbers, Real
from .base import VolSurface
from .certificate import Certificate

if TYPE_CHECKING:
    import pandas as pd

LEAST = 1e-12  # years, 30 microseconds: where less variance time has passed, there is none


def _as_array(x: Any) -> Numbers:
    return x if isinstance(x, jax.Array) else np.asarray(x, float)


class TimeChangedSurface(VolSurface):
    """A surface w(k, tau) at the variance time tau(t) of calendar time t.

    Its prices and total variances are those of `surface` at tau(t). Volatility and local variance are per
    year of calendar time: sqrt(w / t), and dw/dt, which is zero while the clock does not run. There is no
    static arbitrage if `surface` has none, because tau does not fall.

    Args:
        surface: A surface whose maturities are years of a variance clock.
        times: Calendar years since the quotes, strictly ascending from 0, shape (knots,).
        variance_times: Years of variance at these times, from 0 and not falling, shape (knots,). Between
            knots it is linear; beyond the last one it grows at the average speed.

    Raises:
        ArgumentError: The knots are no such table.
    """

    surface: VolSurface
    times: Float[Numbers, " knots"] = eqx.field(converter=_as_array)
    variance_times: Float[Numbers, " knots"] = eqx.field(converter=_as_array)

    def __check_init__(self) -> None:
        if any(isinstance(x, Tracer) for x in (self.times, self.variance_times)):
            return
        times, tau = np.asarray(self.times, float), np.asarray(self.variance_times, float)
        if times.ndim != 1 or times.shape != tau.shape or times.size < 2:
            raise ArgumentError(
                f"times and variance_times must have one shape (knots,), got {times.shape} and {tau.shape}."
            )
        ascending = times[0] == 0.0 and tau[0] == 0.0 and (np.diff(times) > 0).all()
        if not ascending or not (np.diff(tau) >= 0).all() or not tau[-1] > 0:
            raise ArgumentError(
                "times must ascend from 0, and variance_times must begin at 0, not fall, and end above 0; "
                "VarianceClock.time_map gives such a table."
            )

    @property
    def certificate(self) -> Certificate:
        """The certificate of `surface`, whose maturities are variance times."""
        return self.surface.certificate  # pyright: ignore[reportAttributeAccessIssue]

    def to_frame(self) -> "pd.DataFrame":
        """Return the table of `surface`, in calendar time.

        Columns: those of the table of `surface`, of which `maturity` is in calendar years and `atm_vol`,
        where there is one, per calendar year; and `variance_time`, the maturity in years of the clock.

        Raises:
            ArgumentError: `surface` has no table.
        """
        if not hasattr(self.surface, "to_frame"):
            raise ArgumentError(f"{type(self.surface).__name__} has no to_frame(); nothing can be tabulated.")
        frame = self.surface.to_frame()  # pyright: ignore[reportAttributeAccessIssue]
        tau = frame["maturity"].to_numpy(float)
        t = self._calendar_time(tau)
        if "atm_vol" in frame:
            frame["atm_vol"] *= np.sqrt(tau / t)
        frame.insert(list(frame.columns).index("maturity") + 1, "variance_time", tau)
        return frame.assign(maturity=t)

    def _calendar_time(self, tau: np.ndarray) -> np.ndarray:
        """Return the first calendar time at which the clock shows each variance time > 0."""
        times, shown = np.asarray(self.times, float), np.asarray(self.variance_times, float)
        known = np.minimum(tau, shown[-1])
        after = np.searchsorted(shown, known)
        share = (known - shown[after - 1]) / (shown[after] - shown[after - 1])
        inside = times[after - 1] + share * (times[after] - times[after - 1])
        return np.where(tau <= shown[-1], inside, tau * times[-1] / shown[-1])

    def variance_time(self, t: Real) -> Real:
        """Compute the years of variance until t, elementwise; t > 0."""
        last_t, last_tau = self.times[-1], self.variance_times[-1]
        inside = jnp.interp(jnp.minimum(t, last_t), jnp.asarray(self.times), jnp.asarray(self.variance_times))
        return inside + jnp.maximum(t - last_t, 0.0) * last_tau / last_t

    def variance_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.variance_at`; 0 where no variance has accrued."""
        tau = self.variance_time(t)
        return jnp.where(tau > LEAST, self.surface.variance_at(k, jnp.maximum(tau, LEAST)), 0.0)

    def price_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.price_at`; the intrinsic value where no variance has accrued."""
        tau = self.variance_time(t)
        price = self.surface.price_at(k, jnp.maximum(tau, LEAST))
        return jnp.where(tau > LEAST, price, jnp.maximum(-jnp.expm1(k), 0.0))

    def density_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.density_at`."""
        return self.surface.density_at(k, jnp.maximum(self.variance_time(t), LEAST))

    def local_variance_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.local_variance_at`; per year of calendar time."""
        tau, speed = jax.jvp(self.variance_time, (t,), (jnp.ones_like(t),))
        return self.surface.local_variance_at(k, jnp.maximum(tau, LEAST)) * speed
