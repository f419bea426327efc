"""Kinds of options as people write them."""

import numpy as np
import pandas as pd
import pytest

from neutral import ArgumentError
from neutral.options.kinds import call_flags


@pytest.mark.parametrize("kind", ["call", "C", " Calls ", "CE", True, np.True_])
def test_names_of_calls(kind):
    assert call_flags(kind) == np.True_


def test_arrays_of_names_and_flags():
    mixed = [["call", "P"], ["Put", "c"]]
    assert np.array_equal(call_flags(mixed), [[True, False], [False, True]])
    assert np.array_equal(call_flags(pd.Series(["C", "P"], dtype="category")), [True, False])
    assert np.array_equal(call_flags(np.array([True, False], object)), [True, False])


@pytest.mark.mistyped
@pytest.mark.parametrize("kind", ["x", 1, [1, 0], ["call", None], [True, np.nan], [True, None]])
def test_what_is_no_kind_is_named(kind):
    with pytest.raises(ArgumentError, match=r"kind must be .*, got (1|'x'|None|nan)"):
        call_flags(kind)
