"""Surfaces and certificates as tables."""

from typing import Any

import jax
import numpy as np
import pytest

import neutral as nt
from neutral.surfaces.evidence import SurfaceFit

FIELDS = ("expiries", "theta", "psi", "rho")
T = np.array([0.25, 1.0])
FREE = nt.ESSVI(T, theta=[0.012, 0.045], psi=[0.09, 0.16], rho=[-0.5, -0.45])
CROSSING = nt.ESSVI(T, theta=[0.012, 0.045], psi=[0.09, 0.16], rho=[-0.5, 0.3])


class Flat(nt.VolSurface):
    """A surface without a table."""

    def variance_at(self, k, t):
        return 0.04 * t + 0.0 * k


def padded(surface):
    """The same surface with an expiry that has no smile."""
    fields = (np.append(getattr(surface, name), np.nan) for name in ("theta", "psi", "rho"))
    return nt.ESSVI(np.append(T, 2.0), *fields)


def test_a_surface_is_a_table_of_its_smiles():
    frame = padded(FREE).to_frame()
    assert list(frame) == ["maturity", "theta", "psi", "rho", "atm_vol"]
    np.testing.assert_allclose(frame["atm_vol"], np.asarray(FREE.implied_vol(0.0, T)), rtol=1e-14)


def test_a_surface_is_shown_in_one_line():
    pair = nt.ESSVI(*(np.stack([np.asarray(getattr(s, n)) for s in (FREE, CROSSING)]) for n in FIELDS))
    record = SurfaceFit(
        status=np.array(0),
        loss=np.array(0.25),
        prior_loss=np.array(0.0),
        steps=np.array(3),
        gradient_norm=np.array(0.0),
        at_bound=np.zeros((3, 2), bool),
    )
    fitted = nt.ESSVI(*(getattr(FREE, n) for n in FIELDS), fit=record)
    assert repr(padded(FREE)) == "ESSVI(2 expiries, 0.25 to 1 years)" and repr(pair) == "ESSVI(2 surfaces)"
    assert repr(fitted) == "ESSVI(2 expiries, 0.25 to 1 years, converged, loss 0.25)"
    traced = []
    jax.eval_shape(lambda surface: traced.append(repr(surface)), fitted)
    assert "expiries=f64[2]" in traced[0]


def test_other_surfaces_and_smiles_are_tables_too():
    surface = nt.SSVI(T, theta=[0.012, 0.045], rho=-0.3, eta=1.0, gamma=0.4)
    frame = surface.to_frame()
    assert list(frame) == ["maturity", "theta", "psi", "rho", "atm_vol"]
    np.testing.assert_allclose(frame["atm_vol"], np.asarray(surface.implied_vol(0.0, T)), rtol=1e-12)
    smile = nt.SVI(a=0.01, b=0.1, rho=-0.3, m=0.02, sigma=0.15)
    assert smile.to_frame().to_dict("records") == [
        {"a": 0.01, "b": 0.1, "rho": -0.3, "m": 0.02, "sigma": 0.15}
    ]


def test_a_table_in_the_time_of_a_clock_has_calendar_years():
    # the clock stands still from 0.1 to 0.2 years, and beyond 2 years has its average speed of 0.95
    surface = nt.TimeChangedSurface(FREE, [0.0, 0.1, 0.2, 2.0], [0.0, 0.1, 0.1, 1.9])
    frame = surface.to_frame()
    np.testing.assert_allclose(frame["variance_time"], T)
    np.testing.assert_allclose(surface.variance_time(frame["maturity"].to_numpy()), T, rtol=1e-14)
    vols = np.asarray(surface.implied_vol(0.0, frame["maturity"].to_numpy()))
    np.testing.assert_allclose(frame["atm_vol"], vols, rtol=1e-12)
    late = nt.TimeChangedSurface(FREE, [0.0, 0.05], [0.0, 0.1]).to_frame()
    np.testing.assert_allclose(late["maturity"], T / 2.0)
    with pytest.raises(nt.ArgumentError, match="has no to_frame"):
        nt.TimeChangedSurface(Flat(), [0.0, 1.0], [0.0, 1.0]).to_frame()


@pytest.mark.parametrize("surface", [FREE, CROSSING, padded(CROSSING)], ids=["free", "crossing", "padded"])
def test_a_certificate_is_a_table_of_margins(surface):
    certificate = surface.certificate
    frame = certificate.to_frame()
    assert list(frame["maturity"]) == list(T)
    margins = frame[["butterfly", "calendar", "between"]].to_numpy(float)
    assert np.nanmin(margins) == float(certificate.margin)
    name, t, _ = certificate.worst()
    assert name in ("butterfly", "calendar", "between") and np.nanmin(frame[name]) == float(
        certificate.margin
    )
    assert name == "between" or t in T


def test_tables_of_a_mixture_name_the_component():
    pair = nt.ESSVI(*(np.stack([np.asarray(getattr(s, n)) for s in (FREE, CROSSING)]) for n in FIELDS))
    mixture = nt.ESSVIMixture(np.array([0.5, 0.5]), np.array([1.1, 0.9]), pair)
    frame: Any = mixture.to_frame()
    assert list(frame["component"]) == [0, 0, 1, 1] and list(frame["multiplier"]) == [1.1, 1.1, 0.9, 0.9]
    margins: Any = mixture.certificate.to_frame()
    assert margins["calendar"].min() == float(CROSSING.certificate.margin)
    assert mixture.certificate.worst() == CROSSING.certificate.worst()


def test_a_discrete_surface_is_a_table_of_its_weights():
    nodes = np.array([0.8, 1.0, 1.25])
    weights = np.array([[0.1, 0.825, 0.08], [0.2, 0.64, 0.16], [np.nan] * 3])
    surface = nt.SANOS(np.array([0.5, 1.0, 2.0]), nodes, weights, np.array([0.01, 0.02, np.nan]), 0.25)
    frame: Any = surface.to_frame()
    assert len(frame) == 6 and frame["weight"][2] == 0.08 and frame["maturity"][3] == 1.0
    margins: Any = surface.certificate.to_frame()
    assert margins["mass_error"][0] == pytest.approx(0.005) and np.isnan(margins["order"][0])
    assert margins["weight"].min() == 0.08


def test_tables_are_those_of_one_surface():
    batch = nt.ESSVI(*(np.stack([np.asarray(getattr(FREE, n))] * 2) for n in FIELDS))
    for one in (batch, batch.certificate):
        with pytest.raises(nt.ArgumentError, match="got a batch; select one"):
            one.to_frame()
