"""What does a calibration cost beside QuantLib's Levenberg-Marquardt and scipy's global search?

24 November 2026, AMD EPYC, two cores, jax 0.10.2, QuantLib 1.44 and scipy 1.17 from Python. A single warm
Heston fit of 200 quotes: 1.1 ms, QuantLib 201 ms, 179 times as much; in a batch of 1,000 1.16 CPU-ms (0.60
ms of wall time) a surface, 183 times. SVCJ on a Deribit snapshot, from data alone: 61 CPU-ms (37 ms of wall
time), 1,000 to 2,200 times less than the source's 61 to 133 CPU-s. Differential evolution and Nelder-Mead
to the same error: 793 times. First call, empty cache / warm: Black 2.2 / 0.7 s, Heston 3.3 / 0.9, SVCJ 4.5
/ 1.1, SVCJ++ 4.9 / 1.2; a second chunk compiles nothing. 100,000 Heston surfaces stream through at 1,600 a
second in 1.2 GiB.

The table is printed and kept in results/calibration.json. Seconds are CPU seconds of the process, all
threads together, unless they are called wall; a rival runs between two of our runs. Run `python
benchmarks/calibration.py`, with `--quick` for a minute's worth, with `--stream 100000` for a long archive
in bounded memory, or with `--device gpu`. Deribit's rows take the snapshots under
`$NEUTRAL_DATA/deribit/run`, or those that ship with the package.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "calibration.json"
SEED, NOISE = 2017, 0.001  # of volatility
DAYS = np.array([7, 14, 30, 60, 91, 182, 273, 365, 730, 1095])  # with 20 strikes each: 200 quotes
LOW = np.array([0.02, 1.0, 0.02, 0.2, -0.85])  # v0, kappa, theta, sigma_v, rho of the 200-quote surfaces
HIGH = np.array([0.15, 5.0, 0.15, 0.9, -0.3])
BATCH, SINGLES, CHUNK = 1000, 5, 1000
SPX = (0.0263, 2.35, 0.0438, 0.42, -0.72)
SPX_T, SPX_COUNTS, SPX_NOISE = np.array([1, 3, 6, 12, 24]) / 12, (35, 30, 25, 22, 16), 0.0015
COS_TERMS, COS_WIDTH = 160, 12.0  # width in standard deviations
SOURCE_SVCJ = (61.0, 104.0, 133.0)  # CPU seconds of the source's pipeline for three fits, as stated
MODELS = ("black", "heston", "svcj", "svcj++")
COMPILED = "/jax/core/compile/backend_compile_duration"


def timed(run: Callable[[], Any]) -> tuple[float, float, Any]:
    """CPU and wall seconds of a call, and its result."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = run()
    return time.process_time() - cpu, time.perf_counter() - wall, result


def best(run: Callable[[], Any], rounds: int) -> dict:
    """Least CPU and wall seconds of some calls."""
    runs = np.array([timed(run)[:2] for _ in range(rounds)])
    return {"cpu_s": float(runs[:, 0].min()), "wall_s": float(runs[:, 1].min())}


def surfaces(n: int, seed: int = SEED) -> Any:
    """A stack of Heston surfaces of 10 maturities and 20 strikes, with 10 bp of noise in volatility."""
    import jax

    import neutral as nt
    from neutral.options import black

    rng = np.random.default_rng(seed)
    models = nt.Heston(*np.zeros(5))
    models = jax.tree.unflatten(jax.tree.structure(models), list(rng.uniform(LOW, HIGH, (n, 5)).T))
    t = np.broadcast_to(DAYS / 365, (n, DAYS.size))
    stdev = np.sqrt(np.asarray(models.expand(1).total_variance(t)))
    k = stdev[..., None] * np.linspace(-2.0, 2.0, 20)
    lewis = nt.Lewis(96)
    price = np.asarray(_prices(lewis, models, k, t, stdev))
    root = np.sqrt(t)[..., None]
    vega = np.asarray(black.vega(k, stdev[..., None] * np.ones_like(k))) * root
    otm = price + NOISE * vega * rng.standard_normal(k.shape)
    call = k >= 0
    prices = np.stack([np.where(call, otm, 0.0), np.where(call, 0.0, otm)], axis=1)
    return nt.QuoteSurface.from_arrays(t, k, prices, mask=np.stack([call, ~call], axis=1))


def _prices(lewis: Any, models: Any, k: np.ndarray, t: np.ndarray, stdev: np.ndarray) -> Any:
    import equinox as eqx

    grid = eqx.filter_jit(lewis.grid)(k, t, stdev, np.full_like(stdev, 3.0))
    return eqx.filter_jit(lewis.prices)(models, grid)


def quotes(surface: Any) -> tuple[np.ndarray, ...]:
    """t, k, volatility, price and vega of a surface's quotes."""
    listed = surface.quotes()
    vega = np.asarray(surface.vega)[np.asarray(surface.mask)]
    order = np.argsort(np.asarray(surface.index)[np.asarray(surface.mask)], kind="stable")
    return listed.t, listed.k, listed.vol, listed.price, vega[order]


def iv_rmse(model: Any, surface: Any) -> float:
    """Root mean square error in volatility, basis points, of prices without quadrature error."""
    import neutral as nt

    t, k, vol, _, _ = quotes(surface)
    price = nt.price(model, 1.0, np.exp(k), t, k >= 0)
    found = np.asarray(nt.implied_vol(price, 1.0, np.exp(k), t, k >= 0))
    return float(1e4 * np.sqrt(np.mean((found - vol) ** 2)))


def quantlib_fit(surface: Any) -> Callable[[], Any]:
    """QuantLib's fit of one surface, from the start that ours takes from the market's variance."""
    import QuantLib as ql

    import neutral as nt

    today, none = ql.Date(15, 1, 2026), ql.NullCalendar()
    ql.Settings.instance().evaluationDate = today
    flat = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, ql.Actual365Fixed()))
    spot = ql.QuoteHandle(ql.SimpleQuote(1.0))
    t, k, vol, _, vega = quotes(surface)
    variance = np.asarray(surface.stdev) ** 2 / np.asarray(surface.t)
    near, far, level = variance[0], variance[-1], np.mean(variance)
    start = (float(near), 3.0, float(far), float(2.0 * np.sqrt(level)), -0.4)

    def run() -> Any:
        model = ql.HestonModel(ql.HestonProcess(flat, flat, spot, *start))
        engine = ql.AnalyticHestonEngine(model)
        helpers = []
        for days, strike, quote in zip(np.rint(t * 365), np.exp(k), vol, strict=True):
            handle = ql.QuoteHandle(ql.SimpleQuote(float(quote)))
            terms = (ql.Period(int(days), ql.Days), none, 1.0, float(strike), handle, flat, flat)
            helpers.append(ql.HestonModelHelper(*terms, ql.BlackCalibrationHelper.PriceError))
            helpers[-1].setPricingEngine(engine)
        weights = (1.0 / vega**2).tolist()  # of squared errors
        limits = ql.EndCriteria(1000, 100, 1e-8, 1e-8, 1e-8)
        model.calibrate(helpers, ql.LevenbergMarquardt(1e-8, 1e-8, 1e-8), limits, ql.NoConstraint(), weights)
        theta, kappa, sigma_v, rho, v0 = model.params()
        return nt.Heston(v0, kappa, theta, sigma_v, rho)

    return run


def single(rounds: int, count: int) -> dict:
    """One warm Heston fit of 200 quotes, each beside QuantLib's of the same surface."""
    import jax

    import neutral as nt

    stack, loss = surfaces(count), nt.Loss("vega")
    jax.block_until_ready(nt.calibrate(nt.Heston, stack[0], loss=loss))
    rows = []
    for i in range(count):

        def ours(surface: Any = stack[i]) -> Any:
            return jax.block_until_ready(nt.calibrate(nt.Heston, surface, loss=loss))

        mine, (cpu, wall, model) = best(ours, rounds), timed(quantlib_fit(stack[i]))
        fit = ours()
        rows.append(
            mine
            | {"steps": int(fit.steps), "iv_rmse_bp": iv_rmse(fit.model, stack[i])}
            | {
                "quantlib_cpu_s": cpu,
                "quantlib_wall_s": wall,
                "quantlib_iv_rmse_bp": iv_rmse(model, stack[i]),
            }
        )
    ratio = [row["quantlib_cpu_s"] / row["cpu_s"] for row in rows]
    return {
        "rows": rows,
        "neutral_cpu_ms": 1e3 * float(np.median([row["cpu_s"] for row in rows])),
        "neutral_wall_ms": 1e3 * float(np.median([row["wall_s"] for row in rows])),
        "quantlib_cpu_ms": 1e3 * float(np.median([row["quantlib_cpu_s"] for row in rows])),
        "times_faster": float(np.median(ratio)),
        "must": 20,
        "target": 200,
    }


def batch(rounds: int, count: int, rivals: int) -> dict:
    """Many Heston surfaces on all cores, per surface, beside QuantLib on some of them."""
    import neutral as nt

    stack, loss = surfaces(count), nt.Loss("vega")
    fits = nt.calibrate_batch(nt.Heston, stack, loss=loss)
    runs, rival = [], []
    for i in range(rounds):
        runs.append(timed(lambda: nt.calibrate_batch(nt.Heston, stack, loss=loss))[:2])
        rival += [timed(quantlib_fit(stack[j]))[0] for j in range(i, rivals, rounds)]
    cpu, wall = np.min(runs, axis=0) / count
    return {
        "surfaces": count,
        "converged": int(np.sum(fits.converged)),
        "mean_steps": float(np.mean(fits.steps)),
        "cpu_ms": 1e3 * cpu,
        "wall_ms": 1e3 * wall,
        "quantlib_fits": len(rival),
        "quantlib_cpu_ms": 1e3 * float(np.mean(rival)),
        "times_faster": float(np.mean(rival) / cpu),
        "must": 50,
        "target": 150,
    }


def deribit(count: int) -> list[Any]:
    """BTC surfaces of real snapshots, training quotes of the rule of 70/30."""
    from neutral import market

    folder = os.environ.get("NEUTRAL_DATA")
    source = Path(folder) / "deribit" / "run" if folder else market.sample_folder()
    files = market.list_snapshots(source)
    chosen = [files[i] for i in np.linspace(0, len(files) - 1, count).astype(int)]
    return [market.build_surface(market.load_deribit(file, "BTC"))[0] for file in chosen]


def svcj(rounds: int, count: int) -> dict:
    """SVCJ on real snapshots from data alone: one after the other, and as one batch."""
    import jax

    import neutral as nt

    loss, rows = nt.Loss("spread", "soft_l1", 0.4), []
    every = deribit(count)
    for surface in every:

        def ours(surface: Any = surface) -> Any:
            return jax.block_until_ready(nt.calibrate(nt.SVCJ, surface, loss=loss))

        fit = ours()  # compiles where the bucket is new
        row = best(ours, rounds) | {"quotes": int(np.sum(surface.mask)), "bucket": list(surface.shape)}
        rows.append(row | {"steps": int(fit.steps), "status": nt.CalibrationStatus(int(fit.status)).name})
    stack = nt.stack(every)
    nt.calibrate_batch(nt.SVCJ, stack, loss=loss)
    together = best(lambda: nt.calibrate_batch(nt.SVCJ, stack, loss=loss), rounds)
    cpu = float(np.median([row["cpu_s"] for row in rows]))
    return {
        "rows": rows,
        "cpu_s": cpu,
        "batch_cpu_s": together["cpu_s"] / count,
        "batch_wall_s": together["wall_s"] / count,
        "source_cpu_s": SOURCE_SVCJ,
        "times_faster": [x / cpu for x in SOURCE_SVCJ],
        "must": 300,
        "target": 2000,
    }


def spx() -> Any:
    """The SPX-like surface of 128 quotes with 15 bp of noise."""
    import neutral as nt

    truth, rng = nt.Heston(*SPX), np.random.default_rng(SEED)
    stdev = np.sqrt(np.asarray(truth.total_variance(SPX_T)))
    k = np.concatenate([s * np.linspace(-2.5, 1.5, n) for s, n in zip(stdev, SPX_COUNTS, strict=True)])
    t = np.repeat(SPX_T, SPX_COUNTS)
    price = nt.certify(truth, 1.0, np.exp(k), t, k >= 0).price
    vol = np.asarray(nt.implied_vol(price, 1.0, np.exp(k), t, k >= 0))
    table = {"forward": np.full(k.size, 4500.0), "strike": 4500.0 * np.exp(k), "maturity": t, "kind": k >= 0}
    return nt.QuoteSurface.from_quotes(table | {"vol": vol + SPX_NOISE * rng.standard_normal(k.size)})


class Cos:
    """Fang and Oosterlee's COS in numpy: puts from the cosine series, calls by parity; F = 1."""

    def __init__(self, t: np.ndarray, k: np.ndarray, stdev: dict[float, float]):
        self.groups = []
        for maturity in np.unique(t):
            here = np.flatnonzero(t == maturity)
            a, b = -COS_WIDTH * stdev[maturity], COS_WIDTH * stdev[maturity]
            u = np.arange(COS_TERMS) * np.pi / (b - a)
            x = k[here][:, None]  # log-strike; the payoff K - e^y is positive on [a, k]
            chi = (np.cos(u * (x - a)) * np.exp(x) - np.exp(a) + u * np.sin(u * (x - a)) * np.exp(x)) / (
                1 + u * u
            )
            psi = np.where(u > 0, np.sin(u * (x - a)) / np.where(u > 0, u, 1.0), x - a)
            payoff = 2.0 / (b - a) * (np.exp(x) * psi - chi)
            payoff[:, 0] *= 0.5
            shift = np.exp(-1j * u * a)
            parity = np.where(k[here] >= 0, -np.expm1(k[here]), 0.0)
            self.groups.append((here, maturity, u, shift, payoff, parity))
        self.size = k.size

    def __call__(self, parameters: np.ndarray) -> np.ndarray:
        """Out-of-the-money prices of a Heston model."""
        v0, kappa, theta, sigma_v, rho = parameters
        out = np.empty(self.size)
        for here, t, u, shift, payoff, parity in self.groups:
            beta = kappa - 1j * rho * sigma_v * u
            d = np.sqrt(beta * beta + sigma_v**2 * (u * u + 1j * u))
            g = (beta - d) / (beta + d)
            decay = np.exp(-d * t)
            level = kappa * theta / sigma_v**2 * ((beta - d) * t - 2.0 * np.log((1 - g * decay) / (1 - g)))
            phi = np.exp(level + v0 / sigma_v**2 * (beta - d) * (1 - decay) / (1 - g * decay))
            out[here] = payoff @ np.real(phi * shift) + parity
        return out


def global_search() -> dict:
    """Differential evolution and Nelder-Mead on the COS price, beside one call of ours from data."""
    import jax
    from scipy.optimize import differential_evolution, minimize

    import neutral as nt

    surface, loss = spx(), nt.Loss("vega")
    t, k, _, price, vega = quotes(surface)
    stdev = dict(zip(np.asarray(surface.t).tolist(), np.asarray(surface.stdev).tolist(), strict=True))
    cos = Cos(t, k, stdev)
    cos_error = np.abs(cos(np.array(SPX)) - np.asarray(nt.price(nt.Heston(*SPX), 1.0, np.exp(k), t, k >= 0)))

    def objective(x: np.ndarray) -> float:
        value = float(np.mean(((cos(x) - price) / vega) ** 2))
        return value if np.isfinite(value) else 1e10

    variance = np.asarray(surface.stdev)[:5] ** 2 / np.asarray(surface.t)[:5]
    short, long = variance[0], variance[-1]
    bounds = [(0.5 * short, 2 * short), (0.01, 10), (0.5 * long, 2 * long), (0.01, 3), (-0.99, -0.01)]

    def rival() -> tuple[Any, Any]:
        options = {"strategy": "best1bin", "maxiter": 300, "popsize": 15, "tol": 1e-8, "atol": 1e-8}
        with np.errstate(all="ignore"):
            first = differential_evolution(objective, bounds, seed=42, polish=False, **options)
            limits = {"xatol": 1e-10, "fatol": 1e-10, "maxiter": 5000}
            return first, minimize(objective, first.x, method="Nelder-Mead", options=limits)

    def ours() -> Any:
        return jax.block_until_ready(nt.calibrate(nt.Heston, surface, loss=loss))

    fit, before = ours(), best(ours, 10)
    cpu, wall, (first, last) = timed(rival)
    after = best(ours, 10)
    mine = min(before["cpu_s"], after["cpu_s"])
    return {
        "neutral_cpu_s": mine,
        "neutral_wall_s": min(before["wall_s"], after["wall_s"]),
        "neutral_iv_rmse_bp": iv_rmse(fit.model, surface),
        "scipy_cpu_s": cpu,
        "scipy_wall_s": wall,
        "scipy_iv_rmse_bp": iv_rmse(nt.Heston(*last.x), surface),
        "scipy_evaluations": [int(first.nfev), int(last.nfev)],
        "cos_error_max": float(cos_error.max()),
        "times_faster": cpu / mine,
        "must": 300,
        "target": 2000,
    }


def recipe(name: str) -> Any:
    """A model by the name it has on the command line."""
    import neutral as nt

    return {"black": nt.Black, "heston": nt.Heston, "svcj": nt.SVCJ, "svcj++": nt.Shifted(nt.SVCJ)}[name]


def first_call(name: str) -> dict:
    """Seconds of a process's first and second `calibrate_batch` of one model; run in a process of its own."""
    import neutral as nt

    (surface,) = deribit(1)
    stack, loss = nt.stack([surface] * 2), nt.Loss("spread", "soft_l1", 0.4)
    first, second = (timed(lambda: nt.calibrate_batch(recipe(name), stack, loss=loss))[:2] for _ in range(2))
    return {"cpu_s": first[0], "wall_s": first[1], "second_cpu_s": second[0], "second_wall_s": second[1]}


def first_calls(models: tuple[str, ...]) -> dict:
    """First calls with an empty compilation cache, then with the one it leaves."""
    report = {}
    for name in models:
        with tempfile.TemporaryDirectory() as cache:
            settings = {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
            environment = os.environ | settings | {"JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0"}
            report[name] = {}
            for state in ("cold", "warm"):
                command = [sys.executable, __file__, "--first", name]
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                report[name][state] = json.loads(done.stdout.splitlines()[-1])
    return report | {"must_s": {"cold": 15, "warm": 4}, "target_s": {"cold": 6, "warm": 2}}


def recompiles() -> dict:
    """Programs compiled by a first and by a second chunk of the same bucket."""
    import jax

    import neutral as nt

    compiled: list[str] = []

    def listen(event: str, _: float, **__: Any) -> None:
        if event == COMPILED:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    counts = []
    for i in range(2):
        stack = surfaces(48, seed=i)
        before = len(compiled)
        # a loss of its own, so that nothing is there before
        nt.calibrate_batch(nt.Heston, stack, loss=nt.Loss("vega", "soft_l1", 3.0))
        counts.append(len(compiled) - before)
    return {"first_chunk": counts[0], "second_chunk": counts[1], "must": 0}


def stream(count: int) -> dict:
    """Synthetic Heston surfaces through in chunks: made, fitted, counted, forgotten."""
    import neutral as nt

    def rss() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    done, converged, cpu, wall, first = 0, 0, 0.0, 0.0, 0.0
    while done < count:
        stack = surfaces(CHUNK, seed=done)
        took, passed, fits = timed(lambda s=stack: nt.calibrate_batch(nt.Heston, s, loss=nt.Loss("vega")))
        cpu, wall = (cpu + took, wall + passed) if done else (0.0, 0.0)  # the first chunk compiles
        converged, done = converged + int(np.sum(fits.converged)), done + CHUNK
        first = first or rss()
        if done % (10 * CHUNK) == 0:
            print(f"{done} surfaces, {converged} converged, peak {rss():.0f} MiB", flush=True)
    timed_surfaces = max(1, done - CHUNK)
    return {
        "surfaces": done,
        "chunk": CHUNK,
        "converged": converged,
        "cpu_ms_per_surface": 1e3 * cpu / timed_surfaces,
        "wall_ms_per_surface": 1e3 * wall / timed_surfaces,
        "rss_mib_after_first_chunk": first,
        "rss_mib_peak": rss(),
    }


def gpu() -> dict:
    """Surfaces per second in large batches: 40-option Heston, SVCJ of Deribit's size; wall time."""
    import neutral as nt

    forty = surfaces(16_384)
    forty = nt.QuoteSurface.from_arrays(
        forty.t[:, 1:9],
        forty.k[:, 1:9, 2::4],
        forty.prices[:, :, 1:9, 2::4],
        mask=forty.mask[:, :, 1:9, 2::4],
    )
    real = nt.stack(deribit(12) * 86)
    report = {}
    for name, model, stack, must, target in (
        ("Heston, 40 options, 16,384 surfaces", nt.Heston, forty, 20_000, 100_000),
        ("SVCJ, Deribit snapshots, 1,032 surfaces", nt.SVCJ, real, 2_000, 20_000),
    ):
        loss = nt.Loss("vega") if model is nt.Heston else nt.Loss("spread", "soft_l1", 0.4)
        _, first, fits = timed(lambda m=model, s=stack, x=loss: nt.calibrate_batch(m, s, loss=x))
        again = best(lambda m=model, s=stack, x=loss: nt.calibrate_batch(m, s, loss=x), 3)
        report[name] = {
            "surfaces_per_s": len(stack) / again["wall_s"],
            "first_call_s": first,
            "converged": int(np.sum(fits.converged)),
            "must": must,
            "target": target,
        }
    return report


def machine(device: str) -> dict:
    """Processor, versions and date."""
    import jax

    cpuinfo = Path("/proc/cpuinfo")
    names = [x.split(":")[1].strip() for x in cpuinfo.read_text().splitlines() if "model name" in x]
    packages = ("jax", "QuantLib", "scipy", "numpy")
    return {
        "date": datetime.date.today().isoformat(),
        "device": device,
        "device_kind": jax.devices()[0].device_kind,
        "cpu": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load_at_start": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def parts(quick: bool) -> dict[str, Callable[[], dict]]:
    """The rows of the table."""
    few = quick
    return {
        "single": lambda: single(5 if few else 20, 2 if few else SINGLES),
        "batch": lambda: batch(1 if few else 3, 96 if few else BATCH, 1 if few else 6),
        "svcj": lambda: svcj(1 if few else 3, 2 if few else 8),
        "global search": global_search,
        "recompiles": recompiles,
        "first calls": lambda: first_calls(("heston",) if few else MODELS),
    }


def main() -> None:
    """Run the table, or one mode, print it and add it to the results file; a quick run writes nothing."""
    parser = argparse.ArgumentParser(description="Cost of a calibration, beside QuantLib and scipy.")
    parser.add_argument("--quick", action="store_true", help="fewer surfaces and rounds; prints alone")
    parser.add_argument("--part", action="append", choices=tuple(parts(True)), help="only these rows")
    parser.add_argument("--stream", type=int, metavar="N", help="fit N surfaces in chunks; report memory")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--first", choices=MODELS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    from neutral.precision import enable_x64

    enable_x64()
    if arguments.first:
        print(json.dumps(first_call(arguments.first)))
        return
    if arguments.device == "gpu" and jax.default_backend() != "gpu":
        raise SystemExit("Skipped: JAX finds no GPU; install neutral[cuda13] where one is.")
    chosen = parts(arguments.quick)
    if arguments.device == "gpu":
        chosen = {"gpu": gpu}
    elif arguments.stream:
        chosen = {"stream": lambda: stream(arguments.stream)}
    elif arguments.part:
        chosen = {name: chosen[name] for name in arguments.part}
    for name, run in chosen.items():
        report = machine(arguments.device) | {"result": run()}
        if not arguments.quick:  # each row as it ends
            results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(results | {name: report}, indent=1) + "\n")
        print(name, json.dumps(report["result"], indent=1), flush=True)


if __name__ == "__main__":
    main()
