"""The figures of the learned prior on 200 real snapshots are those that are committed."""

import importlib.util
import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


RESULTS = BENCHMARKS / "results" / "learned_prior.json"
PAGE = BENCHMARKS.parent / "docs" / "learned_prior.md"


def test_the_page_has_the_committed_figures():
    test = json.loads(RESULTS.read_text())["test"]
    text = PAGE.read_text()
    for name in test["16"]:
        row = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
        for table in test.values():
            assert f"| {table[name]['error']:.3f} |" in row
            gain = table[name]["gain"]
            assert gain is None or f"{gain['mean']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})" in row


@pytest.mark.slow
def test_the_committed_figures_come_out_again(market_data):
    spec = importlib.util.spec_from_file_location("learned_prior", BENCHMARKS / "learned_prior.py")
    assert spec is not None and spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    committed = json.loads(RESULTS.read_text())
    found = benchmark.run(market_data / "deribit" / "run")
    assert found["training_snapshots"] >= 150 and found["test_snapshots"] >= 40
    for count, table in committed["test"].items():
        for name, row in table.items():
            # a fit ends within its tolerance of the best; on another processor the network may have another
            # number of epochs; those on offer differ by 0.4 % on the validation blocks
            tolerance = 0.02 if name == "network" else 0.005
            assert found["test"][count][name]["error"] == pytest.approx(row["error"], rel=tolerance), name
