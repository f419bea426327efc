"""The reference options, measured: errors of every engine against values of 77-digit arithmetic.

Shared by `tests/test_accuracy.py` and `benchmarks/accuracy.py`.
"""

import functools
import itertools
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import neutral as nt

REFERENCE = Path(__file__).resolve().parent / "reference"
MODELS = {
    "heston": nt.Heston,
    "bates": nt.Bates,
    "svcj": nt.SVCJ,
    "merton": nt.Merton,
    "kou": nt.Kou,
    "vg": nt.VarianceGamma,
    "nig": nt.NIG,
    "double_heston": nt.DoubleHeston,
    "pw_heston": nt.PiecewiseHeston,
}
RENAMED = {"mu_j": "mu_y", "sigma_j": "sigma_y", "ell_y": "mu_y", "ell_v": "mu_v"}
TORTURE = {
    "heston": {"torture_rho99", "btc_torture", "tiny_v0", "small_kappa", "near_black"},
    "bates": {"torture"},
    "svcj": {"torture"},
}
ROWS, LANES = 3, 8  # groups and options priced in one call: one shape, so that each engine compiles once
FLOOR, DERIVATIVE_FLOOR = 1e-15, 1e-12  # what is kept is not below: there an error is rounding, by chance


class Group(NamedTuple):
    """The reference options of one model, parameter set and maturity."""

    model: str
    set: str
    t: float
    records: list[dict]

    @property
    def torture(self) -> bool:
        return self.set in TORTURE.get(self.model, ())

    @property
    def key(self) -> str:
        """Such as `lewis, 0.25`: names the group within its model."""
        return f"{self.set}, {self.t:.6g}"


class Measured(NamedTuple):
    """Errors of each record of a group, shape (records,), by engine name.

    Prices are in units of discount * max(F, K), of max(1, K/F) for coin; `relative` is nan but for
    out-of-the-money options worth more than 1e-12 F.
    """

    price: dict[str, np.ndarray]
    estimate: dict[str, np.ndarray]  # error estimates, for certify its bound; in the price's unit
    accurate: dict[str, Any]  # whether the status says so
    relative: np.ndarray
    gradient: np.ndarray
    gamma: np.ndarray


ENGINES = {"Certify": nt.Certify(), "Lewis(64)": nt.Lewis(64), "Lewis(128)": nt.Lewis(128)}
LIMIT = dict.fromkeys(["Contour", *ENGINES], 1e-8) | {"float32": 1e-6}  # more is not to be called accurate


def load(name: str) -> Any:
    return json.loads((REFERENCE / f"{name}.json").read_text())


def build(name: str, parameters: dict[str, Any]) -> Any:
    """The model with a record's parameters, by the package's names."""
    values: dict[str, Any] = {}
    for key, x in parameters.items():
        field, index = place(key)
        values[field] = x if index is None else (*values.get(field, ()), x)
    return MODELS[name](**values)


def place(key: str) -> tuple[str, int | None]:
    """The package's name of a record's parameter, and its piece where it has one: `kappa_2` is kappa[1]."""
    name, _, piece = key.rpartition("_")
    return (name, int(piece) - 1) if piece.isdigit() else (RENAMED.get(key, key), None)


def terms(rows: list[list[dict]]) -> dict[str, Any]:
    """Arguments of `neutral.price` for up to three rows of one parameter set, each of one maturity.

    Shape (3, 8): short rows repeat their last option, and the last row is repeated.
    """
    rows = [row + [row[-1]] * (LANES - len(row)) for row in rows]
    rows += [rows[-1]] * (ROWS - len(rows))

    def of_row(name: str) -> np.ndarray:
        return np.array([[float(row[0][name])] for row in rows])

    shared: dict[str, Any] = {
        "strike": np.array([[float(r["K"]) for r in row] for row in rows]),
        "maturity": of_row("T"),
        "kind": np.array([[r["type"] == "call" for r in row] for row in rows]),
    }
    if rows[0][0]["settlement"] == "inverse":
        return shared | {"forward": of_row("F"), "settlement": "coin"}
    return shared | {"spot": of_row("S"), "rate": of_row("r"), "dividend": of_row("q")}


@functools.cache
def groups(model: str) -> tuple[Group, ...]:
    """All groups of a model's file, in the file's order of sets, maturities ascending."""

    def place(record: dict) -> tuple:
        return order[record["set"]], record["settlement"], record["T"]

    records = load(model)
    order = {name: i for i, name in enumerate(dict.fromkeys(r["set"] for r in records))}
    grouped = itertools.groupby(sorted(records, key=place), key=place)
    members = (list(group) for _, group in grouped)
    return tuple(Group(model, rows[0]["set"], rows[0]["T"], rows) for rows in members)


@functools.cache
def measure(model: str) -> dict[str, Measured]:
    """Every group of a model, all engines, by `Group.key`; minutes where nothing is compiled yet."""
    found = {}
    for _, members in itertools.groupby(groups(model), key=lambda group: group.set):
        of_set = list(members)
        for i in range(0, len(of_set), ROWS):
            found |= _measure(of_set[i : i + ROWS])
    return found


def _measure(together: list[Group]) -> dict[str, Measured]:
    """Up to three maturities of one parameter set."""
    option = terms([group.records for group in together])
    model = build(together[0].model, together[0].records[0]["params"])
    found = nt.greeks(model, **option)
    infos = {name: nt.price_info(model, **option, engine=engine) for name, engine in ENGINES.items()}
    with jax.enable_x64(False):
        infos["float32"] = nt.price_info(model, **option, precision="float32")
    on_host = jax.tree.map(np.asarray, (found, infos))
    result = {}
    for i, group in enumerate(together):
        n = len(group.records)
        row = jax.tree.map(lambda x, i=i, n=n: x[i, :n], on_host)
        result[group.key] = _errors(group, option["kind"][i, :n], *row)
    return result


def _errors(group: Group, is_call: np.ndarray, found: nt.Greeks, infos: dict[str, Any]) -> Measured:
    """Of a group's results, each of shape (records,)."""
    coin = group.records[0]["settlement"] == "inverse"

    def column(name: str) -> np.ndarray:
        return np.array([float(r[name]) for r in group.records])

    strike, forward, discount, true = (column(name) for name in ("K", "F", "discount", "price"))
    unit = np.maximum(1.0, strike / forward) * (1.0 if coin else discount * forward)
    error = np.abs(found.price - true)
    price = {"Contour": error / unit}
    estimate, accurate = {}, {"Contour": found.status == nt.PriceStatus.accurate}
    for name, info in infos.items():
        price[name] = np.abs(info.price.astype(np.float64) - true) / unit
        estimate[name] = info.error_estimate / unit
        accurate[name] = info.status == nt.PriceStatus.accurate
    otm = np.where(strike >= forward, is_call, ~is_call)
    value = true if coin else true / (discount * forward)
    ours = found.parameters | {"F" if coin else "S": found.delta, "T": -found.theta}

    def slope(key: str) -> Any:
        name, piece = place(key)
        return ours[name] if piece is None else ours[name][..., piece]

    floor = 1e-6 * (1.0 if coin else forward)
    gradient = np.max(
        [
            scaled(
                slope(str(name)),
                np.array([r["gradient"][name] for r in group.records]),
                floor,
            )
            for name in group.records[0]["gradient"]
        ],
        axis=0,
    )
    gamma = scaled(found.gamma, column("gamma"), floor)
    relative = np.where(otm & (value > 1e-12), error / true, np.nan)
    return Measured(price, estimate, accurate, relative, gradient, gamma)


def scaled(found: Any, true: np.ndarray, floor: Any) -> np.ndarray:
    """|found - true| / max(|true|, floor)."""
    return np.abs(np.asarray(found) - true) / np.maximum(np.abs(true), floor)


def summary(measured: Measured) -> dict[str, float]:
    """The numbers kept of a group: its worst errors, rounded up to one digit."""
    worst = {f"price, {name}": np.max(x) for name, x in measured.price.items()}
    worst["bound, Certify"] = np.max(measured.estimate["Certify"])
    known = measured.relative[~np.isnan(measured.relative)]
    worst |= {"relative": np.max(known, initial=0.0), "gradient": np.max(measured.gradient)}
    worst["gamma"] = np.max(measured.gamma)
    floor = {name: DERIVATIVE_FLOOR for name in ("gradient", "gamma")}
    return {name: round_up(float(x), floor.get(name, FLOOR)) for name, x in worst.items()}


def round_up(x: float, floor: float) -> float:
    """To one significant digit, from `floor` up."""
    if not x > floor:
        return math.nan if math.isnan(x) else floor
    power = math.floor(math.log10(x))
    return float(f"{math.ceil(x / 10.0**power * (1 - 1e-12))}e{power}")
