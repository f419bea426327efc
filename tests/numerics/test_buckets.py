"""Small sizes share one program, and padding changes no result."""

import jax
import numpy as np
import pytest
from traces import compilations

import neutral as nt
from neutral.numerics.buckets import bucket, call_on_grid, call_on_row, grid_bucket

MODEL = nt.Black(0.2)  # the quickest to compile
CALLS = {
    "price": lambda k, t: nt.price(MODEL, 100.0, k, t),
    "lewis": lambda k, t: nt.price(MODEL, 100.0, k, t, engine=nt.Lewis(16)),
    "implied_vol": lambda k, t: nt.implied_vol(0.3 * k, 100.0, k, t, "put"),
}


def test_buckets():
    assert [bucket(n) for n in (1, 7, 8, 9, 13, 500, 513, 1025)] == [8, 8, 8, 12, 16, 512, 1024, 1536]
    assert [grid_bucket(1, n) for n in (1, 8, 9, 50)] == [(8, 8), (8, 8), (1, 12), (1, 64)]
    assert [grid_bucket(n, 1) for n in (1, 8, 9, 50)] == [(8, 8), (8, 8), (12, 1), (64, 1)]
    assert grid_bucket(10, 50) == (12, 64)


@pytest.mark.parametrize("name", CALLS)
def test_one_program_serves_up_to_eight_strikes_and_eight_maturities(name):
    call = CALLS[name]
    strikes = np.linspace(80.0, 120.0, 8)
    years = np.linspace(0.1, 2.0, 8)
    whole = np.asarray(call(strikes, years))
    with compilations() as compiled:
        for n in (1, 2, 3, 7):
            np.testing.assert_allclose(call(strikes[:n], years[:n]), whole[:n], rtol=1e-14)
            assert call(strikes[:n], 0.5).shape == (n,) == call(100.0, years[:n]).shape
        call(100.0, 0.5)
    assert compiled == []


def test_padding_changes_nothing_beyond_rounding():
    strikes = np.linspace(80.0, 120.0, 3)
    years = np.array([[0.1], [0.5]])
    padded = nt.price(MODEL, 100.0, strikes, years)
    exact = jax.jit(lambda k: nt.price(MODEL, 100.0, k, years))(strikes)  # traced numbers are not padded
    np.testing.assert_allclose(padded, exact, rtol=1e-13)


def test_a_result_has_the_shape_of_the_arguments():
    def both(x, y):
        return x + y, np.stack([x, y], axis=-1)

    for call in (lambda *x: call_on_row(both, x), lambda *x: call_on_grid(both, x, 3)):
        total, pair = call(np.ones((5, 1)), np.arange(3.0))
        np.testing.assert_array_equal(total, 1.0 + np.broadcast_to(np.arange(3.0), (5, 3)))
        assert pair.shape == (5, 3, 2)
    assert call_on_row(both, (np.empty((0, 4)), np.ones(4)))[1].shape == (0, 4, 2)
