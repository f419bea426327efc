"""What a result says of itself: statistics, parameters, quotes and summaries."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import t as student
from synthetic import heston_surface

import neutral as nt
from neutral.calibration import statistics
from neutral.calibration.statistics import log_likelihood

ENGINE = nt.Lewis(48)


def table(settlement="cash"):
    """Noisy quotes of Black's model, shuffled, with labels of their own, and one that has no volatility."""
    rng = np.random.default_rng(5)
    strike = np.tile([80.0, 90.0, 100.0, 110.0, 120.0], 2)
    maturity = np.repeat([0.25, 1.0], 5)
    kind = np.where(strike >= 100.0, "call", "put")
    unit = 97.0 if settlement == "coin" else 1.0
    price = np.asarray(nt.price(nt.Black(0.25), 100.0, strike, maturity, kind=kind == "call", discount=0.97))
    frame = pd.DataFrame(
        {
            "strike": strike,
            "maturity": maturity,
            "kind": kind,
            "forward": 100.0,
            "discount": 0.97,
            "price": price * (1.0 + 0.01 * rng.standard_normal(10)) / unit,
        }
    )
    half = 0.01 * frame["price"]
    frame = frame.assign(bid=frame["price"] - half, ask=frame["price"] + half)
    worthless = frame.iloc[[0]].assign(strike=70.0, kind="call", price=1.0 / unit, bid=np.nan, ask=np.nan)
    frame = pd.concat([frame, worthless], ignore_index=True)
    order = rng.permutation(len(frame))
    return frame.iloc[order].set_axis([f"option {i}" for i in order])


@pytest.fixture(scope="module")
def frame():
    return table()


@pytest.fixture(scope="module")
def black(frame):
    with pytest.warns(nt.QuoteWarning, match="1 of 11 quotes are refused"):
        surface = nt.QuoteSurface.from_quotes(frame)
    return nt.calibrate(nt.Black, surface, engine=nt.Lewis(32))


@pytest.fixture(scope="module")
def heston():
    return nt.calibrate(nt.Heston, heston_surface(noise=0.01), engine=ENGINE)


def test_quotes_return_to_the_rows_of_the_table(black, frame):
    quotes = black.quotes(frame.index)
    same = {name: f"{name}_of_fit" for name in ("strike", "kind", "maturity")}
    both = frame.join(quotes.rename(columns=same), validate="one_to_one")
    assert list(quotes.index) == list(frame.index)
    np.testing.assert_array_equal(both["strike"], both["strike_of_fit"])
    assert list(both["kind"]) == list(both["kind_of_fit"])
    kept = both[both["refused"] == ""]
    np.testing.assert_allclose(kept["market_price"], kept["price"], rtol=1e-14)
    price = nt.price(
        black.model,
        100.0,
        kept["strike"].to_numpy(),
        kept["maturity"].to_numpy(),
        kind=(kept["kind"] == "call").to_numpy(),
        discount=0.97,
    )
    np.testing.assert_allclose(kept["model_price"], price, rtol=1e-9)
    np.testing.assert_allclose(kept["model_vol"], float(black.model.sigma), rtol=1e-9)
    np.testing.assert_allclose(kept["residual_bp"], 1e4 * (kept["model_vol"] - kept["market_vol"]), rtol=1e-9)
    between = (kept["model_price"] >= kept["bid"]) & (kept["model_price"] <= kept["ask"])
    assert list(kept["inside"]) == list(between) and between.any() and not between.all()
    refused = both[both["refused"] != ""]
    assert list(refused["strike"]) == [70.0] and "not above intrinsic value" in refused["refused"].iloc[0]
    assert np.isnan(refused["model_price"].iloc[0]) and refused["inside"].isna().all()
    assert list(black.quotes().index) == list(range(11))
    with pytest.raises(nt.ArgumentError, match="at least 11, got 3"):
        black.quotes(["a", "b", "c"])


def test_prices_are_in_the_unit_of_the_quotes(black):
    with pytest.warns(nt.QuoteWarning):
        surface = nt.QuoteSurface.from_quotes(table("coin").assign(discount=1.0), settlement="coin")
    coin = nt.calibrate(nt.Black, surface, engine=nt.Lewis(32))
    assert coin.statistics().rmse == pytest.approx(black.statistics().rmse / 97.0, rel=1e-6)
    quotes = coin.quotes().dropna(subset="market_price").sort_index()
    listed = table("coin").reset_index()["price"]
    np.testing.assert_allclose(quotes["market_price"], listed[quotes.index], rtol=1e-14)


def test_statistics_are_those_of_the_table_of_quotes(black):
    quotes = black.quotes()
    quotes = quotes[quotes["fitted"]]
    found = black.statistics()
    error = quotes["model_price"] - quotes["market_price"]
    assert (found.quotes, found.strikes, black.nobs) == (10, 10, 10)
    assert found.rmse == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-12)
    assert found.rmse_bp == pytest.approx(np.sqrt(np.mean(quotes["residual_bp"] ** 2)), rel=1e-12)
    assert found.inside == pytest.approx(quotes["inside"].mean())
    total = np.sum((quotes["market_price"] - quotes["market_price"].mean()) ** 2)
    assert black.rsquared == pytest.approx(1.0 - np.sum(error**2) / total, rel=1e-12)


def test_one_mask_serves_every_part_of_a_large_batch(monkeypatch):
    fits = nt.calibrate_batch(nt.Black, [heston_surface(noise=0.01, seed=i) for i in range(3)], nt.Lewis(32))
    mask = np.asarray(fits.surface.k)[0] > 0.0
    whole = fits.statistics(mask)
    monkeypatch.setattr(statistics, "_CHUNK", 2)
    for one, other in zip(fits.statistics(mask), whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_likelihood_is_that_of_a_regression():
    rng = np.random.default_rng(1)
    y = rng.standard_normal(30)
    fit = sm.OLS(y, np.ones(30)).fit()
    assert log_likelihood(fit.ssr / 30, 30) == pytest.approx(fit.llf, rel=1e-12)


def test_criteria_count_the_variance_as_a_parameter(heston):
    n, p = 32, 6
    assert heston.nobs == n and heston.loglikelihood == log_likelihood(float(heston.loss), n)
    assert heston.aic == pytest.approx(2 * p - 2 * heston.loglikelihood)
    assert heston.bic == pytest.approx(p * np.log(n) - 2 * heston.loglikelihood)
    fixed = nt.calibrate(nt.Heston, heston.surface, engine=ENGINE, fixed={"rho": -0.6})
    assert fixed.aic == pytest.approx(2 * (p - 1) - 2 * fixed.loglikelihood)


def test_intervals_are_students_in_the_coordinate_of_the_parameter(heston):
    ends = heston.conf_int(alpha=0.1)
    assert list(ends) == ["lower", "upper"] and list(ends.index) == list(heston.params.index)
    reach = student.ppf(0.95, 32 - 5)
    errors = pd.Series(np.asarray(heston.standard_errors), heston.params.index)
    kappa = heston.params["kappa"]
    assert ends.loc["kappa", "upper"] == pytest.approx(
        kappa * np.exp(reach * errors["kappa"] / kappa), rel=1e-12
    )
    rho = heston.params["rho"]
    half = reach * errors["rho"] / (1.0 - rho**2)
    assert ends.loc["rho", "lower"] == pytest.approx(np.tanh(np.arctanh(rho) - half), rel=1e-12)
    # and nearly those of the diagnosis, whose covariance differs by a factor of small samples
    seen = nt.diagnose(heston, heston.surface).uncertainty.intervals(0.9)
    np.testing.assert_allclose(ends, seen, rtol=0.02)
    with pytest.raises(nt.ArgumentError, match="alpha must lie between 0 and 1"):
        heston.conf_int(95)


def test_the_table_of_parameters_names_units_and_bounds(heston):
    rows = heston.parameters()
    assert list(rows) == ["value", "std_error", "lower", "upper", "unit", "fixed", "at_bound"]
    assert rows.loc["kappa", "unit"] == "1/yr" and rows.loc["rho", "unit"] == ""
    np.testing.assert_array_equal(rows["value"], heston.params)
    fit = nt.calibrate(
        nt.Heston, heston.surface, engine=ENGINE, fixed={"rho": -0.6}, bounds={"kappa": (3, 9)}
    )
    rows = fit.parameters()
    assert rows.loc["rho", "fixed"] and rows.loc["kappa", "at_bound"] and rows.loc["kappa"].isna()["lower"]
    text = fit.summary()
    assert "fixed" in text and "kappa on a bound, without a standard error: widen bounds=" in text


def test_a_summary_reads_like_a_papers(heston, black):
    text = heston.summary()
    for part in (
        "Heston(v0=",
        "converged",
        "64 of 64",
        "Lewis(48 nodes)",
        "[0.025",
        "kappa",
        "AIC",
        "R squared",
    ):
        assert part in text
    assert "95 %" not in text and "Warning" not in text
    assert "[0.05" in heston.summary(alpha=0.1)
    assert "sigma\\_v & " in text.as_latex() and "<td" in heston._repr_html_()
    warned = black.summary()
    assert "Warning: 1 quote refused: the price is not above intrinsic value" in warned
    held = nt.calibrate(nt.Heston, heston.surface, engine=ENGINE, mask=np.arange(8) % 2 == 0)
    assert "held out" in held.summary() and "32 of 64" in held.summary()


def test_a_batch_is_summarised_in_quantiles():
    surfaces = [heston_surface(noise=0.01, seed=seed) for seed in range(3)]
    fits = nt.calibrate_batch(nt.Black, surfaces, engine=nt.Lewis(32))
    text = fits.summary()
    assert "3 fits of Black, 1 parameter: 3 converged" in text and "90 % quantile of the steps" in text
    assert "sMAPE" in text and "RMSE over mean price" in text
    rows: Any = fits.to_frame()
    measures = {"rmse_bp", "inside", "rsquared", "smape", "rmse_over_mean", "aic", "bic", "sigma_se"}
    assert measures <= set(rows)
    one = nt.calibrate(nt.Black, surfaces[1], engine=nt.Lewis(32))
    for name in ("rmse_bp", "rsquared", "aic", "smape"):
        assert rows[name][1] == pytest.approx(one.to_frame()[name][0], rel=1e-6)
    upper = one.conf_int().loc["sigma", "upper"]
    assert fits.conf_int().loc[(1, "sigma"), "upper"] == pytest.approx(upper, rel=1e-5)
    assert list(fits.params) == list(one.params.index) and len(fits[1].quotes()) == 64
    assert repr(fits) == "CalibrationResult(3 fits of Black, 3 converged)"
    with pytest.raises(nt.ArgumentError, match=r"select one, as in results\[3\]"):
        fits.quotes()


def test_a_result_of_an_older_version_is_summarised_without_quotes(heston):
    old = dataclasses.replace(heston, surface=None, request=None)
    text = old.summary()
    assert "kappa" in text and "calibrate again" in text and "AIC" not in text
    assert "rmse_bp" not in old.to_frame()
    with pytest.raises(nt.ArgumentError, match="calibrate again"):
        old.quotes()


def test_the_condition_number_is_that_of_the_diagnosis(heston):
    prior = nt.Tikhonov(1e-3)
    fits = [
        heston,
        nt.calibrate(nt.Heston, heston.surface, engine=ENGINE, prior=prior, fixed={"rho": -0.5}),
        nt.calibrate(nt.Heston, heston.surface, engine=ENGINE, bounds={"kappa": (3.0, 9.0)}),
    ]
    for fit in fits:
        seen = nt.diagnose(fit, heston.surface).identifiability
        assert float(fit.condition_number) == pytest.approx(seen.condition_number, rel=1e-8)


def test_a_useless_fit_says_so(heston):
    noise = np.random.default_rng(0).uniform(0.2, 0.4, (2, 4, 8))
    k = np.asarray(heston.surface.k)
    surface = nt.QuoteSurface.from_arrays(
        heston.surface.t, k, noise + np.maximum(0, 1 - np.exp(k)), warn=False
    )
    fit = nt.calibrate(nt.Black, surface, engine=nt.Lewis(32))
    assert nt.CalibrationStatus(int(fit.status)).name in fit.summary()


def test_increments_of_a_shift_are_parameters():
    fit = nt.calibrate(nt.Shifted(nt.Black), heston_surface(noise=0.01), engine=nt.Lewis(32))
    rows = fit.parameters()
    assert list(rows.index) == ["sigma", *(f"increments[{i}]" for i in range(4))]
    np.testing.assert_array_equal(rows["value"][1:], fit.model.increments)
    assert "Black++, calibrated" in fit.summary() and fit.aic == pytest.approx(12 - 2 * fit.loglikelihood)
    assert list(fit.to_frame()["increments"][0]) == list(fit.model.increments)
