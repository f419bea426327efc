"""American quotes to European ones, jointly with the forwards that parity gives."""

from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from .cash_parity import WINDOW, implied_forwards

MAX_ROUNDS = 20
TOLERANCE = 1e-6  # over the forward, in its change from one round to the next
CHUNK = 512  # options priced at once: one shape, compiled once


def european_quotes(frame: pd.DataFrame, spot: float = np.nan) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Replace American quotes by those of European options with the same volatilities.

    Parity holds for the European options, so the forward depends on their prices, and these depend on the
    forward through the yield: both are iterated to a fixed point, over the strikes near the money. A quote
    gives up the early-exercise premium of its mid price; its spread stays. The yield of an expiry is constant
    and stands for dividends and borrow cost; discrete dividends are not modelled. Around one the pairs
    disagree on the forward along the strikes, which no average removes: none is rejected, the average is
    robust, and the uncertainty of the forward counts the scatter of the pairs in full.

    Args:
        frame: As for `implied_forwards`, with `discount` for every expiry.
        spot: Price of the underlying; where it is nan, the discounted forward of the earliest expiry.

    Returns:
        The frame with European bid_price and ask_price (nan where no volatility explains the mid, as at or
        below exercise value, and where the expiry has no forward) and the quotes themselves in american_bid
        and american_ask; and the table of `ImpliedForwards`.

    Raises:
        DataError: An expiry has no discount factor.
        PrecisionError: Double precision is off.
    """
    _check_discounts(frame)
    frame = frame.assign(american_bid=frame["bid_price"], american_ask=frame["ask_price"])
    table: Any = implied_forwards(frame, spot, np.inf).table
    for _ in range(MAX_ROUNDS):
        before, asset = table["forward"], spot if np.isfinite(spot) else _spot(table)
        table = implied_forwards(_shifted(frame, before, asset, WINDOW), asset, np.inf).table
        if not ((table["forward"] / before - 1.0).abs() > TOLERANCE).any():
            break
    table = table.assign(forward_sd=np.hypot(table["forward_sd"], table["scatter"]))
    asset = spot if np.isfinite(spot) else _spot(table)
    return _shifted(frame, table["forward"], asset, np.inf), table


def _check_discounts(frame: Any) -> None:
    dated = frame[frame["expiry_datetime"].notna() & (frame["maturity"] > 0)]
    known = dated["discount"].notna() if "discount" in dated else pd.Series(False, index=dated.index)
    if not known.all():
        first = dated.loc[~known, "expiry_datetime"].min()
        raise DataError(
            f"American quotes need a discount factor for every expiry, {first:%Y-%m-%d} has none: fill the "
            "column discount, or pass rate= (continuously compounded, 1/yr)."
        )


def _spot(table: Any) -> float:
    """The discounted forward of the first expiry that has one: before it nothing is taken to be paid."""
    first = table[table["forward"].notna()].head(1)
    return float((first["forward"] * first["discount"]).iloc[0]) if len(first) else np.nan


def _shifted(frame: Any, forwards: Any, spot: float, window: float) -> pd.DataFrame:
    """The frame with European quotes where strike / forward is within the window, nan elsewhere."""
    forward = frame["expiry_datetime"].map(forwards).to_numpy(float)
    bid, ask = frame["american_bid"].to_numpy(), frame["american_ask"].to_numpy()
    strike, t, discount = (frame[name].to_numpy(float) for name in ("strike", "maturity", "discount"))
    mid = 0.5 * (bid + ask)
    rows = np.flatnonzero(
        (mid > 0) & (strike > 0) & (t > 0) & (forward > 0) & (np.abs(strike / forward - 1.0) <= window)
    )
    rate = -np.log(discount[rows]) / t[rows]
    dividend = rate - np.log(forward[rows] / spot) / t[rows]
    is_call = (frame["option_type"] == "call").to_numpy(bool)
    premium = np.full(len(frame), np.nan)
    columns = (mid[rows], spot, strike[rows], t[rows], rate, dividend, is_call[rows])
    premium[rows] = mid[rows] - _european_prices(*columns)
    return frame.assign(bid_price=bid - premium, ask_price=ask - premium)


def _european_prices(*columns: np.ndarray | float) -> np.ndarray:
    """`american.european_equivalent` prices, chunk by chunk."""
    from ..options.american import european_equivalent  # loads JAX

    arrays = np.broadcast_arrays(*columns)
    rows = len(arrays[0])
    padded = [np.pad(a, (0, -rows % CHUNK), mode="edge") for a in arrays] if rows else []
    chunks = [
        np.asarray(european_equivalent(*(a[i : i + CHUNK] for a in padded)).price)
        for i in range(0, rows, CHUNK)
    ]
    return np.concatenate([np.empty(0), *chunks])[:rows]
