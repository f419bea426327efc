"""Draws demo.png of the README from the results of `neutral demo`, and writes benchmarks/results/demo.json.

Run `neutral demo --out neutral-demo`, then `python docs/images/demo.py neutral-demo`.
"""

import datetime
import json
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

import neutral as nt
from neutral.times import DAYS_A_YEAR

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "demo.json"
UNDERLYING = "BTC"
MODEL, PRICE = "svcj++", "price_svcjpp"
DAYS = (13, 69)  # the expiries nearest to these are drawn
MOST_DEVIATIONS = 2.2  # strikes within this many standard deviations of the forward
FITTED, HELD_BACK, CURVE = "0.72", "#d95f02", "#1f4e9c"


def vols(quotes: pd.DataFrame, column: str) -> np.ndarray:
    """Implied volatilities in percent of a column of prices."""
    return 100.0 * np.asarray(
        nt.implied_vol(
            quotes[column].to_numpy(float),
            quotes["forward"].to_numpy(float),
            quotes["strike"].to_numpy(float),
            quotes["maturity"].to_numpy(float),
            kind=(quotes["option_type"] == "call").to_numpy(bool),
            discount=quotes["discount"].to_numpy(float),
            settlement="coin",
        )
    )


def smile(quotes: pd.DataFrame) -> pd.DataFrame:
    """The out-of-the-money quotes of an expiry that lie near the forward, with volatilities, by strike."""
    out = (quotes["option_type"] == "call") == (quotes["log_moneyness"] >= 0.0)
    drawn = quotes[out].sort_values("strike")
    names = {"bid": "bid_price", "ask": "ask_price", "model": PRICE}
    drawn = drawn.assign(**{name: vols(drawn, column) for name, column in names.items()})
    deviation = drawn["model"].median() / 100.0 * np.sqrt(drawn["maturity"])
    return drawn[drawn["log_moneyness"].abs() <= MOST_DEVIATIONS * deviation]


def measured(fits: pd.DataFrame) -> dict[str, object]:
    """What the README states about the demonstration."""
    tested = fits[fits["n_test"] > 0]
    shares: dict[str, dict[str, float]] = {}
    for (underlying, model), rows in tested.groupby(["currency", "model"]):
        share = float(np.average(rows["inside_test"], weights=rows["n_test"]))
        shares.setdefault(str(underlying), {})[str(model)] = share
    return {
        "date": f"{datetime.date.today()}",
        "snapshots": int(fits["snapshot_ts"].nunique()),
        "drawn": f"{fits['snapshot_ts'].max():%Y-%m-%d %H:%M}",
        "fits": len(fits),
        "converged": int(fits["converged"].sum()),
        "inside": shares,
    }


def draw(quotes: pd.DataFrame, share: float, target: Path) -> None:
    """Draw the last snapshot of one underlying, under the share of held-back quotes inside bid and ask."""
    last = quotes["snapshot_ts"].max()
    quotes = quotes[(quotes["currency"] == UNDERLYING) & (quotes["snapshot_ts"] == last)]
    days = DAYS_A_YEAR * np.unique(quotes["maturity"])
    plt.rcParams.update({"font.size": 16})
    figure, panels = plt.subplots(1, 2, figsize=(8.4, 4.6), constrained_layout=True)
    for axes, wanted in zip(panels, DAYS, strict=True):
        nearest = days[np.argmin(np.abs(days - wanted))]
        draw_smile(axes, smile(quotes[np.isclose(DAYS_A_YEAR * quotes["maturity"], nearest)]))
        axes.set_title(f"{nearest:.0f} days", fontsize=16)
    panels[0].set_ylabel("implied volatility, %")
    panels[0].legend(frameon=False, handlelength=1.2, borderaxespad=0.0)
    figure.suptitle(f"Bitcoin options: {100.0 * share:.0f} % of held-back quotes inside bid-ask", fontsize=17)
    figure.savefig(target, dpi=100)


def draw_smile(axes: plt.Axes, drawn: pd.DataFrame) -> None:
    """Draw bars from bid to ask, those of the held-back quotes in another colour, and the model's curve."""
    held_back = (drawn["split"] == "test").to_numpy(bool)
    strike = drawn["strike"] / 1000.0
    for chosen, color, label in ((~held_back, FITTED, "fitted"), (held_back, HELD_BACK, "held back")):
        low, high = drawn["bid"][chosen], drawn["ask"][chosen]
        axes.vlines(strike[chosen], low, high, color=color, lw=5, label=label)
    axes.plot(strike, drawn["model"], color=CURVE, lw=2, label=MODEL.upper())
    axes.set_xlabel("strike, 1,000 USD")
    axes.spines[["top", "right"]].set_visible(False)


def main(folder: Path) -> None:
    """Write the picture and the numbers of the README from the results in a folder."""
    nt.enable_x64(cache=True)
    numbers = measured(pd.read_parquet(folder / "fits.parquet"))
    RESULTS.write_text(json.dumps(numbers, indent=1) + "\n")
    share = numbers["inside"][UNDERLYING][MODEL]  # pyright: ignore[reportIndexIssue]
    draw(pd.read_parquet(folder / "quotes.parquet"), share, Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
