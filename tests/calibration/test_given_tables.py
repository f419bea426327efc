"""Tables in place of surfaces: fits of the same bits as those of the surfaces that they describe."""

import chex
import numpy as np
import pandas as pd
import polars as pl
import pytest
from synthetic import frame, heston_surface

import neutral as nt


@pytest.fixture(scope="module")
def table():
    return pd.DataFrame(frame(heston_surface()))


@pytest.fixture(scope="module")
def expected(table):
    return nt.calibrate(nt.Heston, nt.QuoteSurface.from_quotes(table))


def test_a_table_is_fitted_as_its_surface(table, expected):
    assert bool(expected.converged)
    for given in (table, pl.DataFrame(table)):
        chex.assert_trees_all_equal(nt.calibrate(nt.Heston, given).model, expected.model)
    assert nt.data_bounds(table) == nt.data_bounds(nt.QuoteSurface.from_quotes(table))


def test_tables_are_fitted_as_a_batch(table, expected):
    both = pd.concat([table.assign(surface="mon"), table.assign(surface="tue")])
    for given in (both, [table, pl.DataFrame(table)]):
        fits = nt.calibrate_batch(nt.Heston, given)
        assert fits.loss.shape == (2,)
        np.testing.assert_allclose(fits.model.v0, expected.model.v0, rtol=1e-6)  # the programs differ


def test_a_surface_is_fitted_to_a_table(table):
    given = nt.fit_surface(table, method="sequential")
    chex.assert_trees_all_equal(
        given, nt.fit_surface(nt.QuoteSurface.from_quotes(table), method="sequential")
    )


@pytest.mark.mistyped
def test_what_is_no_surface_is_named(table):
    with pytest.raises(nt.ArgumentError, match="calibrate takes a QuoteSurface, or a table.*got Series"):
        nt.calibrate(nt.Heston, table["price"])
    with pytest.raises(nt.ArgumentError, match="calibrate_batch needs to know which rows make a surface"):
        nt.calibrate_batch(nt.Heston, table)
    with pytest.raises(nt.ArgumentError, match="fit_surface takes a QuoteSurface"):
        nt.fit_surface(3)
    with pytest.raises(nt.ArgumentError, match="surface 0: the table lacks the columns kind"):
        nt.fit_surface_batch([table.drop(columns="kind")])
