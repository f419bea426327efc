"""Certificate that a surface is free of static arbitrage, or that shows where it is not."""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np

from ..errors import ArgumentError
from ..presentation.frame import frame_of_rows
from ..typing import Flags, Numbers, Real

if TYPE_CHECKING:
    import pandas as pd


ROUNDING = 1e-12
"""Largest relative violation that counts as rounding."""

_CONDITIONS = ("butterfly", "calendar", "between")


class Certificate(eqx.Module):
    """Relative margins of all static no-arbitrage conditions; a negative margin is an arbitrage.

    The tests of smiles and of neighbouring pairs are exact for all k and need no grid. Margins of padded
    entries are inf. A batch has leading axes.

    Attributes:
        expiries: Expiries in years, those with a smile first, (T,); inf where padded.
        butterfly: theta / theta_min - 1 of every smile, where theta_min is the smallest theta without
            butterfly arbitrage, (T,).
        butterfly_k: k at which Durrleman's function is smallest when theta = theta_min, (T,).
        calendar: Smallest (w - w_before) / w over all k, of each smile and the one before it, (T - 1,).
        calendar_k: k of that minimum, infinite in a wing, (T - 1,).
        between: Smallest margin of butterfly and calendar conditions strictly inside each interval between
            expiries, (T - 1,); inf where `proven`.
        between_t: Maturity of that minimum in years, (T - 1,).
        proven: True where a theorem covers all maturities of the interval; elsewhere `between` comes from 15
            equidistant maturities, each tested at all k, (T - 1,).
    """

    expiries: Real
    butterfly: Real
    butterfly_k: Real
    calendar: Real
    calendar_k: Real
    between: Real
    between_t: Real
    proven: Flags

    @property
    def free(self) -> Any:
        """True where no condition is violated by more than rounding (1e-12 relative), shape of the batch."""
        return self.margin >= -ROUNDING

    @property
    def margin(self) -> Any:
        """The smallest margin, shape of the batch."""
        return np.min(np.concatenate([np.asarray(getattr(self, name)) for name in _CONDITIONS], -1), axis=-1)

    def worst(self) -> tuple[str, float, float]:
        """Find the condition with the smallest margin of one surface.

        Returns:
            Name of the condition ("butterfly", "calendar" or "between"), its maturity in years, and its k,
            which is nan for "between".
        """
        margins = {name: np.asarray(getattr(self, name)) for name in _CONDITIONS}
        name = min(_CONDITIONS, key=lambda name: margins[name].min(initial=np.inf))
        i = int(np.argmin(margins[name]))
        if name == "butterfly":
            return name, float(self.expiries[i]), float(self.butterfly_k[i])
        if name == "calendar":
            return name, float(self.expiries[i + 1]), float(self.calendar_k[i])
        return name, float(self.between_t[i]), float("nan")

    def to_frame(self) -> "pd.DataFrame":
        """Return a table of the margins of one surface, with one row per expiry.

        Columns: `maturity` (years), `butterfly`, `butterfly_k`; and of the interval that ends at the expiry
        `calendar`, `calendar_k`, `between`, `between_t` (years), `proven`, missing in the first row. Margins
        are relative, and negative for an arbitrage.

        Raises:
            ArgumentError: the certificate is that of a batch.
        """
        check_single(self.expiries, "certificate")
        count = int(np.sum(np.isfinite(np.asarray(self.expiries))))
        rows = []
        for i in range(count):
            row = {"maturity": float(self.expiries[i])}
            row |= {name: float(getattr(self, name)[i]) for name in ("butterfly", "butterfly_k")}
            if i:
                names = ("calendar", "calendar_k", "between", "between_t")
                row |= {name: float(getattr(self, name)[i - 1]) for name in names}
                row |= {"proven": bool(self.proven[i - 1])}
            rows.append(row)
        return frame_of_rows(rows)

    def __str__(self) -> str:
        """Write one line with the verdict and the smallest margin."""
        if np.ndim(self.expiries) > 1:
            return f"{int(np.sum(self.free))} of {np.size(self.free)} surfaces free of static arbitrage"
        name, t, k = self.worst()
        margin = f"smallest margin {float(self.margin):.2e} ({name}, t = {t:.4g}, k = {k:.4g})"
        return f"{verdict(bool(self.free))}: {margin}"

    def __getitem__(self, index: int | slice | np.ndarray | jax.Array) -> "Certificate":
        """Select one certificate of a batch, or several."""
        return type(self)(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})


def verdict(free: bool) -> str:
    """Write whether a surface is free of static arbitrage."""
    return f"{'' if free else 'NOT '}free of static arbitrage"


def check_single(expiries: Numbers, name: str) -> None:
    """Refuse a batch where a table needs one surface.

    Raises:
        ArgumentError: the expiries have a leading axis.
    """
    if np.ndim(expiries) > 1:
        raise ArgumentError(
            f"to_frame() needs one {name}, got a batch; select one by its index, such as [3]."
        )
