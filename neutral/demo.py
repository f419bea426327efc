"""The demonstration: a real smile, one Heston model fitted to it, both in one picture."""

import csv
import dataclasses
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

import neutral as nt

from .parameters import domains

SAMPLE = Path(__file__).parent / "samples" / "deribit_btc_20260115.csv"
EXPIRIES = ("2026-01-30", "2026-02-27", "2026-03-27", "2026-06-26")
MAX_RELATIVE_SPREAD = 0.5
GRADIENT_TOLERANCE = 1e-6
EXACT = 1e-12  # root mean square of weighted residuals
MAX_STEPS = 100


@dataclasses.dataclass(frozen=True)
class Smiles:
    """Out-of-the-money quotes of a few expiries; arrays have one entry per quote, by expiry and strike."""

    time: datetime
    names: list[str]
    forwards: list[float]
    expiry: np.ndarray  # position in names
    k: np.ndarray
    t: np.ndarray
    bid_vol: np.ndarray
    ask_vol: np.ndarray

    @property
    def mid_vol(self) -> np.ndarray:
        """Middle of bid and ask volatility."""
        return 0.5 * (self.bid_vol + self.ask_vol)


@dataclasses.dataclass(frozen=True)
class Fit:
    """A fitted model, its volatilities at the quotes, and how the search ended."""

    model: nt.Heston
    vol: np.ndarray
    steps: int
    converged: bool


def run(out: Path) -> str:
    """Fit Heston to the shipped snapshot and write `smile.png`.

    Args:
        out: Folder for the picture, made if it is not there.

    Returns:
        The report to print: parameters, a line per expiry, the path of the picture.
    """
    smiles = read_smiles()
    fit = fit_heston(smiles)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "smile.png"
    days = [365 * smiles.t[smiles.expiry == i][0] for i in range(len(smiles.names))]
    figure = nt.plot.smile(
        fit.model,
        k=smiles.k,
        t=smiles.t,
        bid_vol=smiles.bid_vol,
        ask_vol=smiles.ask_vol,
        labels=[f"{name}  ({day:.0f} days)" for name, day in zip(smiles.names, days, strict=True)],
        title=f"Bitcoin options on Deribit, {smiles.time:%d %B %Y %H:%M} UTC, and one Heston model",
    )
    figure.savefig(path, dpi=150)
    return f"{report(smiles, fit)}\n\nPicture: {path}"


def read_smiles(path: Path = SAMPLE, expiries: tuple[str, ...] = EXPIRIES) -> Smiles:
    """Read a Deribit snapshot; invert the coin-settled bids and asks that are out of the money."""
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            rows[row["expiry_datetime"][:10]].append(row)
    time = datetime.fromisoformat(rows[expiries[0]][0]["timestamp"])

    forwards = [float(np.median([float(row["futures_price"]) for row in rows[name]])) for name in expiries]
    quotes = []  # expiry, forward, strike, t, is_call, bid, ask
    for i, (name, forward) in enumerate(zip(expiries, forwards, strict=True)):
        for row in sorted(rows[name], key=lambda row: float(row["strike"])):
            strike, bid, ask = (float(row[field] or "nan") for field in ("strike", "bid_price", "ask_price"))
            is_call = row["option_type"] == "call"
            liquid = 0 < bid <= ask and ask - bid <= MAX_RELATIVE_SPREAD * 0.5 * (bid + ask)
            if liquid and is_call == (strike >= forward):
                quotes.append((i, forward, strike, float(row["time_to_maturity"]), is_call, bid, ask))
    expiry, forward, strike, t, is_call, bid, ask = map(np.array, zip(*quotes, strict=True))
    bid_vol, ask_vol = (
        np.asarray(nt.implied_vol(x, forward, strike, t, kind=is_call, settlement="coin")) for x in (bid, ask)
    )
    return Smiles(time, list(expiries), forwards, expiry, np.log(strike / forward), t, bid_vol, ask_vol)


def fit_heston(smiles: Smiles) -> Fit:
    """Least squares of model minus mid volatility, in spreads, over all quotes together."""
    maps = domains(nt.Heston)
    is_call = smiles.k >= 0
    strike = np.exp(smiles.k)
    weight = jnp.asarray(1 / np.maximum(smiles.ask_vol - smiles.bid_vol, 0.005))

    def model_at(z: jax.Array) -> nt.Heston:
        return nt.Heston(**{name: maps[name].from_unconstrained(x) for name, x in zip(maps, z, strict=True)})

    def residuals(z: jax.Array) -> jax.Array:
        prices = nt.price(model_at(z), 1.0, strike, smiles.t, kind=is_call)
        return weight * (nt.implied_vol(prices, 1.0, strike, smiles.t, kind=is_call) - smiles.mid_vol)

    atm = _atm(smiles, smiles.mid_vol)
    start = {"v0": atm[0] ** 2, "kappa": 2.0, "theta": atm[-1] ** 2, "sigma_v": 1.0, "rho": -0.2}
    found = levenberg_marquardt(
        residuals, [maps[name].to_unconstrained(jnp.asarray(x)) for name, x in start.items()]
    )
    vol = smiles.mid_vol + found.residuals / np.asarray(weight)
    return Fit(model_at(jnp.asarray(found.z)), vol, found.steps, found.converged)


class Minimum(NamedTuple):
    """Where the search ended: the point, its residuals, the steps taken, whether the gradient is zero."""

    z: np.ndarray
    residuals: np.ndarray
    steps: int
    converged: bool


def levenberg_marquardt(residuals: Callable[[jax.Array], jax.Array], z: ArrayLike) -> Minimum:
    """Minimise the sum of squares of `residuals` from the point z.

    Converged: the residuals are all but zero, or no column of the Jacobian makes a cosine above
    `GRADIENT_TOLERANCE` with them.
    """

    def twice(z: jax.Array) -> tuple[jax.Array, jax.Array]:
        r = residuals(z)
        return r, r

    evaluate = jax.jit(jax.jacfwd(twice, has_aux=True))
    z, damping = np.asarray(z, float), 1e-3
    jac, r = map(np.asarray, evaluate(z))
    for step in range(MAX_STEPS):
        gradient, lengths = jac.T @ r, np.linalg.norm(jac, axis=0)
        exact = np.sqrt(np.mean(r**2)) <= EXACT
        if exact or np.max(np.abs(gradient) / lengths) <= GRADIENT_TOLERANCE * np.linalg.norm(r):
            return Minimum(z, r, step, True)
        trial = z - np.linalg.solve(jac.T @ jac + damping * np.diag(lengths**2), gradient)
        jac_trial, r_trial = map(np.asarray, evaluate(trial))
        if r_trial @ r_trial < r @ r:  # false for nan
            z, jac, r, damping = trial, jac_trial, r_trial, damping / 5
        else:
            damping *= 5
    return Minimum(z, r, MAX_STEPS, False)


def report(smiles: Smiles, fit: Fit) -> str:
    """A table of the fit, for people."""
    error = np.abs(fit.vol - smiles.mid_vol)
    inside = (fit.vol >= smiles.bid_vol) & (fit.vol <= smiles.ask_vol)
    atm_market, atm_model = _atm(smiles, smiles.mid_vol), _atm(smiles, fit.vol)
    parameters = "  ".join(f"{name} = {float(getattr(fit.model, name)):.4f}" for name in domains(nt.Heston))
    outcome = f"converged in {fit.steps} steps" if fit.converged else f"NOT converged after {fit.steps} steps"
    lines = [
        f"{len(smiles.k)} out-of-the-money Bitcoin options on Deribit, {smiles.time:%Y-%m-%d %H:%M} UTC.",
        f"One Heston model, least squares on mid volatilities in bid-ask spreads: {outcome}.",
        f"  {parameters}",
        "",
        "expiry       forward USD  options  ATM vol %: market  Heston  mean |error| %  inside bid-ask",
    ]
    for i, name in enumerate(smiles.names):
        here = smiles.expiry == i
        lines.append(
            f"{name}  {smiles.forwards[i]:12,.2f}  {here.sum():7d}  {100 * atm_market[i]:17.2f}"
            f"  {100 * atm_model[i]:6.2f}  {100 * error[here].mean():14.2f}  {inside[here].mean():14.0%}"
        )
    return "\n".join(lines)


def _atm(smiles: Smiles, vol: np.ndarray) -> list[float]:
    """Volatility at k = 0 of each expiry, between the two nearest quotes."""
    here = [smiles.expiry == i for i in range(len(smiles.names))]
    return [float(np.interp(0.0, smiles.k[one], vol[one])) for one in here]
