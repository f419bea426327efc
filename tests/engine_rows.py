"""The options of the FFT and cosine engines, measured: one row each, against prices of the judge.

Shared by `tests/test_engine_rows.py` and `benchmarks/engines.py`, which keeps them in
`tests/reference/engines.json`.
"""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from records import FLOOR, load, round_up

import neutral as nt

SETS = {  # Heston: v0, kappa, theta, sigma_v, rho
    "calm": (0.02, 2.0, 0.03, 0.3, -0.5),
    "equity": (0.03, 2.5, 0.045, 0.9, -0.72),
    "crypto": (0.5, 3.0, 0.6, 1.5, -0.2),
    "torture": (0.04, 0.5, 0.04, 1.0, -0.9),  # Andersen (2008), case I: Feller ratio 0.04
}
T = np.array([1 / 24, 1, 7, 30, 91, 365, 1095, 3650]) / 365
DEVIATIONS = np.linspace(-4.0, 3.0, 15)
OPTIONS: dict[str, nt.CarrMadan | nt.COS] = {
    "CarrMadan()": nt.CarrMadan(),
    "CarrMadan(512)": nt.CarrMadan(512),
    "CarrMadan(4096)": nt.CarrMadan(4096),
    "CarrMadan(alpha=4)": nt.CarrMadan(alpha=4.0),
    "CarrMadan(alpha=-0.5)": nt.CarrMadan(alpha=-0.5),
    "CarrMadan(alpha=-2)": nt.CarrMadan(alpha=-2.0),
    "CarrMadan(interpolation='cubic')": nt.CarrMadan(interpolation="cubic"),
    "CarrMadan(interpolation='linear')": nt.CarrMadan(interpolation="linear"),
    "CarrMadan(weights='simpson')": nt.CarrMadan(weights="simpson"),
    "CarrMadan(fractional=True)": nt.CarrMadan(fractional=True),
    "CarrMadan(control=False)": nt.CarrMadan(control=False),
    "CarrMadan(4096, eta=0.1)": nt.CarrMadan(4096, eta=0.1),
    "CarrMadan.classic()": nt.CarrMadan.classic(),
    "COS(128)": nt.COS(128),
    "COS(256)": nt.COS(256),
    "COS()": nt.COS(),
    "COS(tail=1e-12)": nt.COS(tail=1e-12),
    "COS(512, range='cumulants')": nt.COS(512, range="cumulants"),
    "COS(512, range='cumulants', L=14)": nt.COS(512, range="cumulants", L=14.0),
    "COS(512, range=(-2, 2))": nt.COS(512, range=(-2.0, 2.0)),
}


class Measured(NamedTuple):
    """Of one engine; shape (sets, maturities, strikes). Errors in units of max(F, K), nan where refused."""

    error: np.ndarray
    estimate: np.ndarray
    status: np.ndarray


@functools.cache
def problem() -> tuple[Any, np.ndarray]:
    """All sets as one model with a leading axis, and out-of-the-money strikes (F = 1)."""
    model = jax.tree.map(lambda *x: np.stack(x), *(nt.Heston(*p) for p in SETS.values()))
    stdev = np.sqrt(
        np.stack([np.asarray(nt.Heston(*p).total_variance(jnp.asarray(T))) for p in SETS.values()])
    )
    return model, np.exp(np.clip(stdev[..., None] * DEVIATIONS, -6.0, 6.0))


@functools.cache
def true_prices() -> np.ndarray:
    """The judge's, kept in the reference file."""
    return np.array(load("engines")["true"])


def measure(engine: Any, true: np.ndarray) -> Measured:
    """All sets in one call, mapped over; once more for each number of terms that the engine finds to need."""
    model, strike = problem()
    chosen = [engine] * len(SETS)
    if isinstance(engine, nt.COS):
        chosen = [engine.prepare(nt.Heston(*p), T) for p in SETS.values()]
    infos = {e: jax.tree.map(np.asarray, _price(model, strike, e)) for e in dict.fromkeys(chosen)}
    price, status, estimate = (
        np.stack([getattr(infos[e], name)[i] for i, e in enumerate(chosen)])
        for name in ("price", "status", "error_estimate")
    )
    unit = np.maximum(1.0, strike)
    return Measured(np.abs(price - true) / unit, estimate / unit, status)


@eqx.filter_jit
def _price(model: Any, strike: Any, engine: Any) -> Any:
    def surface(model: Any, strike: Any) -> Any:
        return nt.price_info(model, 1.0, strike, T[:, None], strike >= 1.0, engine=engine)

    return jax.vmap(surface)(model, strike)


def summary(measured: Measured) -> dict[str, dict[str, list[float | None]]]:
    """What is kept: by set, for each maturity, the worst error and the share of prices called accurate."""
    rows = {}
    for i, name in enumerate(SETS):
        errors = [float(np.max(x[~np.isnan(x)], initial=-1.0)) for x in measured.error[i]]
        told = [round(float(np.mean(x == nt.PriceStatus.accurate)), 3) for x in measured.status[i]]
        rows[name] = {"error": [None if x < 0 else round_up(x, FLOOR) for x in errors], "accurate": told}
    return rows
