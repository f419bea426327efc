"""Takes the forward of each expiry from futures prices, or recovers it from put-call parity."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from .quotes import refusals

MIN_PAIRS = 2
HALF_TICK = 5e-5  # coin; the half-spread assumed where bid and ask agree, for the rounding of prices
# Standard deviation of C - P, in half-spreads of the pair. Measured against the futures prices of real
# snapshots: with this value the root mean square error of the recovered forwards is about their uncertainty.
SPREAD_TO_SD = 0.5
# Standard deviation, relative to the forward, of the error that all pairs of an expiry share because options
# and future are not quoted at the same instant. Measured: with this value 96 % of the recovered forwards lie
# within 1.96 of their uncertainties.
SHARED_SD = 1e-4
HUBER = 1.345  # standard deviations; 95 % as efficient as the mean for normal errors (Huber 1964)
ITERATIONS = 50
TOLERANCE = 1e-12
DISCOUNTS = (1e-9, 1e9)
"""Least and largest discount factor of any market; others are damaged, and would overflow prices."""


class Parity(NamedTuple):
    """A forward recovered from put-call parity; nan if there are fewer than two call-put pairs."""

    forward: float
    sd: float  # standard uncertainty, in the unit of the forward
    pairs: int


def parity_forward(
    strike: np.ndarray,
    call_bid: np.ndarray,
    call_ask: np.ndarray,
    put_bid: np.ndarray,
    put_ask: np.ndarray,
) -> Parity:
    """Compute the forward of one expiry of coin-settled options from C - P = 1 - K / F.

    Each strike gives a value 1 / F = (1 - (C - P)) / K. The forward is the reciprocal of a Huber estimate of
    their centre, with weights from the spreads. The estimate starts at the weighted median, so a few stale
    quotes do not move it.

    Args:
        strike: Strikes with both a call and a put, USD, shape (pairs,).
        call_bid: Bid prices of the calls in coin, shape (pairs,).
        call_ask: Ask prices of the calls in coin, shape (pairs,).
        put_bid: Bid prices of the puts in coin, shape (pairs,).
        put_ask: Ask prices of the puts in coin, shape (pairs,).

    Returns:
        The forward in USD, its standard uncertainty, and the number of pairs.
    """
    if len(strike) < MIN_PAIRS:
        return Parity(np.nan, np.nan, len(strike))
    inverse = (1 - 0.5 * (call_bid + call_ask - put_bid - put_ask)) / strike
    half_spread = 0.5 * (call_ask - call_bid + put_ask - put_bid)
    sd = SPREAD_TO_SD * np.maximum(half_spread, HALF_TICK) / strike
    centre, uncertainty = huber(inverse, sd)
    if not centre > 0:
        return Parity(np.nan, np.nan, len(strike))
    return Parity(1 / centre, float(np.hypot(uncertainty / centre, SHARED_SD)) / centre, len(strike))


def forward_table(frame: pd.DataFrame, passed: np.ndarray) -> pd.DataFrame:
    """Determine the forward of each expiry of coin-settled options.

    Rows that the loader has refused take no part. The forward is the median `futures_price` over the rows
    that passed the quote rules, or over all rows if none of those has one. The forward of an expiry without
    any futures price comes from put-call parity, over every strike whose call and put both have a bid and an
    ask.

    Args:
        frame: Columns expiry_datetime, option_type, strike, bid_price, ask_price, futures_price.
        passed: Whether each row passed the quote rules, bool, shape (rows,).

    Returns:
        One row per expiry, indexed by `expiry_datetime`: forward (USD, nan where there is none), forward_sd
        (standard deviation of the futures prices, or uncertainty of the recovered forward), source
        ("futures", "parity" or ""), pairs (used for a recovered forward).
    """
    passed = passed[not_refused(frame)]
    frame = frame.loc[not_refused(frame)]
    codes, expiries = pd.factorize(frame["expiry_datetime"], sort=True)
    futures = frame["futures_price"].to_numpy()
    has_future = has_futures(frame)
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(expiries) + 1))
    rows = []
    for first, last in zip(bounds[:-1], bounds[1:], strict=True):
        members = order[first:last]
        quoted = members[has_future[members]]
        liquid = quoted[passed[quoted]]
        prices = futures[liquid if len(liquid) else quoted]
        if len(prices):
            with np.errstate(over="ignore"):  # impossible forwards, whose rows are refused
                rows.append((float(np.median(prices)), float(np.std(prices)), "futures", 0))
        else:
            parity = parity_forward(*call_put_pairs(frame.iloc[members]))
            rows.append((parity.forward, parity.sd, "parity" if parity.forward > 0 else "", parity.pairs))
    index = pd.Index(expiries, name="expiry_datetime")
    return pd.DataFrame(rows, columns=["forward", "forward_sd", "source", "pairs"], index=index)


def not_refused(frame: pd.DataFrame) -> np.ndarray:
    """Whether each row may take part in forwards, bool, shape (rows,): the loader has not refused it."""
    return (refusals(frame) == "").to_numpy(bool)


def has_futures(frame: pd.DataFrame) -> np.ndarray:
    """Whether each row has a `futures_price` that is finite and positive, bool, shape (rows,)."""
    if "futures_price" not in frame:
        return np.zeros(len(frame), bool)
    futures = frame["futures_price"].to_numpy()
    return np.isfinite(futures) & (futures > 0)


def forward_columns(frame: pd.DataFrame, table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the forward of each row and the columns that follow from it, arrays of shape (rows,).

    Args:
        frame: The quotes.
        table: The result of `forward_table`, or the table of `cash_parity.implied_forwards`. Discount factors
            that it does not have are 1, as for coin-settled options.

    Returns:
        forward, forward_sd, forward_source, discount, discount_sd, moneyness and log_moneyness.
        `forward_source` is the source of the expiry's forward ("futures", "parity", "spot" or "" for none),
        but "expiry" for a row without a futures_price whose expiry has one.
    """
    # a row without an expiry has position -1, which is the entry appended below
    position = table.index.get_indexer(pd.Index(frame["expiry_datetime"]))
    table = table.assign(**{"discount": 1.0, "discount_sd": 0.0} if "discount" not in table else {})
    names = ("forward", "forward_sd", "discount", "discount_sd")
    numbers = {name: np.append(table[name].to_numpy(float), np.nan)[position] for name in names}
    source = np.append(table["source"].to_numpy(object), "")[position]
    source = np.where((source == "futures") & ~has_futures(frame), "expiry", source)
    with np.errstate(all="ignore"):  # strikes <= 0 and impossible forwards, whose rows are refused
        moneyness = frame["strike"].to_numpy() / numbers["forward"]
        log_moneyness = np.log(moneyness)
    return numbers | {"forward_source": source, "moneyness": moneyness, "log_moneyness": log_moneyness}


def call_put_pairs(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return strike, call bid, call ask, put bid and put ask of one expiry, shape (pairs,) each.

    Pairs are the strikes at which both call and put have a bid and an ask. Quotes with small open interest
    count here, and those with wide spreads have small weights, so more rows are used than in a calibration.

    Args:
        frame: The quotes of one expiry.
    """
    strike, bid, ask = (frame[name].to_numpy() for name in ("strike", "bid_price", "ask_price"))
    kind = frame["option_type"].to_numpy(object)
    quoted = (strike > 0) & (bid > 0) & (ask >= bid) & np.isfinite(strike + ask)
    calls = np.flatnonzero(quoted & (kind == "call"))
    puts = np.flatnonzero(quoted & (kind == "put"))
    common, in_calls, in_puts = np.intersect1d(strike[calls], strike[puts], return_indices=True)
    call = calls[in_calls]
    put = puts[in_puts]
    return common, bid[call], ask[call], bid[put], ask[put]


def huber(values: np.ndarray, sd: np.ndarray) -> tuple[float, float]:
    """Compute Huber's estimate of the centre of values, by iterated reweighting from the weighted median.

    Args:
        values: Shape (n,), n >= 2.
        sd: Standard deviation of each value, > 0, shape (n,).

    Returns:
        The centre and its standard uncertainty. If the values scatter more than their standard deviations
        allow, the uncertainty grows by that ratio (Birge 1932).
    """
    weight = sd**-2
    order = np.argsort(values)
    cumulated = np.cumsum(weight[order])
    centre = float(values[order[np.searchsorted(cumulated, 0.5 * cumulated[-1])]])
    robust = weight
    for _ in range(ITERATIONS):
        distance = np.abs(values - centre) / sd
        robust = weight * np.minimum(1.0, HUBER / np.maximum(distance, HUBER))
        previous = centre
        centre = float(np.sum(robust * values) / np.sum(robust))
        if abs(centre - previous) <= TOLERANCE * abs(centre):
            break
    scatter = np.sqrt(np.sum(robust * (values - centre) ** 2) / (len(values) - 1))
    return centre, float(max(1.0, scatter) / np.sqrt(np.sum(robust)))
