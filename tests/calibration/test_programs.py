"""Compiled programs have an owner: once per shape, ahead of use, whatever becomes of JAX's caches."""

import threading

import jax
import numpy as np
import pytest
from synthetic import heston_surface
from traces import compilations

import neutral as nt
from neutral.calibration.batch import prepare_batch
from neutral.calibration.programs import Programs, solve_chunk
from neutral.numerics.compiled import Call

OPTIONS = {"engine": nt.Lewis(16), "chunk": 2}


@pytest.fixture(scope="module")
def surfaces():
    return nt.stack([heston_surface(noise=0.01, seed=seed) for seed in range(3)])


def test_a_program_prepared_ahead_is_the_one_that_runs(surfaces):
    programs = Programs()
    prepare_batch(nt.Black, surfaces, programs=programs, **OPTIONS)
    assert len(programs) == 1
    with compilations() as names:
        result = nt.calibrate_batch(nt.Black, surfaces, programs=programs, **OPTIONS)
    assert len(programs) == 1 and "solve_chunk" not in names
    assert np.all(result.converged)
    elsewhere = nt.calibrate_batch(nt.Black, surfaces, **OPTIONS)
    np.testing.assert_array_equal(result.coordinates, elsewhere.coordinates)


def test_threads_that_need_one_program_compile_it_once(surfaces, monkeypatch):
    programs, compiled, gate = Programs(), [], threading.Event()
    program = Call.program

    def slow(call, function):
        if function is solve_chunk:
            compiled.append(threading.current_thread())
            gate.wait(60)
        return program(call, function)

    monkeypatch.setattr(Call, "program", slow)
    results = []
    threads = [
        threading.Thread(
            target=lambda: results.append(
                nt.calibrate_batch(nt.Black, surfaces, programs=programs, **OPTIONS)
            )
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert len(compiled) == 1 and len(results) == 3
    np.testing.assert_array_equal(results[0].coordinates, results[2].coordinates)


@pytest.mark.heavy
def test_cleared_caches_leave_no_stale_mark(surfaces):
    programs = Programs()
    before = nt.calibrate_batch(nt.Black, surfaces, programs=programs, **OPTIONS)
    jax.clear_caches()
    kept = nt.calibrate_batch(nt.Black, surfaces, programs=programs, **OPTIONS)
    programs.clear()
    assert len(programs) == 0
    anew = nt.calibrate_batch(nt.Black, surfaces, programs=programs, **OPTIONS)
    assert len(programs) == 1
    np.testing.assert_array_equal(before.coordinates, kept.coordinates)
    np.testing.assert_array_equal(before.coordinates, anew.coordinates)


def test_a_program_that_does_not_compile_is_tried_again(surfaces, monkeypatch):
    programs = Programs()

    def broken(call, function):
        raise MemoryError("no memory to compile in")

    with monkeypatch.context() as patch:
        patch.setattr(Call, "program", broken)
        with pytest.raises(MemoryError, match="no memory to compile in"):
            nt.calibrate_batch(nt.Black, surfaces, programs=programs, **OPTIONS)
    assert len(programs) == 0
    assert np.all(nt.calibrate_batch(nt.Black, surfaces, programs=programs, **OPTIONS).converged)


def test_the_number_of_programs_is_limited(surfaces, monkeypatch):
    programs, compiled = Programs(most=2), []
    program = Call.program

    def noted(call, function):
        if function is not solve_chunk:
            return program(call, function)
        compiled.append(call.key)
        return _Nothing()

    monkeypatch.setattr(Call, "program", noted)
    for size in (1, 2, 3, 1):
        prepare_batch(nt.Black, surfaces, programs=programs, engine=nt.Lewis(16), chunk=size)
        assert len(programs) <= 2
    assert len(compiled) == 4 and compiled[0] == compiled[3]  # the first one was dropped


class _Nothing:
    """A program that takes no time to compile."""

    def lower(self, numbers):
        return self

    def compile(self):
        return self

    def __call__(self, numbers):
        raise AssertionError("nothing was compiled")
