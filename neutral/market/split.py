"""Splits quotes into those to which a model is fitted and those on which it is tested."""

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

    The kinds of split are:

    - "random": n quotes are shuffled, and the first floor(train_share n) are train. A call can then be test
      while the put of its strike is train, although put-call parity makes the two one number. Only quotes
      with a futures price in their own row are drawn, as in the published fits; the others are "extra", in
      neither set. If no quote has one, all are drawn.
    - "strikes": neighbouring strikes of an expiry form blocks, calls and puts together; blocks are drawn.
    - "expiries": whole expiries are drawn.

    The last two draw from all quotes. With two or more blocks or expiries each side gets at least one.

    Attributes:
        kind: "random", "strikes" or "expiries".
        seed: Seed of the draw, >= 0.
        train_share: Share of train, above 0 and below 1.
        block: Strikes per block of "strikes", >= 1.

    Raises:
        ArgumentError: A field is out of its range; the message names it and what is accepted.
    """

    kind: str = "random"
    seed: int = BASE_SEED
    train_share: float = 0.7
    block: int = 3

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ArgumentError(
                f"kind={self.kind!r} is unknown; expected one of {', '.join(map(repr, KINDS))}."
            )
        for name, low in (("seed", 0), ("block", 1)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < low:
                raise ArgumentError(
                    f"{name}={value!r} is not accepted; expected a whole number of at least {low}."
                )
        if not isinstance(self.train_share, int | float) or not 0 < self.train_share < 1:
            raise ArgumentError(
                f"train_share={self.train_share!r} is not accepted; expected a number between 0 and 1."
            )

    def labels(self, frame: pd.DataFrame) -> np.ndarray:
        """Assign each row to "train", "test" or "extra".

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
        """Assign single quotes at random."""
        labels = np.full(len(frame), "extra", dtype=object)
        has_future = frame["forward_source"].to_numpy(object) == "futures"
        drawn = np.flatnonzero(has_future if has_future.any() else np.ones(len(frame), bool))
        # the shuffle of pandas, with which the published splits were drawn
        shuffled = pd.Series(drawn).sample(frac=1, random_state=self.seed).to_numpy()
        n_train = int(self.train_share * len(drawn))
        labels[shuffled[:n_train]] = "train"
        labels[shuffled[n_train:]] = "test"
        return labels

    def _strikes(self, expiry: np.ndarray, strike: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Assign blocks of neighbouring strikes at random, expiry by expiry."""
        labels = np.full(len(strike), "test", dtype=object)
        for code in np.unique(expiry):
            rows = np.flatnonzero(expiry == code)
            strikes, position = np.unique(strike[rows], return_inverse=True)
            # blocks of sizes as equal as possible, about `block` strikes each
            n_blocks = max(1, round(len(strikes) / self.block))
            block = position * n_blocks // len(strikes)
            labels[rows[np.isin(block, self._draw(np.arange(n_blocks), generator))]] = "train"
        return labels

    def _draw(self, groups: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draw about `train_share` of the groups; of two or more groups at least one, and not all."""
        n_train = round(self.train_share * len(groups))
        n_train = max(1, min(n_train, len(groups) - 1))
        return generator.permutation(groups)[:n_train]


def split_seed(currency: str, position: int, currencies: Sequence[str] = ("BTC", "ETH")) -> int:
    """Compute the seed of a snapshot's split: 123 + 10000 x (index of the currency) + position.

    Args:
        currency: One of `currencies`.
        position: Position of the snapshot in its archive, from 0.
        currencies: Currencies in the order of their indices; append new ones, so that seeds do not change.

    Raises:
        ArgumentError: The currency is not among them, or the position is negative.
    """
    if currency not in currencies:
        raise ArgumentError(f"currency={currency!r} is unknown; expected one of {', '.join(currencies)}.")
    if position < 0:
        raise ArgumentError(f"position={position} is not accepted; expected 0 or more.")
    return BASE_SEED + SEEDS_PER_CURRENCY * list(currencies).index(currency) + position
