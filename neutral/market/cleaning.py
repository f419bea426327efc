"""Static arbitrage among quotes at bid and ask: which quotes to refuse so that none is left, and why.

Puts count as calls by parity, prices are undiscounted and over the forward, strikes too (x = K / F). A price
C(x, T) of calls is free of arbitrage if it is convex and falling in x and rises in T at equal x, so no quote
sold at its bid may be worth more than two quotes to its left and right, of its own or later expiries, bought
at their asks in the mixture that dominates it (Carr and Madan 2005; Cousot 2007). One leg may be the forward
itself (x = 0, price 1), or worthless (x without bound). Spread, butterfly, parity and calendar conditions are
all of this form, and nothing is interpolated: a violation is a trade that could be made.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .quotes import Settlement

TOLERANCE = 1e-10  # over the forward
ROUNDING = 9  # decimals to which spreads over the forward are compared
SDS = 2.0  # standard uncertainties of the forward that a violation must exceed
# Places, counted from the quote sold, of the quotes bought on either side: all near ones, some far ones, and
# last the forward or the worthless leg.
_OUTERMOST = 2**40
NEIGHBOURS = np.array([1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, _OUTERMOST])
LATER_NEIGHBOURS = np.array([1, 2, 3, 4, _OUTERMOST])
_FAR = 1e6  # strike over forward of the worthless leg
KINDS = ("parity", "spread", "butterfly", "calendar")


class _Quotes(NamedTuple):
    """Call-equivalent quotes, undiscounted, over the forward; shape (rows,)."""

    x: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    expiry: np.ndarray  # counted through in order of maturity
    half_spread: np.ndarray
    unit: np.ndarray  # discount times forward: from here back to prices


class _Trades(NamedTuple):
    """Violations: one quote sold, one or two bought (-1 for the forward or the worthless leg)."""

    sold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    share: np.ndarray  # of the left leg
    size: np.ndarray
    kind: np.ndarray  # position in KINDS


def arbitrage_reasons(frame: pd.DataFrame, settlement: Settlement = "cash") -> np.ndarray:
    """For each row the static arbitrage it is refused for, or "".

    A quote whose mid is not positive, whose ask is below intrinsic value or whose bid is above the upper
    bound is refused at once. Of every other violation one leg has to go: the quote that takes part in most
    of them; of equals the one with the wider spread, then the one that need be wrong by least, then the one
    with the smaller open interest. This is repeated until no violation is left among quotes up to six
    places apart and a choice of farther ones. Violations must exceed twice the uncertainty of the forward.

    Args:
        frame: Quotes as `prepare` lays them out: expiry_datetime, maturity, strike, kind, bid_price,
            ask_price, forward, optional discount, forward_sd, open_interest. American quotes are to be
            replaced by European equivalents before.
        settlement: Unit of the prices: "cash" or "coin".

    Returns:
        Strings, shape (rows,), dtype object: the kinds of violation, the legs of the largest one and its size
        in price and in half-spreads of the quote.
    """
    quotes = _normalised(frame, settlement)
    reasons = _single_reasons(frame, quotes)
    alive = reasons == ""
    interest = frame["open_interest"].to_numpy(float) if "open_interest" in frame else np.zeros(len(frame))
    members = [np.flatnonzero(alive & (quotes.expiry == e)) for e in range(quotes.expiry.max(initial=-1) + 1)]
    members = [rows[np.argsort(quotes.x[rows], kind="stable")] for rows in members]
    found: dict[tuple[int, int], _Trades] = {}
    changed = set(range(len(members)))
    while changed:
        for early in range(len(members)):
            for late in range(early, len(members)):
                if early in changed or late in changed:
                    found[early, late] = _trades(quotes, members[early], members[late], early == late)
        trades = _Trades(*(np.concatenate(part) for part in zip(*found.values(), strict=True)))
        out = _to_remove(trades, quotes.half_spread, interest)
        for row in out:
            reasons[row] = _reason(frame, quotes, trades, row)
        changed = set(quotes.expiry[out].tolist())
        for e in changed:
            members[e] = members[e][~np.isin(members[e], out)]
    return reasons


def _normalised(frame: pd.DataFrame, settlement: Settlement) -> _Quotes:
    from ..options.terms import unit as price_unit  # loads JAX

    strike, forward, bid, ask = (
        frame[name].to_numpy(float) for name in ("strike", "forward", "bid_price", "ask_price")
    )
    discount = frame["discount"].to_numpy(float) if "discount" in frame else np.ones(len(frame))
    unit = np.asarray(price_unit(discount, forward, settlement))
    x = strike / forward
    as_call = np.where(frame["kind"].to_numpy(bool), 0.0, 1.0 - x)
    sd = frame["forward_sd"].to_numpy(float) if "forward_sd" in frame else np.zeros(len(frame))
    doubt = SDS * np.nan_to_num(sd) / forward
    order = pd.factorize(frame["expiry_datetime"], sort=True)[0]
    return _Quotes(
        x, bid / unit + as_call - doubt, ask / unit + as_call + doubt, order, 0.5 * (ask - bid) / unit, unit
    )


def _single_reasons(frame: pd.DataFrame, quotes: _Quotes) -> np.ndarray:
    """Reasons that a quote gives alone."""
    mid = 0.5 * (frame["bid_price"] + frame["ask_price"]).to_numpy()
    below = np.maximum(1.0 - quotes.x, 0.0) - quotes.ask
    above = quotes.bid - 1.0
    reasons = np.full(len(frame), "", dtype=object)
    for row in np.flatnonzero(above > TOLERANCE):
        reasons[row] = f"bid above the upper bound by {_size(above[row], quotes, row)}"
    for row in np.flatnonzero(below > TOLERANCE):
        reasons[row] = f"ask below intrinsic value by {_size(below[row], quotes, row)}"
    for row in np.flatnonzero(~(mid > 0)):
        reasons[row] = f"mid not above 0: {mid[row]:.6g}"
    return reasons


def _trades(quotes: _Quotes, sold: np.ndarray, bought: np.ndarray, same: bool) -> _Trades:
    """Violations between quotes `sold` and `bought`, both in the order of x."""
    steps = NEIGHBOURS if same else LATER_NEIGHBOURS
    x = np.concatenate([[0.0], quotes.x[bought], [_FAR]])
    ask = np.concatenate([[1.0], quotes.ask[bought], [0.0]])
    name = np.concatenate([[-1], bought, [-1]])
    place = np.searchsorted(x, quotes.x[sold], side="right")
    left = np.maximum(place[:, None] - steps, 0)
    right = np.minimum(place[:, None] + steps - 1, len(x) - 1)
    outermost = steps == _OUTERMOST
    left_ok = ((left > 0) & (name[left] != sold[:, None])) | outermost
    right_ok = (right < len(x) - 1) | outermost
    at = quotes.x[sold][:, None, None]
    x_left, x_right = x[left][:, :, None], x[right][:, None, :]
    share = (x_right - at) / (x_right - x_left)
    cost = share * ask[left][:, :, None] + (1 - share) * ask[right][:, None, :]
    size = quotes.bid[sold][:, None, None] - cost
    single = x_left == at  # one leg at the same strike: what is on the right does not matter
    ok = left_ok[:, :, None] & right_ok[:, None, :] & (~single | outermost)
    i, j, k = np.nonzero(ok & (size > TOLERANCE))
    legs = name[left[i, j]], np.where(single[i, j, 0], -1, name[right[i, k]])
    butterfly = (legs[0] >= 0) & (legs[1] >= 0)
    kind = np.where(single[i, j, 0], 0, np.where(butterfly, 2, 1)) if same else np.full(len(i), 3)
    return _Trades(sold[i], *legs, share[i, j, k], size[i, j, k], kind)


def _to_remove(trades: _Trades, half_spread: np.ndarray, interest: np.ndarray) -> np.ndarray:
    """The quotes that are the worst leg of every violation they take part in."""
    rows = len(half_spread)
    legs = np.stack([trades.sold, trades.left, trades.right])
    weights = np.stack([np.ones(len(trades.share)), trades.share, 1.0 - trades.share])
    there = legs >= 0
    count = np.bincount(legs[there], minlength=rows)
    weight = np.bincount(legs[there], weights[there], minlength=rows)
    order = np.full(rows + 1, -1)  # the last entry is of the leg -1
    keys = [np.arange(rows), -interest, weight, half_spread.round(ROUNDING), count]
    order[np.lexsort(keys)] = np.arange(rows)
    worst = np.take_along_axis(legs, np.argmax(order[legs], axis=0)[None], axis=0)[0]
    led = np.bincount(worst, minlength=rows)
    return np.flatnonzero((led > 0) & (led == count))


def _reason(frame: pd.DataFrame, quotes: _Quotes, trades: _Trades, row: Any) -> str:
    mine = np.flatnonzero((trades.sold == row) | (trades.left == row) | (trades.right == row))
    largest = mine[np.argmax(trades.size[mine])]
    kinds = [KINDS[code] for code in np.unique(trades.kind[mine])]
    bought = [_name(frame, leg) for leg in (trades.left[largest], trades.right[largest]) if leg >= 0]
    return (
        f"{' and '.join(kinds)} arbitrage: {_name(frame, trades.sold[largest])} sold at bid against "
        f"{' and '.join(bought)} at ask gains {_size(trades.size[largest], quotes, row)}"
    )


def _name(frame: pd.DataFrame, row: Any) -> str:
    quote = frame.iloc[row]
    return f"{'call' if quote['kind'] else 'put'} {quote['strike']:g} of {quote['expiry_datetime']:%Y-%m-%d}"


def _size(size: Any, quotes: _Quotes, row: Any) -> str:
    """A size over the forward as price and in half-spreads of the quote."""
    half = quotes.half_spread[row]
    spreads = f"{size / half:.3g} half-spreads" if half > 0 else "no spread"
    return f"{size * quotes.unit[row]:.6g} ({spreads})"
