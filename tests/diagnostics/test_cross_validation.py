"""Folds without leaks, one batch per model, and errors that are those of refits."""

import dataclasses

import jax
import numpy as np
import pytest
from jaxtyping import TypeCheckError
from synthetic import TRUTH, heston_surface

import neutral as nt
from neutral.calibration.programs import Programs
from neutral.diagnostics import cross_validation, fold_masks, stacking_weights
from neutral.diagnostics.residuals import residuals
from neutral.options import black

ENGINE = nt.Lewis(48)
KINDS = ("random", "strikes", "expiries")


@pytest.fixture(scope="module")
def ragged():
    """A surface with padding, gaps and a maturity of few quotes."""
    k = np.where(np.arange(16) < [[11], [4], [16], [16], [0]], np.linspace(-0.5, 0.5, 16), 0.0)
    mask = np.stack([np.arange(16) < [[11], [4], [16], [16], [0]]] * 2)
    mask[0, 0, ::3] = False
    t = np.array([0.1, 0.3, 0.6, 1.0, 2.0])
    price = np.asarray(black.price(k, 0.3 * np.sqrt(t)[:, None] + 0.0 * k, np.ones(k.shape, bool)))
    return nt.QuoteSurface.from_arrays(t, k, np.stack([price, price + np.expm1(k)]), mask=mask)


@pytest.mark.parametrize("kind", KINDS)
def test_folds_share_out_every_quote_once(ragged, kind):
    folds = 4
    held = fold_masks(ragged, folds, kind, seed=3)
    assert held.shape == (folds, *ragged.mask.shape)
    np.testing.assert_array_equal(held.sum(axis=0), ragged.mask)  # disjoint, and together all
    assert np.all(held.any(axis=(1, 2, 3)))
    cells = held.any(axis=1)
    assert cells.sum() == ragged.mask.any(axis=0).sum()  # call and put of a strike are of one fold
    np.testing.assert_array_equal(held, fold_masks(ragged, folds, kind, seed=3))
    assert not np.array_equal(held, fold_masks(ragged, folds, kind, seed=4))


def test_expiries_stay_whole_and_strikes_stay_together(ragged):
    expiries = np.any(fold_masks(ragged, 4, "expiries"), axis=(1, 3))
    assert np.all(expiries.sum(axis=0) <= 1)
    strikes = np.asarray(fold_masks(ragged, 3, "strikes", block=4)[:, 1])
    fold = np.argmax(strikes[:, 2], axis=0)  # 16 strikes of the third expiry: four blocks of four
    assert np.all(fold.reshape(4, 4) == fold.reshape(4, 4)[:, :1])
    assert set(fold) == {0, 1, 2}


def test_train_quotes_alone_are_shared_out_unless_told_otherwise(ragged):
    train = ragged.mask & (np.arange(16) % 2 == 0)
    part = nt.QuoteSurface(**(vars(ragged) | {"train": train}))
    np.testing.assert_array_equal(fold_masks(part, 3).sum(axis=0), train)
    np.testing.assert_array_equal(fold_masks(part, 3, mask=part.mask).sum(axis=0), part.mask)


def test_wrong_folds_are_refused(ragged):
    with pytest.raises(
        nt.ArgumentError, match="5 folds need at least 5 groups of quotes, but kind='expiries' gives 4"
    ):
        fold_masks(ragged, 5, "expiries")
    refusals = (nt.ArgumentError, TypeCheckError)  # the runtime type checker refuses first
    with pytest.raises(
        refusals, match="kind must be one of 'random', 'strikes', 'expiries'|parameter 'kind'"
    ):
        fold_masks(ragged, 5, "days")  # pyright: ignore[reportArgumentType]
    with pytest.raises(nt.ArgumentError, match="a single QuoteSurface"):
        fold_masks(nt.stack([ragged, ragged]))
    with pytest.raises(nt.ArgumentError, match="two recipes are of one class"):
        nt.cross_validate([nt.Black, nt.Black], ragged)
    with pytest.raises(nt.ArgumentError, match="no model"):
        nt.cross_validate({}, ragged)


def test_a_history_of_one_day_determines_nothing(ragged):
    found = nt.walk_forward([nt.Heston], [ragged])
    assert found.reason == "ahead=1 needs at least 2 days, got 1."
    assert "cannot be determined" in str(found) and found.rows() == []
    assert found.errors().shape == (1, 0) and found.observations().shape == (0, 1)
    assert np.isnan(found.variation()[0])
    with pytest.raises(nt.ArgumentError, match="ahead must be at least 1"):
        nt.walk_forward([nt.Heston], [ragged], ahead=0)


def count_programs(monkeypatch):
    """Calls of the batch, and programs that it takes."""
    calls = {"batches": 0, "programs": 0}
    whole = cross_validation.calibrate_batch
    program = Programs.program

    def counted_batch(*args, **options):
        calls["batches"] += 1
        return whole(*args, **options)

    def counted_program(*args):  # the programs, the request and the lanes
        calls["programs"] += 1
        return program(*args)

    monkeypatch.setattr(cross_validation, "calibrate_batch", counted_batch)
    monkeypatch.setattr(Programs, "program", counted_program)
    return calls


def test_a_result_is_validated_as_it_was_calibrated(ragged):
    """The folds of a result are those of its own recipe and options, from its own fit."""
    used = ragged.mask & (np.arange(5) < 3)[:, None]
    given = {"engine": nt.Lewis(16), "loss": nt.Loss("vega"), "bounds": {"sigma": (0.1, 0.9)}}
    result = nt.calibrate(nt.Black, ragged, mask=used, **given)
    asked_twice = nt.cross_validate({"black": result.model}, ragged, mask=used, **given)
    for results in (result, [result], {"black": result}):
        found = nt.cross_validate(results, ragged)
        assert found.names == ("black",) and found.converged.all()
        np.testing.assert_array_equal(found.errors(), asked_twice.errors())
    with pytest.raises(nt.ArgumentError, match="so engine, loss cannot be passed with it"):
        nt.cross_validate([result], ragged, engine=nt.Lewis(16), loss=nt.Loss())
    whole = nt.calibrate(nt.Black, ragged, engine=nt.Lewis(16))
    with pytest.raises(nt.ArgumentError, match="fitted to different quotes: pass mask="):
        nt.cross_validate({"part": result, "whole": whole}, ragged)
    with pytest.raises(nt.ArgumentError, match="has no request"):
        nt.cross_validate(dataclasses.replace(result, request=None), ragged)


@pytest.mark.slow
def test_folds_of_a_model_are_one_batch(monkeypatch):
    surface = heston_surface(noise=0.01)
    calls = count_programs(monkeypatch)
    found = nt.cross_validate({"flat": nt.Black, "heston": nt.Heston}, surface, engine=ENGINE)
    assert calls == {"batches": 2, "programs": 2}
    assert found.names == ("flat", "heston") and found.converged.all()
    # each fold again, on its own
    held = fold_masks(surface)
    fits = [nt.calibrate(nt.Heston, surface, engine=ENGINE, mask=surface.mask & ~h) for h in held]
    alone = [residuals(fit, surface).vol[h] for fit, h in zip(fits, held, strict=True)]
    errors = [np.sqrt(np.mean(x[np.isfinite(x)] ** 2)) for x in alone]
    np.testing.assert_allclose(found.errors()[1], errors, rtol=1e-4)
    np.testing.assert_allclose(found.variation()[1], np.std(errors, ddof=1) / np.mean(errors), rtol=1e-3)
    assert np.all(found.errors()[0] > 3 * found.errors()[1])
    assert stacking_weights(found.observations())[1] > 0.95
    assert found.observations("price").shape == (int(surface.mask.sum()), 2)
    assert len(found.rows()) == 10 and "heston: " in str(found)


@pytest.mark.slow
def test_folds_without_a_fit_have_no_error():
    solver = nt.LevenbergMarquardt(max_steps=1)
    found = nt.cross_validate([nt.Heston], heston_surface(noise=0.01), engine=ENGINE, solver=solver)
    assert not found.converged.any() and np.all(np.isnan(found.errors())) and np.isnan(found.variation()[0])
    assert "heston: no fit, no fit" in str(found) and not found.rows()[0]["converged"]


@pytest.mark.slow
def test_walking_forward_prices_the_day_after():
    days = [heston_surface(v0=v0) for v0 in (0.05, 0.05, 0.06)]
    found = nt.walk_forward([nt.Heston], days, engine=ENGINE)
    same, moved = found.errors()[0]
    assert same < 1e-5  # the market has not moved, and the model is the market's
    truth = np.asarray(nt.price_surface(nt.Heston(**TRUTH), days[2]))
    fit = jax.tree.map(lambda x: x[1], found.fits[0])
    wrong = nt.CalibrationResult(**(vars(fit) | {"prices": truth, "residuals": truth - days[2].prices}))
    vol = residuals(wrong, days[2]).vol
    assert moved == pytest.approx(np.sqrt(np.nanmean(vol**2)), rel=1e-3) and moved > 0.005
