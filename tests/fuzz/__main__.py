"""The command of the fuzzer: runs inputs, and lists each fault once, with the number that repeats it."""

import argparse
import collections
import secrets
import sys
import tempfile
import time
from pathlib import Path

from .inputs import Outcome, make_input, run_input
from .supervisor import Job, run_inputs
from .targets import all_targets


def main() -> int:
    """Run the fuzzer; the exit code is 1 if it found a fault."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=None, help="seed of all inputs; a random one if not given"
    )
    parser.add_argument("--inputs", type=int, default=2000, help="number of inputs")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--workers", type=int, default=1, help="number of processes")
    parser.add_argument("--only", type=int, default=None, help="run one input by number, and print it")
    args = parser.parse_args()
    seed = secrets.randbits(20) if args.seed is None else args.seed
    if args.only is not None:
        return _show(seed, args.only)
    print(f"seed {seed}, inputs {args.first} to {args.first + args.inputs - 1}", flush=True)
    found: dict[str, list[Outcome]] = {}
    started = time.monotonic()

    def report(outcome: Outcome) -> None:
        same = found.setdefault(f"{outcome.kind}: {outcome.key}", [])
        same.append(outcome)
        if len(same) == 1:
            minutes = (time.monotonic() - started) / 60
            print(f"[{minutes:.1f} min] {outcome.kind}: {outcome.key} (--only {outcome.number})", flush=True)

    numbers = range(args.first, args.first + args.inputs)
    outcomes = run_inputs(Job(seed), numbers, args.workers, report)
    counts = collections.Counter((outcome.target, outcome.kind) for outcome in outcomes)
    for (target, kind), count in sorted(counts.items()):
        print(f"{count:9,d}  {target}: {kind}")
    for key, same in sorted(found.items(), key=lambda item: -len(item[1])):
        print(
            f"\n{len(same):,} x {key}\n    make fuzz SEED={seed} ONLY={same[0].number}\n    {same[0].detail}"
        )
    total = time.monotonic() - started
    print(f"\nseed {seed}: {len(outcomes):,} inputs in {total / 60:.1f} min, {len(found)} different faults")
    return 1 if found else 0


def _show(seed: int, number: int) -> int:
    """Run one input in this process, and show its bytes and what came of it."""
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        targets = all_targets(Path(folder) / "whole")
        target, name, data, _ = make_input(targets, seed, number)
        print(f"seed {seed}, input {number}: {target.name}, {name}, {len(data):,} bytes")
        sys.stdout.flush()
        sys.stdout.buffer.write(data[:4000] + b"\n")
        outcome = run_input(targets, seed, number, Path(folder) / "inputs")
    print(f"{outcome.kind}: {outcome.key}\n{outcome.detail}")
    return int(outcome.is_fault)


if __name__ == "__main__":
    sys.exit(main())
