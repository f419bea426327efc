"""Which volatility surface prices most quotes inside bid-ask, seen and unseen, and what does it cost?

Prints its answers and keeps them in results/surfaces.json, part by part: `deribit` (one eSSVI surface, a
mixture of two, SANOS, the exchange's marks), `slices` (two SPX expiries against the best raw SVI), `spx` (48
expiries), `sx5e` (against Andreasen and Huge's fit), `synthetic` (noise against the floor of freely fitted
smiles), `speed`. `three` (three components on `spx`) takes minutes and runs only when named. Market data are
under $NEUTRAL_DATA. Run `python benchmarks/surfaces.py [PART ...]`.
"""

import argparse
import datetime
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import neutral as nt
from neutral import market
from neutral.market.build import surface_table
from neutral.options import black

RESULTS = Path(__file__).parent / "results" / "surfaces.json"
STEP = 14
NOISE = 0.005  # of volatility, on synthetic quotes
CHAINS = 24
ANDREASEN_HUGE = {"max": 0.0015, "mean": 0.00035}  # absolute volatility errors of their own fit (2010)
METHODS: dict[str, dict] = {
    "one": {"method": "essvi"},
    "two": {"components": "two"},
    "sanos": {"method": "sanos"},
}


def robust() -> Any:
    return nt.Loss("spread", "soft_l1", 0.4)


def fitted(surface: Any, name: str, mask: Any = None) -> Any:
    """A surface by one of the methods, with the loss for quotes with a spread that suits it."""
    loss = nt.Loss("spread") if name == "sanos" else robust()
    return nt.fit_surface(surface, loss, mask=mask, **METHODS[name])


def clocked(run: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    """Least wall seconds of some runs, after one that compiles, and the last answer."""
    answer = finished(run())
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        answer = finished(run())
        seconds.append(time.perf_counter() - start)
    return min(seconds), answer


def finished(answer: Any) -> Any:
    import jax

    return jax.block_until_ready(answer)


def data(name: str) -> Path:
    return Path(os.environ["NEUTRAL_DATA"]) / name


def prices(fit: Any, quotes: Any) -> np.ndarray:
    call = np.asarray(fit.price(quotes.k, quotes.t))
    return np.where(quotes.is_call, call, call + np.expm1(quotes.k))


def on_grid(fit: Any, surface: Any) -> np.ndarray:
    """Prices of all quotes, in the order of the mask; of one shape for all surfaces of a bucket."""
    call = np.asarray(fit.price(surface.k, surface.t[:, None]))
    return np.stack([call, call + np.expm1(surface.k)])[surface.mask]


def vol_errors(fit: Any, quotes: Any) -> np.ndarray:
    return np.asarray(fit.implied_vol(quotes.k, quotes.t)) - quotes.vol


def snapshots(currency: str) -> list[tuple[Any, np.ndarray]]:
    """Surfaces, split as the published fits, with the marks of their quotes."""
    found = []
    files = market.list_snapshots(data("deribit/run"))
    for i in range(0, len(files), STEP):
        split = market.Split(seed=market.split_seed(currency, i))
        kept, _ = market.prepare(market.load_deribit(files[i], currency), split=split)
        surface = nt.QuoteSurface.from_quotes(surface_table(kept), settlement="coin")
        found.append((surface, kept["mark_price"].to_numpy()))
    return found


def deribit() -> dict:
    """Share within half a spread of mid and mean absolute error in coin, in sample and held back."""
    return {currency: one_currency(snapshots(currency)) for currency in ("BTC", "ETH")}


def one_currency(found: list[tuple[Any, np.ndarray]]) -> dict:
    surfaces = [surface for surface, _ in found]
    train = np.concatenate([s.train[s.mask] for s in surfaces])
    everything = np.ones_like(train)
    marks = np.concatenate([mark[s.index[s.mask]] for s, mark in found])
    answer = {"quotes": int(train.size), "marks": judged(marks, surfaces, everything, ~train)}
    for name in METHODS:
        fits = {"all": [], "train": []}
        start = time.perf_counter()
        for surface, _ in found:
            fits["all"].append(finished(fitted(surface, name, surface.mask)))
        seconds = (time.perf_counter() - start) / len(found)
        fits["train"] = [fitted(surface, name) for surface, _ in found]
        values = {
            key: np.concatenate([on_grid(f, s) for f, s in zip(fits[key], surfaces, strict=True)])
            for key in fits
        }
        answer[name] = {
            "in_sample": judged(values["all"], surfaces, everything, everything)["in_sample"],
            "held_back": judged(values["train"], surfaces, train, ~train)["held_back"],
            "converged": int(sum(bool(f.converged) for f in fits["all"])),
            "free": int(sum(bool(f.certificate.free) for f in fits["all"] + fits["train"])),
            "surfaces": len(found),
            "s_per_fit_with_compilation": seconds,
            "numbers_stored": float(np.mean([numbers(f) for f in fits["all"]])),
            **smoothness(fits["all"]),
        }
        if name == "sanos":
            answer[name]["widths_chosen"] = [float(f.width) for f in fits["train"]]
    return answer


def judged(values: np.ndarray, surfaces: list[Any], seen: np.ndarray, unseen: np.ndarray) -> dict:
    mid, spread = (
        np.concatenate([getattr(s, name)[s.mask] for s in surfaces]) for name in ("prices", "spread")
    )
    error = np.abs(values - mid)
    inside = error <= 0.5 * spread
    sides = {"in_sample": seen, "held_back": unseen}
    return {
        name: {"inside": float(inside[at].mean()), "mae": float(error[at].mean())}
        for name, at in sides.items()
    }


def numbers(fit: Any) -> int:
    """Numbers that a surface is."""
    known = int(np.sum(fit.known))
    if isinstance(fit, nt.SANOS):
        return known * (fit.nodes.size + 1) + fit.nodes.size
    if isinstance(fit, nt.ESSVI):
        return 3 * known
    return len(fit.weights) * (3 * known + 2) - 2


def smoothness(fits: list[Any]) -> dict:
    """Modes of the density, and swings of local volatility, within two standard deviations of the money."""
    modes, swings = [], []
    for fit in fits:
        t, known = np.asarray(fit.expiries), np.asarray(fit.known)
        middle, pairs = 0.5 * (t[1:] + t[:-1]), known[1:] & known[:-1]
        z = np.linspace(-2.0, 2.0, 81)
        modes += list(peaks(at_moneyness(fit, fit.density, t, z)[known]))
        with np.errstate(invalid="ignore", divide="ignore"):
            local = np.log(at_moneyness(fit, fit.local_variance, middle, z)[pairs])
        swings += list(np.sum(np.abs(np.diff(local)), axis=1) / 2.0)
    return {
        "density_modes_mean": float(np.mean(modes)),
        "local_vol_log_variation_median": float(np.nanmedian(swings)),
    }


def at_moneyness(fit: Any, method: Any, t: np.ndarray, z: np.ndarray) -> np.ndarray:
    k = z * np.sqrt(np.asarray(fit.total_variance(0.0, t)))[:, None]
    return np.asarray(method(k, t[:, None]))


def peaks(rows: np.ndarray) -> np.ndarray:
    return np.sum((rows[:, 1:-1] > rows[:, :-2]) & (rows[:, 1:-1] > rows[:, 2:]), axis=1)


def published(frame: pd.DataFrame, forward: Any, strike: Any, t: Any, vol: Any, **columns: Any) -> Any:
    """A surface of out-of-the-money options from a table of volatilities."""
    kind = np.where(frame[strike] >= forward, "call", "put")
    table = {"forward": forward, "strike": frame[strike], "maturity": frame[t], "kind": kind, "vol": vol}
    return nt.QuoteSurface.from_quotes(table | columns)


def slices() -> dict:
    """SPX expiries on which SVI fits fail: volatility RMSE of all quotes, equally and vega-weighted."""
    from neutral.surfaces import fit_svi

    answer = {}
    for name in ("spx_slice_20250113_20250221", "spx_slice_20250310_20250417"):
        frame = pd.read_csv(data(f"published_surfaces/{name}.csv"))
        surface = published(frame, frame["forward"], "strike", "expiry_years", frame["iv"])
        quotes = surface.quotes()
        best = best_svi(quotes)
        w = quotes.vol**2 * quotes.t
        free = fit_svi(quotes.k, w, 1.0 / (w * quotes.t))
        svi = np.sqrt(np.asarray(free.total_variance(quotes.k)) / quotes.t) - quotes.vol
        errors = {"best_raw_svi": best, "fit_svi": svi}
        for label, options in ({**METHODS, "three": {"components": 3}}).items():
            errors[label] = vol_errors(nt.fit_surface(surface, **options), quotes)
        vega = np.asarray(black.vega(quotes.k, quotes.vol * np.sqrt(quotes.t)))
        answer[name] = {
            label: {
                "rmse": float(np.sqrt(np.mean(e**2))),
                "rmse_vega_weighted": float(np.sqrt(np.sum(vega * e**2) / np.sum(vega))),
            }
            for label, e in errors.items()
        }
        answer[name]["two_over_best_svi"] = answer[name]["two"]["rmse"] / answer[name]["best_raw_svi"]["rmse"]
    return answer


def best_svi(quotes: Any, starts: int = 25) -> np.ndarray:
    """Volatility errors of the best raw SVI smile, arbitrage or not, from many starts."""
    from scipy.optimize import least_squares

    rng, k, vol, t = np.random.default_rng(0), quotes.k, quotes.vol, quotes.t

    def errors(x: np.ndarray) -> np.ndarray:
        a, b, rho, m, sigma = x
        w = a + b * (rho * (k - m) + np.hypot(k - m, sigma))
        return np.sqrt(np.maximum(w, 1e-12) / t) - vol

    least = np.min(vol**2 * t)
    low, high = [0.1 * least, 0.01, -0.9, -0.3, 0.01], [least, 0.5, 0.5, 0.3, 0.4]
    bounds = [-1.0, 0.0, -0.9999, -2.0, 1e-5], [2.0, 5.0, 0.9999, 2.0, 5.0]
    scale = [0.01, 0.1, 0.5, 0.1, 0.1]
    found = [
        least_squares(errors, rng.uniform(low, high), bounds=bounds, x_scale=scale, max_nfev=1000)
        for _ in range(starts)
    ]
    return min(found, key=lambda f: f.cost).fun


def index_surface() -> Any:
    """SPX on 15 February 2023, quotes with a bid."""
    frame = pd.read_csv(data("published_surfaces/spx_20230215.csv.gz")).dropna(subset=["bid_iv", "ask_iv"])
    frame = frame[(frame["bid_iv"] > 0) & (frame["ask_iv"] >= frame["bid_iv"])]
    bid, ask = frame["bid_iv"], frame["ask_iv"]
    return published(frame, frame["forward"], "strike", "T", 0.5 * (bid + ask), bid=bid, ask=ask)


def index_row(surface: Any, **options: Any) -> dict:
    """Share inside bid-ask, out-of-the-money quotes."""
    start = time.perf_counter()
    fit = finished(nt.fit_surface(surface, **options))
    quotes = surface.quotes()
    error = np.abs(prices(fit, quotes) - quotes.price)
    return {
        "quotes": int(quotes.k.size),
        "inside": float(np.mean(error <= 0.5 * quotes.spread)),
        "status": nt.CalibrationStatus(int(fit.status)).name,
        "steps": int(fit.fit.steps),
        "free": bool(fit.certificate.free),
        "s_with_compilation": time.perf_counter() - start,
    }


def spx() -> dict:
    surface = index_surface()
    return {
        "one": index_row(surface, loss=robust(), method="essvi"),
        "two": index_row(surface, loss=robust(), components=2, solver=nt.LevenbergMarquardt(max_steps=300)),
        "sanos": index_row(surface, loss=nt.Loss("spread"), method="sanos"),
    }


def three() -> dict:
    solver = nt.LevenbergMarquardt(max_steps=300)
    return {"spx": index_row(index_surface(), loss=robust(), components=3, solver=solver)}


def sx5e() -> dict:
    """Absolute volatility errors on the surface that Andreasen and Huge (2010) fit."""
    frame = pd.read_csv(data("published_surfaces/sx5e_20100301_andreasen_huge.csv"))
    surface = published(frame, frame["spot"], "strike", "T", frame["iv"])
    quotes = surface.quotes()
    answer: dict[str, Any] = {"andreasen_huge": ANDREASEN_HUGE}
    for name, options in {"one": METHODS["one"], "two": METHODS["two"], "three": {"components": 3}}.items():
        fit = nt.fit_surface(surface, nt.Loss("vega"), **options)
        error = np.abs(vol_errors(fit, quotes))
        worst = int(np.argmax(error))
        by_expiry = {f"{t:.3g}": float(error[quotes.t == t].max()) for t in np.unique(quotes.t)}
        answer[name] = {
            "max": float(error.max()),
            "mean": float(error.mean()),
            "free": bool(fit.certificate.free),
            "status": nt.CalibrationStatus(int(fit.status)).name,
            "worst": {"t": float(quotes.t[worst]), "moneyness": float(np.exp(quotes.k[worst]))},
            "max_by_expiry": by_expiry,
        }
    return answer


def chain(seed: int) -> Any:
    """Quotes of a free eSSVI surface with noise: 10 to 16 expiries, 20 to 60 strikes each."""
    rng = np.random.default_rng(seed)
    count = rng.integers(10, 17)
    t = np.sort(rng.uniform(0.02, 0.1) * np.geomspace(1.0, 40.0, count))
    theta = rng.uniform(0.15, 0.6) ** 2 * t * (1.0 + 0.2 * rng.uniform(-1, 1) * np.exp(-t))
    psi = np.minimum(rng.uniform(0.4, 0.9) * np.sqrt(theta), 1.5)
    truth = nt.ESSVI(t, theta, psi, np.full(count, rng.uniform(-0.7, 0.1)))
    width = 60
    k = np.linspace(-2.0, 1.5, width) * np.sqrt(theta)[:, None]
    vol = np.asarray(truth.implied_vol(k, t[:, None])) + NOISE * rng.standard_normal(k.shape)
    mask = np.arange(width) % 3 < 3 * rng.uniform(0.35, 1.0, count)[:, None]
    call = np.asarray(black.price(k, vol * np.sqrt(t)[:, None]))
    values = np.stack([call, call + np.expm1(k)])
    own = np.stack([k >= 0.0, k < 0.0]) & mask
    return truth, nt.QuoteSurface.from_arrays(t, k, values, mask=own)


def free_slices(quotes: Any) -> np.ndarray:
    """Volatility errors of eSSVI smiles fitted one by one, without any condition."""
    from scipy.optimize import least_squares

    errors = np.zeros(quotes.k.size)
    for t in np.unique(quotes.t):
        at = quotes.t == t
        k, vol = quotes.k[at], quotes.vol[at]

        def miss(x: np.ndarray, k: np.ndarray = k, vol: np.ndarray = vol, t: float = t) -> np.ndarray:
            theta, psi, rho = np.exp(x[0]), np.exp(x[1]), np.tanh(x[2])
            root = np.sqrt((psi * k + rho * theta) ** 2 + theta**2 * (1.0 - rho**2))
            return np.sqrt(0.5 * (theta + rho * psi * k + root) / t) - vol

        level = np.median(vol) ** 2 * t
        errors[at] = least_squares(miss, [np.log(level), np.log(0.6 * np.sqrt(level)), -0.3]).fun
    return errors


def synthetic() -> dict:
    """Volatility RMSE over that of smiles fitted freely."""
    methods = {"one": {"method": "essvi", "loss": nt.Loss("vega")}, "sequential": {"method": "sequential"}}
    ratios: dict[str, list[float]] = {name: [] for name in methods}
    unfree = dict.fromkeys(methods, 0)
    for seed in range(CHAINS):
        truth, surface = chain(seed)
        assert truth.certificate.free
        quotes = surface.quotes()
        floor = np.sqrt(np.mean(free_slices(quotes) ** 2))
        for name, options in methods.items():
            fit = nt.fit_surface(surface, **options)
            errors = vol_errors(fit, quotes)
            ratios[name].append(float(np.sqrt(np.nanmean(errors**2)) / floor))
            unfree[name] += not bool(fit.certificate.free)
    return {
        name: {
            "rmse_over_floor_mean": float(np.mean(r)),
            "rmse_over_floor_max": float(np.max(r)),
            "not_free": unfree[name],
            "chains": CHAINS,
        }
        for name, r in ratios.items()
    }


def speed() -> dict:
    """Wall and processor milliseconds per surface, compiled."""
    surfaces = [s for name in ("BTC", "ETH") for s, _ in snapshots(name)]
    answer = {}
    for name in METHODS:
        ms = [1e3 * clocked(lambda s=s, name=name: fitted(s, name, s.mask))[0] for s in surfaces[::3]]
        answer[name] = {"median_ms": float(np.median(ms)), "max_ms": float(np.max(ms))}
    answer["sequential"] = looped(surfaces)
    many = nt.stack(surfaces * 8)
    # the procedure minimises squares, as the default loss does
    for name, loss in {"batch": nt.Loss(), "batch_robust": robust()}.items():
        answer[name] = batched(many, loss)
        gain = answer["sequential"]["ms_per_surface"] / answer[name]["ms_per_surface"]
        answer[name]["gain_over_sequential"] = gain
    return answer


def looped(surfaces: list) -> dict:
    """The sequential procedure, surface after surface."""
    from neutral.surfaces import sequential_essvi

    sequential_essvi(surfaces[0])
    wall, cpu = time.perf_counter(), time.process_time()
    for surface in surfaces:
        sequential_essvi(surface, mask=surface.mask)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"ms_per_surface": 1e3 * wall / len(surfaces), "cpu_ms_per_surface": 1e3 * cpu / len(surfaces)}


def batched(many: nt.QuoteSurface, loss: nt.Loss) -> dict:
    """One eSSVI surface to each of many sets of quotes, compiled."""
    nt.fit_essvi_batch(many, loss, mask=many.mask)
    cpu = time.process_time()
    seconds, _ = clocked(lambda: nt.fit_essvi_batch(many, loss, mask=many.mask), 3)
    cpu = (time.process_time() - cpu) / 4
    per = 1e3 / len(many)
    return {"surfaces": len(many), "ms_per_surface": per * seconds, "cpu_ms_per_surface": per * cpu}


PARTS = {
    "deribit": deribit,
    "slices": slices,
    "spx": spx,
    "sx5e": sx5e,
    "synthetic": synthetic,
    "speed": speed,
}


def main() -> None:
    """Run the parts, print them and keep them beside those of earlier runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts", nargs="*", help=f"of {', '.join([*PARTS, 'three'])}; all but the last if none"
    )
    named = parser.parse_args().parts or list(PARTS)
    nt.enable_x64()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in named:
        load, start = os.getloadavg()[0], time.perf_counter()
        answer = (PARTS | {"three": three})[name]()
        machine = {
            "date": datetime.date.today().isoformat(),
            "cpu": platform.processor() or platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "load_at_start": load,
        }
        results[name] = answer | {"machine": machine, "part_s": time.perf_counter() - start}
        print(name, json.dumps(results[name], indent=1))
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
