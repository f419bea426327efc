"""The quotes of one snapshot as a padded pytree, which is the input of a calibration.

A cell of the grid is a strike of an expiry. It has two quotes, call and put, each with its own price,
spread, weight and mask. A model is priced once per cell, and each quote has a residual.
"""

import warnings
from typing import Any, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Bool, Float, Int

from ..errors import ArgumentError, QuoteWarning
from ..options.kinds import Settlement
from ..options.terms import as_numbers, unit
from ..precision import require_precision
from ..times.instants import Instants
from ..typing import Numbers, Real, Scalar, Values
from .cells import Cells, in_row_order
from .notices import notice_of_calendar, notice_of_refusals, refusals
from .outside import outside_codes
from .shapes import broadcast, quote_shape
from .table import columns_of, normalised_prices, settlement_of
from .tables import AnyTable
from .vols import market_vols


class ListedQuotes(NamedTuple):
    """The quotes of a surface, one entry per listed option, in the order of the rows they were built from.

    Prices, bids, asks and spreads are normalised; see `QuoteSurface`.

    Attributes:
        k: Log-forward moneyness log(strike / forward).
        t: Maturity in years.
        is_call: True for a call, False for a put.
        price: Price of the option.
        bid: Bid price; nan where absent.
        ask: Ask price; nan where absent.
        spread: Ask less bid; nan where one of them is absent.
        vol: Black volatility of the price; where it has none, that of its strike or expiry.
        train: True where calibration uses the quote by default.
    """

    k: Float[np.ndarray, "n"]
    t: Float[np.ndarray, "n"]
    is_call: Bool[np.ndarray, "n"]
    price: Float[np.ndarray, "n"]
    bid: Float[np.ndarray, "n"]
    ask: Float[np.ndarray, "n"]
    spread: Float[np.ndarray, "n"]
    vol: Float[np.ndarray, "n"]
    train: Bool[np.ndarray, "n"]


class QuoteSurface(eqx.Module):
    """Quotes of one underlying at one time, padded to T maturities and K strikes.

    Prices are normalised: undiscounted, over the forward. Quotes of coin-settled options are in that unit
    already. The axis of length 2 is call and put. `stack` adds a leading axis of surfaces to every field.

    Attributes:
        t: Maturities in years, ascending; those of the padding follow at intervals of one year.
        forward: Forward of each maturity; 1 where padded.
        discount: Discount factor of each maturity; 1 where padded.
        k: Log-forward moneyness log(strike / forward); 0 where padded.
        prices: Price of the call and of the put; 0 where there is no quote.
        bid: Bid price; nan where absent.
        ask: Ask price; nan where absent.
        weight: Relative weight of the quote; 0 where there is no quote.
        mask: True where a quote exists.
        train: True where calibration uses the quote by default.
        vol: Black volatility of the price; where it has none, that of its strike or expiry.
        vega: Derivative of the price in that volatility.
        stdev: Total standard deviation at the money, volatility times sqrt(t), of each maturity.
        index: Row of the quote in the table that the surface was built from; -1 where padded.
        settlement: "cash" or "coin", the unit of the quoted prices.
        refused: Why a quote is not in `mask`: a code of `neutral.quotes.outside.REASONS`; 0 for all other
            cells. None in a surface that an older version of the package has saved.
    """

    t: Float[Numbers, "... T"]
    forward: Float[Numbers, "... T"]
    discount: Float[Numbers, "... T"]
    k: Float[Numbers, "... T K"]
    prices: Float[Numbers, "... 2 T K"]
    bid: Float[Numbers, "... 2 T K"]
    ask: Float[Numbers, "... 2 T K"]
    weight: Float[Numbers, "... 2 T K"]
    mask: Bool[Numbers, "... 2 T K"]
    train: Bool[Numbers, "... 2 T K"]
    vol: Float[Numbers, "... 2 T K"]
    vega: Float[Numbers, "... 2 T K"]
    stdev: Float[Numbers, "... T"]
    index: Int[Numbers, "... 2 T K"]
    settlement: Settlement = eqx.field(static=True, default="cash")
    refused: Int[Numbers, "... 2 T K"] | None = None

    @classmethod
    def from_quotes(
        cls,
        frame: AnyTable,
        settlement: Settlement | None = None,
        *,
        date: Instants | None = None,
        warn: bool = True,
    ) -> Self:
        """Build a surface from a table with one row per listed option.

        A quote that no volatility gives is refused: it is not in `mask`, so nothing is fitted to it, and
        `refusals()` lists it with its reason.

        Args:
            frame: A table of pandas, polars (eager or lazy), pyarrow or another library, or a mapping of
                columns, with the columns

                - forward; or spot and rate, decimal per year, with an optional dividend (yield);
                - strike, in the unit of the forward;
                - maturity: years, > 0, or tenors such as "3m", or dates or times of expiry (also as a column
                  expiry), which count from `date`, act/365; see `neutral.year_fraction`;
                - kind (or option_type): "call", "put", "C", "P" or booleans, True for calls; a table of
                  volatilities needs none, and each counts for the option out of the money;
                - price, or bid and ask, whose middle then is the price, or vol.

                Optional are discount (1, or e^{-rate maturity} with a rate), bid and ask (volatilities if
                there is a column vol, else prices), weight (relative, >= 0), train (boolean), date (of the
                quotes) and settlement. Other names that vendors use are accepted (`mid`, `iv`, `expiration`,
                `cp_flag`, ...), and other columns do not matter.
            settlement: Unit of prices: "cash" (payment currency) or "coin" (the underlying); where None that
                of the column settlement, or "cash".
            date: The quote date; where None the column date.
            warn: Whether a `QuoteWarning` reports refused quotes and of calendar arbitrage at the money;
                `warnings.simplefilter("error", neutral.QuoteWarning)` makes it an error.

        Returns:
            The padded surface.

        Raises:
            ArgumentError: the table or the settlement is not valid, or volatilities are in percent; the
                message names the column or the row.
            PrecisionError: double precision is off.
        """
        require_precision("float64")
        column = columns_of(frame, date)
        settlement = settlement_of(column, settlement)
        cells = Cells.of(column)
        k = cells.strikes(np.log(column["strike"] / column["forward"]))
        units = np.asarray(unit(column["discount"], column["forward"], settlement))
        prices, bid, ask = normalised_prices(column, units, k[cells.row, cells.slot], column["maturity"])
        rows = cells.row.size
        surface = cls.from_arrays(
            cells.t,
            k,
            cells.quotes(prices, 0.0),
            bid=cells.quotes(bid, np.nan),
            ask=cells.quotes(ask, np.nan),
            mask=cells.quotes(np.ones(rows, bool), False),
            weight=cells.quotes(column["weight"], 0.0),
            train=cells.quotes(column["train"], False),
            index=cells.quotes(np.arange(rows), -1),
            forward=cells.line(column["forward"]),
            discount=cells.line(column["discount"]),
            settlement=settlement,
            warn=False,
        )
        if warn:
            _tell(surface)
        return surface

    @classmethod
    def from_arrays(
        cls,
        t: Values,
        k: Values,
        prices: Values,
        bid: Values = np.nan,
        ask: Values = np.nan,
        *,
        mask: Values = True,
        weight: Values = 1.0,
        train: Values = True,
        index: Values | None = None,
        forward: Values = 1.0,
        discount: Values = 1.0,
        settlement: Settlement = "cash",
        warn: bool = True,
    ) -> Self:
        """Build a surface, or with leading axes a stack of surfaces, from padded arrays.

        The shapes after any leading axes are (T,) for maturities, (T, K) for strikes and (2, T, K) for calls
        and puts. Arguments with a default broadcast. A quote that no volatility gives is refused as in
        `from_quotes`.

        Args:
            t: Maturities in years, ascending, > 0, (T,).
            k: Log-forward moneyness, (T, K).
            prices: Normalised prices of calls and puts, (2, T, K).
            bid: Normalised bid prices, (2, T, K); nan where absent.
            ask: Normalised ask prices, (2, T, K); nan where absent.
            mask: True where a quote exists, (2, T, K).
            weight: Relative weights of quotes, >= 0, (2, T, K).
            train: True where calibration uses the quote by default, (2, T, K).
            index: Row of each quote in its source, (2, T, K); by default cells are numbered consecutively.
            forward: Forward of each maturity, (T,).
            discount: Discount factor of each maturity, (T,).
            settlement: "cash" or "coin", the unit of the source's prices. Prices, bids and asks are
                normalised in either case.
            warn: As for `from_quotes`.

        Returns:
            The surface or stack.

        Raises:
            ArgumentError: an argument does not contain numbers, or its shape does not fit the others.
            PrecisionError: double precision is off.
        """
        require_precision("float64")
        t, k, prices = (as_numbers(n, x) for n, x in (("t", t), ("k", k), ("prices", prices)))
        shape = quote_shape(t, k, prices)
        listed = broadcast("mask", np.asarray(mask, bool), shape)

        def full(name: str, x: Values) -> np.ndarray:
            return broadcast(name, as_numbers(name, x), shape)

        def line(name: str, x: Values) -> np.ndarray:
            return broadcast(name, as_numbers(name, x), np.shape(t))

        prices, bid, ask = (full(n, x) for n, x in (("prices", prices), ("bid", bid), ("ask", ask)))
        is_call = np.broadcast_to(np.arange(2)[:, None, None] == 0, shape)
        k_of_quotes = np.broadcast_to(np.expand_dims(k, -3), shape)
        refused = np.where(listed, outside_codes(prices, bid, ask, k=k_of_quotes, is_call=is_call), 0)
        kept = listed & (refused == 0)
        if index is None:
            index = np.broadcast_to(np.arange(np.prod(shape[-3:])).reshape(shape[-3:]), shape)
        prices = np.where(kept, prices, 0.0)
        vol, vega, stdev = (np.asarray(x) for x in market_vols(t, k, prices, kept))
        surface = cls(
            t=t,
            forward=line("forward", forward),
            discount=line("discount", discount),
            k=k,
            prices=prices,
            bid=np.where(kept, bid, np.nan),
            ask=np.where(kept, ask, np.nan),
            weight=np.where(kept, full("weight", weight), 0.0),
            mask=kept,
            train=kept & broadcast("train", np.asarray(train, bool), shape),
            vol=vol,
            vega=vega,
            stdev=stdev,
            index=np.where(listed, broadcast("index", np.asarray(index), shape), -1),
            settlement=settlement,
            refused=refused,
        )
        if warn:
            _tell(surface)
        return surface

    def refusals(self) -> list[dict[str, Any]]:
        """List why quotes were refused: a row per `reason`, with `count` and the first `row` of the table."""
        return [] if self.refused is None else refusals(np.asarray(self.refused), np.asarray(self.index))

    @property
    def expiries(self) -> Float[Numbers, "... T"]:
        """Maturities in years with those of the padding, shape (..., T)."""
        return self.t

    @property
    def unit(self) -> Float[Numbers, "... T"]:
        """Unit of quoted prices, the quoted over the normalised price, shape (..., T); 1 for "coin"."""
        return unit(self.discount, self.forward, self.settlement)

    @property
    def spread(self) -> Float[Numbers, "... 2 T K"]:
        """Ask less bid, normalised, shape (..., 2, T, K); nan where one of them is absent."""
        return self.ask - self.bid

    @property
    def shape(self) -> tuple[int, int]:
        """Padded numbers of maturities and strikes."""
        return np.shape(self.k)[-2], np.shape(self.k)[-1]

    def with_prices(self, prices: ArrayLike) -> Self:
        """Replace the prices, and leave all other fields as they are.

        The nodes of engines and the starting values of fits follow from these fields, so they do not change.

        Args:
            prices: Normalised prices, in the shape of the field `prices`; may be traced.

        Returns:
            A new surface.

        Raises:
            ArgumentError: the shape differs.
        """
        _check_shape("prices", prices, self.prices)
        return eqx.tree_at(lambda s: s.prices, self, prices)

    def with_weights(self, weight: ArrayLike) -> Self:
        """Replace the relative weights of quotes, and leave all other fields as they are.

        Args:
            weight: Relative weights, >= 0, in the shape of the field `weight`; may be traced.

        Returns:
            A new surface.

        Raises:
            ArgumentError: the shape differs.
        """
        _check_shape("weight", weight, self.weight)
        return eqx.tree_at(lambda s: s.weight, self, weight)

    def with_forwards(self, forward: Scalar) -> Self:
        """Replace the forwards, and leave strikes, discount factors and quoted prices as they are.

        Moneyness changes, and so do normalised prices, bids and asks if they are quoted in cash, because
        their unit contains the forward. All other fields remain as they are, as in `with_prices`.

        Args:
            forward: Forwards, > 0, in the shape of the field `forward`; may be traced.

        Returns:
            A new surface.

        Raises:
            ArgumentError: the shape differs.
        """
        _check_shape("forward", forward, self.forward)
        ratio = jnp.expand_dims(self.forward / forward, -1)
        # normalised prices of cash quotes change with the forward in their unit; discount factors cancel
        change = unit(1.0, self.forward, self.settlement) / unit(1.0, jnp.asarray(forward), self.settlement)
        change = jnp.expand_dims(change, (-3, -1))
        quoted = (_times_finite(x, change) for x in (self.prices, self.bid, self.ask))
        fields = (forward, self.k + jnp.log(ratio), *quoted)
        return eqx.tree_at(lambda s: (s.forward, s.k, s.prices, s.bid, s.ask), self, fields)

    def quotes(self) -> ListedQuotes:
        """List the quotes of a single surface in the order of the rows they were built from.

        Returns:
            One entry per quote.

        Raises:
            ArgumentError: the surface is a stack.
        """
        if np.ndim(self.t) != 1:
            raise ArgumentError(
                "quotes() needs a single surface, got a stack; select one from it, as in surfaces[3]."
            )
        pick = in_row_order(self.mask, self.index)
        kind, row, slot = pick
        bid = np.asarray(self.bid)[pick]
        ask = np.asarray(self.ask)[pick]
        return ListedQuotes(
            k=np.asarray(self.k)[row, slot],
            t=np.asarray(self.t)[row],
            is_call=kind == 0,
            price=np.asarray(self.prices)[pick],
            bid=bid,
            ask=ask,
            spread=ask - bid,
            vol=np.asarray(self.vol)[pick],
            train=np.asarray(self.train)[pick],
        )

    def to_rows(self, values: Float[Numbers, "2 T K"], rows: int | None = None) -> Float[np.ndarray, "rows"]:
        """Convert normalised prices on the grid of a single surface to quoted prices of the table's rows.

        Args:
            values: Normalised prices of calls and puts on the padded grid, (2, T, K).
            rows: Number of rows of the table; by default, up to the last row that is on the grid.

        Returns:
            One price per row of the table that the surface was built from, in the unit of its quotes; nan
            where the row is not on the grid.

        Raises:
            ArgumentError: the surface is a stack, or `rows` is too small for a row that is on the grid.
        """
        index = np.asarray(self.index)
        if index.ndim != 3:
            raise ArgumentError(
                "to_rows() needs a single surface, got a stack; select one from it, as in surfaces[3]."
            )
        has_row = np.asarray(self.mask)
        least = int(index.max(initial=-1)) + 1
        if rows is not None and rows < least:
            raise ArgumentError(
                f"rows must be at least {least}, to include all rows on the grid, got {rows}."
            )
        out = np.full(least if rows is None else rows, np.nan)
        out[index[has_row]] = (np.asarray(values) * np.asarray(self.unit)[:, None])[has_row]
        return out

    def __len__(self) -> int:
        """Return the number of surfaces in a stack."""
        if np.ndim(self.t) == 1:
            raise TypeError("a single surface has no length; only a stack has, as from stack([...])")
        return np.shape(self.t)[0]

    def __getitem__(self, index: int | slice | ArrayLike) -> Self:
        """Select one surface of a stack, or several."""
        if np.ndim(self.t) == 1:
            raise TypeError("a single surface cannot be indexed; only a stack can, as from stack([...])")
        return jax.tree.map(lambda x: x[index], self)

    def __repr__(self) -> str:
        """Show the numbers of quotes and expiries, the range of maturities, and the settlement."""
        quotes = int(np.sum(self.mask))
        rows = np.any(self.mask, axis=(-3, -1))
        many = f"{len(self)} surfaces, " if np.ndim(self.t) > 1 else ""
        count = sum(row["count"] for row in self.refusals())
        refused = f", {count} refused" if count else ""
        t = np.asarray(self.t)[rows]
        span = f"{t.min():.3g} to {t.max():.3g} years" if t.size else "none"
        expiries = f"{int(rows.sum())} expiries, {span}"
        return f"QuoteSurface({many}{quotes} quotes{refused}, {expiries}, {self.settlement})"


def _tell(surface: QuoteSurface) -> None:
    """Warn about refused quotes, and about calendar arbitrage at the money."""
    quotes = notice_of_refusals(surface.refusals(), int(np.sum(surface.mask)))
    t, k, stdev, mask = (np.asarray(x) for x in (surface.t, surface.k, surface.stdev, surface.mask))
    calendar = notice_of_calendar(t, k, stdev=stdev, mask=mask)
    for notice in filter(None, (quotes, calendar)):
        warnings.warn(notice, QuoteWarning, stacklevel=3)


def _check_shape(name: str, value: ArrayLike, field: Numbers) -> None:
    if np.shape(value) != np.shape(field):
        raise ArgumentError(f"{name} must have shape {np.shape(field)}, got {np.shape(value)}.")


def _times_finite(x: Real, factor: Real) -> Real:
    """Multiply x by the factor where x is finite; return other x unchanged, without effect on derivatives."""
    finite = jnp.isfinite(x)
    return jnp.where(finite, jnp.where(finite, x, 0.0) * factor, x)
