"""Describes smiles for charts: the market's bid and ask of each expiry, and curves of models or surfaces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ...plot.frame import days
from ...times import DAYS_A_YEAR
from . import charts

CURVE = charts.Axis("implied volatility, %", unit=" %")
MONEYNESS = charts.Axis("log-forward moneyness log(K / F)", "moneyness")


@dataclass(frozen=True)
class Smile:
    """The quotes of an expiry, sorted by strike, and curves. Volatilities are decimals.

    Attributes:
        t: Maturity in years.
        forward: Forward price; nan where it is not known.
        label: The expiry in words.
        k: Log-forward moneyness of the quotes, (n,).
        bid: Volatilities of bids, (n,); nan where there is none.
        ask: Volatilities of asks, (n,); nan where there is none.
        mid: Volatilities of mid prices, (n,).
        curves: For each name, log-forward moneyness and volatility, each (m,).
        group: The snapshot or the market.
    """

    t: float
    forward: float
    label: str
    k: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    mid: np.ndarray
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    group: str = ""

    def view(self, colours: Mapping[str, int]) -> charts.View:
        """Return what a chart shows: bars from bid to ask, dots of mid prices without them, and curves."""
        has_bar = np.isfinite(self.bid) & np.isfinite(self.ask)
        has_dot = ~has_bar & np.isfinite(self.mid)
        series = []
        if has_bar.any():
            low, high = (charts.percent(x[has_bar]) for x in (self.bid, self.ask))
            bars = charts.Series(
                "bid to ask", x=self.k[has_bar], style="bars", colour=charts.QUIET, low=low, high=high
            )
            series.append(bars)
        if has_dot.any():
            mid = charts.percent(self.mid[has_dot])
            series.append(
                charts.Series("mid price", mid, x=self.k[has_dot], style="dots", colour=charts.QUIET)
            )
        series += [
            charts.Series(name, charts.percent(vol), x=k, colour=colours[name])
            for name, (k, vol) in self.curves.items()
        ]
        return charts.View(
            [charts.Panel(series)], label=self.label, group=self.group, forward=self.forward, t=self.t
        )


def smile_chart(
    smiles: Sequence[Smile], *, title: str, caption: str, alt: str, subject: str = ""
) -> charts.Chart:
    """Make the chart of smiles, with a choice of expiry and a switch of the horizontal axis."""
    names = list(dict.fromkeys(name for smile in smiles for name in smile.curves))
    colours = {name: i for i, name in enumerate(names)}
    return charts.Chart(
        subject=subject,
        title=title,
        caption=caption,
        alt=alt,
        x=MONEYNESS,
        y=CURVE,
        views=[smile.view(colours) for smile in smiles],
    )


@dataclass(frozen=True)
class Expiry:
    """An expiry of a market.

    Attributes:
        t: Maturity in years.
        date: The date, in ISO form; "" where it is not known.
        forward: Forward price; nan where it is not known.
    """

    t: float
    date: str
    forward: float

    @property
    def label(self) -> str:
        """The expiry in words, such as `2026-03-27, 71.7 days`."""
        count = f"{days(self.t)} days"
        return f"{self.date}, {count}" if self.date else count


def expiries_of(frame: pd.DataFrame | None, t: np.ndarray) -> list[Expiry]:
    """Return the expiries of a market at some maturities.

    Args:
        frame: Its table of quotes, with columns `maturity`, `forward` and `expiry_datetime`; None for none.
        t: Maturities in years, (T,), which are among those of the table.
    """
    if frame is None:
        return [Expiry(float(one), "", np.nan) for one in t]
    first = frame.drop_duplicates("maturity").sort_values("maturity")
    known = first["maturity"].to_numpy(float)
    found = []
    for one in np.asarray(t, float):
        row = int(np.argmin(np.abs(known - one)))
        near = abs(known[row] - one) * DAYS_A_YEAR < 0.01
        time = pd.to_datetime(first["expiry_datetime"].iloc[row]) if "expiry_datetime" in first else pd.NaT
        date = "" if pd.isna(time) or not near else f"{time:%Y-%m-%d}"
        found.append(Expiry(float(one), date, float(first["forward"].iloc[row]) if near else np.nan))
    return found


def chosen(smiles: Sequence[Smile], least: float = 10.0) -> list[Smile]:
    """Sort smiles so that the first one is the expiry nearest to a month, which is the most traded one."""
    return sorted(smiles, key=lambda smile: abs(np.log(max(DAYS_A_YEAR * smile.t, least) / 30.0)))
