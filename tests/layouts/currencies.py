"""Layouts of foreign-exchange volatilities by tenor and delta."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import pandas as pd

from .equity import _names
from .layout import Layout, text_frame
from .markets import Market

TENORS = {"1m": date(2024, 4, 4), "3m": date(2024, 6, 4), "1y": date(2025, 3, 4)}
BROKEN = {"ON": date(2024, 3, 5), "1w": date(2024, 3, 11), "1y6m": date(2025, 9, 4)}
REVERSAL = {25: -0.8, 10: -1.5}  # percent
STRANGLE = {25: 0.2, 10: 0.7}

EURUSD = Market(
    "EURUSD",
    spot=1.085,
    rate=0.05,
    carry=0.035,
    vols=tuple(zip(TENORS.values(), (0.07, 0.075, 0.08), strict=True)),
)
USDJPY = EURUSD.changed(asset="USDJPY", spot=150.0, rate=0.001, carry=0.052)

Row = Callable[[float], Mapping[str, object]]
"""The quotes of a tenor, from its volatility at the money in percent."""


def _classic(atm: float) -> dict[str, object]:
    return {
        "atm": atm,
        "rr25": REVERSAL[25],
        "bf25": STRANGLE[25],
        "rr10": REVERSAL[10],
        "bf10": STRANGLE[10],
    }


def _short(atm: float) -> dict[str, object]:
    return {"atm": atm, "rr25": REVERSAL[25], "bf25": STRANGLE[25]}


def _deltas(atm: float) -> dict[str, object]:
    wings: dict[str, object] = {}
    for delta in (10, 25):
        wings[f"{delta}P"] = atm + STRANGLE[delta] - REVERSAL[delta] / 2
        wings[f"{delta}C"] = atm + STRANGLE[delta] + REVERSAL[delta] / 2
    return {"10P": wings["10P"], "25P": wings["25P"], "ATM": atm, "25C": wings["25C"], "10C": wings["10C"]}


def _spelled(atm: float) -> dict[str, object]:
    reversals = {f"{delta}D RR": REVERSAL[delta] for delta in (25, 10)}
    return {"ATM": atm, **reversals, **{f"{delta}D BF": STRANGLE[delta] for delta in (25, 10)}}


def _joined(atm: float) -> dict[str, object]:
    return {
        "ATM": atm,
        "25RR": REVERSAL[25],
        "25BF": STRANGLE[25],
        "10RR": REVERSAL[10],
        "10BF": STRANGLE[10],
    }


def _sided(atm: float) -> dict[str, object]:
    quotes = {}
    for name, value in _short(atm).items():
        quotes |= {f"{name}_bid": float(str(value)) - 0.1, f"{name}_ask": float(str(value)) + 0.1}
    return quotes


def _table(market: Market, row: Row, pair: str, tenors: Sequence[str]) -> pd.DataFrame:
    rows = []
    for tenor, (_, vol) in zip(tenors, market.vols, strict=True):
        rows.append(
            {
                "date": market.taken.date(),
                "pair": pair.format(market.asset[:3], market.asset[3:]),
                "spot": market.spot,
                "r_domestic": market.rate,
                "r_foreign": market.carry,
                "tenor": tenor,
                **row(100 * vol),
            }
        )
    return text_frame(rows)


def _lower(market: Market) -> Market:
    return market.changed(asset=market.asset.lower())


def _layout(
    name: str,
    row: Row,
    names: str,
    market: Market = EURUSD,
    adjusted: bool = False,
    pair: str = "{}{}",
    lower: bool = False,
    tenors: Mapping[str, date] = TENORS,
) -> Layout:
    outer = 10 if any("10" in column for column in row(10.0)) else 25
    return Layout(
        name=name,
        market=market,
        file_name=f"{name}.csv",
        build=lambda m: _table(_lower(m) if lower else m, row, pair, list(tenors)),
        names=_names(
            f"date=date underlying=pair tenor=tenor rate=r_domestic carry=r_foreign spot=spot {names}"
        ),
        straddle=-1 if adjusted else 1,
        skew=REVERSAL[outer] / 100,
    )


ALL_TENORS = {**TENORS, **BROKEN}
EURUSD_BROKEN = EURUSD.changed(
    vols=tuple(zip(ALL_TENORS.values(), (0.07, 0.075, 0.08, 0.06, 0.065, 0.082), strict=True))
)

CURRENCIES = (
    _layout("fx_own", _classic, "vol=atm rr=rr25"),
    _layout("fx_slash", _classic, "vol=atm rr=rr25", pair="{}/{}"),
    _layout("fx_ticker", _classic, "vol=atm rr=rr25", pair="{}{} Curncy"),
    _layout("fx_lower", _short, "vol=atm rr=rr25", lower=True),
    _layout("fx_adjusted", _classic, "vol=atm rr=rr25", market=USDJPY, adjusted=True),
    _layout("fx_broken_tenors", _short, "vol=atm rr=rr25", market=EURUSD_BROKEN, tenors=ALL_TENORS),
    _layout("fx_deltas", _deltas, "vol=ATM"),
    _layout("fx_spelled", _spelled, "vol=ATM rr=25D~RR"),
    _layout("fx_joined", _joined, "vol=ATM rr=25RR"),
    _layout("fx_bid_ask", _sided, "vol_bid=atm_bid vol_ask=atm_ask"),
)
