"""Turns quotes into a surface: computes forwards, filters and splits, and lists every rejected row."""

import warnings
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from ..errors import ArgumentError, DataError, QuoteWarning
from .american_quotes import european_quotes
from .cash_parity import MAX_REJECTED, implied_forwards
from .cleaning import arbitrage_reasons, outside_reasons
from .dividends import Dividends, as_schedule
from .filters import Filters, guard_reasons, moneyness_reasons, quote_reasons, relative_spread, sorted_rows
from .forwards import MIN_PAIRS, forward_columns, forward_table
from .quotes import Quotes, column
from .reading import (
    IMPOSSIBLE,
    MIXED_QUOTES,
    check_reading,
    doubt_of_spot,
    impossible_rows,
    mixed_rows,
)
from .split import Split
from .staleness import stale_reasons

_LEAST_INTEREST = 1e-12  # contracts, added so that a negative power of zero open interest is finite

if TYPE_CHECKING:
    from ..quotes.surface import QuoteSurface
    from .loaders.rates import Rates

NO_FORWARD = f"the expiry has no forward: none is stated, and it has fewer than {MIN_PAIRS} call-put pairs"
MIXED = (
    "the expiry mixes settlement series, or its quotes are stale: more than "
    f"{MAX_REJECTED:.0%} of the call-put pairs disagree on the forward"
)
NO_EQUIVALENT = "the quote has no European equivalent: no volatility explains the American price"
SHOWN_REASONS = 3


def build_surface(
    quotes: Quotes,
    filters: Filters | None = None,
    split: Split | None = None,
    rate: float | None = None,
    dividends: Dividends | None = None,
    *,
    rates: "Rates | float | None" = None,
) -> "tuple[QuoteSurface, pd.DataFrame]":
    """Build the surface of a snapshot's liquid quotes, and list the rows that are not in it.

    A `QuoteWarning` reports quotes that contradict each other or whose unit is in doubt; see
    `check_reading`.

    Args:
        quotes: The result of a loader.
        filters: Liquidity rules; None takes the defaults of `Filters`.
        split: The split into train and test; None trains on all quotes.
        rate: As for `prepare`.
        dividends: As for `prepare`.
        rates: In place of `rate`, a rate or a history of rates, as `Quotes.from_frame` takes them; of a
            history the rate on the day of the quotes counts.

    Returns:
        The surface, with all weights 1, and the rejected rows with the column `reason`.

    Raises:
        ArgumentError: Both `rate` and `rates` are given, or one of them is no rate.
        DataError: As for `prepare`.
        PrecisionError: Double precision is off.
    """
    kept, rejected = prepare(quotes, filters, split, _one_rate(quotes, rate, rates), dividends)
    spot = _doubt_of_spot(quotes, kept)
    for finding in (*check_reading(kept, rejected).doubts, *([spot] if spot else [])):
        warnings.warn(f"{quotes.path}: {finding}.", QuoteWarning, stacklevel=2)
    return surface_of(kept), rejected


def _doubt_of_spot(quotes: Quotes, frame: pd.DataFrame) -> str:
    """Say whether the stated spot contradicts the forwards of a table that come from parity."""
    if quotes.exercise == "american":  # whose equivalents, and forwards, were computed with the wrong spot
        years = quotes.frame.groupby("expiry_datetime")["maturity"].median()
        rows = implied_forwards(quotes.frame, agreement=np.inf).table.join(years)
    else:
        rows = frame.loc[column(frame, "forward_source") == "parity"]
    return doubt_of_spot(quotes.spot, rows["forward"].to_numpy(float), rows["maturity"].to_numpy(float))


def _one_rate(quotes: Quotes, rate: float | None, rates: "Rates | float | None") -> float | None:
    """Return the rate of the day of the quotes, from whichever argument states it."""
    from .loaders.rates import Rates, flat_rate  # the loaders import this folder

    if rates is None:
        return rate
    if rate is not None:
        raise ArgumentError(f"pass rate= or rates=, not both; got rate={rate!r} and rates={rates!r}.")
    history = rates if isinstance(rates, Rates) else flat_rate(rates)
    return history.rate(quotes.snapshot_ts)


def surface_of(kept: pd.DataFrame, open_interest_power: float = 0.0) -> "QuoteSurface":
    """Build the surface of a prepared table; the arguments are those of `surface_table`."""
    from ..quotes.surface import QuoteSurface  # loads JAX, which reading and filtering do without

    table = surface_table(kept, open_interest_power)
    # `prepare` has refused the quotes without volatility, and `check_reading` reports calendar arbitrage
    return QuoteSurface.from_quotes(table, settlement=kept["settlement"].iloc[0], warn=False)


def surface_table(kept: pd.DataFrame, open_interest_power: float = 0.0) -> pd.DataFrame:
    """Select the columns of a prepared table that `QuoteSurface.from_quotes` reads, under its names.

    The maturity is the variance time if the quotes were read with a clock. Forward and discount factor were
    computed in calendar time before.

    Args:
        kept: The kept rows of `prepare`.
        open_interest_power: The weight of a quote is this power of its open interest; all weights are equal
            if the source has no open interest.
    """
    interest = kept["open_interest"] if "open_interest" in kept else 1.0
    # a crossed quote that passes the filters counts as a mid price without bid and ask
    crossed = kept["ask_price"] < kept["bid_price"]
    return pd.DataFrame(
        {
            "forward": kept["forward"],
            "discount": kept["discount"],
            "strike": kept["strike"],
            "maturity": kept["variance_time" if "variance_time" in kept else "maturity"],
            "kind": kept["kind"],
            "price": kept["mid_price_clean"],
            "bid": kept["bid_price"].mask(crossed),
            "ask": kept["ask_price"].mask(crossed),
            "weight": (interest + _LEAST_INTEREST) ** open_interest_power,
            "train": kept["split"] == "train",
        }
    )


def prepare(
    quotes: Quotes,
    filters: Filters | None = None,
    split: Split | None = None,
    rate: float | None = None,
    dividends: Dividends | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Filter a snapshot's quotes and add what a calibration needs.

    The rules on single quotes come first. Then come each expiry's forward and the European equivalents of
    American quotes, and last the rules on moneyness, static arbitrage and no-arbitrage intervals
    and the limits on size. No row is lost: every quote is in one of the two tables.

    Args:
        quotes: The result of a loader.
        filters: Liquidity rules; None takes the defaults of `Filters`.
        split: The split into train and test; None trains on all quotes.
        rate: Continuously compounded rate, 1/yr, for the expiries of cash-settled options whose discount
            factor the quotes do not state. Without it European quotes take theirs from put-call parity.
        dividends: Discrete dividends of the underlying: a `DividendSchedule`, cash amounts by ex-date
            ({"2024-05-10": 0.25}), or the path of a file for `load_dividends`. They bear on American quotes
            only; the forwards of European quotes contain them already. A yield replaces what is not stated.

    Returns:
        The kept and the rejected rows. Both tables have the columns of the file and: maturity (years), kind
        (True for a call), settlement, mid_price_clean, spread, rel_spread (prices in the unit of the quotes),
        forward, forward_sd, forward_source, discount, discount_sd, moneyness, log_moneyness. For American
        options bid_price and ask_price are European equivalents, and the quotes are in american_bid and
        american_ask. If the quotes were read with a clock, variance_time is beside maturity. The kept rows
        have `split` ("train", "test" or "extra"), one maturity per expiry, and
        the order expiry, strike, type. The rejected rows have `reason` and the order of the file.

    Raises:
        DataError: Fewer than `filters.min_quotes` quotes are left, American quotes have no rate, dividends
            cannot be read or placed, or `filters.max_quote_age` is set and the quotes have no times of their
            own.
        ArgumentError: The dividends are none, or worth more than the spot.
        PrecisionError: The quotes are American, and double precision is off.
    """
    filters = filters or Filters()
    reason = quote_reasons(quotes.frame, filters)
    _refuse(reason, stale_reasons(quotes, filters))
    frame, mixed = _with_derived(quotes, reason == "", filters, rate, dividends)
    _refuse(reason, np.where(mixed, MIXED, ""))
    _refuse(reason, np.where(np.isnan(frame["forward"].to_numpy()), NO_FORWARD, ""))
    _refuse(reason, np.where(np.isnan(frame["mid_price_clean"].to_numpy()), NO_EQUIVALENT, ""))
    _refuse(reason, moneyness_reasons(frame["moneyness"].to_numpy(), filters))
    if filters.arbitrage:
        passed = np.flatnonzero(reason == "")
        reason[passed] = arbitrage_reasons(frame.iloc[passed], quotes.settlement)
    _refuse(reason, outside_reasons(frame, quotes.settlement))
    passed = np.flatnonzero(reason == "")
    reason[passed] = guard_reasons(frame, passed, filters)
    positions = sorted_rows(frame, np.flatnonzero(reason == ""))
    kept = frame.iloc[positions].reset_index(drop=True)
    kept["maturity"] = kept.groupby("expiry_datetime")["maturity"].transform("median")
    impossible, mixed = impossible_rows(kept), mixed_rows(kept)
    reason[positions[mixed]] = MIXED_QUOTES
    reason[positions[impossible]] = IMPOSSIBLE
    kept = kept.loc[~(impossible | mixed)].reset_index(drop=True)
    if len(kept) < filters.min_quotes:
        spot = _doubt_of_spot(quotes, frame)
        raise DataError(
            _too_few(quotes, reason, filters.min_quotes) + (f" Note that {spot}." if spot else "")
        )
    kept["split"] = split.labels(kept) if split else "train"
    refused = frame.iloc[np.flatnonzero(reason)].reset_index(drop=True)
    refused["reason"] = reason[np.flatnonzero(reason)]
    return kept, refused


def _with_derived(
    quotes: Quotes, passed: np.ndarray, filters: Filters, rate: float | None, dividends: Dividends | None
) -> tuple[pd.DataFrame, np.ndarray]:
    """Add kind, prices and forwards to the quotes, and mark the rows of mixed expiries, bool."""
    frame, table = _with_forwards(quotes, passed, filters, rate, dividends)
    bid = frame["bid_price"].to_numpy()
    ask = frame["ask_price"].to_numpy()
    with np.errstate(over="ignore", invalid="ignore"):  # infinite prices, which are refused
        derived = {
            "kind": (frame["option_type"] == "call").to_numpy(bool),
            "settlement": quotes.settlement,
            "mid_price_clean": 0.5 * (bid + ask),
            "spread": ask - bid,
            "rel_spread": relative_spread(bid, ask),
            **forward_columns(frame, table),
        }
    mixed = table.index[column(table, "mixed")] if "mixed" in table else []
    stated = cast(pd.DataFrame, frame.drop(columns="discount", errors="ignore"))
    whole = pd.concat([stated, pd.DataFrame(derived, index=frame.index)], axis=1)
    return whole, frame["expiry_datetime"].isin(list(mixed)).to_numpy()


def _with_forwards(
    quotes: Quotes, passed: np.ndarray, filters: Filters, rate: float | None, dividends: Dividends | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the quotes, American ones as European equivalents, and the table of forwards by expiry."""
    if quotes.settlement == "coin":
        return quotes.frame, forward_table(quotes.frame, passed)
    frame = quotes.frame
    if rate is not None:
        flat = pd.Series(np.exp(-rate * frame["maturity"].to_numpy()), index=frame.index)
        frame = frame.assign(discount=frame["discount"].fillna(flat) if "discount" in frame else flat)
    if quotes.exercise == "american":
        upcoming = None if dividends is None else as_schedule(dividends).upcoming(quotes)
        try:
            return european_quotes(frame, quotes.spot, upcoming)
        except DataError as error:
            raise DataError(f"{quotes.path}: {error}") from error
    agreement = max(filters.forward_agreement, quotes.forward_agreement)
    return frame, implied_forwards(frame, quotes.spot, agreement).table


def _refuse(reason: np.ndarray, new: np.ndarray) -> None:
    """Write new reasons, in place, into the rows that have none."""
    free = reason == ""
    reason[free] = new[free]


def _too_few(quotes: Quotes, reason: np.ndarray, needed: int) -> str:
    """Return the message for a surface with too few quotes, with the most frequent reasons."""
    counts = pd.Series(reason[reason != ""]).value_counts()
    worst = "; ".join(f"{count} x {name}" for name, count in counts.head(SHOWN_REASONS).items())
    left = int((reason == "").sum())
    return (
        f"{quotes.path}: {left} of {len(reason)} {quotes.currency} options pass the filters, and at least "
        f"{needed} are needed. The most frequent reasons of refused rows are: {worst or 'none'}. Loosen the "
        "filters that give them, or lower min_quotes."
    )
