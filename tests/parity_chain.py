"""A made-up chain of cash-settled options that obeys put-call parity."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neutral import market
from neutral.market import Filters, Quotes, cash_parity

TAKEN = datetime(2026, 1, 2, 21, tzinfo=UTC)
DAYS = (7, 30, 91, 182, 365, 730)
SPOT, RATE, DIVIDEND = 5000.0, 0.04, 0.015
LOOSE = Filters(min_quotes=1)


def forward(t):
    return SPOT * np.exp((RATE - DIVIDEND) * t)


def chain(days=DAYS, noise=0.0, half_spread=1.0, seed=0, spacing=20.0) -> Any:
    """Calls and puts that obey parity up to noise uniform within `noise` half-spreads."""
    rng = np.random.default_rng(seed)
    rows = []
    for day in days:
        t = day / 365
        strike = np.arange(0.84 * SPOT, 1.16 * SPOT, spacing)
        for kind, sign in (("call", 1), ("put", -1)):
            time_value = 60 + 500 * np.sqrt(t) * np.exp(-(((strike - forward(t)) / 600) ** 2))
            mid = np.exp(-RATE * t) * (np.maximum(sign * (forward(t) - strike), 0.0) + time_value)
            mid = mid + noise * half_spread * rng.uniform(-1, 1, strike.size)
            rows.append(
                pd.DataFrame(
                    {
                        "timestamp": pd.Timestamp(TAKEN),
                        "expiry_datetime": pd.Timestamp(TAKEN) + pd.Timedelta(days=day),
                        "option_type": kind,
                        "strike": strike,
                        "maturity": t,
                        "bid_price": mid - half_spread,
                        "ask_price": mid + half_spread,
                        "futures_price": np.nan,
                        "discount": np.nan,
                        "underlying_name": "INDEX",
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def quotes(frame, spot=SPOT, **changes):
    made = Quotes(frame, "INDEX", TAKEN, Path("made up"), "365", "", settlement="cash", spot=spot)
    return dataclasses.replace(made, **changes)


def prepare(*args, **kwargs) -> tuple[Any, Any]:
    return market.prepare(*args, **kwargs)


def implied_forwards(*args, **kwargs) -> Any:
    return cash_parity.implied_forwards(*args, **kwargs)
