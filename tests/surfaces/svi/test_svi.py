"""Raw SVI: `surfaces/svi/svi.py`."""

import numpy as np
import pytest
from references import load_reference

import neutral as nt
from neutral.surfaces import SVI
from neutral.surfaces.svi.svi import JumpWings

RECORDS = load_reference("svi")
SMILES = [record for record in load_reference("essvi")["slices"] if record["lee_wing_ok"]]


def smile(record):
    return nt.SVI(*(record[name] for name in ("a", "b", "rho", "m", "sigma")))


@pytest.fixture(params=RECORDS, ids=[record["tag"] for record in RECORDS])
def record(request):
    return request.param


def test_values_and_derivatives(record):
    points = {name: np.array([p[name] for p in record["points"]]) for name in ("k", "w", "dw", "d2w", "g")}
    for got, name in zip(smile(record).derivatives(points["k"]), ("w", "dw", "d2w"), strict=True):
        np.testing.assert_allclose(got, points[name], rtol=1e-13)
    np.testing.assert_allclose(smile(record).durrleman(points["k"]), points["g"], rtol=1e-13, atol=1e-15)


def test_jump_wings_and_back(record):
    wings, truth = smile(record).jump_wings(1.0), record["jump_wings_T1"]
    np.testing.assert_allclose(wings, [truth[n] for n in ("v", "psi", "p", "c", "vtilde")], rtol=1e-14)
    again = nt.SVI.from_jump_wings(wings, 1.0)
    for name in ("a", "b", "rho", "m", "sigma"):
        assert getattr(again, name) == pytest.approx(record[name], rel=1e-10, abs=1e-12)


def test_butterfly_truth(record):
    least, where = smile(record).butterfly()
    assert (least >= 0.0) == record["butterfly_free_dense"]
    # a scan can only find a larger minimum
    assert least <= record["min_g_dense"] + 1e-12
    if record["tag"].startswith("Vogt"):
        assert where == pytest.approx(record["argmin_k"], abs=1e-3)


def test_butterfly_truth_of_essvi_smiles_on_both_sides_of_the_bound():
    assert SMILES
    for record in SMILES:
        theta, psi, rho = record["theta"], record["psi"], record["rho"]
        bend = np.sqrt(1.0 - rho**2)
        raw = nt.SVI(0.5 * theta * bend**2, 0.5 * psi, rho, -rho * theta / psi, bend * theta / psi)
        least, where = raw.butterfly()
        assert (least >= 0.0) == record["butterfly_free"], record["tag"]
        # of nearly equal minima on both wings a scan may name the other
        if record["tag"].startswith("just") and rho != 0.0:
            assert where == pytest.approx(record["argmin_k_dense"], rel=1e-3), record["tag"]


def test_vogts_smile_is_repaired():
    vogt = smile(RECORDS[0])
    repaired = vogt.repaired(1.0)
    assert 0.0 <= repaired.butterfly()[0] < 1e-9  # on the boundary, no further than needed
    before, after = vogt.jump_wings(1.0), repaired.jump_wings(1.0)
    np.testing.assert_allclose(after[:3], before[:3], rtol=1e-12)
    assert after.c < before.c
    clean = smile(RECORDS[1])
    assert clean.repaired(1.0) is clean


def test_what_cannot_be_says_so():
    with pytest.raises(nt.ArgumentError, match="jump wings"):
        nt.SVI.from_jump_wings(JumpWings(0.04, 0.9, 0.5, 0.5, 0.03), 1.0)
    with pytest.raises(nt.ArgumentError, match="too steep"):
        smile(RECORDS[2]).repaired(1.0)
    assert nt.SVI(-0.5, 0.1, 0.0, 0.0, 0.2).butterfly()[0] == -np.inf


@pytest.mark.parametrize(
    "change",
    [
        {"v": -0.04},
        {"v": np.nan},
        {"p": 0.0, "c": 0.0},
        {"p": np.inf},
        {"v_min": 0.04},  # the minimum at the money, where psi is 0
        {"psi": 1e-9},  # the same to rounding
        {"psi": 0.5},
    ],
)
def test_jump_wings_that_no_smile_has_or_that_do_not_determine_one_are_refused(change):
    ordinary = JumpWings(v=0.04, psi=-0.1, p=0.5, c=0.5, v_min=0.03)
    assert SVI.from_jump_wings(ordinary, 0.5).jump_wings(0.5) == pytest.approx(ordinary, rel=1e-12)
    with pytest.raises(nt.ArgumentError, match="jump wings"):
        SVI.from_jump_wings(ordinary._replace(**change), 0.5)
