"""Does a learned prior beat a hand's where few quotes are fresh? See results/learned_prior.json.

The 200 consecutive Deribit snapshots of `$NEUTRAL_DATA/deribit/run`, Bitcoin and Ether. Each fit of Heston
has the fit of all quotes of the snapshot before, and few fresh quotes; it is judged on all other strikes.
The first 150 snapshots train: within them, every third block of ten chooses the hand's prior and how long
the network is trained. The last 50 test. Run `python benchmarks/learned_prior.py`; it needs NEUTRAL_DATA.
"""

import datetime
import json
import os
import platform
import time
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np

import neutral as nt
from neutral.market import build_surface, list_snapshots, load_deribit
from neutral.ml import (
    HandPrior,
    Outcome,
    PriorNetwork,
    Update,
    draw_fresh,
    outcomes,
    outcomes_without_fit,
    stack_updates,
    train_prior,
)

RESULTS = Path(__file__).parent / "results" / "learned_prior.json"
TRAINING = 150  # snapshots
COUNTS = (8, 16, 32)  # fresh quotes
CHUNK = 20  # updates judged at a time, so that one compiled program serves all
RATE = 0.006  # of Adam
EPOCHS = (2, 4, 6)  # of which the validation chooses
LEVEL = tuple((v0, 100.0 * v0) for v0 in (1.0, 3.0, 10.0, 30.0))  # strengths: v0, every other parameter
EQUAL = tuple((s, s) for s in (1.0, 3.0, 10.0, 30.0, 100.0))
TYPICAL = nt.Tikhonov(3e-3)  # keeps the fits of all quotes off their bounds


def load_updates(folder: Path, limit: int | None = None) -> Update:
    """Updates of Bitcoin and Ether in turn, two for each snapshot but the first."""
    surfaces = []
    times = []
    for path in list_snapshots(folder)[:limit]:
        for currency in ("BTC", "ETH"):
            quotes = load_deribit(path, currency=currency)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", nt.QuoteWarning)  # one snapshot mixes two times
                surfaces.append(build_surface(quotes)[0])
            times.append(quotes.snapshot_ts.timestamp())
    stacked = nt.stack(surfaces)
    fits = nt.calibrate_batch(nt.Heston, stacked, loss=nt.Loss("spread", "soft_l1", c=0.4), prior=TYPICAL)
    hours = (np.array(times[2:]) - np.array(times[:-2])) / 3600.0
    currency = np.resize([-1.0, 1.0], hours.size)
    context = np.stack([currency, 0.2 * (hours - 6.0)], axis=1)
    return stack_updates(stacked[2:], jax.tree.map(lambda x: x[:-2], fits.model), context)


def rows(updates: Update, which: Any) -> Update:
    """Some of the updates."""
    return jax.tree.map(lambda x: x[which], updates)


def hand(strengths: tuple[float, float]) -> HandPrior:
    """A pull of v0, and a pull of every other parameter of Heston."""
    return HandPrior(np.array([strengths[0], *[strengths[1]] * 4]))


def judge(prior: Any, updates: Update, count: int) -> Outcome:
    """Errors of one prior; the fresh quotes depend on their number alone."""
    fresh = np.asarray(draw_fresh(jax.random.key(count), updates, count))
    if prior is None:
        return jax.device_get(outcomes_without_fit(updates, fresh))
    size = len(fresh)
    parts = []
    for which in np.resize(np.arange(size), -(-size // CHUNK) * CHUNK).reshape(-1, CHUNK):
        parts.append(jax.device_get(outcomes(prior, rows(updates, which), fresh[which])))
    return jax.tree.map(lambda *x: np.concatenate(x)[:size], *parts)


def error_of(prior: Any, updates: Update) -> float:
    """Mean error over all numbers of fresh quotes, on which choices are made."""
    return 1e3 * float(np.mean([np.mean(judge(prior, updates, count).error) for count in COUNTS]))


def choose(updates: Update, width: int) -> dict[str, Any]:
    """Strengths of the hand's priors and epochs of the network, by the validation blocks."""
    block = np.arange(len(updates.context)) // 20 % 3 == 2
    past = rows(updates, ~block)
    later = rows(updates, block)
    level = {s: error_of(hand(s), later) for s in LEVEL}
    equal = {s: error_of(hand(s), later) for s in EQUAL}
    best = min(level, key=level.__getitem__)
    trained: dict[int, float] = {}

    def report(epoch: int, value: float, network: PriorNetwork) -> None:
        if epoch + 1 in EPOCHS:
            trained[epoch + 1] = error_of(network, later)

    start = PriorNetwork(hand(best), past, jax.random.key(0), width=width)
    train_prior(start, past, jax.random.key(1), epochs=max(EPOCHS), report=report, rate=RATE)
    return {"level": level, "equal": equal, "epochs": trained}


def compare(updates: Update, priors: dict[str, Any]) -> dict[str, Any]:
    """Errors of each prior by number of fresh quotes, and what the network gains on the others."""
    found: dict[str, Any] = {}
    for count in COUNTS:
        by_name = {name: judge(prior, updates, count) for name, prior in priors.items()}
        # Bitcoin and Ether of one snapshot move together: their mean is one observation
        errors = {name: 1e3 * np.mean(x.error.reshape(-1, 2), axis=1) for name, x in by_name.items()}
        found[str(count)] = {
            name: {
                "error": float(np.mean(errors[name])),
                "btc": 1e3 * float(np.mean(by_name[name].error[0::2])),
                "eth": 1e3 * float(np.mean(by_name[name].error[1::2])),
                "inside": float(np.mean(by_name[name].inside)),
                "converged": float(np.mean(by_name[name].converged)),
                "gain": gain(errors[name], errors["network"]),
                "errors": np.round(errors[name], 5).tolist(),
            }
            for name in priors
        }
    return found


def gain(other: np.ndarray, network: np.ndarray) -> dict[str, float] | None:
    """Mean difference of errors, positive where the network is better, with its 90 % interval."""
    test = nt.diebold_mariano(other, network)
    if test.reason:
        return None
    half = 1.645 * test.mean / test.statistic
    return {"mean": test.mean, "low": test.mean - half, "high": test.mean + half, "p": test.probability}


def run(folder: Path, training: int = TRAINING, limit: int | None = None, width: int = 4) -> dict[str, Any]:
    """Choose and train on the first snapshots, test on the rest."""
    clock = time.perf_counter()
    processor = time.process_time()
    updates = load_updates(folder, limit)
    print(f"loaded {len(updates.context)} updates in {time.process_time() - processor:.0f} s", flush=True)
    train = rows(updates, slice(0, 2 * (training - 1)))
    test = rows(updates, slice(2 * (training - 1), None))
    choices = choose(train, width)
    print(choices, f"{time.process_time() - processor:.0f} s", flush=True)
    best = {name: min(choices[name], key=choices[name].__getitem__) for name in choices}
    start = PriorNetwork(hand(best["level"]), train, jax.random.key(0), width=width)
    network = train_prior(start, train, jax.random.key(2), epochs=best["epochs"], rate=RATE)
    priors = {
        "last fit": None,
        "robust loss": hand((0.0, 0.0)),
        "equal pull": hand(best["equal"]),
        "level pull": hand(best["level"]),
        "network": network,
    }
    errors = compare(test, priors)
    return {
        "training_snapshots": training,
        "test_snapshots": len(test.context) // 2,
        "validation": {name: {str(k): v for k, v in table.items()} for name, table in choices.items()},
        "chosen": best,
        "test": errors,
        "seconds": {"wall": time.perf_counter() - clock, "processor": time.process_time() - processor},
    }


def main() -> None:
    """Measure, print and keep."""
    nt.enable_x64()
    answers = run(Path(os.environ["NEUTRAL_DATA"]) / "deribit" / "run")
    machine = {"date": f"{datetime.date.today()}", "machine": platform.machine(), "jax": jax.__version__}
    RESULTS.write_text(json.dumps(answers | {"run": machine}, indent=1) + "\n")
    for count, table in answers["test"].items():
        for name, row in table.items():
            print(count, name, {k: v for k, v in row.items() if k != "errors"})
    print(answers["seconds"])


if __name__ == "__main__":
    main()
