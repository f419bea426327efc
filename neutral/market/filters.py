"""Liquidity rules: which quotes take part in a calibration, and why the others do not."""

import dataclasses
import math

import numpy as np
import pandas as pd

from ..errors import ArgumentError

SYNTHETIC = "SYN."
# how the reasons begin that a sound quote may have
_CHOICES = (
    "maturity ", "open interest ", "vega ", "spread above", "synthetic", "strike / forward",
    "expiry not among", "not drawn", "non-standard", "expired",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Filters:
    """Rules a quote must pass; a missing or non-numeric value breaks the rule that needs it.

    The defaults are the rules behind the published fits of Deribit snapshots. Bid and ask must be there
    whatever the settings: without both there is no mid price. Rules on open interest, vega or the name of the
    underlying do not apply to a source that has no such column.
    """

    min_price: float = 0.0
    """Bid and ask must be above it, in the unit of the prices."""
    allow_crossed: bool = False
    """Whether an ask below the bid is let through."""
    min_maturity: float = 1 / 365
    """Years, in the day count of the quotes; the bound itself passes."""
    max_maturity: float | None = None
    """Years; None sets no bound."""
    min_open_interest: float = 1.0
    """Contracts."""
    min_vega: float = 0.0
    """Payment currency per volatility point."""
    max_relative_spread: float = 0.5
    """(ask - bid) / mid."""
    moneyness: tuple[float, float] = (0.5, 2.0)
    """Lowest and highest strike / forward."""
    drop_synthetic: bool = False
    """Whether options priced against a synthetic forward (underlying named `SYN.`) are left out."""
    forward_agreement: float = 2e-4
    """Width of the band, over the forward, in which the call-put pairs of a European cash-settled expiry must
    agree on its forward; an expiry of which more than 15 % do not is refused."""
    arbitrage: bool = False
    """Whether quotes that static arbitrage at bid and ask condemns are refused (`arbitrage_reasons`)."""
    min_quotes: int = 50
    """A surface of fewer quotes is refused."""
    max_expiries: int | None = None
    """Keep only so many expiries, those with the largest open interest; None keeps all."""
    max_quotes: int | None = None
    """Keep only so many quotes, drawn at random; None keeps all."""
    sample_seed: int = 123
    """Seed of that draw."""

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
        for name in ("max_expiries", "max_quotes"):
            if getattr(self, name) is not None:
                _check_count(name, getattr(self, name), low=1)


def quote_reasons(frame: pd.DataFrame, filters: Filters) -> np.ndarray:
    """For each row the first rule it breaks, or "" - the rules that need no forward.

    Args:
        frame: `Quotes.frame`.
        filters: The rules.

    Returns:
        Strings, shape (rows,), dtype object.
    """
    column = {name: frame[name].to_numpy() for name in ("strike", "maturity", "bid_price", "ask_price")}
    bid, ask, maturity = column["bid_price"], column["ask_price"], column["maturity"]
    longest = math.inf if filters.max_maturity is None else filters.max_maturity
    rules = [
        *_loader_rules(frame),
        ("option type is not call or put", ~frame["option_type"].isin(["call", "put"]).to_numpy()),
        ("strike missing or not positive", ~(np.isfinite(column["strike"]) & (column["strike"] > 0))),
        ("expiry missing or not a date", frame["expiry_datetime"].isna().to_numpy()),
        ("maturity missing", ~np.isfinite(maturity)),
        ("bid missing", ~np.isfinite(bid)),
        ("ask missing", ~np.isfinite(ask)),
        (f"bid not above {filters.min_price:g}", ~(bid > filters.min_price)),
        (f"ask not above {filters.min_price:g}", ~(ask > filters.min_price)),
        ("ask below bid", (ask < bid) & (not filters.allow_crossed)),
        (f"maturity below {filters.min_maturity:.4g} years", ~(maturity >= filters.min_maturity)),
        (f"maturity above {longest:.4g} years", ~(maturity <= longest)),
        *_at_least("open interest", frame, filters.min_open_interest),
        *_at_least("vega", frame, filters.min_vega),
        (
            f"spread above {filters.max_relative_spread:g} of mid",
            ~(relative_spread(bid, ask) <= filters.max_relative_spread),
        ),
    ]
    if filters.drop_synthetic and "underlying_name" in frame:
        names = frame["underlying_name"]
        rules.append(("synthetic underlying", names.str.startswith(SYNTHETIC, na=False).to_numpy(bool)))
    reasons = first_reason(rules, len(frame))
    reasons[_repeats(frame, np.flatnonzero(reasons == ""))] = "same option as an earlier row"
    return reasons


def is_choice(reason: str) -> bool:
    """Whether a quote was left out by choice - too short, far, wide or little held - and not as a fault."""
    return reason.startswith(_CHOICES)


def relative_spread(bid: np.ndarray, ask: np.ndarray) -> np.ndarray:
    """(ask - bid) / mid, shape (rows,); nan where there is no positive mid."""
    mid = 0.5 * (bid + ask)
    return np.divide(ask - bid, mid, out=np.full(len(mid), np.nan), where=(mid > 0) & np.isfinite(mid))


def moneyness_reasons(moneyness: np.ndarray, filters: Filters) -> np.ndarray:
    """As `quote_reasons`, for strike / forward of shape (rows,)."""
    low, high = filters.moneyness
    outside = ~((moneyness >= low) & (moneyness <= high))
    return first_reason([(f"strike / forward outside {low:g} to {high:g}", outside)], len(moneyness))


def guard_reasons(frame: pd.DataFrame, passed: np.ndarray, filters: Filters) -> np.ndarray:
    """As `quote_reasons`, for the limits on the size of a surface.

    Args:
        frame: Columns expiry_datetime, strike, option_type and, if the source has it, open_interest; without
            it the expiries with the most quotes count as the largest.
        passed: Positions of the rows still in, shape (passed,).
        filters: The rules.

    Returns:
        Strings, shape (passed,), dtype object.
    """
    reasons = np.full(len(passed), "", dtype=object)
    if filters.max_expiries is None and filters.max_quotes is None:
        return reasons
    # sorted, so that the draw does not depend on the order of the file
    left = frame.iloc[passed].reset_index(drop=True)
    left = left.iloc[sorted_rows(left, np.arange(len(left)))]
    if filters.max_expiries is not None:
        expiries = left.groupby("expiry_datetime")
        interest = expiries["open_interest"].sum() if "open_interest" in left else expiries.size()
        # ties go to the earlier expiry
        largest = interest.sort_values(ascending=False, kind="stable").index[: filters.max_expiries]
        small = ~left["expiry_datetime"].isin(largest)
        reasons[left.index[small]] = (
            f"expiry not among the {filters.max_expiries} with the largest open interest"
        )
        left = left[~small]
    if filters.max_quotes is not None and len(left) > filters.max_quotes:
        drawn = left.index.to_series().sample(n=filters.max_quotes, random_state=filters.sample_seed)
        reasons[left.index.difference(drawn)] = f"not drawn among {filters.max_quotes} quotes"
    return reasons


def first_reason(rules: list[tuple[str, np.ndarray]], rows: int) -> np.ndarray:
    """For each row the reason of the first rule whose mask is true there, or ""; shape (rows,)."""
    reasons = np.full(rows, "", dtype=object)
    for reason, broken in reversed(rules):
        reasons[broken] = reason
    return reasons


def _repeats(frame: pd.DataFrame, passed: np.ndarray) -> np.ndarray:
    """Those of the passed positions whose expiry, strike and type an earlier one has."""
    order = sorted_rows(frame, passed)
    keys = [key[order] for key in _option_keys(frame)]
    same = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
    return order[1:][same]  # the sort is stable: of equal options the first in the file comes first


def sorted_rows(frame: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """The positions `rows` by expiry, strike and type, call before put."""
    return rows[np.lexsort([key[rows] for key in reversed(_option_keys(frame))])]


def _option_keys(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # integers: an array of time-zone aware dates is one of Python objects
    expiry = pd.DatetimeIndex(frame["expiry_datetime"]).asi8
    return expiry, frame["strike"].to_numpy(), (frame["option_type"] != "call").to_numpy(bool)


def _loader_rules(frame: pd.DataFrame) -> list[tuple[str, np.ndarray]]:
    """One rule per reason that the loader gave."""
    if "refused" not in frame:
        return []
    given = frame["refused"].fillna("").to_numpy(object)
    return [(reason, given == reason) for reason in pd.unique(given) if reason]


def _at_least(name: str, frame: pd.DataFrame, bound: float) -> list[tuple[str, np.ndarray]]:
    """The rule on a column, none where the source has no such column."""
    column = name.replace(" ", "_")
    if column not in frame:
        return []
    return [(f"{name} missing or below {bound:g}", ~(frame[column].to_numpy() >= bound))]


def _check(name: str, value: object, low: float = -math.inf) -> None:
    """A finite number, not below `low`."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < low:  # pyright: ignore
        at_least = "" if low == -math.inf else f", at least {low:g}"
        raise ArgumentError(f"{name}={value!r}: expected a finite number{at_least}")


def _check_count(name: str, value: object, low: int) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < low:
        raise ArgumentError(f"{name}={value!r}: expected a whole number, at least {low}")


def _check_range(moneyness: object) -> None:
    if not isinstance(moneyness, tuple | list) or len(moneyness) != 2:
        raise ArgumentError(f"moneyness={moneyness!r}: expected two numbers, lowest and highest K/F")
    for value in moneyness:
        _check("moneyness", value, low=0.0)
    if moneyness[0] >= moneyness[1]:
        raise ArgumentError(f"moneyness={moneyness!r}: the lowest must be below the highest")
