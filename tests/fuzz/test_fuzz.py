"""Damaged files of every kind raise only the package's own errors, which name the file and the remedy."""

import collections
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from fuzz.inputs import Outcome, make_input, outcome_of
from fuzz.supervisor import Job, run_inputs
from fuzz.targets import Target, all_targets
from fuzz.toy_targets import WORDS, toy_targets

SEED = 20240304
INPUTS = 1500
CHOICE = st.integers(0, 999)  # of one of a few, by the remainder
EXAMPLES = 500  # by Hypothesis, which makes a fault small


def listed(outcomes: list[Outcome]) -> str:
    """The faults, each once, with the number that repeats it."""
    faults = [outcome for outcome in outcomes if outcome.is_fault]
    counts = collections.Counter(f"{fault.kind}: {fault.key}" for fault in faults)
    first = {f"{fault.kind}: {fault.key}": fault for fault in reversed(faults)}
    return "\n".join(
        f"{count} x {key} (make fuzz SEED={SEED} ONLY={first[key].number}): {first[key].detail[:300]}"
        for key, count in counts.items()
    )


@pytest.mark.slow
def test_damaged_files_are_read_or_refused():
    outcomes = run_inputs(Job(SEED), range(INPUTS))
    assert len(outcomes) == INPUTS
    assert not any(outcome.is_fault for outcome in outcomes), listed(outcomes)


@pytest.fixture(scope="module")
def targets(tmp_path_factory) -> tuple[Target, ...]:
    return all_targets(tmp_path_factory.mktemp("whole"))


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(
    target=CHOICE,
    file=CHOICE,
    mutations=st.lists(st.tuples(CHOICE, st.integers(0, 1 << 30)), min_size=1, max_size=3),
)
def test_a_damaged_file_is_read_or_refused(targets, target, file, mutations):
    target = targets[target % len(targets)]
    name, content = target.seeds[file % len(target.seeds)]
    for mutation, seed in mutations:
        content = target.mutations[mutation % len(target.mutations)](content, random.Random(seed))
    note(content[:2000].decode(errors="replace"))
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        outcome = outcome_of(target, name, content, random.Random(0), 0, Path(folder) / "input")
    assert not outcome.is_fault, f"{outcome.kind}: {outcome.key}: {outcome.detail}"


def test_an_input_follows_from_its_seed_and_number(tmp_path):
    targets = toy_targets(tmp_path)
    made = [make_input(targets, 7, number)[:3] for number in range(20)]
    assert [make_input(targets, 7, number)[:3] for number in range(20)] == made
    assert [make_input(targets, 8, number)[:3] for number in range(20)] != made


@pytest.mark.slow
def test_hangs_explosions_and_crashes_are_found_and_the_rest_goes_on():
    job = Job(10, toy_targets, begins_whole=False, seconds=3.0, memory=1 << 30)
    numbers = range(16)
    outcomes = run_inputs(job, numbers)
    expected = {
        "read": "read",
        "refuse": "refused",
        "escape": "escape",
        "silent": "message",
        "warn": "warning",
        "hang": "hang",
        "explode": "memory",
        "crash": "crash",
    }
    targets = toy_targets(Path())
    words = [make_input(targets, job.seed, number)[0].name for number in numbers]
    assert {word.decode() for word in WORDS} >= set(words) >= {"hang", "explode", "crash", "escape"}
    found = {outcome.number: outcome.kind for outcome in outcomes}
    assert found == {number: expected[word] for number, word in zip(numbers, words, strict=True)}
