"""One snapshot's quotes as a padded pytree: what calibration sees.

A grid cell is a strike of an expiry and holds two quotes, call and put, each with its own price, spread,
weight and mask: a model is priced once per cell, a residual belongs to a quote.
"""

from typing import Any, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ArgumentError
from ..options.terms import Settlement, as_numbers
from ..precision import require_precision
from ..typing import Real
from .table import check_constant, check_single, columns_of, normalised_prices, slots
from .vols import market_vols

_MATURITIES = (4, 8, 12, 16, 24, 32, 48, 64)
_STRIKES = (8, 16, 32, 64, 128, 192, 256)


class ListedQuotes(NamedTuple):
    """The valid quotes of a surface, one entry per listed option, in the order they were given."""

    k: np.ndarray
    t: np.ndarray
    is_call: np.ndarray
    price: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    spread: np.ndarray
    vol: np.ndarray
    train: np.ndarray


class QuoteSurface(eqx.Module):
    """Quotes of one underlying at one time, padded to a bucket of maturities T and strikes K.

    Prices are normalised and undiscounted, over the forward; a coin-settled option's price is that already.
    Axis of length 2: call, put. `stack` puts a leading axis of surfaces on every field.
    """

    t: Any  # (T,) years; padded maturities continue a year apart
    forward: Any  # (T,) 1 where padded
    discount: Any  # (T,) 1 where padded
    k: Any  # (T, K) log(strike / forward), 0 where padded
    prices: Any  # (2, T, K) of the quote's own kind, 0 where padded
    bid: Any  # (2, T, K) nan where absent
    ask: Any  # (2, T, K) nan where absent
    weight: Any  # (2, T, K) relative weight, 0 where padded
    mask: Any  # (2, T, K) quotes that exist
    train: Any  # (2, T, K) quotes that calibration uses unless told otherwise
    vol: Any  # (2, T, K) Black volatility of the price, of the expiry where it has none
    vega: Any  # (2, T, K) derivative of the price in that volatility
    stdev: Any  # (T,) total standard deviation at the money
    index: Any  # (2, T, K) row of the quote in what the surface was built from, -1 where padded
    settlement: Settlement = eqx.field(static=True, default="cash")

    @classmethod
    def from_quotes(cls, frame: Any, settlement: Settlement = "cash") -> Self:
        """Build from a table with one row per listed option.

        Args:
            frame: DataFrame, or mapping of columns: forward, strike, maturity (years), kind ("call", "put" or
                booleans) and price or vol; optional discount, bid, ask (unit of price, or of vol where that
                is given), weight (relative, > 0), train (boolean).
            settlement: Unit of prices: "cash" (payment currency) or "coin" (the underlying).

        Raises:
            ArgumentError: names the column or the rows that are wrong.
            PrecisionError: double precision is off.
        """
        require_precision("float64")
        if settlement not in ("cash", "coin"):
            raise ArgumentError(f"settlement must be 'cash' or 'coin' (inverse), got {settlement!r}.")
        column = columns_of(frame)
        t, row = np.unique(column["maturity"], return_inverse=True)
        check_constant("forward", column["forward"], t, row)
        check_constant("discount", column["discount"], t, row)
        slot = slots(row, column["strike"], t.size)
        kind = np.where(column["is_call"], 0, 1)
        check_single(kind, row, slot, column)
        shape = (_bucket(t.size, _MATURITIES), _bucket(int(slot.max()) + 1, _STRIKES))

        def grid(values: np.ndarray, empty: Any, dtype: Any = np.float64) -> np.ndarray:
            out = np.full((2, *shape), empty, dtype)
            out[kind, row, slot] = values
            return out

        def line(values: np.ndarray, empty: float = 1.0) -> np.ndarray:
            out = np.full(shape[0], empty)
            out[row] = values
            return out

        k = np.zeros(shape)
        k[row, slot] = np.log(column["strike"] / column["forward"])
        unit = np.ones(row.size) if settlement == "coin" else column["discount"] * column["forward"]
        expiries = np.concatenate([t, t[-1] + np.arange(1.0, shape[0] - t.size + 1.0)])
        prices, bid, ask = normalised_prices(column, unit, k[row, slot], column["maturity"])
        return cls.from_arrays(
            expiries, k, grid(prices, 0.0), grid(bid, np.nan), grid(ask, np.nan),
            mask=grid(np.ones(row.size), False, bool), weight=grid(column["weight"], 0.0),
            train=grid(column["train"], False, bool), index=grid(np.arange(row.size), -1, np.int64),
            forward=line(column["forward"]), discount=line(column["discount"]), settlement=settlement,
        )  # fmt: skip

    @classmethod
    def from_arrays(
        cls,
        t: Any,
        k: Any,
        prices: Any,
        bid: Any = np.nan,
        ask: Any = np.nan,
        *,
        mask: Any = True,
        weight: Any = 1.0,
        train: Any = True,
        index: Any = None,
        forward: Any = 1.0,
        discount: Any = 1.0,
        settlement: Settlement = "cash",
    ) -> Self:
        """Build from padded arrays, for many surfaces at once: leading axes, then (T,), (T, K), (2, T, K).

        Args:
            t: Maturities in years, ascending, > 0.
            k: Log-forward moneyness.
            prices: Normalised prices of call and put.
            bid: Normalised bid prices, nan where absent.
            ask: Normalised ask prices, nan where absent.
            mask: Quotes that exist.
            weight: Relative weights of quotes.
            train: Quotes that calibration uses.
            index: Row of each quote in its source; counted through where None.
            forward: Forward of each maturity.
            discount: Discount factor of each maturity.
            settlement: Unit of the source's prices; they are normalised in either case.
        """
        require_precision("float64")
        t, k, prices = (as_numbers(n, x) for n, x in (("t", t), ("k", k), ("prices", prices)))
        shape = np.broadcast_shapes(np.shape(k)[:-2] + (2,) + np.shape(k)[-2:], np.shape(prices))
        mask = np.broadcast_to(np.asarray(mask, bool), shape)

        def full(x: Any) -> np.ndarray:
            return np.array(np.broadcast_to(np.asarray(x, np.float64), shape))

        def line(x: Any) -> np.ndarray:
            return np.array(np.broadcast_to(np.asarray(x, np.float64), t.shape))

        if index is None:
            index = np.broadcast_to(np.arange(np.prod(shape[-3:])).reshape(shape[-3:]), shape)
        prices = np.where(mask, full(prices), 0.0)
        vol, vega, stdev = (np.asarray(x) for x in market_vols(t, k, prices, mask))
        return cls(
            t, line(forward), line(discount), k, prices,
            np.where(mask, full(bid), np.nan), np.where(mask, full(ask), np.nan),
            np.where(mask, full(weight), 0.0), np.array(mask), np.array(mask & train),
            vol, vega, stdev, np.where(mask, index, -1), settlement,
        )  # fmt: skip

    @property
    def expiries(self) -> Real:
        """Padded maturities in years, shape (..., T)."""
        return self.t

    @property
    def spread(self) -> Real:
        """Ask less bid, normalised, shape (..., 2, T, K); nan where a side is absent."""
        return self.ask - self.bid

    @property
    def shape(self) -> tuple[int, int]:
        """Padded maturities and strikes."""
        return np.shape(self.k)[-2], np.shape(self.k)[-1]

    def with_prices(self, prices: Any) -> Self:
        """The same surface with other prices only; weights, vegas, spreads, nodes and starts stay.

        Args:
            prices: Array of the shape of `prices`; may be traced.
        """
        _check_shape("prices", prices, self.prices)
        return eqx.tree_at(lambda s: s.prices, self, prices)

    def with_weights(self, weight: Any) -> Self:
        """The same surface with other relative weights of quotes only.

        Args:
            weight: Array of the shape of `weight`, not negative; may be traced.
        """
        _check_shape("weight", weight, self.weight)
        return eqx.tree_at(lambda s: s.weight, self, weight)

    def with_forwards(self, forward: Any) -> Self:
        """The same quotes seen from other forwards: strikes, discount factors and quoted prices stay.

        Moneyness follows, and normalised cash prices, bid and ask, which are over the forward; prices in coin
        are normalised by themselves. Volatilities, vegas, nodes and starts stay as `with_prices` leaves them.

        Args:
            forward: Array of the shape of `forward`, above 0; may be traced.
        """
        _check_shape("forward", forward, self.forward)
        ratio = jnp.expand_dims(self.forward / forward, -1)
        unit = jnp.expand_dims(ratio, -3) if self.settlement == "cash" else 1.0
        quoted = (_times_known(x, unit) for x in (self.prices, self.bid, self.ask))
        moved = (forward, self.k + jnp.log(ratio), *quoted)
        return eqx.tree_at(lambda s: (s.forward, s.k, s.prices, s.bid, s.ask), self, moved)

    def quotes(self) -> ListedQuotes:
        """The valid quotes of one surface in the order they were given."""
        if np.ndim(self.t) != 1:
            raise ArgumentError(
                "quotes() is of one surface; take one from the stack first, as in surfaces[3]."
            )
        where = np.nonzero(self.mask)
        order = np.argsort(np.asarray(self.index)[where], kind="stable")
        kind, row, slot = (axis[order] for axis in where)
        pick = (kind, row, slot)
        bid, ask = np.asarray(self.bid)[pick], np.asarray(self.ask)[pick]
        return ListedQuotes(
            np.asarray(self.k)[row, slot], np.asarray(self.t)[row], kind == 0, np.asarray(self.prices)[pick],
            bid, ask, ask - bid, np.asarray(self.vol)[pick], np.asarray(self.train)[pick],
        )  # fmt: skip

    def __len__(self) -> int:
        """Number of surfaces in a stack."""
        if np.ndim(self.t) == 1:
            raise TypeError("a single surface has no length; stack([...]) makes one that has")
        return np.shape(self.t)[0]

    def __getitem__(self, index: Any) -> Self:
        """One surface of a stack, or some of them."""
        if np.ndim(self.t) == 1:
            raise TypeError("a single surface has no items; stack([...]) makes one that has")
        return jax.tree.map(lambda x: x[index], self)

    def __repr__(self) -> str:
        """What it holds."""
        quotes, rows = int(np.sum(self.mask)), np.any(self.mask, axis=(-3, -1))
        many = f"{len(self)} surfaces, " if np.ndim(self.t) > 1 else ""
        t = np.asarray(self.t)[rows]
        span = f"{t.min():.3g} to {t.max():.3g} years" if t.size else "none"
        return f"QuoteSurface({many}{quotes} quotes, {int(rows.sum())} expiries, {span}, {self.settlement})"


def _check_shape(name: str, given: Any, own: Any) -> None:
    if np.shape(given) != np.shape(own):
        raise ArgumentError(f"{name} must have shape {np.shape(own)}, got {np.shape(given)}.")


def _times_known(x: Any, factor: Any) -> Real:
    """Product where x is a number; elsewhere x itself, whose nan no derivative meets."""
    known = jnp.isfinite(x)
    return jnp.where(known, jnp.where(known, x, 0.0) * factor, x)


def _bucket(size: int, sizes: tuple[int, ...]) -> int:
    return next((s for s in sizes if s >= size), -(-size // sizes[-1]) * sizes[-1])
