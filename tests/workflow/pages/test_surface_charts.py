"""The chart of smiles of a surface, where a market has prices without bid and ask."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

import neutral as nt
from neutral.workflow.pages import surface_charts

K = np.array([-0.2, -0.1, 0.0, 0.1])
VOLS = np.array([0.24, 0.22, 0.2, 0.19])


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
