"""Draws clock.png of docs/time.md: variance time on three clocks, and one volatility in calendar time."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

import neutral as nt

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

START = pd.Timestamp("2024-05-15T20:00Z")
HOURS = np.arange(0.25, 14 * 24 + 0.25, 0.25)
CLOCKS = {
    "calendar": (nt.VarianceClock(), "0.6"),
    "weekend 0.1": (nt.VarianceClock(weekend=0.1, timezone="America/New_York"), "C0"),
    "New York, earnings on 22 May": (
        nt.VarianceClock(
            weekend=0.0,
            holidays=["2024-05-27"],
            session=("09:30", "16:00"),
            night=0.2,
            timezone="America/New_York",
            events={"2024-05-22T20:20:00Z": 4.0},
        ),
        "C3",
    ),
}

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), constrained_layout=True)
times = START + pd.to_timedelta(HOURS, unit="h")
years = HOURS / (24 * 365)
for name, (clock, color) in CLOCKS.items():
    tau = clock.years(START, times)
    left.plot(times, tau * clock.year, color=color, label=name)
    later = HOURS > 2
    right.plot(times[later], 20 * np.sqrt(tau[later] / years[later]), color=color)
left.set_ylabel("days of variance")
right.set_ylabel("volatility per calendar year, %")
left.legend(frameon=False)
for axes in (left, right):
    axes.xaxis.set_major_locator(matplotlib.dates.DayLocator(interval=3))
    axes.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%d %b"))
    axes.spines[["top", "right"]].set_visible(False)
figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
