"""Markets with known volatilities, and their options: Black's formula, American prices by QuantLib."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime

from scipy.special import ndtr

DAY = date(2024, 3, 4)
EXPIRIES = (date(2024, 4, 19), date(2024, 6, 21))


@dataclasses.dataclass(frozen=True)
class Market:
    """An underlying whose implied volatility is the same for all strikes of an expiry."""

    asset: str
    spot: float = 5000.0
    rate: float = 0.03
    carry: float = 0.0  # dividend yield, or rate of the foreign currency
    vols: tuple[tuple[date, float], ...] = tuple(zip(EXPIRIES, (0.20, 0.22), strict=True))
    taken: datetime = datetime(2024, 3, 4, tzinfo=UTC)
    expires_at: int = 0  # hour of the day, UTC
    half_spread: float = 2e-4  # of the spot
    steps: tuple[float, ...] = tuple(0.8 + 0.025 * i for i in range(17))  # strikes / spot
    exercise: str = "european"
    settlement: str = "cash"
    digits: int = 4

    def maturity(self, expiry: date) -> float:
        """Years of 365 days."""
        ends = datetime(expiry.year, expiry.month, expiry.day, self.expires_at, tzinfo=UTC)
        return (ends - self.taken).total_seconds() / 86400 / 365

    def discount(self, expiry: date) -> float:
        return math.exp(-self.rate * self.maturity(expiry))

    def forward(self, expiry: date) -> float:
        return self.spot * math.exp((self.rate - self.carry) * self.maturity(expiry))

    def changed(self, **changes) -> "Market":
        """The market with other numbers; `vol` is the volatility of every expiry."""
        vol = changes.pop("vol", None)
        if vol is not None:
            changes["vols"] = tuple((expiry, vol) for expiry, _ in self.vols)
        return dataclasses.replace(self, **changes)


@dataclasses.dataclass(frozen=True)
class Option:
    """One option of a market, with its quotes in the unit of the settlement."""

    expiry: date
    strike: float
    is_call: bool
    vol: float
    price: float
    bid: float
    ask: float
    maturity: float
    forward: float
    discount: float

    @property
    def letter(self) -> str:
        return "C" if self.is_call else "P"

    @property
    def word(self) -> str:
        return "call" if self.is_call else "put"


def black(forward: float, strike: float, stdev: float, is_call: bool) -> float:
    """Undiscounted price of Black's formula."""
    d1 = math.log(forward / strike) / stdev + 0.5 * stdev
    sign = 1 if is_call else -1
    return float(sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - stdev))))


@functools.cache
def options(market: Market) -> Sequence[Option]:
    """Every option of a market, by expiry and strike, a call before its put."""
    made = []
    for (expiry, vol), step, is_call in itertools.product(market.vols, market.steps, (True, False)):
        strike = _round_strike(market.spot * step)
        price = _price(market, expiry, strike, vol, is_call)
        half = market.half_spread * (1.0 if market.settlement == "coin" else market.spot)
        least = 10.0**-market.digits
        made.append(
            Option(
                expiry=expiry,
                strike=strike,
                is_call=is_call,
                vol=vol,
                price=price,
                bid=max(round(price - half, market.digits), least),
                ask=round(max(price, 0.0) + half, market.digits),
                maturity=market.maturity(expiry),
                forward=market.forward(expiry),
                discount=market.discount(expiry),
            )
        )
    return made


def _round_strike(strike: float) -> float:
    return float(f"{strike:.5g}")


def _price(market: Market, expiry: date, strike: float, vol: float, is_call: bool) -> float:
    forward = market.forward(expiry)
    stdev = vol * math.sqrt(market.maturity(expiry))
    undiscounted = black(forward, strike, stdev, is_call)
    if market.settlement == "coin":
        return undiscounted / forward
    if market.exercise == "american":
        return _american(market, expiry, strike, vol, is_call)
    return market.discount(expiry) * undiscounted


def _american(market: Market, expiry: date, strike: float, vol: float, is_call: bool) -> float:
    import QuantLib as ql

    today = ql.Date(market.taken.day, market.taken.month, market.taken.year)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()
    curves = [
        ql.YieldTermStructureHandle(ql.FlatForward(today, r, count)) for r in (market.carry, market.rate)
    ]
    flat = ql.BlackConstantVol(today, ql.NullCalendar(), vol, count)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(market.spot)), *curves, ql.BlackVolTermStructureHandle(flat)
    )
    payoff = ql.PlainVanillaPayoff(ql.Option.Call if is_call else ql.Option.Put, strike)
    last = ql.Date(expiry.day, expiry.month, expiry.year)
    option = ql.VanillaOption(payoff, ql.AmericanExercise(today, last))
    option.setPricingEngine(ql.QdFpAmericanEngine(process))
    return option.NPV()


SPX = Market("SPX")
RUT = SPX.changed(asset="RUT", vol=0.40)
STOCK = Market("XYZ", spot=100.0, exercise="american")
BTC = Market(
    "BTC",
    spot=60000.0,
    rate=0.0,
    carry=-0.08,
    vols=((date(2024, 3, 29), 0.60), (date(2024, 6, 28), 0.65)),
    taken=datetime(2024, 3, 4, 15, 30, tzinfo=UTC),
    expires_at=8,
    half_spread=5e-4,
    settlement="coin",
)
BTC_LINEAR = BTC.changed(settlement="cash")
SOL = BTC_LINEAR.changed(asset="SOL", spot=120.0, vol=0.9)
