"""Passes that minimise squared errors of implied volatility, where reweighting alone alternates for ever."""

import numpy as np
import pytest

import neutral as nt
from neutral.calibration import volatility_weighted

QUANTLIB = 0.010110718  # root mean square error of QuantLib 1.44 (Levenberg-Marquardt, ImpliedVolError)
QUANTLIB_MODEL = nt.Heston(
    v0=0.059779693266575895,
    kappa=4.902739231774323,
    theta=0.07563894424468601,
    sigma_v=2.420291830123808,
    rho=-0.6827256773578907,
)
FORWARD = 3799.0
STRIKES = np.array([3037, 3418, 3608, 3703, 3798, 3893, 3988, 4178, 4557.0])
DAYS = np.array([31, 59, 90, 181, 273, 365, 730])
PERCENT = [  # volatilities of an index with a steep smile, by days and strikes
    [42.94, 31.30, 25.88, 22.94, 19.72, 16.90, 15.31, 17.54, 25.67],
    [37.01, 28.25, 24.19, 21.93, 19.57, 17.45, 15.89, 15.34, 21.15],
    [34.68, 27.38, 23.82, 21.85, 19.83, 17.98, 16.52, 15.31, 18.94],
    [31.41, 26.25, 23.51, 22.05, 20.61, 19.25, 18.03, 16.01, 15.90],
    [29.91, 25.58, 23.21, 22.01, 20.83, 19.70, 18.62, 16.63, 14.94],
    [29.26, 25.24, 23.03, 21.91, 20.81, 19.73, 18.69, 16.76, 14.63],
    [27.59, 24.33, 22.72, 21.93, 21.17, 20.43, 19.71, 18.36, 16.26],
]
TABLE = {
    "forward": np.full(63, FORWARD),
    "strike": np.tile(STRIKES, 7),
    "maturity": np.repeat(DAYS / 365, 9),
    "kind": np.tile(STRIKES >= FORWARD, 7),
    "vol": np.array(PERCENT).ravel() / 100.0,
}


def error(model):
    """Root mean square error of implied volatility."""
    terms = [TABLE[name] for name in ("forward", "strike", "maturity", "kind")]
    vol = np.asarray(nt.implied_vol(nt.price(model, *terms), *terms))
    return float(np.sqrt(np.mean((vol - TABLE["vol"]) ** 2)))


def test_passes_come_to_rest_at_quantlib_s_minimum():
    surface = nt.QuoteSurface.from_quotes(TABLE)
    weighted = surface
    errors = []
    for _ in range(8):
        result = nt.calibrate(nt.Heston, weighted, loss=nt.Loss("vega"))
        assert result.converged
        errors.append(error(result.model))
        weighted = volatility_weighted(surface, result.model)
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == pytest.approx(QUANTLIB, abs=1e-9)  # printed digits of QuantLib's minimum
    assert errors[-2] == pytest.approx(errors[-1], abs=1e-9)
    assert error(QUANTLIB_MODEL) == pytest.approx(QUANTLIB, abs=1e-9)
