"""DAX options of 5 July 2002 (Sepp): the fits of QuantLib's test suite, from starts of the data alone.

QuantLib's testDAXCalibration and testDAXCalibrationOfTimeDependentModel minimise the sum of squared errors of
implied volatility, in percent, over 104 options, and expect 177.2 (Heston) and 74.4 (Heston with two pieces).
Maturities are rounded to weeks there.
"""

import numpy as np
import pytest

import neutral as nt
from neutral import black

QUANTLIB = {"heston": 177.2, "piecewise": 74.4}


@pytest.fixture(scope="module")
def dax(market_data):
    """Forward, strike, maturity and volatility of each option, and their surface."""
    pandas = pytest.importorskip("pandas")
    rows = pandas.read_csv(market_data / "published_surfaces" / "dax_20020705_sepp.csv")
    weeks = np.array((rows["days"] + 3) // 7)
    maturity = weeks * 7 / 365
    days = np.array(rows["days"])
    rate = np.interp(weeks * 7, *np.unique(np.stack([days, rows["zero_rate"]]), axis=1))
    forward = np.array(rows["spot"]) * np.exp(rate * maturity)
    table = {
        "forward": forward,
        "strike": np.array(rows["strike"]),
        "maturity": maturity,
        "vol": np.array(rows["iv"]),
    }
    return table, nt.QuoteSurface.from_quotes(table | {"kind": table["strike"] >= forward})


def vol_errors(model, table):
    """Model less market implied volatility, and the derivative of price in volatility between the two."""
    terms = table["forward"], table["strike"], table["maturity"], table["strike"] >= table["forward"]
    vol = np.asarray(nt.implied_vol(nt.price(model, *terms), *terms))
    k, root = np.log(table["strike"] / table["forward"]), np.sqrt(table["maturity"])
    ours, market = (np.asarray(black.price(k, x * root, terms[-1])) for x in (vol, table["vol"]))
    return vol - table["vol"], (ours - market) / (vol - table["vol"])


def fit(dax, recipe, passes=1):
    """Sum of squared errors of implied volatility, in percent.

    The loss divides errors of price by the market's vega; a second pass weighs each option with the slope of
    the first fit, which is nearly an error of volatility itself.
    """
    table, surface = dax
    vega = np.asarray(black.vega(np.log(table["strike"] / table["forward"]), stdev(table))) * np.sqrt(
        table["maturity"]
    )
    columns = table | {"kind": table["strike"] >= table["forward"]}
    for _ in range(passes):
        result = nt.calibrate(recipe, surface, loss=nt.Loss("vega"))
        assert result.converged, result.summary()
        error, slope = vol_errors(result.model, table)
        surface = nt.QuoteSurface.from_quotes(columns | {"weight": (vega / slope) ** 2})
    return float(np.sum((100.0 * error) ** 2))


def stdev(table):
    return table["vol"] * np.sqrt(table["maturity"])


@pytest.mark.slow
def test_heston_finds_quantlib_s_minimum(dax):
    assert fit(dax, nt.Heston, passes=2) == pytest.approx(QUANTLIB["heston"], rel=0.01)


@pytest.mark.heavy
def test_piecewise_heston_is_no_worse_than_quantlib_s(dax):
    assert fit(dax, nt.PiecewiseHeston(breakpoints=(0.25,))) <= QUANTLIB["piecewise"]


@pytest.mark.slow
def test_double_heston_is_better_still(dax):
    assert fit(dax, nt.DoubleHeston) <= 0.3 * QUANTLIB["piecewise"]
