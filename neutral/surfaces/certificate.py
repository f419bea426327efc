"""Evidence that a surface is free of static arbitrage, or where it is not."""

from typing import Any

import equinox as eqx
import numpy as np

from ..typing import Flags, Real

_CONDITIONS = ("butterfly", "calendar", "between")


class Certificate(eqx.Module):
    """Margins of all static no-arbitrage conditions, relative; one that is negative is an arbitrage.

    Tests of smiles and of neighbouring pairs are exact for all k, without a grid. Padded entries are inf. A
    batch has leading axes.

    Attributes:
        expiries: Years, the known ones first, (T,); inf where padded.
        butterfly: theta / theta_min - 1 of every smile, (T,).
        butterfly_k: Where Durrleman's function is smallest when theta = theta_min, (T,).
        calendar: (w - w_before) / w where it is smallest, of each smile and the one before it, (T - 1,).
        calendar_k: Where that is, infinite in a wing, (T - 1,).
        between: Smallest margin of butterfly and calendar conditions strictly inside the interval that ends
            at each expiry but the first, (T - 1,).
        between_t: Where that is, years, (T - 1,).
        proven: Whether the interval is free by proof, given its two smiles; where False, `between` is of 15
            equidistant maturities in it, each tested at all k, (T - 1,).
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
        """Whether no condition is violated beyond rounding (1e-12 relative), shape of the batch."""
        return self.margin >= -ROUNDING

    @property
    def margin(self) -> Any:
        """The smallest margin, shape of the batch."""
        return np.min(np.concatenate([np.asarray(getattr(self, name)) for name in _CONDITIONS], -1), axis=-1)

    def worst(self) -> tuple[str, float, float]:
        """Of one surface: the condition with the smallest margin, and the t and k where it is found.

        k is nan where the condition is "between".
        """
        margins = {name: np.asarray(getattr(self, name)) for name in _CONDITIONS}
        name = min(_CONDITIONS, key=lambda name: margins[name].min(initial=np.inf))
        i = int(np.argmin(margins[name]))
        if name == "butterfly":
            return name, float(self.expiries[i]), float(self.butterfly_k[i])
        if name == "calendar":
            return name, float(self.expiries[i + 1]), float(self.calendar_k[i])
        return name, float(self.between_t[i]), float("nan")

    def __str__(self) -> str:
        """One line."""
        if np.ndim(self.expiries) > 1:
            return f"{int(np.sum(self.free))} of {np.size(self.free)} surfaces free of static arbitrage"
        name, t, k = self.worst()
        verdict = "free of static arbitrage" if self.free else "NOT free of static arbitrage"
        return f"{verdict}: smallest margin {float(self.margin):.2e} ({name}, t = {t:.4g}, k = {k:.4g})"

    def __getitem__(self, index: Any) -> "Certificate":
        """One certificate of a batch."""
        return type(self)(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


ROUNDING = 1e-12  # relative margin below zero that a smile on the boundary may show
