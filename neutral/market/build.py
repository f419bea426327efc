"""From quotes to a surface: prices, forwards, filters and the split, with every refused row kept."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..errors import DataError
from .filters import Filters, guard_reasons, moneyness_reasons, quote_reasons, relative_spread, sorted_rows
from .forwards import MIN_PAIRS, forward_columns
from .quotes import Quotes
from .split import Split

_LEAST_INTEREST = 1e-12  # contracts: no power of it is infinite

if TYPE_CHECKING:
    from ..quote_surface import QuoteSurface

NO_FORWARD = f"no forward: no futures price and fewer than {MIN_PAIRS} call-put pairs"
SHOWN_REASONS = 3


def build_surface(
    quotes: Quotes, filters: Filters | None = None, split: Split | None = None
) -> "tuple[QuoteSurface, pd.DataFrame]":
    """The surface of a snapshot's liquid quotes, and the rows that are not in it.

    Args:
        quotes: As `load_deribit` returns them.
        filters: Liquidity rules; None takes the defaults of `Filters`.
        split: Which quotes train; None trains on all.

    Returns:
        The surface, prices in coin (the normalised price), weights 1; and the rejected rows with the column
        `reason`.

    Raises:
        DataError: Fewer than `filters.min_quotes` quotes are left.
    """
    from ..quote_surface import QuoteSurface  # loads JAX, which reading and filtering do without

    kept, rejected = prepare(quotes, filters, split)
    return QuoteSurface.from_quotes(surface_table(kept), settlement="coin"), rejected


def surface_table(kept: pd.DataFrame, open_interest_power: float = 0.0) -> pd.DataFrame:
    """The columns of a prepared table that make a surface, as `QuoteSurface.from_quotes` names them.

    Args:
        kept: As `prepare` returns it.
        open_interest_power: Quotes count in proportion to this power of their open interest.
    """
    # where the filters let crossed quotes in, they are a mid without a spread
    crossed = kept["ask_price"] < kept["bid_price"]
    return pd.DataFrame(
        {
            "forward": kept["forward"],
            "strike": kept["strike"],
            "maturity": kept["maturity"],
            "kind": kept["kind"],
            "price": kept["mid_price_clean"],
            "bid": kept["bid_price"].mask(crossed),
            "ask": kept["ask_price"].mask(crossed),
            "weight": (kept["open_interest"] + _LEAST_INTEREST) ** open_interest_power,
            "train": kept["split"] == "train",
        }
    )


def prepare(
    quotes: Quotes, filters: Filters | None = None, split: Split | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Filter a snapshot's quotes and add what a calibration needs.

    The quote rules come first, then each expiry's forward from what is left, then the rule on moneyness and
    the limits on size. No row is lost: kept and rejected together are the quotes.

    Args:
        quotes: As `load_deribit` returns them.
        filters: Liquidity rules; None takes the defaults of `Filters`.
        split: Which quotes train; None trains on all.

    Returns:
        Two tables, both with the columns of the file and: maturity (years), kind (True for a call),
        mid_price_clean, spread (coin), rel_spread, forward (USD), forward_source, forward_sd, moneyness,
        log_moneyness. The kept rows have `split` ("train", "test" or "extra"), one maturity per expiry, and
        the order expiry, strike, type; the rejected ones have `reason` and the order of the file.

    Raises:
        DataError: Fewer than `filters.min_quotes` quotes are left.
    """
    filters = filters or Filters()
    reason = quote_reasons(quotes.frame, filters)
    frame = _with_derived(quotes.frame, reason == "")
    _refuse(reason, np.where(np.isnan(frame["forward"].to_numpy()), NO_FORWARD, ""))
    _refuse(reason, moneyness_reasons(frame["moneyness"].to_numpy(), filters))

    passed = np.flatnonzero(reason == "")
    reason[passed] = guard_reasons(frame, passed, filters)
    kept = frame.iloc[sorted_rows(frame, np.flatnonzero(reason == ""))].reset_index(drop=True)
    if len(kept) < filters.min_quotes:
        raise DataError(_too_few(quotes, reason, filters.min_quotes))
    kept["maturity"] = kept.groupby("expiry_datetime")["maturity"].transform("median")
    kept["split"] = split.labels(kept) if split else "train"
    refused = frame.iloc[np.flatnonzero(reason)].reset_index(drop=True)
    refused["reason"] = reason[np.flatnonzero(reason)]
    return kept, refused


def _with_derived(frame: pd.DataFrame, passed: np.ndarray) -> pd.DataFrame:
    """The table with kind, prices and forward; the forward is read from the rows `passed`."""
    bid, ask = frame["bid_price"].to_numpy(), frame["ask_price"].to_numpy()
    derived = {
        "kind": (frame["option_type"] == "call").to_numpy(bool),
        "mid_price_clean": 0.5 * (bid + ask),
        "spread": ask - bid,
        "rel_spread": relative_spread(bid, ask),
        **forward_columns(frame, passed),
    }
    return pd.concat([frame, pd.DataFrame(derived, index=frame.index)], axis=1)


def _refuse(reason: np.ndarray, new: np.ndarray) -> None:
    """Write new reasons where there is none yet, in place."""
    free = reason == ""
    reason[free] = new[free]


def _too_few(quotes: Quotes, reason: np.ndarray, needed: int) -> str:
    counts = pd.Series(reason[reason != ""]).value_counts()
    worst = ", ".join(f"{count} {name}" for name, count in counts.head(SHOWN_REASONS).items())
    left = int((reason == "").sum())
    return (
        f"{quotes.path}: {left} of {len(reason)} {quotes.currency} options pass the filters, "
        f"at least {needed} are needed; refused most: {worst or 'none'}"
    )
