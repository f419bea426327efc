"""Write requirements.lock: the exact versions in the environments that the tests pass in.

`python .ci/lock.py PYTHON...` takes the interpreter of each environment, oldest Python first. A package whose
version differs between them has a line for each, with the Python versions that it is for.
"""

import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
HEADER = (
    "# Exact versions that the tests pass with; written by `make lock`.\n"
    '# pip install -c requirements.lock -e ".[cli,plot,test]"\n'
)


def version(python: str) -> str:
    """Version of an interpreter, such as 3.11."""
    code = "import sys; print('{}.{}'.format(*sys.version_info))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def freeze(python: str) -> dict[str, str]:
    """Versions of the packages that an environment has from an index."""
    command = [python, "-m", "pip", "freeze", "--exclude-editable", "--quiet"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    pairs = (line.split("==") for line in text.splitlines() if "==" in line)
    return {name.lower().replace("_", "-"): number for name, number in pairs}


def lines(environments: dict[str, dict[str, str]]) -> list[str]:
    """Lines of the lock; the last environment's versions are also for every newer Python."""
    pythons = list(environments)
    result = []
    for name in sorted(set().union(*environments.values())):
        numbers = {python: environments[python][name] for python in pythons if name in environments[python]}
        if len(set(numbers.values())) == 1:
            result.append(f"{name}=={next(iter(numbers.values()))}")
            continue
        for python, number in numbers.items():
            relation = ">=" if python == pythons[-1] else "<"
            limit = python if relation == ">=" else pythons[pythons.index(python) + 1]
            result.append(f'{name}=={number}; python_version {relation} "{limit}"')
    return result


def main(*pythons: str) -> None:
    """Write the lock of one or two environments."""
    if not 1 <= len(pythons) <= 2:
        raise SystemExit("usage: lock.py PYTHON [NEWER_PYTHON]")
    LOCK.write_text(HEADER + "\n".join(lines({version(python): freeze(python) for python in pythons})) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
