"""No price that is called accurate is wrong, and few are refused: parameters far beyond any market's.

The small version is part of every run. `make slow` prices four options under each of 20,000 parameter sets
per model, and judges every price by `certify`.
"""

import equinox as eqx
import jax
import numpy as np
import pytest

import neutral as nt
from neutral.pricing import PriceStatus

SETS = 20_000  # parameter sets per model
BATCH = 500  # sets in one call
STRIKES = 4
LIMIT = 1e-9  # error, in units of F min(1, K/F), that no accurate price may exceed
ROUNDING = 1e-15  # of forward 1: a price in double precision has no more digits
RANGES = {  # logarithmic unless the lower end is negative; a tenth of the draws lies on an end that is legal
    "v0": (1e-4, 2.0), "kappa": (1e-3, 50.0), "theta": (1e-4, 2.0), "sigma_v": (1e-3, 10.0),
    "rho": (-1.0, 1.0), "v0_1": (1e-4, 1.0), "v0_2": (1e-4, 1.0), "sigma": (3e-3, 2.0), "lam": (1e-3, 30.0),
    "mu_y": (-2.0, 1.0), "sigma_y": (1e-3, 0.6), "mu_v": (1e-3, 2.0), "rho_j": (-2.0, 2.0),
    "t": (1 / 8760, 30.0),
}  # fmt: skip
ZERO = ("v0", "theta", "sigma_v", "lam", "sigma_y", "mu_v")  # their limit 0 is legal
KINDS = {"heston": nt.Heston, "bates": nt.Bates, "svcj": nt.SVCJ, "merton": nt.Merton}


def draw(rng, kind, sets):
    """Random models with a leading axis, maturities (sets,), and strikes up to 8 standard deviations away."""

    def one(name):
        low, high = RANGES[name]
        corner = rng.random(sets)
        if low < 0:
            x = rng.uniform(low, high, sets)
            return np.where(corner < 0.05, low, np.where(corner < 0.1, high, x)) if name == "rho" else x
        x = np.exp(rng.uniform(np.log(low), np.log(high), sets))
        return np.where(corner < 0.1, 0.0, x) if name in ZERO else x

    names = [name for name in RANGES if hasattr(kind.typical(), name)]
    values = {name: one(name) for name in names}
    if "rho_j" in values:  # the forward needs mu_v rho_j < 1
        values["rho_j"] = np.minimum(values["rho_j"], 0.9 / np.maximum(values["mu_v"], 1e-3))
    model = eqx.tree_at(
        lambda m: [getattr(m, name) for name in names], kind.typical(), [values[name] for name in names]
    )
    t = one("t")
    stdev = np.sqrt(np.asarray(jax.jit(jax.vmap(lambda m, t: m.total_variance(t)))(model, t)))
    k = np.minimum(stdev, 4.0)[:, None] * rng.uniform(-8.0, 8.0, (sets, STRIKES))
    k[:, 0] = stdev * rng.uniform(-1.0, 1.0, sets)
    return model, t, k


@eqx.filter_jit
def priced(model, t, k):
    """Prices, and certified ones, of out-of-the-money options."""

    def one(row):
        model, t, k = row
        option = {"forward": 1.0, "strike": jax.numpy.exp(k), "maturity": t, "kind": k >= 0}
        return nt.price_info(model, **option), nt.certify(model, **option)

    return jax.lax.map(one, (model, t, k))


def counts(kind, sets, seed):
    """The share refused, examples of wrong prices, and the share whose truth `certify` bounds well enough."""
    rng = np.random.default_rng(seed)
    accurate, judged, wrong = [], [], []
    for _ in range(-(-sets // BATCH)):
        model, t, k = draw(rng, kind, min(BATCH, sets))
        info, certified = jax.tree.map(np.asarray, priced(model, t, k))
        unit = np.minimum(1.0, np.exp(k))
        told = info.status == PriceStatus.accurate
        beyond = np.abs(info.price - certified.price) - certified.error_bound
        off = told & ((beyond > LIMIT * unit) | (beyond > 3.0 * info.error_estimate + ROUNDING * unit))
        off |= told & (info.price < -info.error_estimate)
        accurate.append(told)
        judged.append(certified.error_bound <= LIMIT * unit)
        for i, j in zip(*np.nonzero(off), strict=True):
            single = jax.tree.map(lambda x, i=i: float(x[i]), model)
            wrong.append((single, t[i], k[i, j], info.price[i, j], info.error_estimate[i, j], beyond[i, j]))
    return 1.0 - np.mean(accurate), wrong, np.mean(judged)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_no_accurate_price_is_wrong_and_few_are_refused(name):
    refused, wrong, judged = counts(KINDS[name], SETS, seed=20261130)
    assert not wrong
    assert refused <= 0.01
    assert judged >= 0.98
