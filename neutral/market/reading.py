"""Checks at the end of reading: numbers that show at a glance whether a market was read as it was meant."""

import dataclasses

import numpy as np
import pandas as pd

from ..precision import is_double
from ..quotes.notices import LARGEST_SHARE_REFUSED, NEAR, calendar_fall
from ..quotes.table import LARGEST_VOL, LEAST_VOL
from .filters import is_choice
from .quotes import column

IMPOSSIBLE = (
    f"the volatility at the money of the expiry is outside {LEAST_VOL:.0%} to {LARGEST_VOL:.0%}: the unit of "
    "prices, strikes, volatilities or maturities is wrong"
)
MIXED_QUOTES = (
    "in the expiry many options are bid above what better ones are offered at: quotes of several times, "
    "underlyings or series are mixed"
)
LEAST_PAIRS = 8  # of neighbouring strikes of an expiry
LARGEST_SHARE_WRONG = 0.25  # of these pairs
LARGEST_PARITY_ERROR = 0.01  # of the forward
# A forward may differ from that of the expiry before by this much, and by this much more per year between
# them. Carry beyond it was found only where forwards were wrong.
FORWARD_JUMP = 0.03
FORWARD_DRIFT = 0.6
SPOT_FACTOR = 1.5  # between a spot and the nearest forward, beyond the same drift
AT_A_TIME = 64  # inversions, so that one compiled program serves all markets


@dataclasses.dataclass(frozen=True)
class ReadingCheck:
    """Numbers about a market that was read, and what is wrong with them; nan where there is none.

    Attributes:
        parity_error: Median error of put-call parity among the kept quotes, relative to the forward.
        lowest_vol: Lowest volatility at the money of an expiry, decimal.
        highest_vol: Highest volatility at the money of an expiry, decimal.
        forward_jump: Largest change of the forward, up or down, from one expiry to the next, relative.
        refused_share: Share of the quotes that were refused for a fault.
        doubts: Why the quotes contradict each other, or their unit is in doubt, a sentence each.
    """

    parity_error: float
    lowest_vol: float
    highest_vol: float
    forward_jump: float
    refused_share: float
    doubts: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[str, ...]:
        """What is not as in an ordinary market, a sentence each: the doubts, and a large share refused."""
        if self.refused_share > LARGEST_SHARE_REFUSED:
            refused = f"{self.refused_share:.0%} of the quotes are refused for a fault; look at their reasons"
            return (*self.doubts, refused)
        return self.doubts

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers by name."""
        names = [field.name for field in dataclasses.fields(self) if field.name != "doubts"]
        return {name: getattr(self, name) for name in names}


def check_reading(kept: pd.DataFrame, rejected: pd.DataFrame) -> ReadingCheck:
    """Check a market that `prepare` has made of a file's quotes.

    A finding is a reason to look at the file, not an error: ordinary markets have none, and units, dates,
    underlyings or settlement series that were mixed up usually have one.

    Args:
        kept: The kept quotes, the first table of `prepare`.
        rejected: The other quotes, its second table.
    """
    first = np.unique(column(kept, "maturity").to_numpy(float), return_index=True)
    t, forward = first[0], column(kept, "forward").to_numpy(float)[first[1]]
    price = _normalised(kept)
    stdev = _at_the_money(kept, price, t)
    known = np.isfinite(stdev)
    vols = (stdev / np.sqrt(t))[known]
    jumps = np.abs(np.diff(np.log(forward)))
    faults = int(np.sum(~rejected["reason"].map(is_choice).to_numpy(bool))) if len(rejected) else 0
    check = ReadingCheck(
        parity_error=_parity_error(kept, price),
        lowest_vol=float(np.min(vols)) if vols.size else np.nan,
        highest_vol=float(np.max(vols)) if vols.size else np.nan,
        forward_jump=float(np.max(jumps, initial=0.0)),
        refused_share=faults / (len(kept) + faults),
    )
    steep = jumps > FORWARD_JUMP + FORWARD_DRIFT * np.diff(t)
    fall = calendar_fall(t[known], stdev[known] ** 2)
    return dataclasses.replace(check, doubts=tuple(_doubts(check, bool(steep.any()), fall)))


def doubt_of_spot(spot: float, forward: np.ndarray, t: np.ndarray) -> str:
    """Say by what factor the spot and the nearest forward from put-call parity disagree; "" where they agree.

    Args:
        spot: Stated price of the underlying; nan if there is none.
        forward: Forwards from parity, > 0 or nan.
        t: Their maturities in years.
    """
    known = np.flatnonzero(np.isfinite(forward) & (forward > 0.0))
    if not (spot > 0.0 and known.size):
        return ""
    nearest = known[np.argmin(t[known])]
    ratio = float(forward[nearest] / spot)
    if abs(np.log(ratio)) <= np.log(SPOT_FACTOR) + FORWARD_DRIFT * t[nearest]:
        return ""
    return (
        f"the spot is {spot:g}, but put-call parity of the nearest expiry gives the forward "
        f"{forward[nearest]:g}, {ratio:.3g} times the spot: spot and strikes are of different units or "
        "underlyings, so correct the spot"
    )


def impossible_rows(kept: pd.DataFrame) -> np.ndarray:
    """Mark the quotes of expiries whose volatility at the money no market has, bool, shape (rows,).

    Args:
        kept: As for `check_reading`.
    """
    if kept.empty:
        return np.zeros(0, bool)
    maturity = column(kept, "maturity").to_numpy(float)
    t = np.unique(maturity)
    vol = _at_the_money(kept, _normalised(kept), t) / np.sqrt(t)
    return np.isin(maturity, t[(vol < LEAST_VOL) | (vol > LARGEST_VOL)])


def mixed_rows(kept: pd.DataFrame) -> np.ndarray:
    """Mark the quotes of expiries in which many prices go the wrong way in the strike, bool, shape (rows,).

    A call that is bid above what one of the next lower strike is offered at is arbitrage, and so is a put the
    other way round. Single ones are stale quotes; where they are many, quotes of several times or underlyings
    are mixed.

    Args:
        kept: As for `check_reading`.
    """
    names = ("maturity", "kind", "bid_price", "ask_price")
    order = np.lexsort([column(kept, name).to_numpy() for name in ("strike", "kind", "maturity")])
    maturity, is_call, bid, ask = (column(kept, name).to_numpy()[order] for name in names)
    pair = (maturity[1:] == maturity[:-1]) & (is_call[1:] == is_call[:-1])
    wrong = pair & np.where(is_call[1:], bid[1:] > ask[:-1], bid[:-1] > ask[1:])
    t, index = np.unique(maturity[1:][pair], return_inverse=True)
    pairs = np.bincount(index, minlength=len(t))
    share = np.bincount(index, wrong[pair], minlength=len(t)) / np.maximum(pairs, 1)
    mixed = t[(pairs >= LEAST_PAIRS) & (share > LARGEST_SHARE_WRONG)]
    return np.isin(column(kept, "maturity").to_numpy(), mixed)


def _doubts(check: ReadingCheck, steep: bool, fall: str) -> list[str]:
    """Say where quotes contradict each other, and which unit is in doubt."""
    found = []
    if check.parity_error > LARGEST_PARITY_ERROR:
        found.append(
            f"calls and puts disagree by {check.parity_error:.2%} of the forward in the median: several "
            "underlyings, times or settlement series may be mixed"
        )
    if not (np.isnan(check.lowest_vol) or LEAST_VOL <= check.lowest_vol <= check.highest_vol <= LARGEST_VOL):
        found.append(
            f"volatilities at the money reach from {check.lowest_vol:.2%} to {check.highest_vol:.2%}: the "
            "unit of prices, strikes, volatilities or maturities may be wrong"
        )
    if steep:
        found.append(
            f"the forward changes by {check.forward_jump:.2%} from one expiry to the next: several "
            "underlyings may be mixed, or a forward is wrong"
        )
    return [*found, f"calendar arbitrage: {fall}"] if fall else found


def _parity_error(kept: pd.DataFrame, price: np.ndarray) -> float:
    """Return the median of |C - P - D (F - K)| over D F of the call-put pairs; nan without pairs.

    Calls and puts of a strike are neighbours, because `prepare` sorts the quotes.
    """
    maturity, strike, is_call = (column(kept, name).to_numpy() for name in ("maturity", "strike", "kind"))
    same = (maturity[1:] == maturity[:-1]) & (strike[1:] == strike[:-1]) & (is_call[:-1] > is_call[1:])
    call = np.flatnonzero(same)
    if not call.size:
        return np.nan
    k = column(kept, "log_moneyness").to_numpy(float)[call]
    return float(np.median(np.abs(price[call] - price[call + 1] + np.expm1(k))))


def _normalised(kept: pd.DataFrame) -> np.ndarray:
    """Return undiscounted mid prices over the forward, shape (rows,)."""
    from ..options.terms import unit  # loads JAX

    names = ("mid_price_clean", "discount", "forward")
    price, discount, forward = (column(kept, name).to_numpy(float) for name in names)
    return price / np.asarray(unit(discount, forward, kept["settlement"].iloc[0]))


def _at_the_money(kept: pd.DataFrame, price: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Interpolate the total standard deviation at the money of each expiry in `t`.

    It is nan unless an expiry has a quote on either side of the forward that is at most `NEAR` times the
    deviation away, because a smile is not linear.
    """
    k, maturity = (column(kept, name).to_numpy(float) for name in ("log_moneyness", "maturity"))
    is_call = kept["kind"].to_numpy(bool)
    # a strike has nearly the same volatility from its call and its put, and better from the cheaper one
    below = np.where(is_call | (k > 0.0), -np.inf, k)
    above = np.where(is_call & (k >= 0.0), k, np.inf)
    low = np.array([int(np.argmax(np.where(maturity == x, below, -np.inf))) for x in t])
    high = np.array([int(np.argmin(np.where(maturity == x, above, np.inf))) for x in t])
    rows = np.concatenate([low, high])
    stdev_low, stdev_high = np.split(_stdevs(price[rows], k[rows], is_call[rows]), 2)
    k_low = np.where(np.isfinite(below[low]) & (maturity[low] == t), k[low], np.nan)
    k_high = np.where(np.isfinite(above[high]) & (maturity[high] == t), k[high], np.nan)
    gap = k_high - k_low
    stdev = stdev_low + np.where(gap > 0.0, -k_low / np.where(gap > 0.0, gap, 1.0), 0.0) * (
        stdev_high - stdev_low
    )
    return np.where((k_high <= NEAR * stdev) & (-k_low <= NEAR * stdev), stdev, np.nan)


def _stdevs(price: np.ndarray, k: np.ndarray, is_call: np.ndarray) -> np.ndarray:
    """Invert Black's formula for any number of prices, `AT_A_TIME` at a time; nan in single precision."""
    from ..options.inversion import implied_stdev  # loads JAX

    count = len(price)
    if not is_double():
        return np.full(count, np.nan)
    index = np.resize(np.arange(count), -(-count // AT_A_TIME) * AT_A_TIME).reshape(-1, AT_A_TIME)
    return np.concatenate([np.asarray(implied_stdev(price[i], k[i], is_call[i])) for i in index])[:count]
