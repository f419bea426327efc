"""The cosine engine: its range, a misprint of the paper's, what it refuses."""

import jax
import numpy as np
import pytest
from references import load_reference
from registry import log_cf, strip_and_cumulants

import neutral as nt
from neutral.options import black
from neutral.pricing import COS, PriceStatus

STRIKES = np.array([60.0, 80.0, 90.0, 100.0, 110.0, 120.0, 150.0])
T = np.array([[0.01], [0.25], [1.0]])  # 3 maturities by 7 strikes, as in the other tests: compiled once
PAPER = nt.Heston(v0=0.0175, kappa=1.5768, theta=0.0398, sigma_v=0.5751, rho=-0.5711)


def calls(strike, t):
    """Black's formula at 20 %, forward 100."""
    k, stdev = np.broadcast_arrays(np.log(strike / 100), 0.2 * np.sqrt(t))
    return 100 * np.asarray(black.price(k, stdev))


def series_of_calls(deviations, n):
    """The paper's own form: cosine series of the call at the money, on c1 +- deviations sqrt(c2)."""
    c1, c2 = (float(x[0]) for x in strip_and_cumulants(PAPER, np.ones(3))[1][:2])
    low, high = c1 - deviations * np.sqrt(c2), c1 + deviations * np.sqrt(c2)
    u = np.arange(n) * np.pi / (high - low)
    safe = np.where(u > 0, u, 1.0)
    phi = np.exp(log_cf(PAPER, u, 1.0) - 1j * u * low).real
    end, start = u * (high - low), -u * low
    growth = np.cos(end) * np.exp(high) - np.cos(start) + u * (np.sin(end) * np.exp(high) - np.sin(start))
    level = np.where(u > 0, (np.sin(end) - np.sin(start)) / safe, high)
    terms = phi * (growth / (1 + u * u) - level) * 2 / (high - low)
    return 100 * (np.sum(terms) - 0.5 * terms[0])


@pytest.mark.xdist_group("heston")
def test_misprint_of_fang_and_oosterlee():
    """Their reference 5.785155450 is 1.6e-8 too high; a range of 12 deviations alone is of that size.

    On it the series of calls converges, in the number of terms, to a value about 1e-8 above the truth: what
    the range leaves out no term brings back. The range from tail bounds leaves nothing out.
    """
    record = next(r for r in load_reference("published") if r["published"] == "5.785155450")
    true, printed = record["price"], float(record["published"])
    found, judged = (nt.price_info(PAPER, 100.0, 100.0, 1.0, engine=e) for e in (COS(512), None))
    assert abs(found.price - true) <= 1e-10 and found.status == PriceStatus.accurate
    assert abs(judged.price - true) <= 1e-12
    assert printed - true == pytest.approx(1.56e-8, abs=1e-10)
    few, more, most = (series_of_calls(12, n) - true for n in (160, 512, 2048))
    assert 5e-9 < most < 2e-8 and abs(more - most) < 1e-11 and 5e-9 < few < 3e-8
    assert abs(series_of_calls(20, 2048) - true) < 1e-11


def test_terms_follow_the_decay_of_the_characteristic_function():
    smooth, rough = nt.Black(0.2), nt.Heston(v0=0.04, kappa=0.5, theta=0.04, sigma_v=1.0, rho=-0.9)
    few, many = (COS(most=4096).prepare(m, T).N for m in (smooth, rough))
    assert few is not None and many is not None and few <= 64 and 1024 <= many <= 4096
    assert COS(most=256).prepare(rough, T).N == 256 and COS(100).prepare(rough, T).N == 100
    assert COS().prepare(nt.Black(0.0), T).N == 32


def test_range_that_cannot_hold_the_mass_is_refused():
    model = nt.Black(0.2)
    t = np.array([[0.0004], [0.01], [0.04]])
    info, true = (
        nt.price_info(model, 100.0, STRIKES, t, engine=COS(256, range=(-0.1, 0.1))),
        calls(STRIKES, t),
    )
    status, found = np.asarray(info.status), np.asarray(info.price)
    # 25, 5 and 2.5 standard deviations
    expected = [PriceStatus.accurate, PriceStatus.inaccurate, PriceStatus.refused]
    assert np.array_equal(status, np.repeat(expected, 7).reshape(3, 7))
    assert np.all(np.isnan(found[2])) and np.allclose(found[0], true[0], rtol=0, atol=1e-9)
    assert np.all(np.asarray(info.error_estimate)[1] >= np.abs(found[1] - true[1]))


def test_far_strikes_one_strike_and_no_time():
    model, engine = nt.Black(0.2), COS(256)
    strikes = np.array([1.0, 90.0, 100.0, 1e4, 110.0, 120.0, 130.0])
    info = nt.price_info(model, 100.0, strikes, T, strikes >= 100, engine=engine)
    true = calls(strikes, T) - np.where(strikes < 100, 100 - strikes, 0.0)  # puts below
    assert np.all(np.abs(info.price - true) <= 1e-9 * np.maximum(100.0, strikes))
    assert np.all(np.asarray(info.error_estimate) >= np.abs(np.asarray(info.price) - true) - 1e-13)
    one = nt.price_info(model, 100.0, 105.0, T[:, 0], engine=engine)
    assert np.allclose(one.price, calls(105.0, T)[:, 0], rtol=0, atol=1e-8)
    assert np.allclose(nt.price(model, 100.0, STRIKES, 0.0 * T, engine=engine), np.maximum(100 - STRIKES, 0))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"N": 8}, "N must be a whole number, at least 32, got 8"),
        ({"N": 64.5}, "N must be a whole number"),
        ({"most": 0}, "most must be"),
        ({"range": (1.0, -1.0)}, "two finite numbers that ascend"),
        ({"range": (-np.inf, 1.0)}, "two finite numbers that ascend"),
        ({"range": "wide"}, "'tail', 'cumulants' or its two ends"),
        ({"L": 0.0}, "L must be > 0"),
        ({"tail": 2.0}, "probability"),
    ],
)
@pytest.mark.mistyped
def test_wrong_options_name_the_fix(options, told):
    with pytest.raises(nt.ArgumentError) as error:
        COS(**options)
    assert told in str(error.value) and "\n" not in str(error.value)


def test_leading_axes_are_parameter_sets():
    sigma, t = np.array([0.2, 0.4]), np.tile(T[:, 0], (2, 1))
    k = np.tile(np.log(STRIKES / 100), (2, 3, 1))
    both = jax.tree.map(lambda x: sigma, nt.Black(0.2))
    for engine in (COS(256), COS(256, range="cumulants")):
        found = jax.jit(engine.otm)(both, k, t)
        for i, s in enumerate(sigma):
            true = black.price(k[i], np.broadcast_to(s * np.sqrt(T), k[i].shape), k[i] >= 0)
            assert np.all(np.abs(found.value[i] - true) <= 1e-9 * np.exp(np.maximum(k[i], 0)))
