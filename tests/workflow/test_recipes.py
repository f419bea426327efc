"""The registry of recipes: what follows from an entry, and that an entry is all that a new model needs."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import workflow_fakes as fakes

from neutral.market import list_snapshots
from neutral.models import AbstractFourierModel, Shifted
from neutral.models.fourier.black import gaussian_log_cf
from neutral.models.parameters import Positive, domains, param
from neutral.shipped import sample_folder
from neutral.typing import Frequencies, Real, Scalar
from neutral.workflow import load_config, open_store, run
from neutral.workflow.calibrate.parquet import schema_of
from neutral.workflow.calibrate.rows import columns_of
from neutral.workflow.calibrate.sinks import write_reports
from neutral.workflow.calibrate.workbook_columns import sheet_columns
from neutral.workflow.pages.calibrate import write_report
from neutral.workflow.recipes import (
    RECIPES,
    Recipe,
    in_order,
    model_of,
    nearest_nested,
    standard_models,
    value_columns,
)

SETTINGS = {"breakpoints": [0.25]}
PARAMETERS = "sigma v0 kappa theta sigma_v rho lam mu_y sigma_y mu_v rho_j".split()
FITS = (
    "snapshot_ts currency model status converged message steps loss n_options_total n_train n_test "
    "random_seed rmse_fit mae_fit rmse_train mae_train inside_train rmse_test mae_test inside_test "
    "gradient_norm condition_number at_bound prior_loss config_hash code_version data_sha256"
).split()
QUOTES = (
    "snapshot_ts currency instrument_name split bid_price ask_price mid_price_clean option_type strike "
    "expiry_datetime maturity forward forward_source forward_sd moneyness log_moneyness spread rel_spread "
    "settlement discount discount_sd american_bid american_ask timestamp underlying underlying_name "
    "time_to_maturity mark_price mid_price futures_price futures_instrument_name implied_volatility delta "
    "vega open_interest volume bid_ask_spread index_price volume_usd"
).split()


class Crash(AbstractFourierModel):
    """Black with jumps of -10 %: a model of a user's own, whose file is all of this class."""

    sigma: Scalar = param(Positive(), "diffusion volatility, 1/sqrt(yr)", (0.0, 10.0))
    lam: Scalar = param(Positive(), "jump intensity, 1/yr", (0.0, 50.0))

    _typical: ClassVar = {"sigma": 0.2, "lam": 0.5}

    def log_cf(self, z: Frequencies, t: Real) -> Frequencies:
        jumps = jnp.exp(-0.1j * z) - 1.0 - 1j * z * (jnp.exp(-0.1) - 1.0)
        return gaussian_log_cf(z, self.sigma**2 * t) + self.lam * t * jumps

    def strip(self, t: Real) -> tuple[Real, Real]:
        return jnp.full_like(t, -jnp.inf), jnp.full_like(t, jnp.inf)

    def total_variance(self, t: Real) -> Real:
        return (self.sigma**2 + 0.01 * self.lam) * t


def test_columns_of_standard_runs_are_those_of_every_store():
    prices = ["price_black", "price_heston", "price_svcj", "price_svcjpp"]
    errors = [f"{name}_se" for name in PARAMETERS]
    for models in (standard_models(), ["black"], ["svcj++", "heston"]):
        fits = schema_of("fits", models)
        assert fits.names == [*FITS, *PARAMETERS, "shift_times", "shift_increments", *errors]
        assert {str(fits.field(name).type) for name in PARAMETERS + errors} == {"double"}
        assert "list" in str(fits.field("shift_times").type)
        assert schema_of("quotes", models).names == [*QUOTES, *prices]


def test_further_models_add_columns_behind_the_standard_ones():
    models = in_order(["piecewise_heston", "kou", "black"])
    standard = columns_of("fits", standard_models())
    columns = columns_of("fits", models)
    assert list(columns)[: len(standard)] == list(standard)
    pieces = [f"{name}_pieces" for name in ("kappa", "theta", "sigma_v", "rho")]
    kou = ["p_up", "eta1", "eta2"]
    errors = [f"{name}_se" for name in (*kou, *pieces)]
    assert list(columns)[len(standard) :] == [*kou, "breakpoints", *pieces, *errors]
    assert {columns[name] for name in (*pieces, "breakpoints", "rho_pieces_se")} == {"reals"}
    assert list(columns_of("quotes", models))[-2:] == ["price_kou", "price_piecewise_heston"]
    assert not set(errors) & set(value_columns(models))


@pytest.mark.parametrize("name", RECIPES)
def test_an_entry_is_whole(name):
    recipe = RECIPES[name]
    recipe_of_class = recipe.build(SETTINGS)
    assert isinstance(recipe_of_class, Shifted) == recipe.shifted == name.endswith("++")
    assert list(recipe.columns) == list(domains(recipe.model_class))
    assert not recipe.nested or list(RECIPES).index(recipe.nested) < list(RECIPES).index(name)
    assert recipe.nested or name == "black"
    assert sheet_columns(name)[-2:] == ["shift_times", "shift_increments"] or not recipe.shifted


def test_every_entry_has_its_own_names_and_colour():
    recipes = RECIPES.values()
    for names in ([one.colour for one in recipes], [one.price_column for one in recipes]):
        assert len(set(names)) == len(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_model_comes_back_from_its_columns(name):
    recipe = RECIPES[name]
    typical = recipe.model_class.typical()
    row = {column: getattr(typical, field) for field, column in recipe.columns.items()}
    shift = {"shift_times": [0.1, 0.5], "shift_increments": [0.01, 0.02]}
    model = model_of(name, row | shift | {"loss": 1.0})
    assert isinstance(model, Shifted) == recipe.shifted
    for back in (model.base, model_of(name, row)):
        for field in recipe.columns:
            np.testing.assert_array_equal(getattr(back, field), getattr(typical, field))
    entries = {
        key: x
        for field in recipe.columns
        for key, x in (
            {f"{field}[{i}]": x for i, x in enumerate(getattr(typical, field))}
            if typical.field_ndim(field)
            else {field: getattr(typical, field)}
        ).items()
    }
    assert repr(model_of(name, entries)) == repr(typical)


def test_a_model_starts_from_the_richest_simpler_one_of_the_run():
    assert nearest_nested("svcj++", ["black", "heston"]) == "heston"
    assert nearest_nested("svcj", ["black", "heston", "bates", "kou"]) == "bates"
    assert nearest_nested("kou", ["heston"]) is None


@pytest.mark.heavy
def test_a_new_model_needs_its_class_and_an_entry(tmp_path, monkeypatch):
    """From a file of quotes to rows of Parquet, a sheet of a workbook and a page, by one registry entry."""
    monkeypatch.setitem(RECIPES, "crash", Recipe("crash", f"{__name__}:Crash", "black", colour="C9"))
    config = load_config().replaced(models=["crash", "black"], run={"currencies": ["BTC"]})
    summary = run(list_snapshots(sample_folder())[:1], tmp_path, config)
    assert summary.complete and [line.model for line in summary.lines] == ["black", "crash"]
    fits = fakes.read(tmp_path, "fits").set_index("model")
    assert fits["loss"]["crash"] < fits["loss"]["black"]
    assert fits["lam"]["crash"] > 0.0 and np.isfinite(fits["lam_se"]["crash"])
    quotes = fakes.read(tmp_path, "quotes")
    assert np.isfinite(quotes["price_crash"]).all() and not quotes["price_crash"].equals(
        quotes["price_black"]
    )
    assert isinstance(model_of("crash", fits.loc["crash"]), Crash)
    store = open_store(tmp_path)
    pytest.importorskip("xlsxwriter")
    pytest.importorskip("openpyxl")
    (book,) = write_reports(store, ["xlsx"])
    assert len(pd.read_excel(book, sheet_name="crash_params")) == 1
    assert '<td class="text">crash</td>' in write_report(store).read_text()


def check_fits(fits):
    """Every fit converges, to a loss that is at most that of the simpler model inside it."""
    loss = fits.pivot_table(index=["snapshot_ts", "currency"], columns="model", values="loss")
    converged = fits.groupby("model")["converged"].mean()
    assert (converged >= 0.99).all(), converged
    for name in loss:
        simpler = nearest_nested(str(name), set(loss))
        assert simpler is None or (loss[name] <= loss[simpler] * (1.0 + 1e-6)).all(), (name, simpler)


@pytest.mark.slow
def test_further_models_converge_below_their_simpler_ones(tmp_path):
    """A parameter with an axis, one with a joint map, and a shift, on a shipped snapshot."""
    models = ["black", "vg++", "piecewise_heston"]
    config = load_config().replaced(models=models, run={"currencies": ["ETH"]})
    files = list_snapshots(sample_folder())[:1]
    run(files, tmp_path, config)
    fits = fakes.read(tmp_path, "fits")
    check_fits(fits)
    row = fits.set_index("model").loc["piecewise_heston"]
    assert list(row["breakpoints"]) == [0.25] and len(row["kappa_pieces"]) == len(row["kappa_pieces_se"]) == 2


@pytest.mark.slow
def test_every_model_converges_below_its_simpler_one(market_data, tmp_path):
    config = load_config().replaced(models=list(RECIPES), data={"limit": 10}, run={"chunk": 10})
    run(list_snapshots(market_data / "deribit" / "run"), tmp_path, config)
    fits = fakes.read(tmp_path, "fits")
    assert len(fits) == 10 * 2 * len(RECIPES)
    check_fits(fits)
