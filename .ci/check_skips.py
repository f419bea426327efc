"""Fail when a test was skipped for want of something that is there: market data, a browser."""

import sys
from xml.etree import ElementTree


def main(path: str, what: str) -> int:
    """Read a JUnit file, list the tests skipped for want of something, return their number capped at 1."""
    cases = list(ElementTree.parse(path).iter("testcase"))
    skipped = [
        f"{case.get('classname')}::{case.get('name')}: {skip.get('message')}"
        for case in cases
        for skip in case.findall("skipped")
        if what in f"{skip.get('message')} {skip.text}"
    ]
    print(f"{len(cases)} tests, {len(skipped)} skipped: {what}", *skipped, sep="\n  ")
    return min(len(skipped), 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
