"""One input: it follows from a seed and a number alone, and its outcome is one of a few words."""

import dataclasses
import random
import re
import shutil
import traceback
import warnings
from pathlib import Path

from neutral import NeutralError

from .mutations import mutated
from .targets import Target, placed, weighted

LONGEST = 3000  # characters of a message
REMEDY = re.compile(
    r"expected|accepted|need|must|\b(add|fill|remove|rename|copy|move|save|say|write|correct|loosen|lower|pass|"
    r"divide|multiply|complete|map|use|run|restore|choose|state|name|give|set|declare|convert|replace|delete|shorten)\b|"
    r"the file has|should|(line|char|position|column) \d|end of document",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of one input."""

    number: int
    target: str
    kind: str  # "read", "refused", or a fault: "escape", "warning", "message", "hang", "memory", "crash"
    key: str = ""  # equal for equal faults
    detail: str = ""

    @property
    def is_fault(self) -> bool:
        return self.kind not in ("read", "refused")


def make_input(
    targets: tuple[Target, ...], seed: int, number: int
) -> tuple[Target, str, bytes, random.Random]:
    """The target, name and bytes of an input, and the generator for what else it needs."""
    rng = random.Random((seed << 40) + number)
    target = rng.choice(weighted(targets))
    name, data = rng.choice(target.seeds)
    return target, name, mutated(data, target.mutations, rng), rng


def run_input(targets: tuple[Target, ...], seed: int, number: int, folder: Path) -> Outcome:
    """Read an input, in an empty folder which is removed afterwards."""
    target, name, data, rng = make_input(targets, seed, number)
    return outcome_of(target, name, data, rng, number, folder / f"i{number}")


def outcome_of(
    target: Target, name: str, data: bytes, rng: random.Random, number: int, folder: Path
) -> Outcome:
    """Read a file with a target, and tell what came of it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        path = placed(target, name, data, folder)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            target.read(path, rng)
    except NeutralError as error:
        wrong = message_fault(str(error), target, name)
        kind = "message" if wrong else "refused"
        key = f"{target.name}: {wrong}: {_where(error)}" if wrong else ""
        return Outcome(number, target.name, kind, key, str(error)[:LONGEST] if wrong else "")
    except MemoryError as error:
        return Outcome(number, target.name, "memory", f"{target.name}: MemoryError: {_where(error)}")
    except Warning as error:
        return _fault("warning", error, target, number)
    except Exception as error:  # whatever else comes is what is looked for
        return _fault("escape", error, target, number)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Outcome(number, target.name, "read")


def message_fault(message: str, target: Target, name: str) -> str:
    """What an error message lacks: the name of the file, one line, a moderate length, or the remedy."""
    known = [Path(name).name, *(path.name for path in (target.beside.rglob("*") if target.beside else ()))]
    if not any(file in message for file in known):
        is_argument = re.match(r"(date|rate|rates|spread|spot|day_count|symbol|exercise)=", message)
        return "" if is_argument else "does not name the file"
    if "\n" in message:
        return "has several lines"
    if len(message) > LONGEST:
        return "is long"
    return "" if REMEDY.search(message) else "names no remedy"


def _fault(kind: str, error: BaseException, target: Target, number: int) -> Outcome:
    text = "".join(traceback.format_exception(error)[-4:])
    key = f"{target.name}: {type(error).__name__}: {_where(error)}"
    return Outcome(number, target.name, kind, key, f"{error!r}\n{text}"[:LONGEST])


def _where(error: BaseException) -> str:
    """The innermost line of the package that raised an error."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/neutral/" in frame.filename]
    return f"{frames[-1].filename.split('/neutral/')[-1]}:{frames[-1].lineno}" if frames else "outside"
