"""Quotes outside their no-arbitrage interval, which are refused because no volatility gives them."""

import numpy as np
from jaxtyping import Bool, Float, Int

REASONS = {
    1: "the price is not above intrinsic value, so that no volatility gives it",
    2: "the price is at or above its upper bound (the forward for a call, the strike for a put), so that no "
    "volatility gives it",
}
"""Why a quote is refused, by the codes of `outside_codes`; 0 is the code of all other quotes."""


def outside_codes(
    price: Float[np.ndarray, "*n"],
    bid: Float[np.ndarray, "*n"],
    ask: Float[np.ndarray, "*n"],
    *,
    k: Float[np.ndarray, "*n"],
    is_call: Bool[np.ndarray, "*n"],
) -> Int[np.ndarray, "*n"]:
    """Find the quotes that no volatility gives.

    A price between a bid and an ask counts as their interval, because the middle of a wide spread may lie
    outside although prices within the spread do not. Every other price counts alone.

    Args:
        price: Normalised prices.
        bid: Normalised bids; nan where absent.
        ask: Normalised asks; nan where absent.
        k: Log-forward moneyness.
        is_call: True for calls, False for puts.

    Returns:
        Codes of `REASONS`, and 0 for quotes with a volatility and for numbers that are not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        intrinsic = np.where(is_call == (k < 0.0), np.abs(np.expm1(k)), 0.0)
        upper = np.where(is_call, 1.0, np.exp(k))
        quoted = (bid <= price) & (price <= ask)
        low = np.where(quoted, bid, price)
        high = np.where(quoted, ask, price)
        finite = np.isfinite(price) & np.isfinite(k)
        codes = np.where(high <= intrinsic, 1, np.where(low >= upper, 2, 0))
    return np.where(finite, codes, 0).astype(np.int8)
