"""Every model, engine and surface that the contract tests run over: a new one adds one line."""

import equinox as eqx
import jax
import numpy as np
import pytest

from neutral.models import (
    NIG,
    SVCJ,
    Bates,
    Black,
    DoubleHeston,
    Heston,
    Kou,
    Merton,
    PiecewiseHeston,
    Shifted,
    VarianceGamma,
)
from neutral.pricing import COS, AbstractGridEngine, CarrMadan, Contour, Lewis
from neutral.surfaces import ESSVI, SANOS, SSVI, ESSVIMixture, TimeChangedSurface

MODELS = {
    "black": Black.typical,
    "merton": Merton.typical,
    "heston": Heston.typical,
    "bates": Bates.typical,
    "svcj": SVCJ.typical,
    "kou": Kou.typical,
    # a clock so regular that the density has no pole at the maturities below: differences converge
    "vg": lambda: VarianceGamma(0.2, -0.15, 0.02),
    "nig": NIG.typical,
    "double_heston": DoubleHeston.typical,
    "pw_heston": PiecewiseHeston.typical,
    "svcj++": lambda: Shifted(SVCJ.typical(), np.array([0.1, 0.5]), np.array([0.001, 0.002])),
}
ENGINES = {
    "contour": Contour,
    "lewis": lambda: Lewis(128),
    "carr-madan": lambda: CarrMadan(alpha=-0.5),  # the damping that every model admits
    "cos": lambda: COS(512),
}
GRID_ENGINES = {name: make for name, make in ENGINES.items() if isinstance(make(), AbstractGridEngine)}
_EXPIRIES = [0.25, 1.0]
SURFACES = {
    "essvi": lambda: ESSVI(_EXPIRIES, theta=[0.01, 0.045], psi=[0.08, 0.16], rho=[-0.5, -0.4]),
    "ssvi": lambda: SSVI(_EXPIRIES, theta=[0.01, 0.045], rho=-0.4, eta=1.2, gamma=0.4),
    "mixture": lambda: ESSVIMixture(
        weights=[0.6, 0.4],
        multipliers=[1.1, 0.85],
        components=jax.tree.map(
            lambda *x: np.stack([np.asarray(y, float) for y in x]),
            *[
                ESSVI(_EXPIRIES, theta=[level, 4.0 * level], psi=[0.08, 0.16], rho=[-0.5, -0.4])
                for level in (0.01, 0.02)
            ],
        ),
    ),
    "sanos": lambda: SANOS(
        _EXPIRIES,
        nodes=[0.8, 1.0, 1.2],
        weights=[[0.1, 0.8, 0.1], [0.2, 0.6, 0.2]],
        variance=[0.005, 0.02],
        width=0.5,
    ),
    "time_changed": lambda: TimeChangedSurface(
        SURFACES["ssvi"](), times=[0.0, 0.5, 2.0], variance_times=[0.0, 0.45, 2.0]
    ),
}
# models with hand-written parameter derivatives; automatic differentiation is their oracle
HAND_DIFFERENTIATED = ("heston", "bates", "svcj", "double_heston", "pw_heston")
# one worker runs all tests of a model, and compiles its programs once
GROUPED = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in MODELS]

# Options come as 3 maturities by 7 or 8 strikes wherever the shape is free: one shape, compiled once.
MATURITIES, FREQUENCIES = 3, 16


def log_cf(model, z, t):
    """The model's log_cf in the shape of z and t broadcast, 16 points at a time."""
    z, t = np.broadcast_arrays(np.asarray(z, complex), np.asarray(t, float))
    rest = (0, -z.size % FREQUENCIES)
    points = (np.pad(x.ravel(), rest, mode="edge").reshape(-1, FREQUENCIES) for x in (z, t))
    pieces = [np.asarray(_log_cf(model, *piece)) for piece in zip(*points, strict=True)]
    return np.concatenate(pieces)[: z.size].reshape(z.shape)


@eqx.filter_jit
def _log_cf(model, z, t):
    return model.log_cf(z, t)


def strip_and_cumulants(model, t):
    """The strip, shape (2, 3), and four cumulants, shape (4, 3), at three maturities."""
    assert np.shape(t) == (MATURITIES,)
    return jax.tree.map(np.asarray, _strip_and_cumulants(model, np.asarray(t)))


@eqx.filter_jit
def _strip_and_cumulants(model, t):
    return model.strip(t), model.cumulants(t)
