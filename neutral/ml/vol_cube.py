"""The vol cube: surfaces of many dates on one grid of maturities and spot moneyness, as one array."""

import dataclasses
import datetime
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from .. import durable
from ..errors import ArgumentError, DataError
from ..numerics.compiled import compiled
from ..precision import require_precision
from ..surfaces import VolSurface
from ..times import DAYS_A_YEAR
from ..typing import Numbers, Real

CHANNELS = ("ttm", "iv", "spot", "rate", "strike")
_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class CubeGrid:
    """The points at which surfaces are evaluated: strike / spot, (M,), and days to maturity, (T,).

    Raises:
        ArgumentError: the numbers of one axis do not ascend, are not positive, or there are none.
    """

    moneyness: tuple[float, ...] = tuple(round(0.9 + 0.01 * i, 2) for i in range(20))
    days: tuple[float, ...] = tuple(30.0 * i for i in range(1, 21))

    def __post_init__(self) -> None:
        for name in ("moneyness", "days"):
            values = np.asarray(getattr(self, name), float)
            if values.ndim != 1 or values.size == 0 or np.any(np.diff(values, prepend=0.0) <= 0.0):
                raise ArgumentError(f"{name} must be positive numbers that ascend, got {values.tolist()}.")

    @property
    def maturities(self) -> np.ndarray:
        """Maturities in years of 365 days, (T,)."""
        return np.asarray(self.days) / DAYS_A_YEAR


class Sample(NamedTuple):
    """Surfaces of N dates, with the spot and the rates that turn the grid into forward moneyness."""

    surfaces: VolSurface | Sequence[VolSurface]  # one with a leading axis N, or a sequence of N
    spot: ArrayLike  # (N,)
    rate: ArrayLike  # (N, T) carry rates ln(F / S) / t to the maturities of the grid, 1/yr
    dates: ArrayLike  # (N,) UTC
    assets: ArrayLike  # (N,) names of the assets


@dataclasses.dataclass(frozen=True, eq=False)
class VolCube:
    """An array of dates x channels x maturities x moneyness, with names for its axes.

    The channels are `CHANNELS`: time to maturity in years, implied volatility, spot, carry rate (the forward
    is spot exp(rate ttm)) and strike. A volatility is nan where a surface has none.
    """

    values: np.ndarray  # (N, 5, T, M)
    dates: np.ndarray  # (N,) datetime64[s], UTC
    assets: np.ndarray  # (N,) names of the assets
    grid: CubeGrid

    def __len__(self) -> int:
        """Number of dates."""
        return len(self.values)

    def __repr__(self) -> str:
        """Show the shape, the dates, and the number of assets."""
        sizes = (len(self), len(CHANNELS), len(self.grid.days), len(self.grid.moneyness))
        shape = "VolCube({} dates x {} channels x {} maturities x {} moneyness".format(*sizes)
        if not len(self):
            return f"{shape})"
        dates = self.dates[~np.isnat(self.dates)].astype("datetime64[D]")
        span = f"{dates.min()} to {dates.max()}" if dates.size else "without dates"
        return f"{shape}, {span}, {np.unique(self.assets).size} assets)"

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> "VolCube":
        """The cube of some dates, chosen by a slice, a mask or positions."""
        rows = index if isinstance(index, slice) else np.atleast_1d(np.asarray(index))
        return VolCube(
            values=self.values[rows], dates=self.dates[rows], assets=self.assets[rows], grid=self.grid
        )

    def channel(self, name: str) -> np.ndarray:
        """One channel by its name, (N, T, M).

        Raises:
            ArgumentError: the name is none of `CHANNELS`.
        """
        if name not in CHANNELS:
            raise ArgumentError(f"channel must be one of {', '.join(CHANNELS)}, got {name!r}.")
        return self.values[:, CHANNELS.index(name)]

    @property
    def log_moneyness(self) -> np.ndarray:
        """Log-forward moneyness ln(strike / forward), (N, T, M)."""
        spot, strike, rate, t = (self.channel(name) for name in ("spot", "strike", "rate", "ttm"))
        return np.log(strike / spot) - rate * t

    def split(self, date: str | np.datetime64 | datetime.date) -> tuple["VolCube", "VolCube"]:
        """The cube of all dates before `date`, for training, and that of all later dates, for testing.

        A surface whose date is unknown (NaT) is in neither.

        Args:
            date: The first date of the second cube.
        """
        first = np.datetime64(date)
        return self[self.dates < first], self[self.dates >= first]

    def batches(self, size: int, key: jax.Array | None = None) -> Iterator[Real]:
        """The values in batches of `size` dates, the last one smaller: JAX arrays (size, 5, T, M).

        Args:
            size: Number of dates in a batch.
            key: Key of `jax.random` that shuffles the dates; they keep their order where None.

        Raises:
            ArgumentError: the size is below 1.
        """
        if size < 1:
            raise ArgumentError(f"size must be 1 or more, got {size}.")
        order = np.arange(len(self)) if key is None else np.asarray(jax.random.permutation(key, len(self)))
        for first in range(0, len(self), size):
            yield jnp.asarray(self.values[order[first : first + size]])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a compressed `.npz` file, whole or not at all; an existing file is replaced.

        Args:
            path: The file.

        Raises:
            WriteError: the disk is full, or writing is not allowed.
        """
        content: dict[str, Any] = {
            "format": np.asarray(_FORMAT),
            "values": self.values,
            "dates": self.dates,
            "assets": self.assets,
            "channels": np.asarray(CHANNELS),
            "moneyness": np.asarray(self.grid.moneyness),
            "days": np.asarray(self.grid.days),
        }

        def write(partial: Path) -> None:
            with partial.open("wb") as file:
                np.savez_compressed(file, **content)

        durable.replace(Path(path), write)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a cube that `save` wrote.

        Args:
            path: The file.

        Raises:
            DataError: there is no such file, or it is not a cube of this format.
        """
        try:
            with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
                if int(file["format"]) != _FORMAT:
                    raise DataError(
                        f"{path}: has format {file['format']}; this version of neutral reads {_FORMAT}."
                    )
                grid = CubeGrid(tuple(file["moneyness"].tolist()), tuple(file["days"].tolist()))
                cube = cls(values=file["values"], dates=file["dates"], assets=file["assets"], grid=grid)
                dates = len(cube.dates)
                shape = (dates, len(CHANNELS), len(grid.days), len(grid.moneyness))
                if cube.values.shape != shape or cube.assets.shape != (dates,):
                    raise DataError(
                        f"{path}: is damaged: values of shape {cube.values.shape} and assets of shape "
                        f"{cube.assets.shape} do not fit its axes, which are {shape}."
                    )
                return cube
        except FileNotFoundError:
            raise DataError(f"{path}: no such file.") from None
        except DataError:
            raise
        except durable.ARCHIVE_DAMAGE as error:
            raise DataError(
                f"{path}: is not a cube that neutral wrote, or is damaged: {error}. Restore the file from a "
                "copy, or write it again."
            ) from error


def sample_cube(samples: Sequence[Sample], grid: CubeGrid | None = None) -> VolCube:
    """Evaluate surfaces on a grid.

    Args:
        samples: Surfaces of some dates in each sample.
        grid: The grid; where None, strikes from 0.90 to 1.09 of spot and 30 to 600 days.

    Returns:
        The cube, with the dates in the order of the samples.

    Raises:
        ArgumentError: the shape of a sample's rates is not dates x maturities of the grid.
        PrecisionError: double precision is off.
    """
    require_precision("float64")
    grid = grid or CubeGrid()
    if not samples:
        shape = (0, len(CHANNELS), len(grid.days), len(grid.moneyness))
        empty = np.empty(0, "datetime64[s]")
        return VolCube(values=np.empty(shape), dates=empty, assets=np.empty(0, str), grid=grid)
    return VolCube(
        values=np.concatenate([_values(sample, grid) for sample in samples]),
        dates=np.concatenate([np.asarray(sample.dates, "datetime64[s]") for sample in samples]),
        assets=np.concatenate([np.asarray(sample.assets, str) for sample in samples]),
        grid=grid,
    )


def carry_rates(expiries: ArrayLike, forwards: ArrayLike, spot: float, maturities: ArrayLike) -> np.ndarray:
    """Carry rates ln(F / S) / t at given maturities, from the forwards of expiries.

    Between expiries ln(F / S) is linear in time; before the first and after the last the rate is constant.

    Args:
        expiries: Years, ascending, (n,).
        forwards: Forwards of the expiries, (n,).
        spot: Spot price.
        maturities: Years, > 0, any shape.

    Returns:
        Rates per year, shape of `maturities`; 0 where there is no expiry.
    """
    t_expiries = np.asarray(expiries, float)
    t = np.asarray(maturities, float)
    if not t_expiries.size:
        return np.zeros(t.shape)
    total = np.log(np.asarray(forwards, float) / spot)
    inside = np.interp(t, np.append(0.0, t_expiries), np.append(0.0, total))
    return np.where(t > t_expiries[-1], total[-1] / t_expiries[-1], inside / t)


def _values(sample: Sample, grid: CubeGrid) -> Float[np.ndarray, "N 5 T M"]:
    """The channels of a sample in the order of `CHANNELS`, (N, 5, T, M)."""
    spot = np.asarray(sample.spot, float)
    rate = np.asarray(sample.rate, float)
    shape = (len(spot), len(grid.days), len(grid.moneyness))
    if rate.shape != shape[:2]:
        raise ArgumentError(f"rate must have shape {shape[:2]}, dates x maturities, got {rate.shape}.")
    t = grid.maturities
    # log(K / F) = log(K / S) - log(F / S)
    k = np.log(np.asarray(grid.moneyness))[None, None] - (rate * t)[..., None]
    strike = spot[:, None] * np.asarray(grid.moneyness)
    channels = (
        t[None, :, None],
        _vols(sample.surfaces, k, t),
        spot[:, None, None],
        rate[..., None],
        strike[:, None],
    )
    return np.stack([np.broadcast_to(x, shape) for x in channels], axis=1)


def _vols(
    surfaces: VolSurface | Sequence[VolSurface], k: Float[np.ndarray, "N T M"], t: Float[np.ndarray, " T"]
) -> Float[np.ndarray, "N T M"]:
    """Implied volatilities of a batch of surfaces at once, or of a sequence of surfaces one by one."""
    if isinstance(surfaces, VolSurface):
        return np.asarray(_batch_vols(surfaces, k, t))
    pairs = zip(surfaces, k, strict=True)
    return np.stack([np.asarray(surface.implied_vol(row, t[:, None])) for surface, row in pairs])


@compiled
def _batch_vols(
    surfaces: VolSurface, k: Float[Numbers, "N T M"], t: Float[Numbers, " T"]
) -> Float[Numbers, "N T M"]:
    return jax.vmap(lambda one, k: one.implied_vol(k, jnp.asarray(t)[:, None]))(surfaces, jnp.asarray(k))
