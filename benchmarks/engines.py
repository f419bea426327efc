"""Which engine gives which error at which cost, beside QuantLib's Heston engines?

24 November 2026, AMD EPYC, CPU time on a busy machine, jax 0.10.2, QuantLib 1.44 from Python, 500 options:
CarrMadan(alpha=-0.5) 0.9 ms at 2e-12 or better on the calm, equity and crypto sets, as fast as Lewis(64) with
its plan (0.9 ms, 4e-10); COS(256) 0.7 ms at 8e-14 on calm and crypto, 5e-8 on equity; the default engine
13 ms at 1e-16 on all, torture too; Carr and Madan's own setting 4 ms at 1e-3; QuantLib's engines 12 to 25 ms.

Error: the worst over 8 maturities, one hour to ten years (QuantLib: from one day), by 15 strikes, 4 standard
deviations below the forward to 3 above, in units of max(F, K), against `neutral.certify`. Cost: CPU time of a
surface of 10 maturities by 50 strikes of the equity set, compiled, and characteristic function values for it.

Run `python benchmarks/engines.py`: writes results/engines.json, docs/images/engines.png, the tables of
docs/engines.md and tests/reference/engines.json.
"""

import datetime
import importlib.metadata
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RESULTS, KEPT = (
    ROOT / "benchmarks" / "results" / "engines.json",
    ROOT / "tests" / "reference" / "engines.json",
)
PAGE, FIGURE = ROOT / "docs" / "engines.md", ROOT / "docs" / "images" / "engines.png"
ROUNDS, CALLS = 5, 10
DAYS = np.array([7, 14, 30, 60, 91, 182, 273, 365, 730, 1095])  # of the timed surface
QUANTLIB = ("AnalyticHestonEngine", "ExponentialFittingHestonEngine", "COSHestonEngine")
FAMILIES = {  # engines joined by a line, cheapest first
    "Lewis": ["Lewis(32)", "Lewis(64)", "Lewis(128)", "Lewis(256)"],
    "CarrMadan, N = 512, 1024, 4096": ["CarrMadan(512)", "CarrMadan()", "CarrMadan(4096)"],
    "CarrMadan, alpha = -0.5": ["CarrMadan(alpha=-0.5)"],
    "CarrMadan, fractional": ["CarrMadan(fractional=True)"],
    "Carr and Madan's setting": ["CarrMadan.classic()"],
    "COS, N = 128, 256, by itself": ["COS(128)", "COS(256)", "COS()"],
    "Contour (default)": ["Contour()"],
    "Certify": ["Certify()"],
}
COLOURS = (
    "tab:blue",
    "tab:orange",
    "gold",
    "tab:green",
    "tab:red",
    "tab:purple",
    "black",
    "tab:pink",
    "0.55",
    "tab:olive",
    "tab:cyan",
)


def engines() -> dict[str, Any]:
    """Every row of the tables."""
    import engine_rows

    import neutral as nt

    lewis = {f"Lewis({n})": nt.Lewis(n) for n in (32, 64, 128, 256)}
    return {"Contour()": nt.Contour(), "Certify()": nt.Certify()} | lewis | engine_rows.OPTIONS


def judge() -> np.ndarray:
    """True prices of the error problem, shape (sets, maturities, strikes)."""
    import engine_rows

    import neutral as nt

    _, strike = engine_rows.problem()
    t = engine_rows.T[:, None]
    certified = [
        nt.certify(nt.Heston(*p), 1.0, k, t, k >= 1.0)
        for p, k in zip(engine_rows.SETS.values(), strike, strict=True)
    ]
    assert (
        max(np.max(x.error_bound / np.maximum(1.0, k)) for x, k in zip(certified, strike, strict=True))
        < 1e-13
    )
    return np.stack([np.asarray(x.price) for x in certified])


def surface() -> tuple[Any, np.ndarray, np.ndarray]:
    """The timed problem: model, log strikes to 3 standard deviations, maturities."""
    import engine_rows
    import jax.numpy as jnp

    import neutral as nt

    model, t = nt.Heston(*engine_rows.SETS["equity"]), DAYS / 365
    stdev = np.sqrt(np.asarray(model.total_variance(jnp.asarray(t))))
    return model, stdev[:, None] * np.linspace(-3, 3, 50), t


def compiled(engine: Any) -> Callable[[], Any]:
    """One call of the engine on the timed surface; inputs lie on the device."""
    import jax

    model, k, t = jax.device_put(surface())
    settled = engine.prepare(model, np.asarray(t))
    price = jax.jit(settled.otm)
    return lambda: jax.block_until_ready(price(model, k, t))


def evaluations(engine: Any) -> int:
    """Values of the characteristic function for the timed surface, counted as it runs, per maturity."""
    import equinox as eqx
    import jax

    from neutral.models import AbstractFourierModel

    seen = []

    class Counting(AbstractFourierModel):
        model: Any

        def log_cf(self, z: Any, t: Any) -> Any:
            psi = self.model.log_cf(z, t)
            jax.debug.callback(lambda: seen.append(psi.size))
            return psi

        def strip(self, t: Any) -> Any:
            return self.model.strip(t)

        def total_variance(self, t: Any) -> Any:
            return self.model.total_variance(t)

    model, k, t = surface()
    settled = engine.prepare(model, t)
    seen.clear()  # choices made once for many surfaces do not count
    jax.block_until_ready(eqx.filter_jit(settled.otm)(Counting(model), k, t))
    jax.effects_barrier()
    return round(sum(seen) / len(t))


def quantlib(name: str) -> Callable[[tuple[float, ...], np.ndarray, np.ndarray], np.ndarray]:
    """A QuantLib engine as a function of parameters, days and strikes: a loop over its options."""
    import QuantLib as ql

    today = ql.Date(15, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    flat = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, ql.Actual365Fixed()))
    spot = ql.QuoteHandle(ql.SimpleQuote(1.0))

    def prices(parameters: tuple[float, ...], days: np.ndarray, strike: np.ndarray) -> np.ndarray:
        engine = getattr(ql, name)(ql.HestonModel(ql.HestonProcess(flat, flat, spot, *parameters)))
        found = np.full(strike.shape, np.nan)
        for i, j in np.ndindex(strike.shape):
            kind = ql.Option.Call if strike[i, j] >= 1.0 else ql.Option.Put
            pay_off = ql.PlainVanillaPayoff(kind, float(strike[i, j]))
            option = ql.VanillaOption(pay_off, ql.EuropeanExercise(today + int(days[i])))
            option.setPricingEngine(engine)
            try:
                found[i, j] = option.NPV()
            except RuntimeError:  # it says that it cannot
                pass
        return found

    return prices


def timed(calls: dict[str, tuple[Callable[[], Any], int]]) -> dict[str, float]:
    """Least CPU seconds of a call, the rows taking turns."""
    best = dict.fromkeys(calls, np.inf)
    for call, _ in calls.values():
        call()
    for _ in range(ROUNDS):
        for name, (call, repeats) in calls.items():
            start = time.process_time()
            for _ in range(repeats):
                call()
            best[name] = min(best[name], (time.process_time() - start) / repeats)
    return best


def measure() -> dict[str, Any]:
    """All rows, and what the tests keep."""
    import engine_rows

    true, rows, kept = judge(), {}, {}
    _, strike = engine_rows.problem()
    for name, engine in engines().items():
        found = engine_rows.measure(engine, true)
        rows[name] = {
            "error": worst(found.error),
            "accurate": [float(np.mean(x == 0)) for x in found.status],
            "missed": int(np.sum((found.status == 0) & ~(found.error <= 1e-8))),
            "evaluations": evaluations(engine),
        }
        if name in engine_rows.OPTIONS:
            kept[name] = engine_rows.summary(found)
        print(name, rows[name], flush=True)
    days = np.rint(365 * engine_rows.T[1:])
    for name in QUANTLIB:
        price = quantlib(name)
        found = np.stack(
            [price(p, days, k[1:]) for p, k in zip(engine_rows.SETS.values(), strike, strict=True)]
        )
        error = np.abs(found - true[:, 1:]) / np.maximum(1.0, strike[:, 1:])
        rows[f"QuantLib {name}"] = {
            "error": worst(error),
            "accurate": None,
            "missed": None,
            "evaluations": None,
        }
    _, k, _ = surface()
    parameters = engine_rows.SETS["equity"]
    calls = {
        name: (compiled(engine), 1 if name == "Certify()" else CALLS) for name, engine in engines().items()
    }
    for name in QUANTLIB:
        price = quantlib(name)
        calls[f"QuantLib {name}"] = (lambda price=price: price(parameters, DAYS, np.exp(k)), 1)
    for name, seconds in timed(calls).items():
        rows[name]["cpu_ms"] = round(1e3 * seconds, 3)
    KEPT.write_text(json.dumps({"true": true.tolist(), "rows": kept}) + "\n")
    return rows


def worst(error: np.ndarray) -> list[float | None]:
    """Largest error of each set among the prices that are not refused."""
    return [float(np.nanmax(x)) if np.any(np.isfinite(x)) else None for x in error]


def machine() -> dict[str, Any]:
    """Processor, versions and date."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [x.split(":")[1].strip() for x in cpuinfo.read_text().splitlines() if "model name" in x]
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": names[0] if names else platform.processor(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "QuantLib", "numpy")},
    }


def table(rows: dict[str, Any], sets: list[str]) -> str:
    """The Markdown table of docs/engines.md."""
    head = ["engine", "values of phi", "ms", *sets, "accurate"]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for name, row in rows.items():
        told = row["accurate"]
        cells = ["-" if x is None else f"{x:.0e}" for x in row["error"]]
        share = "-" if told is None else " / ".join(f"{100 * x:.0f}" for x in told) + " %"
        count = "-" if row["evaluations"] is None else f"{row['evaluations']:,}"
        lines.append([f"`{name}`", count, f"{row['cpu_ms']:.3g}", *cells, share])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def draw(rows: dict[str, Any], sets: list[str], about: dict[str, Any]) -> None:
    """Error against both costs, one column of panels per set."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    families = FAMILIES | {f"QuantLib {name}": [f"QuantLib {name}"] for name in QUANTLIB}
    figure, panels = plt.subplots(2, len(sets), figsize=(15, 8.4), sharey=True, layout="constrained")
    costs = {"evaluations": "values of phi per maturity", "cpu_ms": "CPU ms for 10 x 50 options"}
    for line, cost in zip(panels, costs, strict=True):
        for i, (name, panel) in enumerate(zip(sets, line, strict=True)):
            for (family, members), colour in zip(families.items(), COLOURS, strict=True):
                chosen = [rows[m] for m in members if rows[m][cost] and rows[m]["error"][i] is not None]
                curve(panel, chosen, cost, i, family, colour)
            panel.set(xscale="log", yscale="log", ylim=(3e-17, 3e-2), xlabel=costs[cost], title=name)
            panel.axhline(1e-8, color="0.6", linewidth=0.8, linestyle="--")
            panel.grid(alpha=0.25)
        line[0].set_ylabel("worst error, units of max(F, K)")
    handles, labels = panels[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(
        f"Error against cost, one hour to ten years ({about['cpu']}, {about['date']}). "
        "Hollow: some prices called inaccurate, or refused; dashed: the tolerance"
    )
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=110)


def curve(panel: Any, chosen: list[dict], cost: str, i: int, family: str, colour: str) -> None:
    """The engines of one family, hollow where the engine itself does not vouch for every price of the set."""
    if not chosen:
        return
    x, y = [row[cost] for row in chosen], [max(row["error"][i], 1e-16) for row in chosen]
    marker = "s" if family.startswith("QuantLib") else "o"
    panel.plot(x, y, "-", color=colour, linewidth=1.2)
    panel.plot([], [], marker, color=colour, label=family)
    fill = [colour if row["accurate"] is None or row["accurate"][i] == 1 else "white" for row in chosen]
    panel.scatter(x, y, s=40, marker=marker, c=fill, edgecolors=colour, linewidths=1.5, zorder=3)


def main() -> None:
    """Measure all, write results, figure, page and reference."""
    sys.path.insert(0, str(ROOT / "tests"))
    import engine_rows

    import neutral as nt

    nt.enable_x64()
    sets = list(engine_rows.SETS)
    report = machine() | {"sets": sets, "rows": measure()}
    report["carr_madan_to_lewis"] = round(
        report["rows"]["CarrMadan()"]["cpu_ms"] / report["rows"]["Lewis(64)"]["cpu_ms"], 2
    )
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    draw(report["rows"], sets, report)
    start, _, end = "<!-- measured -->", "", "<!-- end -->"
    before, rest = PAGE.read_text().split(start)
    versions = report["versions"]
    tools = f"jax {versions['jax']}, QuantLib {versions['QuantLib']}"
    caption = f"\nMeasured {report['date']} ({report['cpu']}, {tools}).\n\n"
    PAGE.write_text(before + start + caption + table(report["rows"], sets) + end + rest.split(end)[1])
    print(table(report["rows"], sets), "CarrMadan() / Lewis(64):", report["carr_madan_to_lewis"])


if __name__ == "__main__":
    main()
