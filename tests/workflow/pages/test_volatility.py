"""Volatilities of columns of prices, each in the unit that its row states."""

import numpy as np
import pandas as pd
import pytest

from neutral import implied_vol
from neutral.workflow.pages.volatility import volatilities


@pytest.mark.parametrize("kind", [object, "string"])
@pytest.mark.parametrize("unknown", [None, np.nan])
def test_prices_in_an_unknown_unit_have_no_volatility(kind, unknown):
    settlement = pd.Series([unknown, "cash", "coin"], dtype=kind)
    terms = {"forward": 100.0, "strike": 110.0, "maturity": 0.5, "discount": 1.0, "option_type": "call"}
    quotes = pd.DataFrame(terms | {"settlement": settlement, "mid": [2.0, 2.0, 0.02]})
    vol = implied_vol(2.0, 100.0, 110.0, 0.5)
    np.testing.assert_allclose(volatilities(quotes, ["mid"])["mid"], [np.nan, vol, vol], rtol=1e-12)
