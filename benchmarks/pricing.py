"""What does a surface of 10 maturities x 50 strikes cost beside QuantLib's Heston engines, at what error?

24 November 2026, AMD EPYC, two cores, CPU time, jax 0.10.2, QuantLib 1.44 from Python: the calibration
engine with 56 nodes 0.15 ms a surface (0.03 ms in a batch of 64), error 1.3e-10, with the full Jacobian
0.23 ms, on a grid laid before, once for a calibration; AnalyticHestonEngine at its default 17 ms, error
4e-11: 117 (500) times as much; ExponentialFittingHestonEngine 8 ms. In one public call
`neutral.price(engine=Lewis(64))` 1.1 ms; `neutral.price` as it stands, every option on its own line to
1e-16, 20 ms.

Run `python benchmarks/pricing.py`, or with `--device gpu` where there is one.
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
from typing import Any, NamedTuple

import numpy as np

RESULTS = Path(__file__).parent / "results" / "pricing.json"
ROUNDS, BATCH = 7, 64
NODES, LENGTH = (
    56,
    3.0,
)  # fewest nodes, in steps of 8, with an error of 1e-9 on every set; they reach 40/stdev
DAYS = np.array([7, 14, 30, 60, 91, 182, 273, 365, 730, 1095])
SETS = {  # v0, kappa, theta, sigma_v, rho
    "calm": (0.02, 2.0, 0.03, 0.3, -0.5),
    "SPX-like": (0.03, 2.5, 0.045, 0.9, -0.72),
    "Feller ratio 0.19": (0.04, 1.5, 0.04, 0.8, -0.7),
    "vol-of-vol 2": (0.06, 5.0, 0.08, 2.0, -0.6),
    "crypto": (0.5, 3.0, 0.6, 1.5, -0.2),
}


class Surface(NamedTuple):
    """One parameter set, its terms (strikes to 3 standard deviations) and its true prices, F = 1."""

    model: Any
    t: np.ndarray  # (10,)
    stdev: np.ndarray  # (10,)
    k: np.ndarray  # (10, 50)
    true: np.ndarray  # (10, 50), out of the money


class Row(NamedTuple):
    """A way to price: `prepare(surface)` is not timed, `run(prepared)` is and returns the prices."""

    prepare: Callable[[Any], Any]
    run: Callable[[Any], Any]
    calls: int  # between two readings of the clock
    surfaces: int = 1


def surface(parameters: tuple[float, ...]) -> Surface:
    """The options of one set, priced by the judge."""
    import jax.numpy as jnp

    import neutral as nt

    model, t = nt.Heston(*parameters), DAYS / 365
    stdev = np.sqrt(np.asarray(model.total_variance(jnp.asarray(t))))
    k = stdev[:, None] * np.linspace(-3, 3, 50)
    true = nt.certify(model, 1.0, np.exp(k), t[:, None], k >= 0)
    assert np.max(true.error_bound) < 1e-13
    return Surface(model, t, stdev, k, np.asarray(true.price))


def ours() -> dict[str, Row]:
    """Our rows. Jitted functions take the grid as an argument: nothing is folded into a constant."""
    import jax

    import neutral as nt

    lewis = nt.Lewis(NODES)
    prices, jacobian = jax.jit(lewis.prices), jax.jit(lewis.prices_and_jacobian)

    def grid(s: Surface) -> tuple:
        length = np.full_like(s.stdev, LENGTH)
        return jax.device_put((s.model, jax.jit(lewis.grid)(s.k, s.t, s.stdev, length)))

    def stack(all_surfaces: list[Surface]) -> tuple:
        repeated = [all_surfaces[i % len(all_surfaces)] for i in range(BATCH)]
        model = jax.tree.map(lambda *x: np.stack(x), *(s.model for s in repeated))
        return grid(Surface(model, *(np.stack(x) for x in list(zip(*repeated, strict=True))[1:])))

    def public(engine: Any) -> Row:
        return Row(
            lambda s: (s.model, 1.0, np.exp(s.k), s.t[:, None], s.k >= 0),
            lambda x: nt.price(*x, engine=engine),
            5,
        )

    return {
        f"Lewis({NODES}), prepared grid": Row(grid, lambda x: prices(*x), 50),
        f"Lewis({NODES}), prepared grid, with Jacobian": Row(grid, lambda x: jacobian(*x)[0], 50),
        f"Lewis({NODES}), prepared grid, 64 surfaces": Row(stack, lambda x: prices(*x), 2, BATCH),
        f"Lewis({NODES}), prepared grid, 64 surfaces, with Jacobian": Row(
            stack, lambda x: jacobian(*x)[0], 1, BATCH
        ),
        "neutral.price(engine=Lewis(64))": public(nt.Lewis(64)),
        "neutral.price": public(None),
    }


def quantlib() -> dict[str, Row]:
    """QuantLib's rows: a loop in Python over options built beforehand, a fresh engine for every surface."""
    import QuantLib as ql

    today = ql.Date(15, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    flat = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, ql.Actual365Fixed()))
    spot = ql.QuoteHandle(ql.SimpleQuote(1.0))

    def options(s: Surface) -> tuple:
        built = [
            ql.VanillaOption(
                ql.PlainVanillaPayoff(ql.Option.Call if x >= 0 else ql.Option.Put, float(np.exp(x))),
                ql.EuropeanExercise(today + int(days)),
            )
            for row, days in zip(s.k, DAYS, strict=True)
            for x in row
        ]
        v0, kappa, theta, sigma_v, rho = (
            float(getattr(s.model, name)) for name in ("v0", "kappa", "theta", "sigma_v", "rho")
        )
        return (v0, kappa, theta, sigma_v, rho), built

    def with_engine(engine: Callable[[Any], Any], calls: int) -> Row:
        def run(prepared: tuple) -> np.ndarray:
            parameters, built = prepared
            model = ql.HestonModel(ql.HestonProcess(flat, flat, spot, *parameters))
            pricer, values = engine(model), []
            for option in built:
                option.setPricingEngine(pricer)
                values.append(option.NPV())
            return np.reshape(values, (len(DAYS), -1))

        return Row(options, run, calls)

    return {
        "QuantLib AnalyticHestonEngine": with_engine(ql.AnalyticHestonEngine, 1),
        "QuantLib ExponentialFittingHestonEngine": with_engine(ql.ExponentialFittingHestonEngine, 1),
    }


def clock(row: Row, prepared: Any) -> tuple[float, float, np.ndarray]:
    """CPU and wall seconds per surface of `row.calls` calls, and the prices."""
    import jax

    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(row.calls):
        found = jax.block_until_ready(row.run(prepared))
    n = row.calls * row.surfaces
    return (time.process_time() - cpu) / n, (time.perf_counter() - wall) / n, np.asarray(found)


def compare(clock_name: str) -> dict:
    """Interleaved timings of all rows over all sets, and the largest error of each."""
    surfaces = {name: surface(parameters) for name, parameters in SETS.items()}
    rows = ours() | quantlib()
    prepared = {
        name: [row.prepare(s) for s in surfaces.values()]
        if row.surfaces == 1
        else [row.prepare(list(surfaces.values()))]
        for name, row in rows.items()
    }
    true = np.stack([s.true for s in surfaces.values()])
    report: dict[str, dict] = {}
    for name, row in rows.items():
        start = time.perf_counter()
        row.run(prepared[name][0])
        found = [clock(row._replace(calls=1), x)[2] for x in prepared[name]]
        error = np.abs((np.stack(found) if row.surfaces == 1 else found[0][: len(true)]) - true)
        report[name] = {
            "max_error": float(np.max(error)),
            "max_error_per_set": {s: float(np.max(e)) for s, e in zip(surfaces, error, strict=True)},
            "first_calls_s": time.perf_counter() - start,
        }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
    for i in range(ROUNDS):
        for name, row in rows.items():
            # every set in its turn, in each round
            runs = [clock(row, x)[:2] for x in prepared[name]]
            times[name].append(tuple(np.mean(runs, axis=0)))
        print(f"round {i + 1} of {ROUNDS}", flush=True)
    rival = "QuantLib AnalyticHestonEngine"
    for name, runs in times.items():
        report[name]["cpu_us"], report[name]["wall_us"] = (1e6 * np.min(runs, axis=0)).round(1).tolist()
    for name in rows:
        report[name]["times_faster_than_quantlib"] = round(
            report[rival][clock_name] / report[name][clock_name], 1
        )
    return report


def machine(device: str) -> dict:
    """Processor, versions and date."""
    import jax

    cpuinfo = Path("/proc/cpuinfo")
    names = [x.split(":")[1].strip() for x in cpuinfo.read_text().splitlines() if "model name" in x]
    return {
        "date": datetime.date.today().isoformat(),
        "device": device,
        "device_kind": jax.devices()[0].device_kind,
        "cpu": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load_at_start": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "QuantLib", "numpy")},
    }


def main() -> None:
    """Run the table on one device, print it and add it to the results file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    device = parser.parse_args().device
    if device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    from neutral.precision import enable_x64

    if device == "gpu":
        try:
            jax.config.update("jax_default_device", jax.devices("gpu")[0])
        except RuntimeError as error:
            raise SystemExit("No GPU: JAX finds none; install neutral[cuda13] where one is.") from error
    enable_x64()
    jax.config.update("jax_enable_compilation_cache", False)  # the first calls compile
    # on a GPU the CPU's time is not the cost
    report = machine(device) | {"rows": compare("cpu_us" if device == "cpu" else "wall_us")}
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results | {device: report}, indent=1) + "\n")
    print(f"{'':56}{'CPU us':>10}{'wall us':>10}{'ratio':>8}{'error':>10}{'first s':>9}")
    for name, row in report["rows"].items():
        print(
            f"{name:56}{row['cpu_us']:10.0f}{row['wall_us']:10.0f}{row['times_faster_than_quantlib']:8.1f}"
            f"{row['max_error']:10.1e}{row['first_calls_s']:9.1f}"
        )


if __name__ == "__main__":
    main()
