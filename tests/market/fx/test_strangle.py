"""Market strangles: solved wherever a smile exists, and refused with what works where none does."""

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.special import ndtr

from neutral import ArgumentError, FxConventions
from neutral.market.fx import fx_smile
from neutral.market.fx.points import WingQuotes
from neutral.market.fx.strangle import _newton, _Strangles, butterflies_of_strangles


def wing_quotes(atm, reversals, maturity, adjusted=False, rates=(0.0, 0.0)) -> WingQuotes:
    domestic, foreign = rates
    return WingQuotes(
        atm=atm,
        deltas=np.array([0.25, 0.1][: len(reversals)]),
        reversals=np.array(reversals),
        forward=float(np.exp((domestic - foreign) * maturity)),
        maturity=maturity,
        conventions=FxConventions(premium_adjusted=adjusted),
        foreign_discount=float(np.exp(-foreign * maturity)),
    )


def undiscounted(k, stdev, sign):
    d1 = -k / stdev + 0.5 * stdev
    return sign * (ndtr(sign * d1) - np.exp(k) * ndtr(sign * (d1 - stdev)))


def test_the_premium_adjusted_pair_with_a_steep_smile():
    quotes = wing_quotes(0.03137, [0.02287, 0.037485], 7 / 365, adjusted=True, rates=(0.043, 0.002))
    strangles = np.array([-0.000475, 0.024435])
    b = butterflies_of_strangles(quotes, strangles)
    np.testing.assert_allclose(b, [-0.00065143, 0.00344034], atol=5e-9, rtol=0)  # as given, to its digits
    smile = fx_smile(
        atm=quotes.atm,
        deltas=quotes.deltas,
        risk_reversals=quotes.reversals,
        butterflies=strangles,
        forward=9620 * quotes.forward,
        maturity=quotes.maturity,
        conventions=quotes.conventions,
        foreign_discount=quotes.foreign_discount,
    )
    assert (np.diff(smile.strike) > 0).all()
    np.testing.assert_allclose(smile.vol[[3, 4]] - smile.vol[[1, 0]], quotes.reversals, atol=1e-15, rtol=0)
    # the polynomial and the prices computed here, not by the package
    broker = quotes.atm + np.tile(strangles, 2)
    k = quotes.log_strikes(broker)
    stdev = quotes.atm * quotes.root
    nodes = ndtr(-np.log(smile.strike / 9620 / quotes.forward) / stdev)
    coefficients = np.linalg.solve(np.vander(nodes), np.log(smile.vol))
    on_smile = np.exp(np.polyval(coefficients, ndtr(-k / stdev)))
    sign = np.array([-1.0, -1.0, 1.0, 1.0])
    difference = undiscounted(k, on_smile * quotes.root, sign) - undiscounted(k, broker * quotes.root, sign)
    np.testing.assert_allclose(difference.reshape(2, 2).sum(axis=0), 0.0, atol=1e-13)


# quotes from which Newton's steps alone reach no solution, but for the last
FAR = {
    "a strangle far above the smile": (
        wing_quotes(0.3974, [-0.2871, -0.3019], 2.7982),
        [0.0189, 0.3077],
    ),
    "adjusted": (wing_quotes(0.0274, [0.0249, 0.0506], 0.0132, adjusted=True), [0.0034, 0.0244]),
    "steep": (wing_quotes(0.0662, [-0.0567, -0.1218], 0.4408), [0.0088, 0.0594]),
    "25 delta": (wing_quotes(0.2, [0.02], 1.0), [0.003]),
}


@pytest.mark.parametrize("name", FAR)
def test_solutions_are_found_from_far(name):
    quotes, strangles = FAR[name]
    b = butterflies_of_strangles(quotes, np.array(strangles))
    missed = _Strangles.quoted(quotes, np.array(strangles)).missed(b[None])
    assert np.abs(missed).max() < 1e-13 and quotes.is_ordered(b[None]).all()


def test_random_quotes_have_smiles():
    rng = np.random.default_rng(3)
    for _ in range(60):
        atm = rng.uniform(0.03, 0.3)
        reversal = 0.12 * atm * rng.normal()
        strangle = atm * rng.uniform(0.005, 0.06)
        quotes = wing_quotes(
            atm, [reversal, 1.8 * reversal], np.exp(rng.uniform(-5, 2)), adjusted=rng.random() < 0.5
        )
        strangles = np.array([strangle, 3.5 * strangle])
        problem = _Strangles.quoted(quotes, strangles)
        assert np.abs(problem.missed(butterflies_of_strangles(quotes, strangles)[None])).max() < 1e-13


def test_where_no_smile_exists_the_message_says_what_works():
    quotes = wing_quotes(0.5, [0.45], 1.9, adjusted=True)
    strangles = np.array([0.088])
    with pytest.raises(ArgumentError) as refusal:
        butterflies_of_strangles(quotes, strangles)
    message = str(refusal.value)
    assert "No smile reproduces the market strangles [0.088] with atm=0.5" in message
    # a global search agrees: the strangle is missed everywhere
    problem = _Strangles.quoted(quotes, strangles)
    b = np.linspace(problem.lowest[0], problem.highest[0], 20_001)[1:, None]
    missed = problem.missed(b)
    assert np.nanmin(np.abs(missed)) > 1e-3
    assert "FxConventions(butterfly='smile')" in message
    conventions = FxConventions(premium_adjusted=True, butterfly="smile")
    assert np.isfinite(fx_smile(0.5, [0.25], [0.45], [0.088], 1.0, 1.9, conventions).strike).all()


def test_a_proposal_is_one_that_works():
    quotes = wing_quotes(0.34, [-0.148, -0.315], 0.267, adjusted=False)
    strangles = np.array([0.0258, 0.1034])
    with pytest.raises(ArgumentError, match=r"the quotes of delta 0.25 alone have a smile"):
        butterflies_of_strangles(quotes, strangles)
    fx_smile(0.34, [0.25], [-0.148], [0.0258], 1.0, 0.267)


def test_a_start_without_strikes_is_left_out():
    problem = _Strangles.quoted(wing_quotes(0.2, [0.02], 1.0), np.array([0.003]))
    assert len(_newton(problem, np.array([[-0.3], [50.0]]))) == 0


def random_quotes(rng, extreme):
    """Quotes of ordinary markets, or with skews, strangles and volatilities several times as large."""
    atm = np.exp(rng.uniform(np.log(0.02), np.log(0.9 if extreme else 0.35)))
    if extreme:
        reversal = 0.4 * atm * rng.normal()
        reversals = [reversal, reversal * rng.uniform(1, 2.5)]
        strangles = [atm * rng.uniform(-0.05, 0.2), atm * rng.uniform(0, 0.9)]
    else:
        reversal = 0.12 * atm * rng.normal()
        reversals = [reversal, reversal * rng.uniform(1.6, 2.1)]
        strangle = atm * rng.uniform(0.005, 0.06)
        strangles = [strangle, strangle * rng.uniform(2.5, 5)]
    n = 2 if rng.random() < 0.8 else 1
    quotes = wing_quotes(
        atm,
        reversals[:n],
        maturity=np.exp(rng.uniform(np.log(1 / 365), np.log(10))),
        adjusted=rng.random() < 0.5,
        rates=rng.uniform(-0.01, 0.06, 2),
    )
    return quotes, np.array(strangles[:n])


def least_missed(problem: _Strangles) -> float:
    """The smallest volatility by which any smile misses a strangle, by grid and least squares."""
    n = len(problem.strangles)
    shares = np.linspace(0, 1, 20_001 if n == 1 else 101)[1:]
    axes = problem.lowest + (problem.highest - problem.lowest) * shares[:, None]
    grid = np.stack(np.meshgrid(*axes.T, indexing="ij"), -1).reshape(-1, n)
    missed = np.concatenate([problem.missed(part) for part in np.array_split(grid, 8)])
    size = np.where(np.isnan(missed).any(axis=1), np.inf, np.abs(missed).max(axis=1))
    least = size.min()
    if n == 1:
        changes = np.isfinite(size[1:]) & np.isfinite(size[:-1]) & (np.diff(np.sign(missed[:, 0])) != 0)
        # a change of sign is a solution, unless the polynomial has a pole there
        jumps = np.abs(np.diff(missed[:, 0]))[changes]
        return 0.0 if (jumps < 1e-2).any() else float(least)
    for start in grid[np.argsort(size)[:400:20]]:
        found = least_squares(
            lambda b: np.nan_to_num(problem.missed(b[None])[0] / problem.quotes.atm, nan=10.0),
            start,
            x_scale=problem.quotes.atm,
        )
        inside = (found.x <= problem.highest).all() and (found.x >= problem.lowest).all()
        least = min(least, np.abs(found.fun).max() * problem.quotes.atm) if inside else least
    return float(least)


@pytest.mark.slow
def test_two_thousand_random_quotes_are_solved_or_have_no_smile():
    rng = np.random.default_rng(7)
    counts = {"solved": 0, "none": 0, "impossible": 0, "overlooked": 0}
    for i in range(2000):
        quotes, strangles = random_quotes(rng, extreme=i % 2 == 1)
        try:
            problem = _Strangles.quoted(quotes, strangles)
        except ArgumentError:  # the brokers' strikes do not exist
            counts["impossible"] += 1
            continue
        try:
            b = butterflies_of_strangles(quotes, strangles)
        except ArgumentError:
            counts["none"] += 1
            counts["overlooked"] += least_missed(problem) < 1e-9
            continue
        assert np.abs(problem.missed(b[None])).max() < 1e-12
        counts["solved"] += 1
    print(counts)
    assert counts["solved"] > 1900 and counts["overlooked"] == 0, counts
