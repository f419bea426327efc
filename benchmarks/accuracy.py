"""How exact is each engine on every reference option?

Measures the options in `tests/reference/` and writes `docs/accuracy.md` for readers and
`tests/reference/accuracy.json` for the test that fails when an error grows tenfold.

Run `python benchmarks/accuracy.py`.
"""

import datetime
import importlib.util
import json
import platform
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DOCS, KEPT = ROOT / "docs" / "accuracy.md", ROOT / "tests" / "reference" / "accuracy.json"
TITLES = {
    "heston": "Heston",
    "bates": "Bates",
    "svcj": "SVCJ",
    "merton": "Merton",
    "kou": "Kou",
    "vg": "Variance Gamma",
    "nig": "NIG",
    "double_heston": "Double Heston",
    "pw_heston": "Piecewise Heston",
}
COLUMNS = {
    "price, Contour": "price",
    "relative": "relative",
    "gradient": "gradient",
    "gamma": "gamma",
    "price, Certify": "certify",
    "bound, Certify": "its bound",
    "price, Lewis(64)": "Lewis(64)",
    "price, Lewis(128)": "Lewis(128)",
    "price, float32": "float32",
}
INTRODUCTION = """# Accuracy

Every engine against {count} options whose values are known to 18 digits and more, from 77-digit arithmetic by
two independent methods (`tests/reference/`). A test fails if an error in one of these rows grows tenfold.

- **price**: largest error in units of discount x max(F, K), for coin-settled options of max(1, K/F).
  `price` in the tables is the default engine, `neutral.price` without options.
- **relative**: the default engine's largest relative error, out-of-the-money options worth more than 1e-12 F.
- **gradient**, **gamma**: largest error of `neutral.greeks` in any parameter, spot (or forward) and maturity,
  and of gamma, divided by max(|derivative|, 1e-6 F), for coin by max(|derivative|, 1e-6).
- **certify**, **its bound**: largest error of `neutral.certify` and the largest bound it gives.
- `Lewis` is the calibration engine: absolute accuracy only; its status reports what is not accurate.
- **float32**: the default engine asked for `precision="float32"`, JAX in single precision.

Sets marked * are torture: one hour to 15 years, correlation -0.99 and 0.90, vol-of-vol 1e-4 and 7, Feller
ratio 1e-4. Errors below 1e-15 (derivatives: 1e-12) are written so; nan is no answer. Measured {date}
({machine}, jax {jax}); `python benchmarks/accuracy.py` measures again and writes this page.
"""


def load_records() -> ModuleType:
    """`tests/records.py`, which measures: the tests import it too."""
    spec = importlib.util.spec_from_file_location("records", ROOT / "tests" / "records.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["records"] = module
    spec.loader.exec_module(module)
    return module


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, numbers to the right."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *rows]) + "\n"


def summary_table(records: ModuleType) -> str:
    """One row per engine over all models, ordinary and torture sets apart."""
    rows = []
    for engine in ("Contour", "Certify", "Lewis(64)", "Lewis(128)", "float32"):
        cells = []
        for torture in (False, True):
            chosen = [
                records.measure(model)[group.key]
                for model in TITLES
                for group in records.groups(model)
                if group.torture == torture
            ]
            error = np.concatenate([x.price[engine] for x in chosen])
            told = np.concatenate([x.accurate[engine] for x in chosen])
            good = np.mean(error <= 1e-8)
            wrong = int(np.sum(told & ~(error <= records.LIMIT[engine])))
            cells += [f"{np.nanmedian(error):.0e}", f"{np.nanmax(error):.0e}", f"{100 * good:.1f} %"]
            cells += [str(wrong)]
        rows.append(["Contour (default)" if engine == "Contour" else engine, *cells])
    names = ["median", "largest", "<= 1e-8", "missed"]
    return table(["engine", *names, *(f"torture: {x}" for x in names)], rows)


def main() -> None:
    """Measure all, write both files."""
    import jax

    import neutral as nt

    nt.enable_x64()
    records = load_records()
    kept: dict[str, dict] = {}
    count, pages = 0, []
    for model, title in TITLES.items():
        kept[model] = {key: records.summary(x) for key, x in records.measure(model).items()}
        rows = []
        for group in records.groups(model):
            count += len(group.records)
            name = f"{group.set}{'*' if group.torture else ''}"
            numbers = kept[model][group.key]
            rows.append([name, f"{group.t:.4g}", *(f"{numbers[column]:.0e}" for column in COLUMNS)])
        pages.append(f"## {title}\n\n" + table(["set", "years", *COLUMNS.values()], rows))
    machine = f"{platform.system()} {platform.machine()}"
    head = INTRODUCTION.format(
        count=count, date=datetime.date.today().isoformat(), machine=machine, jax=jax.__version__
    )
    note = "\n**missed**: options off by more than 1e-8 (float32: 1e-6) that the engine calls accurate.\n"
    DOCS.write_text("\n".join([head, "## Engines\n", summary_table(records) + note, *pages]))
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    print(summary_table(records))


if __name__ == "__main__":
    main()
