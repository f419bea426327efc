"""What the repository says of itself in two places agrees."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = ("cli", "plot", "test")
LINE = re.compile(r"([\w.-]+)(?:\[\w+\])?>=([\w.]+)")


def pins(name: str) -> dict[str, str]:
    """Versions by package of a file of constraints."""
    lines = re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / name).read_text(), re.MULTILINE)
    return {package.lower().replace("_", "-"): version for package, version in lines}


def lowest() -> dict[str, str]:
    """Lowest version by package, of what the tests are installed with."""
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *(x for extra in EXTRAS for x in extras[extra])]
    matches = [LINE.fullmatch(x) for x in wanted]
    assert all(matches), wanted
    return {match[1].lower().replace("_", "-"): match[2] for match in matches if match}


def test_the_oldest_run_has_the_lowest_versions():
    oldest = pins(".ci/oldest.txt")
    assert set(oldest) == set(lowest())
    for name, version in lowest().items():
        assert f"{oldest[name]}.".startswith(f"{version}."), f"{name}: {oldest[name]} is not {version}"


@pytest.mark.parametrize("name", sorted(lowest()))
def test_the_lock_has_every_dependency_and_no_address(name):
    text = (ROOT / "requirements.lock").read_text()
    assert name in pins("requirements.lock")
    assert not re.search(r"://|@ |--(extra-)?index|--find-links", text)


def test_every_command_of_contributing_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)", (ROOT / "CONTRIBUTING.md").read_text()))
    assert named and named <= targets


def test_the_changelog_has_the_version():
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()
