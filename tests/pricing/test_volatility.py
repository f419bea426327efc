"""Implied volatilities at the edge: units, settlement, shapes, reasons."""

import jax
import numpy as np

import neutral as nt

K = np.array([70.0, 100.0, 140.0])


def test_round_trip_in_every_unit():
    model = nt.Black(0.35)
    for settlement in ("cash", "coin"):
        for kind in ("call", "put"):
            price = nt.price(model, 100.0, K, 0.7, kind, 0.95, settlement)
            vol = nt.implied_vol(price, 100.0, K, 0.7, kind, 0.95, settlement)
            assert np.allclose(vol, 0.35, rtol=1e-12)


def test_info_says_why():
    info = nt.implied_vol_info([30.0, 5.0, 29.0, 101.0], 100.0, 70.0, 0.5)
    codes = [int(c) for c in info.status]
    status = nt.ImpliedVolStatus
    assert codes == [
        status.at_intrinsic,
        status.below_intrinsic,
        status.below_intrinsic,
        status.above_upper_bound,
    ]
    assert np.array_equal(np.isnan(info.vol), [False, True, True, True]) and info.vol[0] == 0
    at_maturity = nt.implied_vol_info(5.0, 100.0, 100.0, 0.0)
    assert np.isnan(at_maturity.vol) and at_maturity.status == status.nonfinite


def test_derivative_is_one_over_vega():
    price = 7.5
    slope = jax.grad(lambda p: nt.implied_vol(p, 100.0, 105.0, 0.5))(price)
    vol = nt.implied_vol(price, 100.0, 105.0, 0.5)
    s = float(vol) * np.sqrt(0.5)
    d1 = np.log(100 / 105) / s + s / 2
    vega = 100 * np.exp(-(d1**2) / 2) / np.sqrt(2 * np.pi) * np.sqrt(0.5)
    assert np.isclose(slope, 1 / vega, rtol=1e-11)


def test_normal_vol_round_trip():
    """Bachelier (1900): at the money the price is sigma sqrt(T / 2 pi)."""
    assert np.isclose(
        nt.implied_normal_vol(0.9 * 2.0 * np.sqrt(0.5 / (2 * np.pi)), -3.0, -3.0, 0.5, discount=0.9), 2.0
    )
    assert np.isnan(nt.implied_normal_vol(1.0, 105.0, 100.0, 0.5))
