"""Every solver with every engine, from a file of quotes to rows of Parquet."""

from typing import get_args

import numpy as np
import pytest
import workflow_fakes as fakes

from neutral.market import list_snapshots
from neutral.shipped import sample_folder
from neutral.workflow import load_config, run
from neutral.workflow.methods import Engine, Solver
from neutral.workflow.recipes import RECIPES


def kinds(section) -> list[str]:
    """The kinds that a section of the configuration accepts."""
    union, *_ = get_args(section)
    return [get_args(kind)[0].model_fields["kind"].default for kind in get_args(union)]


@pytest.fixture(scope="module")
def snapshot():
    return list_snapshots(sample_folder())[:1]


@pytest.fixture(scope="module")
def standard(snapshot, tmp_path_factory):
    """The fit with the standard solver and engine."""
    return fitted(snapshot, tmp_path_factory.mktemp("standard"), {}, {})


def fitted(snapshot, out, solver, engine):
    """The row of the fit of Heston to Bitcoin's quotes, and the quotes with its prices."""
    config = load_config().replaced(
        models=["heston"], solver=solver, engine=engine, run={"currencies": ["BTC"]}
    )
    summary = run(snapshot, out, config)
    assert summary.complete and summary.fitted == 1
    return fakes.read(out, "fits").iloc[0], fakes.read(out, "quotes")


def test_there_are_two_solvers_and_three_engines():
    assert kinds(Solver) == ["levenberg_marquardt", "adam_lbfgs"]
    assert kinds(Engine) == ["lewis", "carr_madan", "cos"]


PAIRS = [(solver, engine) for solver in kinds(Solver) for engine in kinds(Engine)]
QUICK = PAIRS[:1]  # the standard pair


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("solver", "engine"), [pytest.param(*x, marks=[pytest.mark.slow] * (x not in QUICK)) for x in PAIRS]
)
def test_every_solver_and_engine_fits_a_snapshot(snapshot, standard, tmp_path, solver, engine):
    fit, quotes = fitted(snapshot, tmp_path, {"kind": solver}, {"kind": engine})
    expected, priced = standard
    assert fit["status"] == "converged"
    np.testing.assert_allclose(fit["loss"], expected["loss"], rtol=1e-8)
    for name in RECIPES["heston"].columns.values():
        np.testing.assert_allclose(fit[name], expected[name], rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(quotes["price_heston"], priced["price_heston"], rtol=0.0, atol=1e-8)
