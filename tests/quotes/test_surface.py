import chex
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import frame, heston_surface

import neutral as nt
from neutral.options import black
from neutral.options.terms import unit
from neutral.quotes.stack import pad
from neutral.quotes.vols import market_vols
from neutral.shipped import sample_folder


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


def random_table(seed, counts, settlement, absent):
    """A table with so many strikes per maturity, rows shuffled, some bids and asks absent."""
    rng = np.random.default_rng(seed)
    maturity = np.repeat(0.1 * (1 + np.arange(len(counts))), counts)
    forward = np.repeat(rng.uniform(50.0, 150.0, len(counts)), counts)
    discount = np.repeat(rng.uniform(0.8, 1.0, len(counts)), counts)
    stdev = rng.uniform(0.1, 0.5) * np.sqrt(maturity)
    # not so deep in the money that rounding leaves no time value
    deviations = [rng.choice(np.linspace(-3.0, 3.0, 61), n, replace=False) for n in counts]
    strike = forward * np.exp(stdev * np.concatenate(deviations))
    kind = rng.random(strike.size) < 0.5
    k = np.log(strike / forward)
    money = np.asarray(unit(discount, forward, settlement))
    price = money * np.asarray(black.price(k, stdev, kind))
    table = {
        "forward": forward,
        "strike": strike,
        "maturity": maturity,
        "kind": kind,
        "discount": discount,
        "price": price,
        "bid": np.where(rng.random(strike.size) < 0.2, np.nan, 0.9 * price),
        "ask": np.where(rng.random(strike.size) < 0.2, np.nan, 1.1 * price),
    }
    order = rng.permutation(strike.size)
    return {name: x[order] for name, x in table.items() if name not in absent}


@settings(max_examples=40, deadline=None, database=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    settlement=st.sampled_from(["cash", "coin"]),
    absent=st.sets(st.sampled_from(["bid", "ask"])),
)
def test_any_table_comes_back_row_by_row(seed, counts, settlement, absent):
    table = random_table(seed, counts, settlement, absent)
    surface = nt.QuoteSurface.from_quotes(table, settlement)
    quotes, rows = surface.quotes(), table["strike"].size
    money = np.asarray(unit(table["discount"], table["forward"], settlement))
    np.testing.assert_array_equal(quotes.is_call, table["kind"])
    np.testing.assert_array_equal(quotes.t, table["maturity"])
    np.testing.assert_allclose(np.exp(quotes.k), table["strike"] / table["forward"], rtol=1e-15)
    for name in ("price", "bid", "ask"):
        expected = table.get(name, np.full(rows, np.nan))
        np.testing.assert_array_equal(getattr(quotes, name), expected / money)
        back = surface.to_rows(surface.prices if name == "price" else getattr(surface, name))
        np.testing.assert_allclose(back, expected, rtol=1e-15)
    more = surface.to_rows(surface.prices, rows + 3)
    assert more.size == rows + 3 and np.isnan(more[rows:]).all()
    with pytest.raises(nt.ArgumentError, match=f"rows must be at least {rows}"):
        surface.to_rows(surface.prices, rows - 1)


def test_the_unit_is_that_of_the_quotes(surface):
    table = frame(surface) | {"discount": np.full(64, 0.9)}
    cash, coin = (nt.QuoteSurface.from_quotes(table, kind, warn=False) for kind in ("cash", "coin"))
    np.testing.assert_array_equal(cash.unit[:4], 0.9 * 100.0)
    np.testing.assert_array_equal(coin.unit, 1.0)
    assert nt.stack([cash, cash]).unit.shape == (2, 4)
    with pytest.raises(nt.ArgumentError, match="to_rows"):
        nt.stack([cash, cash]).to_rows(cash.prices)


def test_one_program_serves_all_surfaces_of_a_shape(surface):
    chex.clear_trace_counter()
    traced = jax.jit(chex.assert_max_traces(market_vols.__wrapped__, n=1))
    for factor in (1.0, 1.01, 1.02):
        traced(surface.t * factor, surface.k, surface.prices, surface.mask)
    with pytest.raises(AssertionError, match="traced"):
        traced(surface.t[:2], surface.k[:2], surface.prices[:, :2], surface.mask[:, :2])


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
    chex.assert_trees_all_equal(many[1], surface)
    chex.assert_trees_all_equal(many[0], pad(few, 4, 8))
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
    # in the money, other forwards may leave a price outside its no-arbitrage interval
    out_of_the_money = (table["kind"] == "call") == (table["strike"] >= table["forward"])
    table = {name: x[out_of_the_money] for name, x in table.items()}
    del table["bid"]  # what is absent stays absent, and in no derivative
    if settlement == "coin":
        table |= {name: table[name] / 100.0 for name in ("price", "ask")}
    factor = 1.0 + 0.01 * np.arange(4)
    row = np.unique(table["maturity"], return_inverse=True)[1]
    stated = table | {"forward": table["forward"] * factor[row]}
    one, other = (nt.QuoteSurface.from_quotes(x, settlement, warn=False) for x in (table, stated))
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
        (lambda table: table.pop("strike"), "lacks the columns strike; it has ask, bid"),
        (lambda table: [table.pop(x) for x in ("price", "bid")], r"price \(or vol, or bid and ask\)"),
        (changed("price", np.nan), "price must be finite and not negative; 1 of 64 rows"),
        (changed("maturity", 0.0), "maturity must be finite and above 0"),
        (changed("forward", 101.0), "forward must be one per maturity"),
        (changed("kind", "straddle"), "kind must be 'call', 'put'"),
        (changed("bid", 1e9), "ask must be at least the bid"),
        (lambda table: table.update({n: np.append(x, x[:1]) for n, x in table.items()}), "quoted 2 times"),
        (lambda table: table.update({n: x[:0] for n, x in table.items()}), "no quotes"),
    ],
)
def test_refusals_name_the_column_and_the_row(surface, change, message):
    table = frame(surface)
    change(table)
    with pytest.raises(nt.ArgumentError, match=message):
        nt.QuoteSurface.from_quotes(table)


# Black's prices at 19 to 20 % (forward 100, half a year), and one of them replaced by a number that no
# volatility gives: a call below intrinsic value, a call above the forward, and nothing at all
STRIKES = np.arange(80.0, 131.0, 10.0)
PRICES = np.array([0.3, 1.5, 5.6, 2.0, 0.6, 0.15])


def quoted(**changes):
    """The table of these quotes, puts below 100 and calls above, with some entries of columns changed."""
    table = {
        "forward": np.full(6, 100.0),
        "strike": STRIKES,
        "maturity": np.full(6, 0.5),
        "kind": STRIKES >= 100.0,
        "price": PRICES,
    }
    for name, (row, value) in changes.items():
        table[name] = np.array(table[name])
        table[name][row] = value
    return table


@pytest.mark.parametrize(
    ("changes", "row", "reason"),
    [
        ({"price": (0, 19.0), "kind": (0, True)}, 0, "not above intrinsic value"),
        ({"price": (2, 120.0)}, 2, "above its upper bound"),
        ({"price": (1, 95.0)}, 1, "above its upper bound"),
        ({"price": (5, 0.0)}, 5, "not above intrinsic value"),
    ],
)
def test_a_quote_that_no_volatility_gives_is_refused_and_told(changes, row, reason):
    with pytest.warns(nt.QuoteWarning, match=f"1 of 6 quotes are refused: 1 x .*{reason}.* is row {row}"):
        surface = nt.QuoteSurface.from_quotes(quoted(**changes))
    assert [(x["count"], x["row"]) for x in surface.refusals()] == [(1, row)]
    assert surface.mask.sum() == surface.train.sum() == 5 and "1 refused" in repr(surface)
    # all else is as if the quote had not been in the table
    rest = {name: np.delete(x, row) for name, x in quoted().items()}
    without = nt.QuoteSurface.from_quotes(rest)
    for name in ("price", "vol", "k", "is_call"):
        np.testing.assert_array_equal(getattr(surface.quotes(), name), getattr(without.quotes(), name))
    assert np.isnan(surface.to_rows(surface.prices)[row:][:1]).all()
    both = nt.stack([surface, without])
    assert both[0].refusals() == surface.refusals() and both[1].refusals() == []


def test_a_wide_spread_about_intrinsic_value_is_a_quote():
    table = quoted(price=(0, 19.9), kind=(0, True))
    table |= {"bid": PRICES * 0.9, "ask": PRICES * 1.1}
    table["bid"][0], table["ask"][0] = 19.5, 20.3
    assert nt.QuoteSurface.from_quotes(table).mask.sum() == 6


def test_volatilities_in_percent_are_named():
    table = quoted()
    table["vol"] = np.full(6, 20.0)
    del table["price"]
    with pytest.raises(nt.ArgumentError, match=r"median of the column is 20, .* 2,000 %.* divide it"):
        nt.QuoteSurface.from_quotes(table)


def test_calendar_arbitrage_at_the_money_is_told():
    early = quoted() | {"vol": np.full(6, 0.5), "maturity": np.full(6, 0.126)}
    late = quoted() | {"vol": np.full(6, 0.2), "maturity": np.full(6, 0.2986)}
    table = {name: np.concatenate([early[name], late[name]]) for name in early if name != "price"}
    # the total variance falls from .5^2 x .126 to .2^2 x .2986, by 62 %
    with pytest.warns(nt.QuoteWarning, match=r"0.5 at 0.126 years and 0.2 at 0.2986 years, .* 62%"):
        nt.QuoteSurface.from_quotes(table)
    table["vol"] = np.repeat([0.3, 0.2], 6)  # no more than ordinary
    nt.QuoteSurface.from_quotes(table)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ([1.0], np.zeros((1, 3)), np.ones((2, 2, 3))),
            r"t \(1,\), k \(1, 3\) and prices \(2, 2, 3\) do not fit",
        ),
        (([1.0, 2.0], np.zeros((1, 3)), np.ones((2, 1, 3))), "do not fit"),
        (([1.0], np.zeros(3), np.ones((2, 1, 3))), "do not fit"),
        (([1.0], np.zeros((1, 0)), np.ones((2, 1, 0))), "do not fit"),
        (
            ([1.0], np.zeros((1, 3)), np.full((2, 1, 3), 0.1), np.ones(4)),
            r"bid must broadcast to shape \(2, 1, 3\)",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_named(arguments, message):
    with pytest.raises(nt.ArgumentError, match=message):
        nt.QuoteSurface.from_arrays(*arguments)


@pytest.mark.parametrize("read", [nt.QuoteSurface.from_quotes, lambda x: nt.calibrate(nt.Heston, x)])
def test_the_frame_of_a_loader_is_told_how_it_becomes_a_surface(read):
    path = next(sample_folder("deribit").glob("*.csv.gz"))
    with pytest.raises(nt.ArgumentError, match=r"neutral\.build_surface\(quotes\)\[0\]"):
        read(nt.load_deribit(path, currency="BTC").frame)
