"""The default engine's second rule is compiled only for a model with jumps, and with the first."""

import jax
import numpy as np
import pytest

import neutral as nt


def evaluations(model):
    """How often the characteristic function, or its parts, are part of the program of a price."""
    calls = []
    kind = type(model)

    class Counted(kind):
        def log_cf(self, z, t):
            calls.append("log_cf")
            return super().log_cf(z, t)

        def jumps(self, z, t):
            parts = super().jumps(z, t)
            calls.extend([] if parts is None else ["jumps"])
            return parts

    counted = Counted(**{name: getattr(model, name) for name in nt.models.parameters.domains(kind)})
    jax.make_jaxpr(lambda k: nt.Contour().otm(counted, k, np.array([0.5])))(np.zeros((1, 3)))
    return calls


@pytest.mark.parametrize("model", [nt.Black(0.2), nt.VarianceGamma.typical()], ids=["black", "vg"])
def test_without_jumps_there_is_no_second_rule(model):
    """Once each for the saddle point, the decay and the rule."""
    assert evaluations(model) == ["log_cf"] * 3
    assert nt.Contour().plan(model, np.zeros((1, 3)), np.array([0.5])).counts is None


def test_both_rules_share_one_evaluation():
    """The first evaluation of the jumps only asks whether there are any, and is not compiled."""
    assert sorted(evaluations(nt.Merton.typical())) == ["jumps", "jumps", "jumps", "log_cf"]
