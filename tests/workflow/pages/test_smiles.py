"""Charts of smiles draw one quote per strike, also where only the quote in the money is listed."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import neutral as nt
from neutral.workflow.pages import pipeline_charts, surface_charts

STRIKE = np.array([80.0, 90.0, 95.0, 100.0, 105.0, 120.0])
IS_CALL = np.array([False, True, False, True, False, True])  # those at 90 and 105 are in the money
VOL = np.array([0.30, 0.26, 0.25, 0.24, 0.235, 0.23])


@pytest.fixture(scope="module")
def quotes():
    table = {"forward": np.full(6, 100.0), "strike": STRIKE, "maturity": np.full(6, 0.25)}
    return nt.QuoteSurface.from_quotes(table | {"kind": IS_CALL, "vol": VOL})


def series(chart: Any) -> dict[str, Any]:
    return {one.name: one for one in chart.views[0].panels[0].series}


def check_dots(drawn: dict[str, Any]) -> None:
    np.testing.assert_allclose(drawn["mid price"].x, np.log(STRIKE / 100.0), atol=1e-12)
    np.testing.assert_allclose(drawn["mid price"].y, 100.0 * VOL, atol=1e-3)


@pytest.mark.mistyped
def test_pipeline(quotes):
    result = SimpleNamespace(prices=np.asarray(quotes.prices))  # a model that meets every quote
    diagnosis: Any = SimpleNamespace(fit=SimpleNamespace(surface=quotes, result=result))
    run: Any = SimpleNamespace(market=SimpleNamespace(frame=None), record={"model": "heston"})
    drawn = series(pipeline_charts.smiles(run, diagnosis, "SPX"))
    check_dots(drawn)
    np.testing.assert_allclose(drawn["heston"].y, 100.0 * VOL, atol=1e-3)


@pytest.mark.mistyped
def test_surface(quotes):
    flat = nt.ESSVI(expiries=[0.1, 1.0], theta=[0.006, 0.06], psi=[0.05, 0.1], rho=[0.0, 0.0])
    market = SimpleNamespace(title="SPX")
    result: Any = SimpleNamespace(surface=flat, quotes=quotes, row={"inside": 1.0}, market=market)
    rows = pd.DataFrame({"t": [0.25], "date": ["2026-04-01"], "forward": [100.0]})
    check_dots(series(surface_charts.smiles(result, rows)))
