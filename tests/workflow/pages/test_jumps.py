"""Jumps along the path of a parameter, and the reasons that the rows of the fits show."""

import numpy as np
import pandas as pd
import pytest

from neutral.workflow.pages.jumps import Fit, fits_of, jumps


def path(*values: float, **changed) -> list[Fit]:
    plain = {"error": 0.01, "at_bound": False, "bounds": (), "quotes": 100.0, "converged": True}
    fits = [Fit(time=str(i), value=value, **plain) for i, value in enumerate(values)]
    return [*fits[:-1], fits[-1]._replace(**changed)]


def test_a_quiet_path_has_no_jumps():
    assert jumps(path(1.0, 1.01, 0.99, 1.02, 1.0, 1.03)) == []
    assert jumps(path(1.0)) == [] and jumps([]) == []
    assert jumps(path(np.nan, np.nan)) == []


@pytest.mark.parametrize(
    "changed, reason",
    [
        ({"converged": False}, "the later fit did not converge"),
        ({"at_bound": True, "bounds": ("lam",)}, "it reaches a bound"),
        ({"bounds": ("rho",)}, "rho reaches or leaves a bound"),
        ({"error": 3.0}, "the quotes hardly determine it: standard error 3"),
        ({"quotes": 40.0}, "100 quotes before, 40 after"),
        ({"error": 0.02}, "beyond the noise of the quotes (179 standard errors)"),
        ({"error": np.nan}, "not known"),
    ],
)
def test_a_jump_has_its_reason(changed, reason):
    (jump,) = jumps(path(1.0, 1.01, 0.99, 1.0, 5.0, **changed))
    assert jump.position == 4 and jump.before.value == 1.0 and jump.after.value == 5.0
    assert reason in jump.reason


def test_rows_of_the_table_of_fits_become_a_path():
    rows = pd.DataFrame(
        {
            "snapshot_ts": ["a", "b"],
            "rho": [-0.5, -1.0],
            "rho_se": [0.1, np.nan],
            "at_bound": ["", "rho, lam"],
            "n_train": [10, 20],
            "converged": [True, True],
        }
    )
    first, last = fits_of(rows, "rho")
    assert (first.at_bound, last.at_bound) == (False, True) and last.bounds == ("rho", "lam")
    assert first.error == 0.1 and np.isnan(last.error) and last.quotes == 20
