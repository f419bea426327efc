"""Targets that do what a bad reader does, to test the fuzzer itself."""

import random
import time
from pathlib import Path

from neutral import DataError

from .mutations import Mutation
from .targets import Target

WORDS = (b"read", b"refuse", b"escape", b"silent", b"warn", b"hang", b"explode", b"crash")


def _keep(data: bytes, rng: random.Random) -> bytes:
    return data


def _read(path: Path, rng: random.Random) -> None:
    import os
    import warnings

    word = path.read_bytes()
    if word == b"refuse":
        raise DataError(f"{path}: the word is wrong; expected another.")
    if word == b"escape":
        raise KeyError(word)
    if word == b"silent":
        raise DataError("no")
    if word == b"warn":
        warnings.warn("odd", stacklevel=1)
    if word == b"hang":
        time.sleep(60)
    if word == b"explode":
        bytearray(8 << 30)
    if word == b"crash":
        os._exit(3)


def toy_targets(folder: Path) -> tuple[Target, ...]:
    """One target for each word; each reads a file that holds the word."""
    mutations: tuple[Mutation, ...] = (_keep,)
    seeds = [("word.txt", word) for word in WORDS]
    return tuple(Target(seed[1].decode(), (seed,), mutations, _read) for seed in seeds)
