"""Draws learned_prior.png of docs/learned_prior.md from benchmarks/results/learned_prior.json."""

import json
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

HERE = Path(__file__).parent
LOOKS = {
    "last fit": ("0.6", ":"),
    "robust loss": ("C3", "-"),
    "equal pull": ("C1", "--"),
    "level pull": ("C0", "-"),
    "network": ("C2", "-"),
}


def main() -> None:
    """Errors by number of fresh quotes, and those of each test snapshot at 16."""
    answers = json.loads((HERE.parents[1] / "benchmarks" / "results" / "learned_prior.json").read_text())
    test = answers["test"]
    counts = [int(count) for count in test]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for name, (colour, style) in LOOKS.items():
        errors = [test[str(count)][name]["error"] for count in counts]
        left.plot(counts, errors, color=colour, linestyle=style, marker="o", label=name)
        if name in ("robust loss", "level pull", "network"):
            series = np.array(test["16"][name]["errors"])
            right.plot(np.arange(1, series.size + 1), series, color=colour, label=name)
    left.set(xlabel="fresh quotes", xscale="log", ylabel="mean error of unseen quotes, 0.001 coin")
    left.set_xticks(counts, [str(count) for count in counts])
    left.minorticks_off()
    left.legend()
    right.set(xlabel="test snapshot", ylabel="error with 16 fresh quotes, 0.001 coin")
    right.legend()
    figure.savefig(HERE / "learned_prior.png", dpi=110)


if __name__ == "__main__":
    main()
