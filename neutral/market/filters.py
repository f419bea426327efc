"""Filters quotes by liquidity, and gives the reason for each quote that is refused."""

import dataclasses
import math

import numpy as np
import pandas as pd

from ..errors import ArgumentError
from ..times import DAYS_A_YEAR
from .forwards import DISCOUNTS
from .quotes import column, refusals

SYNTHETIC = "SYN."  # with which names of synthetic forwards begin

# Reasons that loaders give.
NON_STANDARD = "the contract is not standard"
EXPIRED = "the option expired before the quote date"
EXPIRES_TODAY = "the option expires on the quote date"
REPEATED = "the row repeats the option of an earlier row"
CONTRADICTED = "another row quotes the same option at other prices, and nothing determines which one is right"

# The beginnings of the reasons that refuse a quote although nothing is wrong with it.
_CHOICES = (
    "the maturity ",
    "the open interest ",
    "the vega ",
    "the spread is above",
    "the underlying is synthetic",
    "strike / forward is outside",
    "the expiry is not among",
    "the quote is not among",
    "the clock has no variance",
    NON_STANDARD,
    EXPIRED,
    EXPIRES_TODAY,
)


@dataclasses.dataclass(frozen=True)
class Filters:
    """Rules that a quote must pass; a missing or non-numeric value breaks the rule that needs it.

    The defaults are the rules of the published fits of Deribit snapshots. A quote needs bid and ask whatever
    the settings, because without both there is no mid price. Rules on open interest, vega or the name of the
    underlying do not apply to a source that has no such column.

    Raises:
        ArgumentError: A field is out of its range; the message names it and what is accepted.
    """

    min_price: float = 0.0
    """Bid and ask must be above this price, in the unit of the quotes."""
    allow_crossed: bool = False
    """Whether a quote whose ask is below its bid passes."""
    min_maturity: float = 1 / DAYS_A_YEAR
    """Shortest maturity that passes, in years of the day count of the quotes."""
    max_maturity: float | None = None
    """Longest maturity that passes, in years; None sets no bound."""
    min_open_interest: float = 1.0
    """Smallest open interest that passes, in contracts."""
    min_vega: float = 0.0
    """Smallest vega that passes, in payment currency per volatility point."""
    max_relative_spread: float = 0.5
    """Largest (ask - bid) / mid that passes."""
    moneyness: tuple[float, float] = (0.5, 2.0)
    """Lowest and highest strike / forward that pass."""
    drop_synthetic: bool = False
    """Whether options priced against a synthetic forward (underlying named `SYN.`) are left out."""
    forward_agreement: float = 2e-4
    """Width of the band, relative to the forward, in which the call-put pairs of a European cash-settled
    expiry must agree on its forward; an expiry with more than 15 % of its pairs outside is refused."""
    arbitrage: bool = False
    """Whether to refuse quotes that take part in static arbitrage at bid and ask; see `arbitrage_reasons`."""
    min_quotes: int = 50
    """Smallest number of quotes of a surface; with fewer the whole surface is refused."""
    max_expiries: int | None = None
    """Largest number of expiries; those with the largest open interest are kept. None keeps all."""
    max_quotes: int | None = None
    """Largest number of quotes; if there are more, this many are drawn at random. None keeps all."""
    sample_seed: int = 123
    """Seed of the draw of `max_quotes`."""
    max_quote_age: float | None = None
    """Largest age of a quote in seconds, for sources with a time per quote: a column `quote_time`, or rows
    with different timestamps. Other sources are refused. None sets no bound."""
    max_equal_strikes: int | None = None
    """Largest number of neighbouring strikes of one expiry and type with the same bid and ask above zero;
    longer runs are stale. None sets no bound."""

    def __post_init__(self) -> None:
        for name in ("min_price", "min_maturity", "max_relative_spread", "forward_agreement"):
            _check(name, getattr(self, name), low=0.0)
        for name in ("min_open_interest", "min_vega"):
            _check(name, getattr(self, name))
        if self.max_maturity is not None:
            _check("max_maturity", self.max_maturity, low=self.min_maturity)
        _check_range(self.moneyness)
        _check_count("min_quotes", self.min_quotes, low=1)
        _check_count("sample_seed", self.sample_seed, low=0)
        if self.max_quote_age is not None:
            _check("max_quote_age", self.max_quote_age, low=0.0)
        for name in ("max_expiries", "max_quotes", "max_equal_strikes"):
            if getattr(self, name) is not None:
                _check_count(name, getattr(self, name), low=1)


Rule = tuple[str, np.ndarray]
"""A reason, and whether it refuses each row: bool, shape (rows,)."""


def quote_reasons(frame: pd.DataFrame, filters: Filters) -> np.ndarray:
    """Return the reason of the first rule that each row breaks, or "", of the rules that need no forward.

    Args:
        frame: `Quotes.frame`.
        filters: The rules.

    Returns:
        Strings, shape (rows,), dtype object.
    """
    rules = [
        *_loader_rules(frame),
        *_term_rules(frame),
        *_price_rules(frame, filters),
        *_liquidity_rules(frame, filters),
    ]
    reasons = first_reason(rules, len(frame))
    passed = np.flatnonzero(reasons == "")
    repeated, contradicted = _repeats(frame, passed)
    reasons[repeated] = REPEATED
    reasons[contradicted] = CONTRADICTED
    return reasons


def _loader_rules(frame: pd.DataFrame) -> list[Rule]:
    """Return one rule for each reason that the loader gave."""
    reasons = refusals(frame).to_numpy(object)
    return [(reason, reasons == reason) for reason in pd.unique(reasons) if reason]


def _term_rules(frame: pd.DataFrame) -> list[Rule]:
    """Return the rules on the terms of the option."""
    strike = frame["strike"].to_numpy()
    discount = frame["discount"].to_numpy(float) if "discount" in frame else np.full(len(frame), np.nan)
    return [
        ("the option type is not call or put", ~frame["option_type"].isin(["call", "put"]).to_numpy()),
        ("the strike is missing or not positive", ~(np.isfinite(strike) & (strike > 0))),
        ("the expiry is missing or not a date", frame["expiry_datetime"].isna().to_numpy()),
        ("the maturity is missing", ~np.isfinite(frame["maturity"].to_numpy())),
        (
            "the discount factor is not between {:g} and {:g}".format(*DISCOUNTS),
            (discount < DISCOUNTS[0]) | (discount > DISCOUNTS[1]),
        ),
    ]


def _price_rules(frame: pd.DataFrame, filters: Filters) -> list[Rule]:
    """Return the rules on bid and ask."""
    bid = frame["bid_price"].to_numpy()
    ask = frame["ask_price"].to_numpy()
    return [
        ("the bid is missing", ~np.isfinite(bid)),
        ("the ask is missing", ~np.isfinite(ask)),
        (f"the bid is not above {filters.min_price:g}", ~(bid > filters.min_price)),
        (f"the ask is not above {filters.min_price:g}", ~(ask > filters.min_price)),
        ("the ask is below the bid", (ask < bid) & (not filters.allow_crossed)),
    ]


def _liquidity_rules(frame: pd.DataFrame, filters: Filters) -> list[Rule]:
    """Return the rules on maturity, open interest, vega, spread and underlying."""
    maturity = frame["maturity"].to_numpy()
    longest = math.inf if filters.max_maturity is None else filters.max_maturity
    spread = relative_spread(frame["bid_price"].to_numpy(), frame["ask_price"].to_numpy())
    rules = [
        (f"the maturity is below {filters.min_maturity:.4g} years", ~(maturity >= filters.min_maturity)),
        (f"the maturity is above {longest:.4g} years", ~(maturity <= longest)),
        *_at_least("open interest", frame, filters.min_open_interest),
        *_at_least("vega", frame, filters.min_vega),
        (
            f"the spread is above {filters.max_relative_spread:g} of the mid price",
            ~(spread <= filters.max_relative_spread),
        ),
    ]
    if filters.drop_synthetic and "underlying_name" in frame:
        names = column(frame, "underlying_name")
        rules.append(
            ("the underlying is synthetic", names.str.startswith(SYNTHETIC, na=False).to_numpy(bool))
        )
    return rules


def _at_least(name: str, frame: pd.DataFrame, bound: float) -> list[Rule]:
    """Return the rule that a column is at least a bound, or no rule if the source has no such column."""
    key = name.replace(" ", "_")
    if key not in frame:
        return []
    return [(f"the {name} is missing or below {bound:g}", ~(frame[key].to_numpy() >= bound))]


def is_choice(reason: str) -> bool:
    """Whether a reason refuses a quote that has no fault, for example because its open interest is small."""
    return reason.startswith(_CHOICES)


@np.errstate(over="ignore", invalid="ignore")  # infinite prices, which are refused
def relative_spread(bid: np.ndarray, ask: np.ndarray) -> np.ndarray:
    """Return (ask - bid) / mid, shape (rows,); nan where the mid is not positive and finite."""
    mid = 0.5 * (bid + ask)
    return np.divide(ask - bid, mid, out=np.full(len(mid), np.nan), where=(mid > 0) & np.isfinite(mid))


def moneyness_reasons(moneyness: np.ndarray, filters: Filters) -> np.ndarray:
    """Return the reason for each row whose strike / forward (shape (rows,)) is out of range, or ""."""
    low, high = filters.moneyness
    outside = ~((moneyness >= low) & (moneyness <= high))
    return first_reason([(f"strike / forward is outside {low:g} to {high:g}", outside)], len(moneyness))


def guard_reasons(frame: pd.DataFrame, passed: np.ndarray, filters: Filters) -> np.ndarray:
    """Return the reason for each row that is refused to limit the size of a surface, or "".

    Args:
        frame: Columns expiry_datetime, strike, option_type and, if the source has it, open_interest. Without
            open interest the expiries with the most quotes count as the largest.
        passed: Positions of the rows that no other rule refuses, shape (passed,).
        filters: The rules.

    Returns:
        Strings, shape (passed,), dtype object.
    """
    reasons = np.full(len(passed), "", dtype=object)
    if filters.max_expiries is None and filters.max_quotes is None:
        return reasons
    # sorted, so that the draw does not depend on the order of the file
    quotes = frame.iloc[passed].reset_index(drop=True)
    quotes = quotes.iloc[sorted_rows(quotes, np.arange(len(quotes)))]
    if filters.max_expiries is not None:
        expiries = quotes.groupby("expiry_datetime")
        has_interest = "open_interest" in quotes
        interest = expiries["open_interest"].sum() if has_interest else expiries.size()
        # the sort is stable: of equal expiries the earlier one comes first
        largest = interest.sort_values(ascending=False, kind="stable").index[: filters.max_expiries]
        small = ~quotes["expiry_datetime"].isin(largest)
        most = "the largest open interest" if has_interest else "the most quotes"
        reasons[quotes.index[small]] = f"the expiry is not among the {filters.max_expiries} with {most}"
        quotes = quotes[~small]
    if filters.max_quotes is not None and len(quotes) > filters.max_quotes:
        sample = quotes.index.to_series().sample(n=filters.max_quotes, random_state=filters.sample_seed)
        reasons[quotes.index.difference(sample)] = (
            f"the quote is not among the {filters.max_quotes} drawn at random"
        )
    return reasons


def first_reason(rules: list[Rule], rows: int) -> np.ndarray:
    """Return the reason of the first rule that each row breaks, or ""; shape (rows,), dtype object."""
    reasons = np.full(rows, "", dtype=object)
    for reason, broken in reversed(rules):
        reasons[broken] = reason
    return reasons


def _repeats(frame: pd.DataFrame, passed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions that repeat expiry, strike and type of an earlier one, and those that contradict.

    Args:
        frame: `Quotes.frame`.
        passed: The positions that count.

    Returns:
        Positions with the bid and ask of an earlier one, and positions of options with several bids or asks.
    """
    order = sorted_rows(frame, passed)
    if not len(order):
        return order, order
    keys = [key[order] for key in _option_keys(frame)]
    repeats = np.append(False, np.logical_and.reduce([key[1:] == key[:-1] for key in keys]))
    option = np.cumsum(~repeats)
    prices = frame[["bid_price", "ask_price"]].to_numpy(float)[order]
    changed = np.append(False, ((prices[1:] != prices[:-1]) & ~np.isnan(prices[1:] + prices[:-1])).any(-1))
    contradicted = np.isin(option, option[repeats & changed])
    return order[repeats & ~contradicted], order[contradicted]


def sorted_rows(frame: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """Sort the positions `rows` by expiry, strike and type, call before put."""
    return rows[np.lexsort([key[rows] for key in reversed(_option_keys(frame))])]


def _option_keys(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return expiry, strike and type (true for a put) of each row."""
    # expiries as integers: an array of dates with a time zone consists of Python objects
    expiry = pd.DatetimeIndex(frame["expiry_datetime"]).asi8
    return expiry, frame["strike"].to_numpy(), (frame["option_type"] != "call").to_numpy(bool)


def _check(name: str, value: object, low: float = -math.inf) -> None:
    """Refuse a value that is not a finite number of at least `low`."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < low:  # pyright: ignore
        at_least = "" if low == -math.inf else f" of at least {low:g}"
        raise ArgumentError(f"{name}={value!r} is not accepted; expected a finite number{at_least}.")


def _check_count(name: str, value: object, low: int) -> None:
    """Refuse a value that is not a whole number of at least `low`."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < low:
        raise ArgumentError(f"{name}={value!r} is not accepted; expected a whole number of at least {low}.")


def _check_range(moneyness: object) -> None:
    """Refuse a value that is not a pair of a lowest and a highest moneyness."""
    if not isinstance(moneyness, tuple | list) or len(moneyness) != 2:
        raise ArgumentError(
            f"moneyness={moneyness!r} is not accepted; expected the lowest and the highest strike / forward."
        )
    for value in moneyness:
        _check("moneyness", value, low=0.0)
    if moneyness[0] >= moneyness[1]:
        raise ArgumentError(
            f"moneyness={moneyness!r} is not accepted; the first number must be below the second."
        )
