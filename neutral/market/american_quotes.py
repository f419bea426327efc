"""Replaces American quotes by European equivalents, jointly with the forwards from put-call parity."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..errors import DataError
from .cash_parity import WINDOW, implied_forwards
from .dividends import LEAST_GAP, Upcoming
from .forwards import not_refused
from .quotes import column

if TYPE_CHECKING:
    from ..options import american

MAX_ROUNDS = 20
TOLERANCE = 1e-6  # over the forward, in its change from one round to the next
CHUNK = 512  # options priced at once: one shape, compiled once
DIVIDEND_CHUNK = 64  # the same where there are dividends, whose grids are large


def european_quotes(
    frame: pd.DataFrame, spot: float = np.nan, dividends: Upcoming | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Replace American quotes by those of European options with the same volatilities.

    The European options satisfy put-call parity, so the forward depends on their prices. These depend in
    turn on the forward, through the yield. Both are iterated to a fixed point over the strikes near the
    money. The early-exercise premium of the mid price is subtracted from bid and ask, so the spread stays.
    The yield of an expiry is constant and includes borrow cost and all dividends that are not stated. Near
    a discrete dividend that is not stated the forwards of the pairs drift along the strikes, and no average
    removes that: no pair is rejected, the average is robust, and the uncertainty of the forward counts the
    scatter of the pairs in full.

    Args:
        frame: As for `implied_forwards`, with `discount` for every expiry.
        spot: Price of the underlying; nan takes the discounted forward of the earliest expiry, with the
            stated dividends before it.
        dividends: Discrete dividends ahead, as `DividendSchedule.upcoming` gives them; None for none.

    Returns:
        Two tables: the frame with European bid_price and ask_price and the American quotes in american_bid
        and american_ask, and the table of `ImpliedForwards`. European prices are nan where no volatility
        explains the mid, for example at or below exercise value, and where the expiry has no forward.

    Raises:
        DataError: An expiry has no discount factor.
        ArgumentError: The cash dividends are worth more than the spot.
        PrecisionError: Double precision is off.
    """
    _check_discounts(frame)
    dividends = dividends or Upcoming(np.empty(0), np.empty(0), np.empty(0), "spot")
    frame = frame.assign(american_bid=frame["bid_price"], american_ask=frame["ask_price"])
    table = _forwards(frame, spot, dividends)
    if table.empty:  # every quote is refused
        return frame.assign(bid_price=np.nan, ask_price=np.nan), table.drop(columns="maturity")
    for _ in range(MAX_ROUNDS):
        before = column(table, "forward")
        asset = spot if np.isfinite(spot) else _spot(table, dividends)
        table = _forwards(_european(frame, before, asset, WINDOW, dividends), asset, dividends)
        if not (np.abs(table["forward"].to_numpy() / before.to_numpy() - 1.0) > TOLERANCE).any():
            break
    table = table.assign(forward_sd=np.hypot(table["forward_sd"], table["scatter"]))
    asset = spot if np.isfinite(spot) else _spot(table, dividends)
    european = _european(frame, column(table, "forward"), asset, np.inf, dividends)
    return european, table.drop(columns="maturity")


def _forwards(frame: pd.DataFrame, spot: float, dividends: Upcoming) -> pd.DataFrame:
    """The table of `ImpliedForwards` and the maturities; a forward taken from the spot is less dividends."""
    table = implied_forwards(frame, spot, np.inf).table
    # without the reindexing pandas would give a table without rows those of the right-hand side
    table["maturity"] = frame.groupby("expiry_datetime")["maturity"].median().reindex(table.index)
    for row in np.flatnonzero(table["source"] == "spot"):
        t, discount = (float(table[name].iloc[row]) for name in ("maturity", "discount"))
        kept, present = _payments(t, discount, dividends)
        table.loc[table.index[row], "forward"] = kept * (spot - present) / discount
    return table


def _check_discounts(frame: pd.DataFrame) -> None:
    """Refuse quotes of which an expiry after the quote date has no discount factor."""
    dated = frame["expiry_datetime"].notna() & (frame["maturity"] > 0) & not_refused(frame)
    stated = frame["discount"].notna() if "discount" in frame else pd.Series(False, index=frame.index)
    missing = (dated & ~stated).to_numpy(bool)
    if missing.any():
        first = frame["expiry_datetime"][missing].min()
        raise DataError(
            "American quotes need a discount factor for every expiry, and the expiry of "
            f"{first:%Y-%m-%d} has none: fill the column discount, or state a rate, "
            "continuously compounded in 1/yr: rates= of the loader, or rate= of the preparation."
        )


def _spot(table: pd.DataFrame, dividends: Upcoming) -> float:
    """The spot that gives the first forward, if nothing but the stated dividends is paid before it."""
    first = np.flatnonzero(table["forward"].notna())[:1]
    if not len(first):
        return np.nan
    names = ("maturity", "discount", "forward")
    t, discount, forward = (float(table[name].iloc[first[0]]) for name in names)
    kept, present = _payments(t, discount, dividends)
    return forward * discount / kept + present


def _payments(t: float, discount: float, dividends: Upcoming) -> tuple[float, float]:
    """What proportional dividends leave of the price, and the value of cash ones, up to one maturity."""
    paid = dividends.until(t)
    kept = np.cumprod(1.0 - paid.proportional)
    present = np.sum(paid.cash / kept * discount ** (paid.times / t))
    return float(np.append(1.0, kept)[-1]), float(present)


def _carry(forward: np.ndarray, t: np.ndarray, spot: float, dividends: Upcoming) -> np.ndarray:
    """Rate less yield with which the spot, less the dividends on the way, grows to the forwards.

    The forward kept e^{gt} (spot - sum_i cash_i e^{-g t_i} / kept_i) increases with g; Newton's method starts
    above the root.

    Args:
        forward: Forwards, > 0, shape (n,).
        t: Maturities in years, > 0, shape (n,).
        spot: Price of the underlying.
        dividends: The dividends ahead.
    """
    alive = dividends.times <= t[:, None] + LEAST_GAP
    kept = np.cumprod(np.where(alive, 1.0 - dividends.proportional, 1.0), axis=1)
    total = np.column_stack([np.ones(len(t)), kept])[:, -1]
    cash = np.where(alive, dividends.cash, 0.0) * total[:, None] / kept
    left = np.maximum(t[:, None] - dividends.times, 0.0)
    g = np.log((forward + cash.sum(1)) / (spot * total)) / t
    if dividends.cash.any():
        for _ in range(MAX_ROUNDS):
            whole = spot * total * np.exp(g * t)
            parts = cash * np.exp(g[:, None] * left)
            slope = whole * t - (parts * left).sum(1)
            g = g - (whole - parts.sum(1) - forward) / slope
    return g


def _european(
    frame: pd.DataFrame, forwards: pd.Series, spot: float, window: float, dividends: Upcoming
) -> pd.DataFrame:
    """The frame with European quotes where |strike / forward - 1| <= window, nan elsewhere.

    Args:
        frame: The quotes, with the columns american_bid and american_ask.
        forwards: Forward of each expiry, indexed by `expiry_datetime`.
        spot: Price of the underlying.
        window: Largest distance from the money.
        dividends: The dividends ahead.
    """
    forward = forwards.reindex(frame["expiry_datetime"]).to_numpy(float)
    bid = frame["american_bid"].to_numpy()
    ask = frame["american_ask"].to_numpy()
    strike, t, discount = (frame[name].to_numpy(float) for name in ("strike", "maturity", "discount"))
    used = not_refused(frame)
    mid = 0.5 * (bid + ask)
    rows = np.flatnonzero(
        used & (mid > 0) & (strike > 0) & (t > 0) & (forward > 0) & (np.abs(strike / forward - 1.0) <= window)
    )
    rate = -np.log(discount[rows]) / t[rows]
    dividend = rate - _carry(forward[rows], t[rows], spot, dividends)
    is_call = (frame["option_type"] == "call").to_numpy(bool)
    premium = np.full(len(frame), np.nan)
    columns = {
        "price": mid[rows],
        "strike": strike[rows],
        "maturity": t[rows],
        "rate": rate,
        "dividend": dividend,
        "kind": is_call[rows],
    }
    premium[rows] = mid[rows] - _european_prices(columns, spot, dividends)
    return frame.assign(bid_price=bid - premium, ask_price=ask - premium)


def _european_prices(columns: dict[str, np.ndarray], spot: float, dividends: Upcoming) -> np.ndarray:
    """Prices of `american.european_equivalent`, chunk by chunk in the order of the maturities.

    Args:
        columns: Arguments of that function by name, shape (rows,) each.
        spot: Price of the underlying.
        dividends: The dividends ahead.
    """
    from ..options import american  # loads JAX

    t = columns["maturity"]
    rows = len(t)
    order = np.argsort(t, kind="stable")
    prices = np.full(rows, np.nan)
    if not np.isfinite(spot):
        return prices
    size = DIVIDEND_CHUNK if len(dividends.times) else CHUNK
    for start in range(0, rows, size):
        chosen = order[start : start + size]
        padded = np.pad(chosen, (0, size - len(chosen)), mode="edge")
        schedule = _schedule(dividends.until(float(t[chosen[-1]])))
        arguments = {name: values[padded] for name, values in columns.items()}
        equivalent = american.european_equivalent(spot=spot, dividends=schedule, **arguments)
        prices[chosen] = np.asarray(equivalent.price)[: len(chosen)]
    return prices


def _schedule(dividends: Upcoming) -> "american.Dividends | None":
    """The dividends for `american`, with some of nothing, long after, so that few programs are compiled."""
    from ..options import american  # loads JAX

    count = len(dividends.times)
    if not count:
        return None
    more = 2 ** int(np.ceil(np.log2(count))) - count
    late = dividends.times[-1] + 1e3 * np.arange(1, more + 1)
    return american.Dividends(
        np.append(dividends.times, late),
        cash=np.append(dividends.cash, np.zeros(more)),
        proportional=np.append(dividends.proportional, np.zeros(more)),
        model=dividends.model,
    )
