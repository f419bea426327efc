import jax
import numpy as np
import pytest
from synthetic import frame, heston_surface

import neutral as nt
from neutral.options import black


@pytest.fixture(scope="module")
def surface():
    return heston_surface()


def test_round_trip_through_a_shuffled_table(surface):
    table, order = frame(surface), np.random.default_rng(1).permutation(64)
    shuffled = nt.QuoteSurface.from_quotes({name: x[order] for name, x in table.items()})
    quotes = shuffled.quotes()
    np.testing.assert_allclose(quotes.price * 100, table["price"][order], rtol=1e-14)
    np.testing.assert_allclose(quotes.k, np.log(table["strike"] / 100)[order], atol=1e-15)
    np.testing.assert_array_equal(quotes.is_call, (table["kind"] == "call")[order])
    np.testing.assert_allclose(shuffled.stdev[:4], surface.stdev, rtol=1e-12)


def test_market_quantities_are_blacks(surface):
    quotes = surface.quotes()
    price = black.price(quotes.k, quotes.vol * np.sqrt(quotes.t), quotes.is_call)
    np.testing.assert_allclose(price, quotes.price, rtol=1e-9)
    up = black.price(surface.k, (surface.vol[0] + 1e-5) * np.sqrt(surface.t)[:, None])
    down = black.price(surface.k, (surface.vol[0] - 1e-5) * np.sqrt(surface.t)[:, None])
    np.testing.assert_allclose(surface.vega[0], (up - down) / 2e-5, rtol=1e-4)


def test_volatilities_instead_of_prices(surface):
    table, quotes = frame(surface), surface.quotes()
    del table["price"], table["bid"], table["ask"]
    table["vol"] = quotes.vol
    np.testing.assert_allclose(nt.QuoteSurface.from_quotes(table).quotes().price, quotes.price, rtol=1e-9)


def test_coin_prices_are_normalised_already(surface):
    table = frame(surface, forward=50_000.0)
    for name in ("price", "bid", "ask"):
        table[name] = table[name] / 50_000.0
    coin = nt.QuoteSurface.from_quotes(table, settlement="coin")
    np.testing.assert_allclose(coin.quotes().price, surface.quotes().price, rtol=1e-13)


def test_padding_and_stacks(surface):
    table = frame(surface)
    few = nt.QuoteSurface.from_quotes({name: x[table["maturity"] < 0.5] for name, x in table.items()})
    many = nt.stack([few, surface])
    assert len(many) == 2 and many.shape == (4, 8)
    assert np.all(np.diff(many.t, axis=1) > 0)
    assert not many.mask[0, :, 2:].any() and (many.index[0][~many.mask[0]] == -1).all()
    np.testing.assert_array_equal(many[1].prices, surface.prices)
    assert "2 surfaces, 96 quotes" in repr(many)


def test_other_prices_leave_the_rest_alone(surface):
    other = surface.with_prices(surface.prices * 1.01)
    kept = [name for name in surface.__dataclass_fields__ if name not in ("prices", "settlement")]
    for name in kept:
        np.testing.assert_array_equal(getattr(other, name), getattr(surface, name))
    assert jax.jit(lambda p: surface.with_prices(p).prices.sum())(surface.prices) > 0
    with pytest.raises(nt.ArgumentError, match=r"shape \(2, 4, 8\), got \(3,\)"):
        surface.with_prices(np.ones(3))


@pytest.mark.parametrize("settlement", ["cash", "coin"])
def test_other_forwards_are_those_of_a_table_that_states_them(surface, settlement):
    table = frame(surface)
    del table["bid"]  # what is absent stays absent, and in no derivative
    if settlement == "coin":
        table |= {name: table[name] / 100.0 for name in ("price", "ask")}
    factor = 1.0 + 0.01 * np.arange(4)
    row = np.unique(table["maturity"], return_inverse=True)[1]
    stated = table | {"forward": table["forward"] * factor[row]}
    one, other = (nt.QuoteSurface.from_quotes(x, settlement) for x in (table, stated))
    moved = one.with_forwards(one.forward * factor)
    for name in ("forward", "discount", "k", "prices", "bid", "ask", "mask"):
        np.testing.assert_allclose(getattr(moved, name), getattr(other, name), rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(moved.vol, one.vol)

    def worth(forward):
        there = one.with_forwards(forward)
        return jax.numpy.nansum(there.bid) + jax.numpy.sum(there.prices)

    slope = jax.grad(worth)(jax.numpy.asarray(one.forward))
    prices = one.prices.sum(axis=(0, 2))
    np.testing.assert_allclose(slope, -prices / one.forward if settlement == "cash" else 0.0, rtol=1e-13)
    with pytest.raises(nt.ArgumentError, match=r"forward must have shape \(4,\), got \(\)"):
        one.with_forwards(100.0)


def test_weights_that_leave_nothing_to_fit(surface):
    loss, used = nt.Loss(), surface.train
    nothing, negative = np.zeros(surface.weight.shape), np.array(surface.weight)
    negative[0, 0, 0] = -1.0
    for weight, fine in ((surface.weight, True), (nothing, False), (negative, False)):
        assert bool(loss.usable(surface.with_weights(weight), used)[0]) == fine


def changed(name, value):
    def change(table):
        table[name] = table[name].copy()
        table[name][3] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.pop("strike"), "misses the column strike"),
        (lambda table: table.pop("price"), r"price \(or vol\)"),
        (changed("price", np.nan), "price must be finite and not negative; 1 of 64 rows"),
        (changed("maturity", 0.0), "maturity must be finite and above 0"),
        (changed("forward", 101.0), "forward must be one per maturity"),
        (changed("kind", "straddle"), "kind must hold 'call' and 'put'"),
        (changed("bid", 1e9), "ask must be not below the bid"),
        (lambda table: table.update({n: np.append(x, x[:1]) for n, x in table.items()}), "quoted 2 times"),
        (lambda table: table.update({n: x[:0] for n, x in table.items()}), "no quotes"),
    ],
)
def test_refusals_name_the_column_and_the_row(surface, change, message):
    table = frame(surface)
    change(table)
    with pytest.raises(nt.ArgumentError, match=message):
        nt.QuoteSurface.from_quotes(table)


def test_a_quote_without_volatility_takes_the_expiry_s(surface):
    table = frame(surface)
    for name in ("price", "bid", "ask"):
        table[name][np.argmin(table["price"])] = 0.0
    built = nt.QuoteSurface.from_quotes(table)
    assert np.isfinite(built.vol).all() and (built.vega > 0).all() and (built.stdev > 0).all()
