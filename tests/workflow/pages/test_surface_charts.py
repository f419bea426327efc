"""The chart of smiles of a surface, where a market has prices without bid and ask."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import neutral as nt
from neutral.workflow.inputs.markets import Market
from neutral.workflow.pages import charts, surface_charts, surfaces
from neutral.workflow.surfaces.fit import MarketSurface

NEVER: Any = pd.NaT
K = np.array([-0.2, -0.1, 0.0, 0.1])
VOLS = np.array([0.24, 0.22, 0.2, 0.19])


@pytest.mark.mistyped
def test_prices_without_bid_and_ask_are_dots_at_their_strikes():
    surface = nt.ESSVI([0.5], theta=[0.02], psi=[0.1], rho=[-0.4])
    kind = ["put", "call", "call", "call"]  # the second one is in the money, and the only one of its strike
    quotes = nt.QuoteSurface.from_quotes(
        {
            "forward": np.full(4, 100.0),
            "strike": 100.0 * np.exp(K),
            "maturity": 0.5,
            "kind": kind,
            "vol": VOLS,
        }
    )
    market = SimpleNamespace(title="X")
    result: Any = SimpleNamespace(surface=surface, quotes=quotes, market=market, row={"inside": np.nan})
    rows = pd.DataFrame({"t": [0.5], "date": [""], "forward": [100.0]})
    (view,) = surface_charts.smiles(result, rows).views
    dots = next(one for one in view.panels[0].series if one.style == "dots")
    np.testing.assert_allclose(np.asarray(dots.x), K, atol=1e-12)
    np.testing.assert_allclose(np.asarray(dots.y), 100.0 * VOLS, rtol=1e-9)


def fitted(market_time: Any, inside: float = 0.5, thetas: tuple[float, float] = (0.02, 0.03)) -> Any:
    surface = nt.ESSVI([0.5, 1.0], theta=thetas, psi=[0.1, 0.1], rho=[-0.4, -0.4])
    market = Market("f.csv", "X", market_time)
    row = {
        "inside": inside,
        "vol_rmse": 0.01,
        "n_quotes": 4,
        "free": True,
        "converged": True,
        "n_rejected": 0,
    }
    return MarketSurface(market, surface=surface, row=row | {"status": "converged", "message": ""})


def test_surfaces_of_unknown_times_are_left_out_of_the_picture_over_time():
    known = pd.Timestamp("2026-01-05T16:00", tz="UTC")
    (first,) = surfaces.content([fitted(NEVER)] * 8 + [fitted(known)], 0).first
    assert isinstance(first, charts.Chart)
    (series,) = first.views[0].panels[0].series
    assert series.x == ["2026-01-05 16:00"] and "1 surfaces: 50 % to 50 %" in first.alt
    assert surfaces.content([fitted(NEVER)] * 9, 0).first == []
    assert surface_charts.quality_by_time([fitted(known, np.nan)]).alt == "1 surfaces: no spreads."


def test_words_say_whether_total_variances_cross():
    rows = pd.DataFrame({"t": [0.5, 1.0], "date": ["", ""]})
    for thetas, words in (((0.02, 0.03), "none of them"), ((0.03, 0.02), "1 of them")):
        _, variances = surface_charts.lines(fitted(NEVER, thetas=thetas), rows)
        assert f"2 expiries; {words} falls below the one before" in variances.alt
