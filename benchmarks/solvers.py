"""Do two local solvers end at one loss from one start, and does a global search find the best optimum known?

Prints its table and keeps it in results/solvers.json. Real surfaces are the snapshots under
`$NEUTRAL_DATA/deribit/run`, or those that ship with the package, all quotes, with the loss of the shipped
configuration. Run `python benchmarks/solvers.py`, or with `--quick` on a few of each.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cui import cui_problems

RESULTS = Path(__file__).parent / "results" / "solvers.json"
NOISE = 0.001  # of volatility, on the synthetic quotes
SAME, BEST = 1e-6, 1e-4  # relative distance of losses that are the same, of one that is the best known
FIRST = 2  # snapshots FIRST, FIRST + 5, ... are searched, Bitcoin and Ether in turn


def ends(recipe: Any, surfaces: Any, solver: Any, **options: Any) -> Any:
    """Fits of the surfaces by one solver."""
    import neutral as nt

    return nt.calibrate_batch(recipe, surfaces, solver=solver, **options)


def compared(recipe: Any, surfaces: Any, **options: Any) -> dict:
    """Losses of AdamLBFGS beside those of Levenberg-Marquardt from the same starts."""
    import neutral as nt

    began = time.process_time()
    least = ends(recipe, surfaces, nt.LevenbergMarquardt(), **options)
    middle = time.process_time()
    other = ends(recipe, surfaces, nt.AdamLBFGS(), **options)
    cost = [np.asarray(x.loss) + np.asarray(x.prior_loss) for x in (least, other)]
    gap = cost[1] / cost[0] - 1.0
    return {
        "problems": len(surfaces),
        "same": int(np.sum(np.abs(gap) <= SAME)),
        "lower": int(np.sum(gap < -SAME)),
        "higher": int(np.sum(gap > SAME)),
        "largest_gap": float(np.nanmax(gap)),
        "converged": [int(np.sum(x.converged)) for x in (least, other)],
        "mean_steps": [float(np.mean(x.steps)) for x in (least, other)],
        "cpu_s": [middle - began, time.process_time() - middle],
    }


def noisy_cui(count: int) -> dict:
    """The 40-option Heston problems with noise: a loss that no solver brings to zero."""
    import equinox as eqx

    import neutral as nt
    from neutral.options import black

    problems, _ = cui_problems(count)
    surface = problems.surface
    rng = np.random.default_rng(7)
    vega = np.asarray(black.vega(surface.k, surface.vol[:, 0] * np.sqrt(surface.t)[..., None]))
    moved = np.asarray(surface.prices) + NOISE * (vega * rng.standard_normal(vega.shape))[:, None]
    surface = eqx.tree_at(lambda s: s.prices, surface, np.where(surface.mask, moved, 0.0))
    return compared(nt.Heston, surface, loss=nt.Loss("vega"))


def snapshots(picks: slice, currencies: Callable[[int], tuple[str, ...]]) -> Any:
    """Real surfaces, a stack."""
    import neutral as nt
    from neutral import market

    folder = os.environ.get("NEUTRAL_DATA")
    files = market.list_snapshots(Path(folder) / "deribit" / "run" if folder else market.sample_folder())
    found = []
    for i, file in enumerate(files[picks]):
        found += [market.build_surface(market.load_deribit(file, name))[0] for name in currencies(i)]
    return nt.stack(found)


def both(_: int) -> tuple[str, ...]:
    return "BTC", "ETH"


def in_turn(i: int) -> tuple[str, ...]:
    return ("BTC", "ETH")[i % 2 :][:1]


def robust() -> Any:
    """The loss of the shipped configuration."""
    import neutral as nt

    return nt.Loss("spread", "soft_l1", 0.4)


def real(recipe: Any, surfaces: Any, finalists: int) -> dict:
    """Both solvers on real quotes, from the starts that the data give."""
    import neutral as nt

    return compared(recipe, surfaces, loss=robust(), search=nt.Search(finalists=finalists))


def searches() -> dict[str, Any]:
    """Ways to look for the optimum of SVCJ; the first are judged, the others help to know the best."""
    import neutral as nt

    quasi, evolved = nt.QuasiRandom, nt.DifferentialEvolution
    return {
        "data starts, 2 finalists (default)": nt.Search(),
        "data starts, 4 finalists": nt.Search(finalists=4),
        "QuasiRandom, 28 finalists": nt.Search(finalists=28, explore=quasi()),
        "DifferentialEvolution, 16 finalists": nt.Search(finalists=16, explore=evolved()),
        "QuasiRandom(keep=48), 52 finalists": nt.Search(
            finalists=52, explore=quasi(points=2048, keep=48, seed=1)
        ),
        "DifferentialEvolution(islands=24), 28 finalists": nt.Search(
            finalists=28, explore=evolved(islands=24, seed=1)
        ),
    }


def global_stage(surfaces: Any) -> dict:
    """How often each search of SVCJ finds the lowest loss that any of them finds."""
    import neutral as nt

    cost, steps, cpu = {}, {}, {}
    for name, search in searches().items():
        began = time.process_time()
        found = nt.calibrate_batch(nt.SVCJ, surfaces, loss=robust(), search=search)
        cpu[name] = (time.process_time() - began) / len(surfaces)
        cost[name], steps[name] = np.asarray(found.loss), float(np.mean(found.steps))
        print(f"  {name}: {cpu[name]:.2f} CPU-s a surface", flush=True)
    best = np.min(list(cost.values()), axis=0)
    return {
        name: {
            "found": int(np.sum(x <= best * (1.0 + BEST))),
            "of": len(surfaces),
            "worst_loss_over_best": float(np.max(x / best)),
            "mean_steps": steps[name],
            "cpu_s": cpu[name],
        }
        for name, x in cost.items()
    }


def machine() -> dict:
    """Processor, versions and date."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [x.split(":")[1].strip() for x in cpuinfo.read_text().splitlines() if "model name" in x]
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "numpy")},
    }


def main() -> None:
    """Run the table and keep it; a quick run keeps nothing."""
    parser = argparse.ArgumentParser(description="Local solvers side by side, and the global search.")
    parser.add_argument("--quick", action="store_true", help="a few problems of each kind; prints alone")
    quick = parser.parse_args().quick
    import neutral as nt

    nt.enable_x64()
    every = slice(None, 4) if quick else slice(None)
    some = slice(FIRST, 12, 5) if quick else slice(FIRST, None, 5)
    parts: dict[str, Callable[[], dict]] = {
        "Heston, 40 options with noise": lambda: noisy_cui(8 if quick else 100),
        "Heston, real": lambda: real(nt.Heston, snapshots(every, both), 1),
        "SVCJ, real, one finalist": lambda: real(nt.SVCJ, snapshots(some, in_turn), 1),
        "SVCJ, real, four finalists": lambda: real(nt.SVCJ, snapshots(some, in_turn), 4),
        "global search of SVCJ": lambda: global_stage(snapshots(some, in_turn)),
    }
    report = machine()
    for name, part in parts.items():
        report[name] = part()
        print(name, json.dumps(report[name], indent=1), flush=True)
    if not quick:
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
