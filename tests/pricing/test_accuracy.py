"""What the package says of its accuracy, measured on every reference option."""

import numpy as np
import pytest
import records
from references import load_reference
from registry import log_cf, strip_and_cumulants

import neutral as nt

MODELS = list(records.MODELS)
SLOW = ["svcj", "merton", "bates", "kou", "vg", "nig", "double_heston", "pw_heston"]
# without a diffusion the integrand decays slowly on Lewis' straight line; its status says so
PURE_JUMPS = ["vg", "nig"]
KEPT = load_reference("accuracy")


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in MODELS])
def model(request):
    return request.param


@pytest.fixture
def measured(model):
    return records.measure(model)


def over_groups(measured, field):
    """A field of all groups with the key of each value, to name what fails."""
    values = np.concatenate([field(x) for x in measured.values()])
    return values, [key for key, x in measured.items() for _ in field(x)]


def assert_below(measured, field, limit):
    values, keys = over_groups(measured, field)
    bad = [(key, x) for key, x in zip(keys, values, strict=True) if not (np.isnan(x) or x <= limit)]
    assert not bad


# One worker measures a model once for all its tests.
pytestmark = [pytest.mark.xdist_group("accuracy"), pytest.mark.heavy]


def test_certify_is_exact_and_its_bound_holds(measured):
    error, keys = over_groups(measured, lambda x: x.price["Certify"])
    bound, _ = over_groups(measured, lambda x: x.estimate["Certify"])
    assert not [(key, e) for key, e in zip(keys, error, strict=True) if not e <= 1e-12]
    assert not [(key, e, b) for key, e, b in zip(keys, error, bound, strict=True) if not e <= b]
    assert np.median(bound) <= 1e-11


def test_default_prices_are_exact_and_called_accurate(measured):
    error, keys = over_groups(measured, lambda x: x.price["Contour"])
    assert not [(key, e) for key, e in zip(keys, error, strict=True) if not e <= 1e-10]
    assert np.all(over_groups(measured, lambda x: x.accurate["Contour"])[0])


def test_default_keeps_eight_digits_far_out_of_the_money(measured):
    assert_below(measured, lambda x: x.relative, 1e-8)


def test_derivatives_are_exact(measured):
    gradient, keys = over_groups(measured, lambda x: x.gradient)
    gamma, _ = over_groups(measured, lambda x: x.gamma)
    assert not [row for row in zip(keys, gradient, gamma, strict=True) if not max(row[1:]) <= 1e-8]


@pytest.mark.parametrize("engine", ["Lewis(64)", "Lewis(128)", "float32"])
def test_an_inaccurate_price_is_called_inaccurate(measured, engine):
    limit = records.LIMIT[engine]
    error, keys = over_groups(measured, lambda x: x.price[engine])
    accurate, _ = over_groups(measured, lambda x: x.accurate[engine])
    assert not [(key, e) for key, e, ok in zip(keys, error, accurate, strict=True) if ok and not e <= limit]


@pytest.mark.parametrize(("engine", "share"), [("Lewis(64)", 0.90), ("Lewis(128)", 0.98)])
def test_lewis_is_exact_on_ordinary_options(engine, share):
    ordinary = [
        records.measure(model)[group.key].price[engine]
        for model in MODELS
        if model not in SLOW + PURE_JUMPS
        for group in records.groups(model)
        if not group.torture
    ]
    assert np.mean(np.concatenate(ordinary) <= 1e-8) >= share


def test_no_error_grew_tenfold(model, measured):
    """Each row of docs/accuracy.md; `python benchmarks/accuracy.py` measures it again."""
    assert measured.keys() == KEPT[model].keys()
    grown = [
        (key, name, x, KEPT[model][key][name])
        for key, group in measured.items()
        for name, x in records.summary(group).items()
        # where nothing was measured then (float32 in the worst corners), nothing is held
        if KEPT[model][key][name] == KEPT[model][key][name] and not x <= 10.0 * KEPT[model][key][name]
    ]
    assert not grown


def gathered(name, keys):
    """Records of a reference file of our models, by equal values of `keys`."""
    found: dict[str, list[dict]] = {}
    for record in load_reference(name):
        if record["model"] in MODELS:
            found.setdefault(repr([record[key] for key in ("model", *keys)]), []).append(record)
    return list(found.values())


def test_characteristic_functions():
    """1e-13 of max(1, |log phi|): rounding of inputs and a few operations; modulo 2 pi i, as phi is."""
    bad = []
    for rows in gathered("char_function", ["params", "T"]):
        z, true = (np.array([complex(*row[name]) for row in rows]) for name in ("z", "ln_phi"))
        model = records.build(rows[0]["model"], rows[0]["params"])
        gap = log_cf(model, z, rows[0]["T"]) - true
        turns = np.round(np.imag(gap) / (2 * np.pi))
        error = np.abs(gap - 2j * np.pi * turns) / np.maximum(1.0, np.abs(true))
        bad += [
            (rows[i]["model"], rows[i].get("set"), rows[i]["T"], rows[i]["z"], e)
            for i, e in enumerate(error)
            if not e <= 1e-13
        ]
    assert not bad


def test_strips_and_cumulants():
    """Ends of the strip to bisection's accuracy; cumulants to that of log_cf on a circle.

    The n-th cumulant comes from a sum of size about c2^(n/2): below 1e-12 of that it is rounding.
    """
    bad = []
    for (record,) in gathered("strip_cumulants", ["params", "T"]):
        model = records.build(record["model"], record["params"])
        strip, cumulants = (np.stack(x)[:, 0] for x in strip_and_cumulants(model, np.full(3, record["T"])))
        for name, found in zip(("moment_min", "moment_max"), strip, strict=True):
            true = record[name]
            # the tables stop at 1e5
            fine = abs(found) > 1e5 if true is None else abs(found / true - 1) <= 1e-12
            if not fine:
                bad.append((record["model"], record["set"], record["T"], name, float(found), true))
        c2 = record["cumulants"][1]
        for n, (found, true) in enumerate(zip(cumulants, record["cumulants"], strict=True), 1):
            error = abs(float(found) - true) / max(abs(true), 1e-3 * c2 ** (n / 2))
            if not error <= (1e-9 if n < 4 else 1e-6):
                bad.append((record["model"], record["set"], record["T"], f"c{n}", float(found), true))
    assert not bad


@pytest.mark.parametrize(
    "price", [nt.price, lambda *x, **y: nt.certify(*x, **y).price], ids=["price", "certify"]
)
def test_published_values(price):
    """Values of the literature to their printed digits; tests/reference/README.md tells the misprints."""
    seen = 0
    for record in load_reference("published"):
        if record["model"] not in MODELS:
            continue
        model, option = records.build(record["model"], record["params"]), records.terms([[record]])
        found = float(price(model, **option)[0, 0])
        assert found == pytest.approx(record["price"], abs=1e-10 * record["S"]), record["source"]
        if record["published_rounds_to_price"] is False:
            continue
        half_a_digit = 0.5 * 10.0 ** -len(record["published"].partition(".")[2])
        assert abs(found - float(record["published"])) <= half_a_digit + 1e-10 * record["S"], record["source"]
        seen += 1
    assert seen >= 20


def test_calibration_problem_of_cui():
    """The 40 options of Cui, del Bano Rollin and Germano (2017): prices and gradients."""
    grid = load_reference("heston_cui2017_grid")
    market = {"S": grid["S"], "r": grid["r"], "q": grid["q"], "settlement": grid["settlement"]}
    expiries: dict[float, list[dict]] = {}
    for option in grid["options"]:
        expiries.setdefault(option["T"], []).append(option | market)
    rows, model = list(expiries.values()), records.build("heston", grid["true_params"])
    assert {len(row) for row in rows} == {5} and len(rows) == 8
    for i in range(0, 8, records.ROWS):
        options = rows[i : i + records.ROWS]
        found = nt.greeks(model, **records.terms(options))

        given = slice(len(options)), slice(5)  # the rest is padding
        true = np.array([[x["price"] for x in row] for row in options])
        assert np.max(np.abs(np.asarray(found.price)[given] - true)) <= 1e-10
        for name, slope in found.parameters.items():
            true = np.array([[x["gradient"][name] for x in row] for row in options])
            assert np.max(records.scaled(np.asarray(slope)[given], true, 1e-6)) <= 1e-8, name
