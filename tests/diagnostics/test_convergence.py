"""Plateau, oscillation and divergence: constructed histories, descents of known behaviour, and real fits."""

import re

import numpy as np
import pytest
from synthetic import heston_surface

import neutral as nt
from neutral.calibration.history import History
from neutral.diagnostics import describe_convergence

ENGINE = nt.Lewis(16)


def history(loss, path=None, gradient=0.5, room=60):
    """A course with nan after its last step."""
    loss = np.asarray(loss, float)
    steps = loss.size
    path = np.linspace(1.0, 2.0, steps) if path is None else np.asarray(path, float)
    path = path[:, None] if path.ndim == 1 else path
    empty = np.full(room, np.nan)
    columns = {"loss": empty.copy(), "gradient_norm": empty.copy(), "damping": empty.copy()}
    columns["loss"][:steps] = loss
    columns["gradient_norm"][:steps] = gradient
    parameters = np.full((room, path.shape[1]), np.nan)
    parameters[:steps] = path
    return History(parameters=parameters, **columns)


STEPS = np.arange(20)
SIGNS = (-1.0) ** STEPS
CASES = {
    "falls": (history(2.0**-STEPS), "converging", "still falls: 1.907e-06 after 20 steps"),
    "vanished gradient": (
        history(np.ones(20), gradient=1e-7),
        "converging",
        "norm is 1.0e-07 after 20 steps",
    ),
    "level": (history(1.0 + 1e-9 * 2.0**-STEPS), "plateau", "no longer falls: 1 after 20 steps"),
    "level after a fall": (history(np.r_[100.0, 10.0, np.ones(12)]), "plateau", "gradient norm is 5.0e-01"),
    "rejected trials": (history(1.0 + np.r_[0.0, 2.0**-STEPS]), "plateau", "no longer falls"),
    "loss alternates": (history(2.0 + SIGNS), "oscillation", "The loss alternate.* between 1 and 3"),
    "parameters alternate": (
        history(np.ones(20), 1.0 + 0.1 * SIGNS),
        "oscillation",
        "The parameters alternate",
    ),
    "dies out": (history(1.0 + SIGNS * 0.5**STEPS), "plateau", "no longer falls"),
    "alternates and falls": (history(0.7**STEPS * (2.0 + SIGNS)), "converging", "still falls"),
    "rises": (history(1.5**STEPS), "divergence", "the last of 20 steps has 2217, the best before had 1"),
    "rises after a fall": (history(np.r_[4.0, 2.0, 1.0, 3.0 ** STEPS[1:9]]), "divergence", "The loss rises"),
    "lost": (history(np.r_[1.0, np.full(8, np.nan)]), "divergence", "8 of the last 9 losses are not finite"),
    "infinite": (history(np.full(6, np.inf)), "divergence", "6 of the last 6 losses are not finite"),
    "one bad trial": (history(np.r_[8.0, np.inf, 2.0**-STEPS]), "converging", "still falls"),
    "short": (history([1.0, 1.0, 1.0]), "cannot be determined", "3 steps without a fall.*at least 4"),
    "short and falling": (history([1.0, 0.5]), "converging", "last 1 lowered it by 50.0%"),
    "nothing": (history([]), "cannot be determined", "No point was evaluated"),
}


@pytest.mark.parametrize("case", CASES)
def test_constructed_histories_are_named(case):
    course, kind, words = CASES[case]
    found = describe_convergence(course)
    assert found.kind == kind, found
    assert found.steps == int(np.sum(~np.isnan(course.parameters[:, 0])))
    assert re.search(words, found.message), found.message
    assert str(found) == f"course of the fit: {kind}: {found.message}"
    assert found.rows() == [{"kind": kind, "steps": found.steps, "message": found.message}]


def rosenbrock(x):
    """Value and gradient; from (-1, 1) the valley bends to the minimum at (1, 1)."""
    slope = np.array([-400.0 * x[0] * (x[1] - x[0] ** 2) - 2.0 * (1.0 - x[0]), 200.0 * (x[1] - x[0] ** 2)])
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2, slope


def quadratic(x):
    """Steepest curvature 2: descent with steps of 1 goes back and forth for ever."""
    return float(np.sum(np.array([1.0, 0.01]) * x**2)), 2.0 * np.array([1.0, 0.01]) * x


def descent(function, start, rate, steps=40):
    """The course of steepest descent."""
    points, losses = [], []
    x = np.asarray(start, float)
    for _ in range(steps):
        loss, slope = function(x)
        points.append(x)
        losses.append(loss)
        x = x - rate * slope
    return history(losses, np.array(points))


@pytest.mark.parametrize(
    "course, kind",
    [
        (descent(quadratic, [1.0, 1.0], 0.3, 10), "converging"),
        (descent(quadratic, [1.0, 0.0], 1.0), "oscillation"),
        (descent(quadratic, [1.0, 1.0], 1.2), "divergence"),
        (descent(rosenbrock, [-1.0, 1.0], 1e-7), "plateau"),
        (descent(rosenbrock, [-1.0, 1.0], 2e-3), "converging"),
    ],
    ids=["short steps", "steps of twice the minimum", "too long steps", "tiny steps", "along a valley"],
)
def test_descents_are_named(course, kind):
    assert describe_convergence(course).kind == kind, describe_convergence(course)


@pytest.fixture(scope="module")
def surface():
    return heston_surface(noise=0.01)


def fit(surface, solver):
    return nt.calibrate(nt.Black(0.9), surface, engine=ENGINE, solver=solver, history=True)


def adam(rate):
    """Adam alone, at a rate of its own."""
    return nt.AdamLBFGS(max_steps=40, adam_steps=4000, rate=rate, patience=100)


REAL = {
    "converged": (nt.LevenbergMarquardt(max_steps=60), "converged", "converging", "gradient norm is"),
    "too few steps": (nt.LevenbergMarquardt(max_steps=4), "max_steps", "converging", "Raise max_steps"),
    "tiny steps": (adam(1e-7), "max_steps", "plateau", "the last 10 lowered it by"),
    "thrown out": (adam(0.3), "max_steps", "divergence", "the last of 40 steps"),
}


@pytest.mark.parametrize("case", REAL)
def test_real_fits_are_named_in_the_diagnosis(surface, case):
    solver, status, kind, words = REAL[case]
    result = fit(surface, solver)
    assert nt.CalibrationStatus(int(result.status)).name == status
    assert result.history is not None
    diagnosis = nt.diagnose(result, surface)
    found = diagnosis.convergence
    assert found == describe_convergence(result.history)
    assert found.kind == kind and words in found.message and found.steps == int(result.steps)
    assert f"course of the fit: {kind}: " in str(diagnosis).splitlines()[1]
    assert diagnosis.rows()["convergence"] == found.rows()


def test_a_fit_without_history_has_no_course(surface):
    diagnosis = nt.diagnose(nt.calibrate(nt.Black, surface, engine=ENGINE), surface)
    assert diagnosis.convergence is None and diagnosis.rows()["convergence"] == []
    assert "course of the fit" not in str(diagnosis)


def test_one_fit_of_a_batch_has_its_own_course(surface):
    stack = nt.stack([surface, heston_surface(noise=0.01, seed=1)])
    results = nt.calibrate_batch(nt.Black, stack, engine=ENGINE, history=True)
    found = [diagnosis.convergence for diagnosis in nt.diagnose(results, stack)]
    histories = [result.history for result in (results[0], results[1], results)]
    first, second, both = (course for course in histories if course is not None)
    assert found == [describe_convergence(first), describe_convergence(second)]
    with pytest.raises(nt.ArgumentError, match="needs the history of one fit"):
        describe_convergence(both)
