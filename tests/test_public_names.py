"""The public names and their parameters: tests/public_names.txt may grow, nothing in it may go or be renamed.

`python tests/test_public_names.py` prints the list of the package as it is.
"""

import enum
import inspect
from pathlib import Path
from types import ModuleType

import pytest

import neutral as nt

PAGE = Path(__file__).parent / "public_names.txt"


def signature(value: object) -> inspect.Signature | None:
    """What a function or class may be called with; None for modules, texts, enumerations and exceptions."""
    if not callable(value) or isinstance(value, ModuleType) or isinstance(value, type(nt.PriceStatus)):
        return None
    if isinstance(value, type) and issubclass(value, Exception | enum.Enum):
        return None
    return inspect.signature(value)


def line(name: str) -> str:
    """A public name with its parameters: `price(model, forward, strike, ...)`."""
    accepted = signature(getattr(nt, name))
    if accepted is None:
        return name
    return f"{name}({', '.join(x for x in accepted.parameters if not x.startswith('_'))})"


RECORDED = {text.partition("(")[0]: text for text in PAGE.read_text().split("\n") if text}


@pytest.mark.parametrize("name", RECORDED)
def test_a_public_name_keeps_its_parameters(name):
    assert name in nt.__all__, f"neutral.{name} is public and has gone"
    accepted = signature(getattr(nt, name))
    recorded = RECORDED[name].removeprefix(name)
    assert (accepted is None) == (recorded == "")
    if accepted is None:
        return
    names = recorded.strip("()").split(", ") if recorded != "()" else []
    present = [x for x in accepted.parameters if x in names]
    assert present == names, f"{line(name)} was {RECORDED[name]}"
    added = [x for x in accepted.parameters.values() if x.name not in names and x.name[0] != "_"]
    needed = [
        x.name for x in added if x.default is x.empty and x.kind not in (x.VAR_POSITIONAL, x.VAR_KEYWORD)
    ]
    assert not needed, f"calls without the new parameters {needed} of {name} fail"


if __name__ == "__main__":
    print(*(line(name) for name in nt.__all__), sep="\n")
