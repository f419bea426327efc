"""What every solver does: `calibration/solvers/`. A new one adds a line to SOLVERS."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import least_squares
from synthetic import TRUTH, heston_surface

import neutral as nt
from neutral.calibration.solvers import Evaluation, Objective, Stop, gradient_norm, scalar_objective

SOLVERS = {"levenberg_marquardt": nt.LevenbergMarquardt(), "adam_lbfgs": nt.AdamLBFGS()}
X = np.linspace(0.0, 3.0, 12)
CURVES = np.array([[2.0, 0.7, 0.5], [1.0, 2.0, -0.3], [3.0, 1.5, 1.0], [0.5, 0.3, 0.0]])  # a, log b, c
START = np.tile([1.0, 0.0, 0.0], (4, 1))
WIDE = 20.0


@pytest.fixture(params=list(SOLVERS.values()), ids=list(SOLVERS))
def solver(request):
    return request.param


def curve(y):
    """a exp(-b x) + c with b = exp(y_1): residuals (12,) of one lane's coordinates (3,)."""
    return y[0] * jnp.exp(-jnp.exp(y[1]) * X) + y[2]


def targets(noise=0.05):
    clean = np.stack([np.asarray(curve(y)) for y in CURVES])
    return clean + noise * np.random.default_rng(1).standard_normal(clean.shape)


class Curves(NamedTuple):
    """Lanes of curves to fit. Outside its bounds, and wherever it is poisoned, a lane is not a number."""

    target: Any
    lower: Any
    upper: Any
    free: Any
    poisoned: Any

    @property
    def objective(self):
        return Objective(self.evaluate, self.cost, self.lower, self.upper, self.free)

    def residuals(self, y):
        outside = jnp.any((y < self.lower) | (y > self.upper), axis=-1) | self.poisoned
        return (jax.vmap(curve)(y) - self.target) * jnp.where(outside, jnp.nan, 1.0)[:, None]

    def cost(self, y):
        return jnp.sum(self.residuals(y) ** 2, axis=-1)

    def evaluate(self, y):
        r, j = self.residuals(y), jax.vmap(jax.jacfwd(curve))(y)
        size = jnp.sum(r * r, axis=-1)
        return Evaluation(
            size,
            jnp.einsum("bij,bi->bj", j, r),
            jnp.einsum("bij,bik->bjk", j, j),
            jnp.sqrt(jnp.sum(j * j, axis=1)),
            jnp.sqrt(size),
            jnp.sqrt(size / X.size),
            jnp.einsum("bij,bi,bik->bjk", j, r * r, j),
        )


def curves(
    target: Any = None, lower: Any = -WIDE, upper: Any = WIDE, free: Any = True, poisoned: Any = False
):
    target = targets() if target is None else target
    lanes = target.shape[0]
    low, high, free = (np.array(np.broadcast_to(x, (lanes, 3))) for x in (lower, upper, free))
    poisoned = np.array(np.broadcast_to(poisoned, lanes))
    return Curves(target, low.astype(float), high.astype(float), free, poisoned)


@eqx.filter_jit
def advance(solver, problem, start, rounds):
    """Run from a start in rounds, each until so many steps have been spent."""
    objective = problem.objective
    state = jax.lax.fori_loop(
        0,
        rounds.size,
        lambda i, state: solver.run(objective, state, rounds[i]),
        solver.init(objective, start),
    )
    return solver.solution(objective, state)


def solve(solver, problem, start=START, rounds=(0, 0)):
    """The solution after two rounds of so many steps and a last one to the end."""
    return advance(solver, problem, jnp.asarray(start), jnp.array([*rounds, solver.max_steps]))


def test_curves_are_fitted_as_scipy_fits_them(solver):
    target = targets()
    found = solve(solver, curves(target))
    assert np.all(found.stop == Stop.converged)
    assert np.all(gradient_norm(curves(target).objective, found.y, found.evaluation) <= solver.gtol)
    for lane in range(4):
        peer = least_squares(lambda y: np.asarray(curve(y)) - target[lane], START[lane], xtol=1e-12)  # noqa: B023
        # a gradient of gtol leaves gtol^2 of the cost
        assert found.evaluation.cost[lane] <= 2.0 * peer.cost * (1.0 + 1e-10)


def test_exact_data_are_met_exactly(solver):
    found = solve(solver, curves(targets(noise=0.0)))
    assert np.all(found.stop == Stop.converged)
    np.testing.assert_allclose(found.y, CURVES, rtol=1e-5, atol=1e-5)


def test_bounds_hold_and_a_fit_on_one_has_converged(solver):
    # the objective is nan outside; lane 0 wants a = 2, lane 2 wants a = 3
    problem = curves(lower=[-WIDE, -1.0, -WIDE], upper=[1.2, 2.5, WIDE])
    found = solve(solver, problem)
    assert np.all(found.stop == Stop.converged)
    assert np.all((found.y >= problem.lower) & (found.y <= problem.upper))
    assert found.y[0, 0] == 1.2 and found.y[2, 0] == 1.2 and found.y[1, 0] < 1.2


def test_a_start_outside_the_bounds_is_moved_in(solver):
    found = solve(solver, curves(upper=[4.0, 2.5, 4.0]), START + 9.0)
    assert np.all(found.stop != Stop.nonfinite)


def test_fixed_coordinates_stay(solver):
    found = solve(solver, curves(free=[True, False, True]), START + 0.25)
    assert np.all(found.stop == Stop.converged) and np.all(found.y[:, 1] == 0.25)


@pytest.mark.parametrize("how", ["start", "objective"])
def test_a_poisoned_lane_says_so_and_harms_no_neighbour(solver, how):
    clean = solve(solver, curves())
    bad = np.arange(4) == 1
    start = np.where(bad[:, None] & (how == "start"), np.nan, START)
    found = solve(solver, curves(poisoned=bad & (how == "objective")), start)
    assert found.stop[1] == Stop.nonfinite
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(clean), strict=True):
        assert np.array_equal(np.asarray(one)[~bad], np.asarray(other)[~bad])


def test_a_lane_alone_ends_where_it_ends_among_others(solver):
    target = targets()
    together = solve(solver, curves(target))
    for lane in range(4):
        alone = solve(solver, curves(target[lane : lane + 1]), START[:1])
        assert alone.stop[0] == together.stop[lane]
        # sums of another shape may round otherwise
        np.testing.assert_allclose(alone.evaluation.cost[0], together.evaluation.cost[lane], rtol=1e-10)


def test_a_run_in_rounds_is_the_same_run(solver):
    whole, rounds = solve(solver, curves()), solve(solver, curves(), rounds=(3, 17))
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(rounds), strict=True):
        assert np.array_equal(one, other)


def test_steps_run_out(solver):
    short = type(solver)(max_steps=4)
    found = solve(short, curves())
    assert np.all(found.stop == Stop.max_steps) and np.all(found.steps == 4)
    assert np.all(found.evaluation.cost < curves().cost(START))


@pytest.mark.heavy
def test_heston_comes_back_from_the_prices_of_another_library(solver):
    result = nt.calibrate(nt.Heston, heston_surface(), engine=nt.Lewis(48), solver=solver)
    # converged by its gradient, or because nothing is left of the errors
    assert result.converged and (result.gradient_norm <= solver.gtol or result.loss < 1e-16)
    for name, value in TRUTH.items():
        assert getattr(result.model, name) == pytest.approx(value, rel=1e-4), name


@pytest.mark.slow
def test_solvers_agree_on_a_robust_loss_with_a_bound():
    surface = heston_surface(noise=0.02)
    bounds = {"sigma_v": (0.1, 0.5)}  # the truth is 0.7
    options = {"engine": nt.Lewis(32), "loss": nt.Loss("spread", "soft_l1", 0.4), "bounds": bounds}
    one, other = (nt.calibrate(nt.Heston, surface, solver=s, **options) for s in SOLVERS.values())
    assert one.converged and other.converged and one.bounds_hit == other.bounds_hit == ("sigma_v",)
    assert other.loss == pytest.approx(float(one.loss), rel=1e-6)


class Scalar(NamedTuple):
    """A cost of one's own, bounded at -5 and 5."""

    cost: Any
    like: Any

    @property
    def objective(self):
        return scalar_objective(self.cost, jnp.full_like(self.like, -5.0), jnp.full_like(self.like, 5.0))


def test_any_differentiable_cost_can_be_minimised():
    def valley(y):  # Rosenbrock's, no sum of squares as the solver sees it
        return 1.0 + (1.0 - y[:, 0]) ** 2 + 100.0 * (y[:, 1] - y[:, 0] ** 2) ** 2

    start = np.array([[-1.2, 1.0], [4.0, -4.0], [0.0, 0.0]])
    for solver in (nt.AdamLBFGS(), nt.AdamLBFGS(adam_steps=0)):
        found = solve(solver, Scalar(valley, start), start)
        assert np.all(found.stop == Stop.converged)
        np.testing.assert_allclose(found.y, 1.0, rtol=1e-4)


def test_a_kink_is_a_stall_and_not_a_convergence():
    start = np.ones((1, 2))
    found = solve(nt.AdamLBFGS(), Scalar(lambda y: jnp.sum(jnp.abs(y - 0.3), axis=-1), start), start)
    assert found.stop[0] == Stop.stalled
    np.testing.assert_allclose(found.y, 0.3, atol=1e-3)


def test_steps_into_a_wall_of_nan_are_taken_back():
    start = np.zeros((1, 2))
    wall = Scalar(lambda y: jnp.sum((y - 3.0) ** 2 - jnp.log(4.0 - y), axis=-1), start)
    found = solve(nt.AdamLBFGS(rate=3.0), wall, start)
    assert found.stop[0] == Stop.converged
    np.testing.assert_allclose(found.y, 3.5 - np.sqrt(0.75), rtol=1e-5)
