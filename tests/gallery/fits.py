"""What must be true of the tasks of fits.md: QuantLib's prices, and the models that made the chain."""

import math
import re

import numpy as np
from quantlib_european import quantlib_heston, quantlib_vol
from scipy.stats import t as student

import neutral as nt

from .checks import chain_terms, check, line, truth


@check("Fit a model to a DataFrame")
def fit_of_a_frame(shown):
    fit, chain = shown.names["fit"], shown.names["chain"]
    assert np.all(np.abs(fit.params - truth("2024-05-21")) < 4.0 * fit.standard_errors)
    prices = quantlib_heston(fit.model, *chain_terms(chain))
    assert np.all((prices >= chain["bid"]) & (prices <= chain["ask"]))
    np.testing.assert_allclose(fit.quotes(chain.index)["model_price"], prices, rtol=1e-6, atol=1e-6)


@check("Fix a parameter")
def fixed_parameter(shown):
    fit = shown.names["fit"]
    assert fit.converged and fit.model.rho == -0.65
    free = ["v0", "kappa", "theta"]
    np.testing.assert_allclose(fit.params[free], truth("2024-05-21")[free], rtol=0.03)
    assert fit.statistics().rmse_bp > 5.0  # the noise of the chain


@check("Bounds of parameters")
def bounds(shown):
    fit = shown.names["fit"]
    assert fit.converged and fit.bounds_hit == ("kappa",)
    fixed = nt.calibrate(nt.Heston, shown.names["chain"], fixed={"kappa": 1.5})
    np.testing.assert_allclose(fit.params, fixed.params, rtol=1e-5)


@check("Weight the quotes")
def weights(shown):
    chain = shown.names["chain"]
    assert np.all(np.abs(shown.value - truth("2024-05-21")) < 4.0 * shown.names["fit"].standard_errors)
    near = chain["T"] < 0.1
    without = nt.calibrate(nt.Heston, chain.assign(weight=np.where(near, 0.0, 1.0)))
    held_back = nt.calibrate(nt.Heston, chain.assign(train=~near))
    np.testing.assert_allclose(without.params, held_back.params, rtol=1e-5)


@check("Hold quotes back for a test")
def held_back(shown):
    assert shown.value["quotes"].tolist() == [34, 101]
    assert np.all(shown.value["std_bp"].between(3.5, 6.5))  # the noise of the chain is 5


@check("Start from many points")
def many_starts(shown):
    fit = shown.names["fit"]
    assert fit.converged and fit.agreement == 1.0 and fit.minima == 1
    assert np.all(np.abs(fit.params - truth("2024-05-21")) < 4.0 * fit.standard_errors)


@check("Start from yesterday's fit")
def yesterday(shown):
    np.testing.assert_allclose(shown.value["21 May"], truth("2024-05-21"), rtol=0.01)
    np.testing.assert_allclose(shown.value["22 May"], truth("2024-05-22"), rtol=0.01)
    assert shown.names["after"].converged


@check("Compare models")
def models_beside_each_other(shown):
    rows = shown.names["comparison"].to_frame()
    assert rows["bic"].idxmin() == 2 and rows["inside"][2] == 1.0
    # both are -2 log L and a penalty of the parameters, of which the variance is one; 135 strikes
    penalty = (rows["parameters"] + 1.0) * (math.log(135.0) - 2.0)
    np.testing.assert_allclose(rows["bic"] - rows["aic"], penalty, rtol=1e-9)


@check("Standard errors and confidence intervals")
def intervals(shown):
    rows, actual = shown.value, truth("2024-05-21")
    assert np.all((rows["value"] - actual).abs() < 3.0 * rows["std_error"])
    half = student.ppf(0.95, 130) * rows["std_error"]
    np.testing.assert_allclose(rows["upper"] - rows["lower"], 2.0 * half, rtol=1e-3)


@check("Plot a fit")
def plot_of_a_fit(shown):
    fit, chain = shown.names["fit"], shown.names["chain"]
    panels = [axes for axes in shown.value.axes if axes.get_visible()]
    assert len(panels) == 2
    for axes, maturity in zip(panels, (0.25, 1.0), strict=True):
        rows = chain[chain["T"] == maturity]
        k = np.log(rows["strike"] / rows["forward"]).to_numpy()
        vol = quantlib_vol(quantlib_heston(fit.model, *chain_terms(rows)), *chain_terms(rows))
        curve = line(axes, "Heston")
        np.testing.assert_allclose(np.interp(k, *curve.T), 100.0 * vol, atol=0.03)


@check("Model and market, quote by quote")
def quote_by_quote(shown):
    rows, chain = shown.value, shown.names["chain"].head()
    forward, strike, maturity, is_call, discount = chain_terms(chain)
    middle = (chain["bid"] + chain["ask"]).to_numpy() / 2.0
    np.testing.assert_allclose(
        rows["market_vol"], quantlib_vol(middle, forward, strike, maturity, is_call, discount), rtol=1e-6
    )
    assert rows.index.equals(chain.index) and rows["strike"].tolist() == strike.tolist()
    np.testing.assert_allclose(rows["residual_bp"], 1e4 * (rows["model_vol"] - rows["market_vol"]), atol=0.01)


@check("A LaTeX table of a fit")
def latex(shown):
    tables = re.findall(r"\\begin\{tabular\}\{(\w+)\}\n(.*?)\\end\{tabular\}", shown.text, re.DOTALL)
    assert len(tables) == 3
    for columns, body in tables:
        rows = [row for row in body.splitlines() if row.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(columns)}
    assert rf"kappa & {shown.names['fit'].params['kappa']:.5g} &" in shown.text


@check("Save and load a fit")
def saved(shown):
    again = nt.calibrate(nt.Heston, shown.names["chain"])
    assert (shown.names["fit"].params == again.params).all()
    assert shown.names["fit"].aic == again.aic
