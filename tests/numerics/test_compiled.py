"""`compiled`: one program for all numbers of one shape, and a limited number of programs in memory."""

import threading

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from traces import compilations

from neutral.numerics import compiled as module
from neutral.numerics.compiled import Recent, compiled, compiling, observed, programs_of


class Line(eqx.Module):
    slope: object
    names: tuple[str, ...] = eqx.field(static=True, default=())

    @compiled
    def at(self, x, squared=False):
        return self.slope * (x**2 if squared else x)


@compiled
def shifted(x, shift, *, sign=1):
    return x + sign * shift


def live_programs():
    return len(jax.devices()[0].client.live_executables())


def test_plain_numbers_are_inputs_and_settings_belong_to_the_program():
    line = Line(2.0)
    assert line.at(3.0) == 6.0 and line.at(3.0, squared=True) == 18.0
    with compilations() as names:
        assert Line(5.0).at(4.0) == 20.0
        assert Line(np.float64(5.0)).at(np.asarray(4.0)) == 20.0
        assert line.at(x=3.0, squared=True) == 18.0
        assert line.at(4.0, True) == 32.0
    assert names == []
    with compilations() as names:
        line.at(np.zeros(2))
        Line(2.0, ("slope",)).at(3.0)
    assert names == ["at", "at"]


def test_equal_settings_of_another_type_have_another_program():
    assert shifted(1.0, 2.0, sign=1).dtype == shifted(1.0, 2.0, sign=True).dtype
    assert programs_of(shifted) == 2


def test_it_works_under_every_transformation():
    slope = jax.grad(lambda x: Line(x).at(3.0, squared=True))(2.0)
    assert slope == 9.0
    np.testing.assert_array_equal(jax.vmap(lambda x: shifted(x, 1.0))(jnp.arange(3.0)), [1.0, 2.0, 3.0])
    assert jax.jit(lambda x: shifted(x, 1.0))(2.0) == 3.0


def test_a_setting_that_cannot_be_hashed_is_an_error():
    with pytest.raises(TypeError, match="unhashable"):
        shifted(1.0, 2.0, sign={1, 2})


def test_the_number_of_programs_in_memory_is_limited(monkeypatch):
    monkeypatch.setattr(module, "PROGRAMS", Recent(3))
    numbers = [np.zeros(n) for n in range(1, 9)]
    before = live_programs()
    for x in numbers:
        shifted(x, x)
    assert len(module.PROGRAMS) == programs_of(shifted) == 3
    assert live_programs() - before <= 3
    with compilations() as names:
        for x in numbers[-3:]:
            shifted(x, x)
    assert names == []
    with compilations() as names:
        shifted(numbers[0], numbers[0])
    assert names == ["shifted"]


def test_what_was_used_last_stays():
    recent = Recent(2)
    for key in "abac":
        recent.get(key, lambda key=key: key.upper())
    assert recent.keys() == ["a", "c"]
    assert recent.get("a", lambda: "new") == ("A", False)
    recent.drop("a")
    assert recent.get("a", lambda: "new") == ("new", True)
    recent.clear()
    assert len(recent) == 0


def test_threads_share_a_program():
    results = []
    threads = [threading.Thread(target=lambda: results.append(Line(2.0).at(np.ones(5)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and all(np.array_equal(x, 2.0 * np.ones(5)) for x in results)


def test_observers_learn_what_is_compiled():
    seen = []

    class Watch:
        def __init__(self, what):
            seen.append(what)

        def __enter__(self):
            seen.append("begin")

        def __exit__(self, *_):
            seen.append("end")

    with observed(Watch), compiling("Heston"):
        assert seen == ["Heston", "begin"]
    with compiling("Bates"):
        pass
    assert seen == ["Heston", "begin", "end"]
