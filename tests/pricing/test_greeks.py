"""Greeks: against finite differences, Black's closed forms, and their own definitions."""

import jax
import numpy as np
import pytest

import neutral as nt
from neutral.models import Black, Heston, Shifted

HESTON = Heston(v0=0.04, kappa=1.5, theta=0.05, sigma_v=0.6, rho=-0.7)
# the forward itself is a strike: parity changes sides there
K = np.array([80.0, 90.0, 99.0, 100.0, 101.0, 110.0, 125.0])
KINDS = np.array([True, True, False, True, False, True, False])
T = np.array([[0.2], [0.5], [1.5]])  # 3 maturities by 7 strikes, as in the other tests: compiled once


def difference(f, x, h):
    return (np.asarray(f(x + h)) - np.asarray(f(x - h))) / (2 * h)


@pytest.mark.parametrize("settlement", ["cash", "coin"])
def test_forward_greeks_are_differences(settlement):
    def price(forward=100.0, t=T, model=HESTON):
        return nt.price(model, forward, K, t, KINDS, 0.98, settlement)

    g = nt.greeks(HESTON, 100.0, K, T, KINDS, 0.98, settlement, order=("speed",))
    assert np.allclose(g.price, price(), rtol=1e-13)
    assert np.allclose(g.delta, difference(lambda x: price(forward=x), 100.0, 1e-3), rtol=1e-6)
    delta = lambda x: nt.greeks(HESTON, x, K, T, KINDS, 0.98, settlement).delta  # noqa: E731
    gamma = lambda x: nt.greeks(HESTON, x, K, T, KINDS, 0.98, settlement).gamma  # noqa: E731
    assert np.allclose(g.gamma, difference(delta, 100.0, 1e-3), rtol=1e-6, atol=1e-12)
    assert g.speed is not None
    assert np.allclose(g.speed, difference(gamma, 100.0, 1e-3), rtol=1e-5, atol=1e-12)
    assert np.allclose(g.theta, -difference(lambda t: price(t=t), T, 1e-5), rtol=1e-6)
    for name in ("v0", "kappa", "theta", "sigma_v", "rho"):
        fields = {n: float(getattr(HESTON, n)) for n in ("v0", "kappa", "theta", "sigma_v", "rho")}
        moved = difference(
            lambda x, n=name, f=fields: price(model=Heston(**(f | {n: x}))), fields[name], 1e-5
        )
        assert np.allclose(g.parameters[name], moved, rtol=1e-6, atol=1e-9), name


def test_spot_greeks_hold_rate_and_dividend():
    def price(spot=100.0, t=T):
        return nt.price(HESTON, None, K, t, KINDS, spot=spot, rate=0.05, dividend=0.02)

    g = nt.greeks(HESTON, None, K, T, KINDS, spot=100.0, rate=0.05, dividend=0.02)
    assert np.allclose(g.delta, difference(lambda s: price(spot=s), 100.0, 1e-3), rtol=1e-6)
    assert np.allclose(g.theta, -difference(lambda t: price(t=t), T, 1e-5), rtol=1e-6)


def test_black_has_its_closed_forms():
    sigma, t = 0.3, 0.5
    s = sigma * np.sqrt(t)
    k = np.log(K / 100)
    d1, d2 = -k / s + s / 2, -k / s - s / 2
    n = np.exp(-(d1**2) / 2) / np.sqrt(2 * np.pi)
    g = nt.greeks(Black(sigma), 100.0, K, t, discount=0.9, order=("vanna", "volga", "speed"))
    assert np.allclose(g.gamma, 0.9 * n / (100 * s), rtol=1e-11)
    vega = 0.9 * 100 * n * np.sqrt(t)
    assert np.allclose(g.vega, vega, rtol=1e-11)
    assert np.allclose(g.parameters["sigma"], vega, rtol=1e-11)
    assert g.vanna is not None and g.volga is not None
    assert np.allclose(g.vanna, -0.9 * n * d2 / sigma, rtol=1e-10)
    assert np.allclose(g.volga, vega * d1 * d2 / sigma, rtol=1e-10, atol=1e-9)


def test_net_delta_of_a_coin_option_is_the_delta_less_the_premium():
    coin = nt.greeks(HESTON, 100.0, K, T, settlement="coin")
    cash = nt.greeks(HESTON, 100.0, K, T)
    assert np.allclose(coin.net_delta, cash.delta - coin.price, rtol=1e-11)
    assert np.allclose(coin.net_delta, cash.net_delta, rtol=1e-11)
    assert np.allclose(coin.delta * 100.0, coin.net_delta, rtol=1e-11)


def test_parameters_with_an_axis_have_it_last():
    g = nt.greeks(Shifted(Black(0.2), np.array([0.2, 1.0]), np.array([0.01, 0.01])), 100.0, K, 0.5)
    assert g.parameters["increments"].shape == (7, 2) and g.parameters["sigma"].shape == (7,)
    # at half a year the second interval has passed by 3/8
    assert np.allclose(g.parameters["increments"][:, 1], 0.375 * g.parameters["increments"][:, 0], rtol=1e-10)


def test_hessian_of_the_price():
    f = jax.jit(jax.hessian(lambda x: nt.price(Heston(x[0], 1.5, 0.05, x[1], -0.7), x[2], 95.0, 0.5)))
    x = np.array([0.04, 0.6, 100.0])
    h = np.asarray(f(x))

    def grad(x):
        g = nt.greeks(Heston(x[0], 1.5, 0.05, x[1], -0.7), x[2], np.full(7, 95.0), np.full((3, 1), 0.5))
        return np.array([g.parameters["v0"][0, 0], g.parameters["sigma_v"][0, 0], g.delta[0, 0]])

    assert np.allclose(h, h.T, rtol=1e-9, atol=1e-9)
    for i, step in enumerate((1e-5, 1e-4, 1e-3)):
        e = step * np.eye(3)[i]
        assert np.allclose(h[i], (grad(x + e) - grad(x - e)) / (2 * step), rtol=1e-5, atol=1e-6)


def test_orders_are_named():
    with pytest.raises(nt.ArgumentError, match="vanna, volga, speed"):
        nt.greeks(HESTON, 100.0, K, 0.5, order=("charm",))


def test_greeks_show_themselves_in_a_line():
    model = Heston(v0=0.04, kappa=1.5, theta=0.05, sigma_v=0.6, rho=-0.7)
    one = nt.greeks(model, 100.0, 100.0, 0.5)
    assert f"price={float(one.price):.6g}, delta={float(one.delta):.6g}, " in repr(one)
    assert repr(one).endswith("parameters kappa, rho, sigma_v, theta, v0, accurate)")
    many = nt.greeks(model, 100.0, np.array([[90.0, 100.0, np.nan]]), 0.5)
    assert repr(many).startswith("Greeks(3 options, 2 accurate, 1 invalid: price, delta, ")
    assert ", net_delta, parameters " in repr(many)
    assert "\n" not in repr(one) + repr(many)
    shown = []
    jax.make_jaxpr(lambda k: shown.append(repr(nt.greeks(model, 100.0, k, 0.5))))(100.0)
    assert "price=" in shown[0]  # inside jit there are no numbers to show
