"""Detects static arbitrage among quotes at bid and ask, and refuses quotes until none is left.

Puts are turned into calls by parity. Prices are undiscounted and divided by the forward, and strikes are x =
K / F. Call prices C(x, T) are free of arbitrage if they are convex and decreasing in x and increase in T at
equal x. So the bid of a quote must not exceed the ask price of the mixture of two quotes, one to its left and
one to its right, of the same or a later expiry, that pays at least as much (Carr and Madan 2005; Cousot
2007). One leg may be the forward itself (x = 0, price 1) or worthless (x without bound). Spread, butterfly,
parity and calendar conditions all have this form. Nothing is interpolated; a violation is a possible trade.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from ..options.kinds import Settlement
from ..quotes.outside import REASONS, outside_codes

TOLERANCE = 1e-10  # largest violation that is ignored, relative to the forward
ROUNDING = 9  # decimals to which spreads, relative to the forward, are compared
SDS = 2.0  # standard uncertainties of the forward by which bids are lowered and asks are raised
# Positions, counted from the quote sold, of the quotes bought on either side: all near ones, some far ones,
# and the forward or the worthless leg, which comes last.
_OUTERMOST = 2**40
NEIGHBOURS = np.array([1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, _OUTERMOST])
LATER_NEIGHBOURS = np.array([1, 2, 3, 4, _OUTERMOST])
_FAR = 1e6  # strike / forward of the worthless leg
NO_QUOTE = -1  # means the forward or the worthless leg, in place of the position of a quote
KINDS = ("parity", "spread", "butterfly", "calendar")


class _Quotes(NamedTuple):
    """Quotes as those of calls, undiscounted and divided by the forward; shape (rows,) each."""

    x: np.ndarray  # strike / forward
    bid: np.ndarray
    ask: np.ndarray
    expiry: np.ndarray  # number of the expiry in order of time
    half_spread: np.ndarray
    unit: np.ndarray  # factor from here back to prices: discount x forward in cash, 1 in coin


class _Trades(NamedTuple):
    """Violations: one quote is sold, and one or two are bought; shape (violations,) each."""

    sold: np.ndarray  # row of the quote, and so are the next two
    left: np.ndarray  # `NO_QUOTE` for the forward
    right: np.ndarray  # `NO_QUOTE` for the worthless leg
    share: np.ndarray  # of the left leg in the mixture
    size: np.ndarray  # gain of the trade, relative to the forward
    kind: np.ndarray  # position in KINDS


def arbitrage_reasons(frame: pd.DataFrame, settlement: Settlement = "cash") -> np.ndarray:
    """Return the static arbitrage for which each row is refused, or "".

    A quote is refused at once if its mid is not positive, its ask is below intrinsic value, or its bid is
    above the upper bound. Of every other violation one leg is refused: the quote that takes part in most
    violations; among equals the one with the wider spread, then the one whose price would have to be wrong by
    least, then the one with the smaller open interest. This is repeated until no violation is left among
    quotes up to six positions apart (four in a later expiry) and some farther ones. Bids are lowered and asks
    raised by twice the uncertainty of the forward, so that its error does not appear as arbitrage.

    Args:
        frame: Columns of `prepare`: expiry_datetime, strike, kind, bid_price, ask_price, forward, and
            optionally discount, forward_sd and open_interest. American quotes must have been replaced by
            their European equivalents.
        settlement: Unit of the prices: "cash" or "coin".

    Returns:
        Strings, shape (rows,), dtype object: the kinds of violation, the legs of the largest one and its size
        in price and in half-spreads of the quote.
    """
    quotes = _normalised(frame, settlement)
    reasons = _single_reasons(frame, quotes)
    accepted = reasons == ""
    interest = frame["open_interest"].to_numpy(float) if "open_interest" in frame else np.zeros(len(frame))
    expiries = range(quotes.expiry.max(initial=-1) + 1)
    members = [np.flatnonzero(accepted & (quotes.expiry == e)) for e in expiries]
    members = [rows[np.argsort(quotes.x[rows], kind="stable")] for rows in members]
    violations: dict[tuple[int, int], _Trades] = {}
    changed = set(range(len(members)))
    while changed:
        for early in range(len(members)):
            for late in range(early, len(members)):
                if early in changed or late in changed:
                    violations[early, late] = _trades(quotes, members[early], members[late], early == late)
        trades = _Trades(*(np.concatenate(part) for part in zip(*violations.values(), strict=True)))
        refused = _to_refuse(trades, quotes.half_spread, interest)
        for row in refused:
            reasons[row] = _reason(frame, quotes, trades, row)
        changed = set(quotes.expiry[refused].tolist())
        for e in changed:
            members[e] = members[e][~np.isin(members[e], refused)]
    return reasons


def outside_reasons(frame: pd.DataFrame, settlement: Settlement = "cash") -> np.ndarray:
    """Return the reason for each row whose prices from bid to ask no volatility gives, or "".

    Args:
        frame: As for `arbitrage_reasons`. Without a forward or a price a row has no reason.
        settlement: Unit of the prices: "cash" or "coin".

    Returns:
        Strings, shape (rows,), dtype object.
    """
    from ..options.terms import unit as price_unit  # loads JAX

    names = ("strike", "forward", "bid_price", "ask_price", "mid_price_clean", "discount")
    strike, forward, bid, ask, mid, discount = (frame[name].to_numpy(float) for name in names)
    with np.errstate(all="ignore"):  # numbers that are not finite and positive, whose rows have other reasons
        unit = np.asarray(price_unit(discount, forward, settlement))
        k = np.log(strike / forward)
        prices = (x / unit for x in (mid, bid, ask))
        codes = outside_codes(*prices, k=k, is_call=frame["kind"].to_numpy(bool))
    reasons = np.full(len(frame), "", dtype=object)
    for code, reason in REASONS.items():
        reasons[codes == code] = reason
    return reasons


def _normalised(frame: pd.DataFrame, settlement: Settlement) -> _Quotes:
    """Convert quotes to those of calls, undiscounted and divided by the forward."""
    from ..options.terms import unit as price_unit  # loads JAX

    strike, forward, bid, ask = (
        frame[name].to_numpy(float) for name in ("strike", "forward", "bid_price", "ask_price")
    )
    discount = frame["discount"].to_numpy(float) if "discount" in frame else np.ones(len(frame))
    unit = np.asarray(price_unit(discount, forward, settlement))
    x = strike / forward
    as_call = np.where(frame["kind"].to_numpy(bool), 0.0, 1.0 - x)
    sd = frame["forward_sd"].to_numpy(float) if "forward_sd" in frame else np.zeros(len(frame))
    forward_error = SDS * np.nan_to_num(sd) / forward
    expiry = pd.factorize(frame["expiry_datetime"], sort=True)[0]
    return _Quotes(
        x=x,
        bid=bid / unit + as_call - forward_error,
        ask=ask / unit + as_call + forward_error,
        expiry=expiry,
        half_spread=0.5 * (ask - bid) / unit,
        unit=unit,
    )


def _single_reasons(frame: pd.DataFrame, quotes: _Quotes) -> np.ndarray:
    """Return the reason for which each quote is refused regardless of the others, or ""."""
    mid = 0.5 * (frame["bid_price"] + frame["ask_price"]).to_numpy()
    below = np.maximum(1.0 - quotes.x, 0.0) - quotes.ask
    above = quotes.bid - 1.0
    reasons = np.full(len(frame), "", dtype=object)
    for row in np.flatnonzero(above > TOLERANCE):
        reasons[row] = f"the bid is above the upper bound by {_size(above[row], quotes, row)}"
    for row in np.flatnonzero(below > TOLERANCE):
        reasons[row] = f"the ask is below intrinsic value by {_size(below[row], quotes, row)}"
    for row in np.flatnonzero(~(mid > 0)):
        reasons[row] = f"the mid price is not above 0: {mid[row]:.6g}"
    return reasons


def _trades(quotes: _Quotes, sold: np.ndarray, bought: np.ndarray, same: bool) -> _Trades:
    """Return the violations in which quotes of one expiry are sold against quotes of the same or a later one.

    Args:
        quotes: The quotes.
        sold: Rows of the quotes of one expiry, in the order of x.
        bought: Rows of the quotes of the same expiry or of a later one, in the order of x.
        same: Whether the expiry is the same.
    """
    steps = NEIGHBOURS if same else LATER_NEIGHBOURS
    x = np.concatenate([[0.0], quotes.x[bought], [_FAR]])
    ask = np.concatenate([[1.0], quotes.ask[bought], [0.0]])
    rows = np.concatenate([[NO_QUOTE], bought, [NO_QUOTE]])
    place = np.searchsorted(x, quotes.x[sold], side="right")
    left = np.maximum(place[:, None] - steps, 0)
    right = np.minimum(place[:, None] + steps - 1, len(x) - 1)
    outermost = steps == _OUTERMOST
    left_ok = ((left > 0) & (rows[left] != sold[:, None])) | outermost
    right_ok = (right < len(x) - 1) | outermost
    x_sold = quotes.x[sold][:, None, None]
    x_left = x[left][:, :, None]
    x_right = x[right][:, None, :]
    share = (x_right - x_sold) / (x_right - x_left)
    cost = share * ask[left][:, :, None] + (1 - share) * ask[right][:, None, :]
    size = quotes.bid[sold][:, None, None] - cost
    single = x_left == x_sold  # one leg at the same strike; the right leg has no share
    ok = left_ok[:, :, None] & right_ok[:, None, :] & (~single | outermost)
    i, j, k = np.nonzero(ok & (size > TOLERANCE))
    left_leg = rows[left[i, j]]
    right_leg = np.where(single[i, j, 0], NO_QUOTE, rows[right[i, k]])
    butterfly = (left_leg >= 0) & (right_leg >= 0)
    kind = np.where(single[i, j, 0], 0, np.where(butterfly, 2, 1)) if same else np.full(len(i), 3)
    return _Trades(
        sold=sold[i],
        left=left_leg,
        right=right_leg,
        share=share[i, j, k],
        size=size[i, j, k],
        kind=kind,
    )


def _to_refuse(trades: _Trades, half_spread: np.ndarray, interest: np.ndarray) -> np.ndarray:
    """Return the rows of the quotes that are the worst leg of every violation in which they take part."""
    rows = len(half_spread)
    legs = np.stack([trades.sold, trades.left, trades.right])
    weights = np.stack([np.ones(len(trades.share)), trades.share, 1.0 - trades.share])
    is_quote = legs >= 0
    count = np.bincount(legs[is_quote], minlength=rows)
    weight = np.bincount(legs[is_quote], weights[is_quote], minlength=rows)
    rank = np.full(rows + 1, -1)  # the last entry is that of the leg `NO_QUOTE`
    keys = [np.arange(rows), -interest, weight, half_spread.round(ROUNDING), count]
    rank[np.lexsort(keys)] = np.arange(rows)
    worst = np.take_along_axis(legs, np.argmax(rank[legs], axis=0)[None], axis=0)[0]
    times_worst = np.bincount(worst, minlength=rows)
    return np.flatnonzero((times_worst > 0) & (times_worst == count))


def _reason(frame: pd.DataFrame, quotes: _Quotes, trades: _Trades, row: int | np.integer) -> str:
    """Describe the kinds of violation in which a quote takes part, and the largest one as a trade."""
    involved = np.flatnonzero((trades.sold == row) | (trades.left == row) | (trades.right == row))
    largest = int(involved[np.argmax(trades.size[involved])])
    kinds = [KINDS[code] for code in np.unique(trades.kind[involved])]
    left, right = int(trades.left[largest]), int(trades.right[largest])
    # the left leg is the forward where it is no quote; a right leg that is none is worth nothing
    bought = ["the forward" if left == NO_QUOTE else _name(frame, left)]
    bought += [] if right == NO_QUOTE else [_name(frame, right)]
    return (
        f"{' and '.join(kinds)} arbitrage: {_name(frame, int(trades.sold[largest]))} sold at bid against "
        f"{' and '.join(bought)} at ask gains {_size(float(trades.size[largest]), quotes, row)}"
    )


def _name(frame: pd.DataFrame, row: int | np.integer) -> str:
    """Describe the option of a row in words."""
    quote = frame.iloc[row]
    return f"{'call' if quote['kind'] else 'put'} {quote['strike']:g} of {quote['expiry_datetime']:%Y-%m-%d}"


def _size(size: float, quotes: _Quotes, row: int | np.integer) -> str:
    """Write a size, relative to the forward, as a price and in half-spreads of the quote of a row."""
    half = quotes.half_spread[row]
    spreads = f"{size / half:.3g} half-spreads" if half > 0 else "no spread"
    return f"{size * quotes.unit[row]:.6g} ({spreads})"
