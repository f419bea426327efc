"""Writes the figures of the README and of docs/benchmarks.md from results/*.json.

`python benchmarks/report.py` writes them; with `--check` it only names the files that disagree, and fails.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PROOF_ROWS = 5  # the first rows of `beside` are those of the README
BEGIN, END = "<!-- begin: written by benchmarks/report.py -->", "<!-- end -->"


class Row(NamedTuple):
    """A claim, what was measured, what a rival measured in the same run, and the command that measures it."""

    claim: str
    here: str
    rival: str
    command: str


def load(name: str) -> Any:
    """The results of a benchmark."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def seconds(value: float) -> str:
    """A duration in a unit that suits it, with one decimal below 10."""
    scales = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))
    unit, size = next((scale for scale in scales if value >= 0.9995 * scale[1]), scales[-1])
    scaled = value / size
    return f"{scaled:.0f} {unit}" if scaled >= 9.95 else f"{scaled:.1f} {unit}"


def small(value: float) -> str:
    """An error with two digits."""
    return f"{value:.1e}".replace("e-0", "e-")


def percent(value: float) -> str:
    """A share in percent, with one decimal from 95 % on."""
    return f"{100 * value:.1f} %" if value > 0.95 else f"{100 * value:.0f} %"


def beside() -> list[Row]:
    """Rows with a rival on the same machine, those of the README first."""
    fits = load("calibration")
    cui = load("cui")["cui"]["result"]
    pricing = load("pricing")["cpu"]["rows"]
    vols = load("implied_vol")["compare"]
    single, batch, search = (fits[part]["result"] for part in ("single", "batch", "global search"))
    svcj = fits["svcj"]["result"]
    ours, theirs, trf = (
        cui[name] for name in ("neutral, start from data", "QuantLib LM", "scipy TRF, bounded")
    )
    priced = {
        name: f"{seconds(1e-6 * row['cpu_us'])}, {small(row['max_error'])}" for name, row in pricing.items()
    }
    engines = ("AnalyticHestonEngine", "ExponentialFittingHestonEngine")
    analytic, fitting = (f"{priced[f'QuantLib {name}']} (`{name}`)" for name in engines)
    one_core, default, exact = (
        vols[name] for name in ("neutral, 1 core", "QuantLib, default accuracy", "QuantLib, accuracy 1e-14")
    )
    lets = vols["py_lets_be_rational"]
    cost = [float(x) for x in svcj["source_cpu_s"]]
    return [
        Row(
            "One Heston fit to 200 quotes",
            seconds(1e-3 * single["neutral_cpu_ms"]),
            seconds(1e-3 * single["quantlib_cpu_ms"]),
            "calibration.py --part single",
        ),
        Row(
            "Heston from exact quotes, problems of Cui et al. (2017): solved",
            solved(ours),
            solved(theirs),
            "cui.py --part cui",
        ),
        Row(
            "Heston surface of 500 options on a prepared grid: time, worst error",
            priced["Lewis(56), prepared grid"],
            analytic,
            "pricing.py",
        ),
        Row("The same to machine accuracy: `neutral.price`", priced["neutral.price"], fitting, "pricing.py"),
        Row(
            "An implied volatility: time, worst relative error",
            vol(one_core),
            f"{seconds(1e-9 * default['ns_per_option'])}, {default['failures']} of {default['options']:,} "
            "off by more than 1 %",
            "implied_vol.py",
        ),
        Row("The same, QuantLib asked for an accuracy of 1e-14", vol(one_core), vol(exact), "implied_vol.py"),
        Row("The same, py_lets_be_rational", vol(one_core), vol(lets), "implied_vol.py"),
        Row(
            f"A Heston fit in a batch of {batch['surfaces']:,}",
            seconds(1e-3 * batch["cpu_ms"]),
            seconds(1e-3 * batch["quantlib_cpu_ms"]),
            "calibration.py --part batch",
        ),
        Row(
            "The problems of Cui et al., bounded least squares of scipy", solved(ours), solved(trf), "cui.py"
        ),
        Row(
            "A fit from the data; differential evolution and Nelder-Mead of scipy to the same error",
            seconds(search["neutral_cpu_s"]),
            seconds(search["scipy_cpu_s"]),
            'calibration.py --part "global search"',
        ),
        Row(
            "One SVCJ fit to a Deribit snapshot, from the data alone; the source's own fits",
            seconds(svcj["cpu_s"]),
            f"{min(cost):.0f} to {max(cost):.0f} s",
            "calibration.py --part svcj",
        ),
    ]


def solved(run: dict[str, Any]) -> str:
    """How many problems were solved, and how many were not but were claimed to be, with the time of one."""
    false = run["false_claims"]
    claims = "none claimed falsely" if not false else f"{false} claimed falsely"
    return f"{run['solved']} of {run['problems']}, {claims}; {seconds(run['cpu_s_per_problem'])} each"


def vol(run: dict[str, Any]) -> str:
    """The time and the worst error of implied volatilities."""
    return f"{seconds(1e-9 * run['ns_per_option'])}, {small(run['error_max'])}"


def alone() -> list[Row]:
    """Rows without a rival."""
    fits = load("calibration")
    stream, first = fits["stream"]["result"], fits["first calls"]["result"]
    svcj = load("cui")["svcj"]["result"]["neutral, 96 nodes"]
    surfaces = load("surfaces")
    deribit = {name: surfaces["deribit"][name] for name in ("BTC", "ETH")}
    trust = load("diagnostics")
    prior = load("learned_prior")
    demo = load("demo")
    chunks = load("implied_vol")["chunked"]
    whole = 1.0 / (1e-3 * stream["wall_ms_per_surface"])
    names = {"heston": "Heston", "svcj": "SVCJ", "svcj++": "SVCJ++"}
    calls = ", ".join(
        f"{name} {seconds(first[key]['cold']['wall_s'])} / {seconds(first[key]['warm']['wall_s'])}"
        for key, name in names.items()
    )
    best = {name: demo["inside"][name]["svcj++"] for name in deribit}
    return [
        Row(
            f"SVCJ from exact quotes, {svcj['problems']} problems: solved to 1e-8 of the forward",
            f"{svcj['solved']}, largest price error {small(svcj['rmse_max'])}",
            "",
            "cui.py --part svcj",
        ),
        Row(
            f"{stream['surfaces']:,} Heston surfaces as a stream, two cores",
            f"{float(f'{whole:.2g}'):,.0f} a second, {stream['rss_mib_peak'] / 1024:.1f} GiB",
            "",
            f"calibration.py --stream {stream['surfaces']}",
        ),
        Row("First fit of a session, wall time, cold / with kept programs", calls, "", "calibration.py"),
        Row(
            f"{chunks['options']:,} implied volatilities in chunks",
            f"{chunks['total_s']:.1f} s, {chunks['failures']} failures, {chunks['rss_mib_peak']:.0f} MiB",
            "",
            f"implied_vol.py --chunked {chunks['options']}",
        ),
        Row(
            "Quotes within half a spread of mid, mixture of two eSSVI surfaces, Bitcoin / Ether",
            " / ".join(percent(x["two"]["in_sample"]["inside"]) for x in deribit.values()),
            "",
            "surfaces.py deribit",
        ),
        Row(
            "The same of quotes held back from the fit",
            " / ".join(percent(x["two"]["held_back"]["inside"]) for x in deribit.values()),
            "",
            "surfaces.py deribit",
        ),
        Row(
            "One fit of such a mixture, median and slowest",
            " / ".join(seconds(1e-3 * surfaces["speed"]["two"][key]) for key in ("median_ms", "max_ms")),
            "",
            "surfaces.py speed",
        ),
        Row(
            "Vega ladder of four prices through a calibrated SVCJ, in fits; the same by two refits per quote",
            f"{trust['trust']['svcj']['ladder_in_fits']:.2f}; "
            f"{trust['trust']['svcj']['bumps_over_ladder']:,.0f} times as long",
            "",
            "diagnostics.py",
        ),
        Row(
            "The pipeline on the shipped index chain, warm",
            f"{trust['pipeline']['refused']} impossible quotes refused, {trust['pipeline']['quotes']} fitted "
            f"at {trust['pipeline']['iv_rmse_bp']:.1f} bp, {seconds(trust['pipeline']['total'])}",
            "",
            "diagnostics.py",
        ),
        Row(
            f"A fit from 8 fresh quotes, {prior['test_snapshots']} later snapshots, mean error in 0.001 coin "
            "by learned prior / hand-chosen prior / previous fit / no prior",
            " / ".join(
                f"{prior['test']['8'][name]['error']:.2f}"
                for name in ("network", "level pull", "last fit", "robust loss")
            ),
            "",
            "learned_prior.py",
        ),
        Row(
            f"`neutral demo`, {demo['snapshots']} snapshots: fits converged; held-back quotes inside "
            "bid-ask, SVCJ++, Bitcoin / Ether",
            f"{demo['converged']} of {demo['fits']}; {' / '.join(map(percent, best.values()))}",
            "",
            "neutral demo",
        ),
    ]


def command(row: Row) -> str:
    """The command of a row."""
    return f"`{row.command}`" if row.command.startswith("neutral") else f"`python benchmarks/{row.command}`"


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def caption() -> str:
    """The caption of the picture in the README."""
    demo = load("demo")
    shares = [demo["inside"][name]["svcj++"] for name in ("BTC", "ETH")]
    return (
        f"*Bid-ask bars of Bitcoin options on {demo['drawn']} UTC, and SVCJ++ fitted to the grey ones. "
        f"Of the quotes held back over {demo['snapshots']} snapshots, {percent(shares[0])} are priced inside "
        f"bid-ask (Ether: {percent(shares[1])}); `neutral demo` repeats it.*"
    )


def readme(text: str) -> str:
    """The README with its caption and its five rows."""
    header = ("claim", "here", "QuantLib 1.44, same machine", "reproduce it")
    rows = [(row.claim, row.here, row.rival, command(row)) for row in beside()[:PROOF_ROWS]]
    text = re.sub(r"^\*Bid-ask bars .*$", lambda _: caption(), text, flags=re.MULTILINE)
    return re.sub(
        r"^\| claim \|.*\n(\|.*\n)+", lambda _: table(header, rows) + "\n", text, flags=re.MULTILINE
    )


def page(text: str) -> str:
    """The page of benchmarks with its two tables."""
    first = table(
        ("what", "here", "QuantLib 1.44, unless named", "command"),
        [(row.claim, row.here, row.rival, command(row)) for row in beside()],
    )
    second = table(("what", "measured", "command"), [(row.claim, row.here, command(row)) for row in alone()])
    parts = iter((first, second))
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    return pattern.sub(lambda _: f"{BEGIN}\n\n{next(parts)}\n\n{END}", text)


FILES = {ROOT / "README.md": readme, ROOT / "docs" / "benchmarks.md": page}


def stale() -> list[Path]:
    """Files whose figures are not those of the results."""
    return [
        path for path, write in FILES.items() if write(path.read_text("utf-8")) != path.read_text("utf-8")
    ]


def main() -> None:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a file disagrees")
    if parser.parse_args().check:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale())
        sys.exit(
            f"{names}: not the figures of benchmarks/results; run python benchmarks/report.py" if names else 0
        )
    for path, write in FILES.items():
        path.write_text(write(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
