"""The warnings about the quotes of a surface: those that were refused, and calendar arbitrage."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from .outside import REASONS

LARGEST_FALL = 0.1  # of the total variance; smaller falls come from errors of single quotes
LARGEST_SHARE_REFUSED = 0.5  # of the quotes; more point to quotes that were read wrongly
NEAR = 0.75  # standard deviations from the forward to the strikes between which the variance is interpolated


def refusals(refused: Int[np.ndarray, "..."], index: Int[np.ndarray, "..."]) -> list[dict[str, Any]]:
    """List the reasons of refused quotes, a row each: `reason`, `count`, and the first `row` of the table."""
    return [
        {"reason": reason, "count": int(np.sum(refused == code)), "row": int(index[refused == code].min())}
        for code, reason in REASONS.items()
        if np.any(refused == code)
    ]


def notice_of_refusals(rows: list[dict[str, Any]], kept: int) -> str:
    """Say how many quotes are refused, and why; "" if none is."""
    count = sum(row["count"] for row in rows)
    if not count:
        return ""
    reasons = "; ".join(f"{row['count']} x {row['reason']} (the first is row {row['row']})" for row in rows)
    return f"{count} of {kept + count} quotes are refused: {reasons}.{cause_of_refusals(count, kept)}"


def cause_of_refusals(refused: int, kept: int) -> str:
    """Say what to check where most quotes of a surface are refused; "" elsewhere.

    Args:
        refused: Number of refused quotes.
        kept: Number of the others.
    """
    if refused <= LARGEST_SHARE_REFUSED * (refused + kept):
        return ""
    return (
        " So many point to a mistake in the table: check which quotes are calls and which are puts, and the "
        "units of prices, strikes and forwards."
    )


def notice_of_calendar(
    t: Float[np.ndarray, "... T"],
    k: Float[np.ndarray, "... T K"],
    *,
    stdev: Float[np.ndarray, "... T"],
    mask: Bool[np.ndarray, "... 2 T K"],
) -> str:
    """Say where the total variance at the money falls from one expiry to the next, or "".

    Only expiries count that have a strike on either side of the forward, `NEAR` deviations away or nearer.

    Args:
        t: Maturities in years.
        k: Log-forward moneyness.
        stdev: Total standard deviations at the money.
        mask: True where a quote exists.
    """
    near = np.any(mask, axis=-3) & (np.abs(k) <= NEAR * np.expand_dims(stdev, -1))
    known = np.any(near & (k <= 0.0), axis=-1) & np.any(near & (k >= 0.0), axis=-1)
    lanes = (np.reshape(x, (-1, np.shape(t)[-1])) for x in (t, stdev, known))
    for times, deviations, rows in zip(*lanes, strict=True):
        fall = calendar_fall(times[rows], deviations[rows] ** 2)
        if fall:
            return f"The quotes have calendar arbitrage, which no arbitrage-free model fits: {fall}."
    return ""


def calendar_fall(t: Float[np.ndarray, "m"], variance: Float[np.ndarray, "m"]) -> str:
    """Describe the largest fall of the total variance at the money.

    Args:
        t: Maturities in years, ascending.
        variance: Total variance at the money, volatility squared times t.

    Returns:
        Both maturities with their volatilities; "" if no variance falls by more than `LARGEST_FALL`.
    """
    if len(t) < 2:
        return ""
    ratio = variance[1:] / variance[:-1]
    i = int(np.argmin(ratio))
    if not ratio[i] < 1.0 - LARGEST_FALL:
        return ""
    before, after = np.sqrt(variance[i : i + 2] / t[i : i + 2])
    return (
        f"the volatility at the money is {before:.4g} at {t[i]:.4g} years and {after:.4g} at "
        f"{t[i + 1]:.4g} years, so the total variance falls by {1.0 - ratio[i]:.0%}"
    )
