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
MODELS = {"heston": nt.Heston, "bates": nt.Bates, "svcj": nt.SVCJ, "merton": nt.Merton}
RENAMED = {"mu_j": "mu_y", "sigma_j": "sigma_y", "ell_y": "mu_y", "ell_v": "mu_v"}
TORTURE = {
    "heston": {"torture_rho99", "btc_torture", "tiny_v0", "small_kappa", "near_black"},
    "bates": {"torture"},
    "svcj": {"torture"},
    "merton": set(),
}
LANES = 8  # options priced in one call: one shape for all groups, so that each engine compiles once
FLOOR, DERIVATIVE_FLOOR = 1e-15, 1e-12  # what is kept is not below: there an error is rounding, by chance


class Group(NamedTuple):
    """The reference options of one model, parameter set and maturity."""

    model: str
    set: str
    t: float
    records: list[dict]

    @property
    def torture(self) -> bool:
        return self.set in TORTURE[self.model]

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
    accurate: dict[str, np.ndarray]  # whether the status says so
    relative: np.ndarray
    gradient: np.ndarray
    gamma: np.ndarray


ENGINES = {"Certify": nt.Certify(), "Lewis(64)": nt.Lewis(64), "Lewis(128)": nt.Lewis(128)}
LIMIT = dict.fromkeys(["Contour", *ENGINES], 1e-8) | {"float32": 1e-6}  # more is not to be called accurate


def load(name: str) -> Any:
    return json.loads((REFERENCE / f"{name}.json").read_text())


def build(name: str, parameters: dict[str, Any]) -> Any:
    """The model with a record's parameters, by the package's names."""
    return MODELS[name](**{RENAMED.get(key, key): float(x) for key, x in parameters.items()})


def terms(records: list[dict]) -> dict[str, Any]:
    """Arguments of `neutral.price` for options of one parameter set and maturity."""
    first = records[0]
    shared: dict[str, Any] = {
        "strike": np.array([float(r["K"]) for r in records]),
        "maturity": float(first["T"]),
        "kind": np.array([r["type"] == "call" for r in records]),
    }
    if first["settlement"] == "inverse":
        return shared | {"forward": first["F"], "settlement": "coin"}
    return shared | {"spot": float(first["S"]), "rate": float(first["r"]), "dividend": float(first["q"])}


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
    return {group.key: _measure(group) for group in groups(model)}


def _measure(group: Group) -> Measured:
    n = len(group.records)
    records = group.records + [group.records[-1]] * (LANES - n)
    option, model = terms(records), build(group.model, records[0]["params"])
    coin = group.records[0]["settlement"] == "inverse"

    def column(name: str) -> np.ndarray:
        return np.array([float(r[name]) for r in group.records])

    strike, forward, discount, true = (column(name) for name in ("K", "F", "discount", "price"))
    unit = np.maximum(1.0, strike / forward) * (1.0 if coin else discount * forward)
    found = nt.greeks(model, **option)
    price = {"Contour": np.abs(np.asarray(found.price)[:n] - true) / unit}
    estimate, accurate = {}, {"Contour": np.asarray(found.status)[:n] == nt.PriceStatus.accurate}
    infos = {name: nt.price_info(model, **option, engine=engine) for name, engine in ENGINES.items()}
    with jax.enable_x64(False):
        infos["float32"] = nt.price_info(model, **option, precision="float32")
    for name, info in infos.items():
        price[name] = np.abs(np.asarray(info.price, np.float64)[:n] - true) / unit
        estimate[name] = np.asarray(info.error_estimate)[:n] / unit
        accurate[name] = np.asarray(info.status)[:n] == nt.PriceStatus.accurate
    otm = np.where(strike >= forward, option["kind"][:n], ~option["kind"][:n])
    value = true if coin else true / (discount * forward)
    error = np.abs(np.asarray(found.price)[:n] - true)
    ours = found.parameters | {"F" if coin else "S": found.delta, "T": -found.theta}
    ours = {name: np.asarray(x)[:n] for name, x in ours.items()}
    floor = 1e-6 * (1.0 if coin else forward)
    gradient = np.max(
        [
            scaled(
                ours[RENAMED.get(str(name), str(name))],
                np.array([r["gradient"][name] for r in group.records]),
                floor,
            )
            for name in group.records[0]["gradient"]
        ],
        axis=0,
    )
    gamma = scaled(np.asarray(found.gamma)[:n], column("gamma"), floor)
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
