"""What does trust in a fit cost, in fits? And what do the stages of the pipeline take?

Prints its answers and keeps them in results/diagnostics.json. In fits of the same model to the same quotes,
from the data: a diagnosis, a vega ladder of four prices, and what bumping every quote would take (two refits
each); cross-validation of three models with five folds, in batch fits of the slowest of the three. The
pipeline on the shipped index chain, warm, stage by stage. Run `python benchmarks/diagnostics.py`.
"""

import datetime
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

import neutral as nt
from neutral.market import Split, build_surface, list_snapshots, load_deribit
from neutral.shipped import sample_folder
from neutral.workflow.pipeline.config import load_pipeline_config
from neutral.workflow.pipeline.run import pipeline_files, run_pipeline

RESULTS = Path(__file__).parent / "results" / "diagnostics.json"
MODELS: dict[str, Any] = {"black": nt.Black, "heston": nt.Heston, "bates": nt.Bates}
FOLDS, REPEATS = 5, 9


def clocked(run: Callable[[], Any]) -> float:
    """Least processor seconds of some runs, after one that compiles."""
    jax.block_until_ready(jax.tree.leaves(run()))
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        jax.block_until_ready(jax.tree.leaves(run()))
        seconds.append(time.process_time() - start)
    return min(seconds)


def trust(surface: Any) -> dict[str, Any]:
    """Costs on one Deribit snapshot, by model."""
    found = {}
    for name, recipe in {"heston": nt.Heston, "svcj": nt.SVCJ}.items():
        result = nt.calibrate(recipe, surface)
        fit = clocked(lambda recipe=recipe: nt.calibrate(recipe, surface))
        ladder = clocked(lambda result=result: nt.sensitivities(result, surface, four_prices).prices)
        found[name] = {
            "fit_seconds": fit,
            "diagnosis_in_fits": clocked(lambda r=result: nt.diagnose(r, surface).fit.at.y) / fit,
            "ladder_in_fits": ladder / fit,
            "bumps_over_ladder": 2.0 * float(surface.mask.sum()) * fit / ladder,
        }
    return found


def four_prices(model: Any) -> Any:
    return nt.price(model, 1.0, [0.9, 1.0, 1.1, 1.2], 0.25)


def folds(surface: Any) -> dict[str, float]:
    """Three models with five folds each, in batch fits of as many surfaces as folds."""
    many = nt.stack([surface] * FOLDS)
    fits = {name: clocked(lambda r=r: nt.calibrate_batch(r, many, chunk=FOLDS)) for name, r in MODELS.items()}
    every = clocked(lambda: nt.cross_validate(MODELS, surface, folds=FOLDS).errors())
    return {
        "seconds": every,
        "in_fits_of_the_slowest": every / max(fits.values()),
        "in_mean_fits": every / (sum(fits.values()) / len(fits)),
    }


def stages() -> dict[str, Any]:
    """Wall seconds of the last day of the shipped chain, warm, stage by stage, the least of some runs."""
    config = load_pipeline_config("heston_index")
    best: dict[str, float] = {}
    for _ in range(REPEATS + 1):
        with tempfile.TemporaryDirectory() as folder:
            run = run_pipeline(pipeline_files([], config), folder, config).runs[-1]
        seconds = {stage.name: stage.seconds for stage in run.stages}
        best = {name: min(x, best.get(name, x)) for name, x in seconds.items()}
    return {
        "quotes": run.record["n_options"],
        "refused": run.record["n_rejected"],
        "iv_rmse_bp": 1e4 * run.record["iv_rmse"],
        "stages": best,
        "total": sum(best.values()),
    }


def main() -> None:
    """Measure, print and keep."""
    nt.enable_x64()
    quotes = load_deribit(list_snapshots(sample_folder())[0], currency="BTC")
    surface, _ = build_surface(quotes, split=Split(seed=178))
    answers = {"trust": trust(surface), "cross_validation": folds(surface), "pipeline": stages()}
    machine = {"date": f"{datetime.date.today()}", "machine": platform.machine(), "jax": jax.__version__}
    print(json.dumps(answers, indent=1))
    RESULTS.write_text(json.dumps(answers | {"run": machine}, indent=1) + "\n")


if __name__ == "__main__":
    main()
