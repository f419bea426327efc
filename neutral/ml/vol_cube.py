"""The vol cube: surfaces of many dates on one grid of maturities and spot moneyness, as one array."""

import dataclasses
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self
from zipfile import BadZipFile

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ArgumentError, DataError
from ..precision import require_precision
from ..surfaces import VolSurface
from ..typing import Real

CHANNELS = ("ttm", "iv", "spot", "rate", "strike")
DAYS_A_YEAR = 365.0
_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class CubeGrid:
    """Where surfaces are read: strike / spot, and days to maturity; both ascend.

    Raises:
        ArgumentError: they do not, are not positive, or there is none.
    """

    moneyness: tuple[float, ...] = tuple(round(0.9 + 0.01 * i, 2) for i in range(20))
    days: tuple[float, ...] = tuple(30.0 * i for i in range(1, 21))

    def __post_init__(self) -> None:
        for name in ("moneyness", "days"):
            values = np.asarray(getattr(self, name), float)
            if values.ndim != 1 or values.size == 0 or np.any(np.diff(values, prepend=0.0) <= 0.0):
                raise ArgumentError(f"{name} must be positive numbers that ascend, got {values}.")

    @property
    def maturities(self) -> np.ndarray:
        """Years of 365 days, (T,)."""
        return np.asarray(self.days) / DAYS_A_YEAR


class Sample(NamedTuple):
    """Surfaces of some dates with what places them on the grid; N of them."""

    surfaces: VolSurface | Sequence[VolSurface]  # with a leading axis N, or a sequence
    spot: Any  # (N,)
    rate: Any  # (N, T) carry rate to the maturities of the grid, ln(F / S) / t
    dates: Any  # (N,) UTC
    assets: Any  # (N,)


@dataclasses.dataclass(frozen=True, eq=False)
class VolCube:
    """An array of dates x channels x maturities x moneyness, with names for its axes.

    Channels are `CHANNELS`: time to maturity in years, implied volatility, spot, carry rate (the forward is
    spot exp(rate ttm)), strike. A volatility that a surface does not have is nan.
    """

    values: np.ndarray  # (N, 5, T, M)
    dates: np.ndarray  # (N,) datetime64[s], UTC
    assets: np.ndarray  # (N,) text
    grid: CubeGrid

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> "VolCube":
        """Some of the dates: a slice, a mask or positions."""
        if np.ndim(index) == 0 and not isinstance(index, slice):
            index = [index]
        return VolCube(self.values[index], self.dates[index], self.assets[index], self.grid)

    def channel(self, name: str) -> np.ndarray:
        """One channel by its name, (N, T, M)."""
        if name not in CHANNELS:
            raise ArgumentError(f"channel must be one of {', '.join(CHANNELS)}, got {name!r}.")
        return self.values[:, CHANNELS.index(name)]

    @property
    def log_moneyness(self) -> np.ndarray:
        """Log-forward moneyness ln(strike / forward), (N, T, M)."""
        spot, strike, rate, t = (self.channel(name) for name in ("spot", "strike", "rate", "ttm"))
        return np.log(strike / spot) - rate * t

    def split(self, date: Any) -> tuple["VolCube", "VolCube"]:
        """The dates before one, to train on, and those from it on, to test on."""
        late = self.dates >= np.datetime64(date)
        return self[~late], self[late]

    def batches(self, size: int, key: Any = None) -> Iterator[Real]:
        """The values in batches of `size` dates, the last one smaller: JAX arrays (size, 5, T, M).

        Args:
            size: Dates of a batch.
            key: Of `jax.random`, to shuffle by; in order where None.
        """
        if size < 1:
            raise ArgumentError(f"size must be 1 or more, got {size}.")
        order = np.arange(len(self)) if key is None else np.asarray(jax.random.permutation(key, len(self)))
        for first in range(0, len(self), size):
            yield jnp.asarray(self.values[order[first : first + size]])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a compressed `.npz`; replaced whole if it exists."""
        path = Path(path)
        partial = path.with_name(path.name + ".partial")
        content: dict[str, Any] = {
            "format": np.asarray(_FORMAT),
            "values": self.values,
            "dates": self.dates,
            "assets": self.assets,
            "channels": np.asarray(CHANNELS),
            "moneyness": np.asarray(self.grid.moneyness),
            "days": np.asarray(self.grid.days),
        }
        try:
            with partial.open("wb") as file:
                np.savez_compressed(file, **content)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            DataError: the file is not a cube of this format.
        """
        try:
            with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
                if int(file["format"]) != _FORMAT:
                    raise DataError(f"{path}: format {file['format']} is not known here, {_FORMAT} is.")
                grid = CubeGrid(tuple(file["moneyness"].tolist()), tuple(file["days"].tolist()))
                return cls(file["values"], file["dates"], file["assets"], grid)
        except FileNotFoundError:
            raise DataError(f"{path}: no such file.") from None
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            raise DataError(f"{path}: is not a cube that neutral wrote, or is damaged: {error}") from error


def sample_cube(samples: Sequence[Sample], grid: CubeGrid | None = None) -> VolCube:
    """Read surfaces on a grid.

    Args:
        samples: Surfaces of some dates, sample after sample.
        grid: The grid; strikes 0.90 to 1.09 of spot and 30 to 600 days by default.

    Returns:
        The cube, dates in the order given.
    """
    require_precision("float64")
    grid = grid or CubeGrid()
    shape = (5, len(grid.days), len(grid.moneyness))
    values = [_values(sample, grid) for sample in samples]
    dates = [np.asarray(sample.dates, "datetime64[s]") for sample in samples]
    assets = [np.asarray(sample.assets, str) for sample in samples]
    if not samples:
        return VolCube(np.empty((0, *shape)), np.empty(0, "datetime64[s]"), np.empty(0, str), grid)
    return VolCube(np.concatenate(values), np.concatenate(dates), np.concatenate(assets), grid)


def carry_rates(expiries: Any, forwards: Any, spot: float, maturities: Any) -> np.ndarray:
    """Carry rates ln(F / S) / t at some maturities from the forwards of expiries.

    Between expiries ln(F / S) is linear in time; the first and the last rate continue beyond.

    Args:
        expiries: Years, ascending, (n,).
        forwards: Forwards, (n,).
        spot: Spot price.
        maturities: Years, any shape.

    Returns:
        Rates per year, shape of `maturities`; 0 where there is no expiry.
    """
    expiries, t = np.asarray(expiries, float), np.asarray(maturities, float)
    if not expiries.size:
        return np.zeros(t.shape)
    total = np.log(np.asarray(forwards, float) / spot)
    inside = np.interp(t, np.append(0.0, expiries), np.append(0.0, total))
    return np.where(t > expiries[-1], total[-1] / expiries[-1], inside / t)


def _values(sample: Sample, grid: CubeGrid) -> np.ndarray:
    """(N, 5, T, M)."""
    spot, rate = np.asarray(sample.spot, float), np.asarray(sample.rate, float)
    shape = (len(spot), len(grid.days), len(grid.moneyness))
    if rate.shape != shape[:2]:
        raise ArgumentError(f"rate must have shape {shape[:2]}, dates x maturities, got {rate.shape}.")
    t = grid.maturities
    k = np.log(np.asarray(grid.moneyness))[None, None] - (rate * t)[..., None]
    if isinstance(sample.surfaces, VolSurface):
        vol = np.asarray(_vols(sample.surfaces, k, t))
    else:
        vol = np.stack([np.asarray(one.implied_vol(x, t[:, None])) for one, x in
                        zip(sample.surfaces, k, strict=True)])  # fmt: skip
    strike = spot[:, None] * np.asarray(grid.moneyness)
    channels = (t[None, :, None], vol, spot[:, None, None], rate[..., None], strike[:, None])
    return np.stack([np.broadcast_to(x, shape) for x in channels], axis=1)


@eqx.filter_jit
def _vols(surfaces: VolSurface, k: Any, t: Any) -> Real:
    return jax.vmap(lambda one, k: one.implied_vol(k, jnp.asarray(t)[:, None]))(surfaces, jnp.asarray(k))
