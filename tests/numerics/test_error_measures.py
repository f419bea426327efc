"""Measures of errors against statsmodels and worked numbers."""

import numpy as np
import pytest
import statsmodels.api as sm

from neutral.numerics.error_measures import error_measures

RNG = np.random.default_rng(2)
MARKET = RNG.uniform(1.0, 3.0, 40)
REGRESSORS = sm.add_constant(np.stack([MARKET + RNG.normal(0, 0.3, 40), RNG.normal(size=40)], axis=1))


def test_r_squared_and_rmse_are_those_of_a_regression():
    fit = sm.OLS(MARKET, REGRESSORS).fit()
    found = error_measures(fit.fittedvalues, MARKET)
    assert found.rsquared == pytest.approx(fit.rsquared, rel=1e-12)
    assert found.rmse == pytest.approx(np.sqrt(fit.ssr / 40), rel=1e-12)
    assert found.rmse_over_mean == pytest.approx(np.sqrt(fit.ssr / 40) / MARKET.mean(), rel=1e-12)


def test_worked_example():
    found = error_measures(np.array([1.0, 2.0, 5.0]), np.array([1.0, 1.0, 3.0]))
    assert found.mae == pytest.approx(1.0) and found.rmse == pytest.approx(np.sqrt(5 / 3))
    # (0 + 2 / 3 + 4 / 8) / 3
    assert found.smape == pytest.approx((2.0 / 3.0 + 0.5) / 3.0)


def test_prices_that_are_not_finite_or_not_chosen_do_not_count():
    model = np.array([[1.0, np.nan, 3.0, 9.0], [np.nan] * 4])
    market = np.array([[1.5, 1.0, 2.0, 1.0], [1.0] * 4])
    chosen = np.array([True, True, True, False])
    found = error_measures(model, market, np.broadcast_to(chosen, model.shape))
    assert list(found.nobs) == [2, 0]
    assert found.mae[0] == pytest.approx(0.75) and np.all(np.isnan([x[1] for x in found[1:]]))
    assert np.isnan(error_measures(np.array([1.0, 2.0]), np.array([1.0, 1.0])).rsquared)
