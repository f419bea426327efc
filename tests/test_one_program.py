"""One program serves all numbers of one shape: the public functions, over every model, engine and surface."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from registry import ENGINES, MODELS, SURFACES
from synthetic import heston_surface
from traces import compilations

import neutral as nt
from neutral.numerics import compiled as module
from neutral.options import american

POINTS = [  # pairs of arguments of at most eight numbers, in every form
    (0.0, 0.25),
    (-0.1, 0.5),
    (0, 1),
    (np.float64(0.1), 2),
    ([0.0, 0.1, 0.2], 0.7),
    (0.05, np.linspace(0.1, 3.0, 7)),
    (jnp.asarray(0.05), jnp.asarray([0.4])),
    (pd.Series([0.1, -0.2]), 0.3),
    (np.zeros((2, 1)), [0.1, 0.2, 0.3]),
]
SURFACE_FUNCTIONS = {
    **{
        name: lambda surface, k, t, name=name: getattr(surface, name)(k, t)
        for name in ("total_variance", "implied_vol", "price", "density", "local_variance")
    },
    "variance_swap": lambda surface, k, t: nt.variance_swap(surface, t),
    "strike_at_delta": lambda surface, k, t: nt.strike_at_delta(surface, 0.5 + np.asarray(k), t),
    "premium_adjusted": lambda surface, k, t: nt.strike_at_delta(surface, 0.3, t, premium_adjusted=True),
}
MODEL_FUNCTIONS = {
    "price": lambda model, k, t, engine: nt.price(model, 100.0, 100 + 50 * np.asarray(k), t, engine=engine),
    "coin": lambda model, k, t, engine: nt.price_info(
        model, 100, 100 + 50 * np.asarray(k), t, "put", 0.9, "coin", engine=engine
    ),
    "greeks": lambda model, k, t, engine: nt.greeks(
        model, spot=100.0, strike=100 + 50 * np.asarray(k), maturity=t, rate=0.03, engine=engine
    ),
}
DEFAULT_ENGINE_FUNCTIONS = {
    "certify": lambda model, k, t: nt.certify(model, 100.0, 100 + 50 * np.asarray(k), t),
    "digital": lambda model, k, t: nt.digital(model, 100.0, 100 + 50 * np.asarray(k), t, "put"),
    "density": lambda model, k, t: nt.density(model, 100, 100 + 50 * np.asarray(k), t),
}
OPTION_FUNCTIONS = {
    "implied_vol": lambda k, t: nt.implied_vol(9.0, 100.0, 100 + 50 * np.asarray(k), t),
    "implied_vol_info": lambda k, t: nt.implied_vol_info(9.0, 100.0, 100 + 50 * np.asarray(k), t, "put"),
    "implied_normal_vol": lambda k, t: nt.implied_normal_vol(9.0, 100.0, 100 + 50 * np.asarray(k), t),
    "american": lambda k, t: american.price(100.0, 100 + 50 * np.asarray(k), t, 0.2, 0.05),
    "american greeks": lambda k, t: american.greeks(100.0, 100 + 50 * np.asarray(k), t, 0.2, 0.05),
    "american implied_vol": lambda k, t: american.implied_vol(
        9.0, 100.0, 100 + 50 * np.asarray(k), t, 0.05, kind="put"
    ),
    "svi": lambda k, t: nt.SVI(0.01, 0.1, -0.3, 0.02, 0.2).total_variance(k),
}


class Asked(Exception):
    """A program is needed; it is identified in place of being compiled."""


@pytest.fixture
def needed(monkeypatch):
    """`needed(function, *args)` identifies the program that a call needs, and compiles nothing."""

    def refuse(call, function):
        def ask(numbers):
            raise Asked(function, call.key)

        return ask

    monkeypatch.setattr(module, "PROGRAMS", module.Recent(1000))
    monkeypatch.setattr(module.Call, "program", refuse)

    def program(function, *args):
        with pytest.raises(Asked) as asked:
            function(*args)
        return asked.value.args

    return program


def moved(tree):
    return jax.tree.map(lambda x: 1.01 * x, tree)


@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.parametrize("function", SURFACE_FUNCTIONS)
def test_a_surface_needs_one_program(needed, name, function):
    surface = SURFACES[name]()
    programs = {needed(SURFACE_FUNCTIONS[function], surface, k, t) for k, t in POINTS}
    programs.add(needed(SURFACE_FUNCTIONS[function], moved(surface), 0.0, 0.25))
    assert len(programs) == 1


@pytest.mark.parametrize("name", MODELS)
def test_a_model_needs_one_program_per_engine_and_function(needed, name):
    model = MODELS[name]()
    programs = set()
    for engine in ENGINES.values():
        for function in MODEL_FUNCTIONS.values():
            programs |= {needed(function, model, k, t, engine()) for k, t in POINTS}
            programs.add(needed(function, moved(model), 0.0, 0.25, engine()))
    assert len(programs) == 2 * len(ENGINES)  # both settlements share one
    programs = set()
    for function in DEFAULT_ENGINE_FUNCTIONS.values():
        programs |= {needed(function, model, k, t) for k, t in POINTS}
    assert len(programs) == len(DEFAULT_ENGINE_FUNCTIONS)


@pytest.mark.parametrize("name", OPTION_FUNCTIONS)
def test_an_option_formula_needs_one_program(needed, name):
    assert len({needed(OPTION_FUNCTIONS[name], k, t) for k, t in POINTS}) == 1


def test_a_simulation_needs_one_program(needed, key):
    scheme = SURFACES["ssvi"]().local_volatility()
    other = moved(SURFACES["ssvi"]()).local_volatility()
    calls = [(scheme, 0.0, 0.5), (scheme, 0, 1), (other, [0.1, 0.2], 0.25)]
    programs = {needed(lambda *x: nt.monte_carlo(*x, key, paths=64, chunk=32), *call) for call in calls}
    assert len(programs) == 1


def test_a_calibration_needs_one_program(needed):
    surface = heston_surface()
    programs = {
        needed(
            lambda strength: nt.calibrate(
                nt.Heston,
                surface,
                prior=[nt.Tikhonov(strength), nt.FellerPenalty(strength)],
                fixed={"kappa": 1.0 + strength},
                bounds={"v0": (0.001, strength)},
            ),
            strength,
        )
        for strength in (0.1, 0.25, 1)
    }
    assert len(programs) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SURFACES, *MODELS])
def test_other_numbers_compile_nothing(name):
    """The same over the compiler itself, with nothing replaced."""
    if name in SURFACES:
        subject = SURFACES[name]()
        calls = [(function, ()) for function in SURFACE_FUNCTIONS.values()]
    else:
        subject = MODELS[name]()
        calls = [
            (function, (engine(),)) for engine in ENGINES.values() for function in MODEL_FUNCTIONS.values()
        ]
        calls += [(function, ()) for function in DEFAULT_ENGINE_FUNCTIONS.values()]
    other = moved(subject)
    for function, engine in calls:
        jax.block_until_ready(function(subject, *POINTS[0], *engine))
        with compilations() as names:
            for k, t in POINTS[1:]:
                jax.block_until_ready(function(other, k, t, *engine))
        assert names == []
