"""Replaces American quotes by European equivalents, jointly with the forwards from put-call parity."""

import numpy as np
import pandas as pd

from ..errors import DataError
from .cash_parity import WINDOW, implied_forwards
from .forwards import not_refused
from .quotes import column

MAX_ROUNDS = 20
TOLERANCE = 1e-6  # relative change of the forward from one round to the next
CHUNK = 512  # options priced at a time, so that a single shape is compiled


def european_quotes(frame: pd.DataFrame, spot: float = np.nan) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Replace American quotes by those of European options with the same volatilities.

    Put-call parity holds for the European options, so the forward depends on their prices. These depend in
    turn on the forward, through the dividend yield. Both are iterated to a fixed point over the strikes near
    the money. The early-exercise premium of the mid price is subtracted from bid and ask, so the spread is
    unchanged. The yield of an expiry is constant and includes dividends and borrow cost; discrete dividends
    are not modelled. Near a discrete dividend the forwards of the call-put pairs drift along the strikes, and
    no average removes that. Therefore no pair is rejected, the average is robust, and the uncertainty of the
    forward includes the scatter of the pairs in full.

    Args:
        frame: As for `implied_forwards`, with `discount` for every expiry.
        spot: Price of the underlying; nan takes the discounted forward of the earliest expiry.

    Returns:
        Two tables: the frame with European bid_price and ask_price and the American quotes in american_bid
        and american_ask, and the table of `ImpliedForwards`. European prices are nan where no volatility
        explains the mid, for example at or below exercise value, and where the expiry has no forward.

    Raises:
        DataError: An expiry has no discount factor.
        PrecisionError: Double precision is off.
    """
    _check_discounts(frame)
    frame = frame.assign(american_bid=frame["bid_price"], american_ask=frame["ask_price"])
    table = implied_forwards(frame, spot, np.inf).table
    for _ in range(MAX_ROUNDS):
        before = column(table, "forward")
        asset = spot if np.isfinite(spot) else _spot(table)
        table = implied_forwards(_european(frame, before, asset, WINDOW), asset, np.inf).table
        if not (np.abs(table["forward"].to_numpy() / before.to_numpy() - 1.0) > TOLERANCE).any():
            break
    table = table.assign(forward_sd=np.hypot(table["forward_sd"], table["scatter"]))
    asset = spot if np.isfinite(spot) else _spot(table)
    return _european(frame, column(table, "forward"), asset, np.inf), table


def _check_discounts(frame: pd.DataFrame) -> None:
    """Refuse quotes of which an expiry after the quote date has no discount factor."""
    dated = frame["expiry_datetime"].notna() & (frame["maturity"] > 0) & not_refused(frame)
    stated = frame["discount"].notna() if "discount" in frame else pd.Series(False, index=frame.index)
    missing = (dated & ~stated).to_numpy(bool)
    if missing.any():
        first = frame["expiry_datetime"][missing].min()
        raise DataError(
            "American quotes need a discount factor for every expiry, and the expiry of "
            f"{first:%Y-%m-%d} has none: fill the column discount, or pass rate= (continuously compounded, "
            "1/yr)."
        )


def _spot(table: pd.DataFrame) -> float:
    """Return the discounted forward of the first expiry that has one, which neglects dividends before it."""
    first = np.flatnonzero(table["forward"].notna())[:1]
    spot = (table["forward"] * table["discount"]).to_numpy()[first]
    return float(spot[0]) if len(spot) else np.nan


def _european(frame: pd.DataFrame, forwards: pd.Series, spot: float, window: float) -> pd.DataFrame:
    """Return the frame with European quotes where |strike / forward - 1| <= window, and nan elsewhere.

    Args:
        frame: The quotes, with the columns american_bid and american_ask.
        forwards: Forward of each expiry, indexed by `expiry_datetime`.
        spot: Price of the underlying.
        window: Largest distance from the money; inf replaces all quotes.
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
    dividend = rate - np.log(forward[rows] / spot) / t[rows]
    is_call = (frame["option_type"] == "call").to_numpy(bool)
    premium = np.full(len(frame), np.nan)
    # in the order of the arguments of `european_equivalent`
    columns = (mid[rows], spot, strike[rows], t[rows], rate, dividend, is_call[rows])
    premium[rows] = mid[rows] - _european_prices(*columns)
    return frame.assign(bid_price=bid - premium, ask_price=ask - premium)


def _european_prices(*columns: np.ndarray | float) -> np.ndarray:
    """Compute the prices of `american.european_equivalent` chunk by chunk; the arguments are the same."""
    from ..options.american import european_equivalent  # loads JAX

    arrays = np.broadcast_arrays(*columns)
    rows = len(arrays[0])
    padded = [np.pad(a, (0, -rows % CHUNK), mode="edge") for a in arrays] if rows else []
    chunks = [
        np.asarray(european_equivalent(*(a[i : i + CHUNK] for a in padded)).price)
        for i in range(0, rows, CHUNK)
    ]
    return np.concatenate([np.empty(0), *chunks])[:rows]
