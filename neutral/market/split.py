"""Which quotes a model is fitted to and which it is tested on."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import ArgumentError

KINDS = ("random", "strikes", "expiries")
BASE_SEED = 123
SEEDS_PER_CURRENCY = 10_000


@dataclasses.dataclass(frozen=True)
class Split:
    """A split of quotes into train and test, the same for the same quotes and seed.

    - "random": quotes are shuffled and the first floor(train_share n) train. A call can then be tested while
      the put of its strike trains, and the two are one number by parity. Only quotes with a futures price of
      their own are drawn, as in the published fits; the others are "extra", in neither set. Where no quote
      has one, all are drawn.
    - "strikes": neighbouring strikes of an expiry form blocks, calls and puts together; blocks are drawn.
    - "expiries": whole expiries are drawn.

    The last two draw from all quotes; of two or more blocks, or expiries, each side gets at least one.
    """

    kind: str = "random"
    seed: int = BASE_SEED
    train_share: float = 0.7
    block: int = 3  # strikes per block of "strikes"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ArgumentError(f"kind={self.kind!r}: expected one of {', '.join(map(repr, KINDS))}")
        for name, low in (("seed", 0), ("block", 1)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < low:
                raise ArgumentError(f"{name}={value!r}: expected a whole number, at least {low}")
        if not isinstance(self.train_share, int | float) or not 0 < self.train_share < 1:
            raise ArgumentError(f"train_share={self.train_share!r}: expected a number between 0 and 1")

    def labels(self, frame: pd.DataFrame) -> np.ndarray:
        """The side of each row: "train", "test" or "extra".

        Args:
            frame: Columns expiry_datetime, strike, forward_source, sorted by expiry, strike and type.

        Returns:
            Strings, shape (rows,), dtype object.
        """
        if self.kind == "random":
            return self._random(frame)
        generator = np.random.default_rng(self.seed)
        expiry, expiries = pd.factorize(frame["expiry_datetime"], sort=True)
        if self.kind == "strikes":
            return self._strikes(expiry, frame["strike"].to_numpy(), generator)
        train = self._draw(np.arange(len(expiries)), generator)
        return np.where(np.isin(expiry, train), "train", "test").astype(object)

    def _random(self, frame: pd.DataFrame) -> np.ndarray:
        labels = np.full(len(frame), "extra", dtype=object)
        own = frame["forward_source"].to_numpy(object) == "futures"
        drawn = np.flatnonzero(own if own.any() else np.ones(len(frame), bool))
        # pandas' own shuffle: the published splits were drawn with it
        shuffled = pd.Series(drawn).sample(frac=1, random_state=self.seed).to_numpy()
        n_train = int(self.train_share * len(drawn))
        labels[shuffled[:n_train]] = "train"
        labels[shuffled[n_train:]] = "test"
        return labels

    def _strikes(self, expiry: np.ndarray, strike: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        labels = np.full(len(strike), "test", dtype=object)
        for one in np.unique(expiry):
            here = np.flatnonzero(expiry == one)
            strikes, position = np.unique(strike[here], return_inverse=True)
            # blocks of as equal a size as can be, about `block` strikes each
            n_blocks = max(1, round(len(strikes) / self.block))
            block = position * n_blocks // len(strikes)
            labels[here[np.isin(block, self._draw(np.arange(n_blocks), generator))]] = "train"
        return labels

    def _draw(self, groups: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """The groups that train: the given share of them; of two or more, neither none nor all."""
        n_train = round(self.train_share * len(groups))
        n_train = max(1, min(n_train, len(groups) - 1))
        return generator.permutation(groups)[:n_train]


def split_seed(currency: str, position: int, currencies: Sequence[str] = ("BTC", "ETH")) -> int:
    """Seed of a snapshot's split: 123 + 10000 (index of the currency) + position.

    Args:
        currency: One of `currencies`.
        position: Place of the snapshot in its collection, from 0.
        currencies: Their order numbers them; append others to keep the seeds of the first.

    Raises:
        ArgumentError: The currency is not among them, or the position is negative.
    """
    if currency not in currencies:
        raise ArgumentError(f"currency={currency!r}: expected one of {', '.join(currencies)}")
    if position < 0:
        raise ArgumentError(f"position={position}: expected 0 or more")
    return BASE_SEED + SEEDS_PER_CURRENCY * list(currencies).index(currency) + position
