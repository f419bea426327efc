"""Defines the command `neutral configs`."""

from typing import Annotated

import typer

from ..errors import ArgumentError
from ..shipped import configuration, configurations, explanation

EXAMPLES = """Examples:

neutral configs

neutral configs deribit > mine.toml

neutral calibrate SNAPSHOTS --out RESULTS --config mine.toml"""


def configs(
    name: Annotated[
        str | None,
        typer.Argument(help="The name of a configuration, which is then printed with its comments."),
    ] = None,
) -> None:
    """List the shipped configurations with what each is for, or print one of them."""
    names = configurations()
    if name is None:
        width = max(map(len, names))
        for each in names:
            print(f"{each:{width}}  {explanation(each)}")
        return
    if name not in names:
        raise ArgumentError(
            f"no shipped configuration is named {name!r}; expected one of {', '.join(names)}."
        )
    print(configuration(name).read_text(encoding="utf-8"), end="")
