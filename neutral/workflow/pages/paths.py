"""Describes paths of parameters: estimates with 90 % intervals, rings at jumps, and a table of the jumps."""

from collections.abc import Sequence

import numpy as np

from ...plot.frame import NINETY
from . import blocks, charts
from .jumps import Fit, Jump

SHOWN_FITS = 400  # points of a path; more of them are thinned evenly, which no screen can show
SHOWN_JUMPS = 60  # rows of the table of jumps

Named = tuple[tuple[str, ...], Jump]
"""A jump after the names that it belongs to, such as those of the model and the parameter."""


def path(
    name: str, x: Sequence[str], fits: Sequence[Fit], own: Sequence[Jump], colour: int = 0
) -> list[charts.Series]:
    """Return the path of one parameter, and rings at its jumps.

    Args:
        name: The name of the path in the legend.
        x: The times of the fits, or their numbers.
        fits: The fits.
        own: The jumps between them.
        colour: Position in the palette.
    """
    values = np.array([fit.value for fit in fits])
    half = NINETY * np.array([fit.error for fit in fits])
    places = thinned(len(fits), {jump.position for jump in own})
    line = charts.Series(
        name,
        values[places],
        x=[x[i] for i in places],
        style="path",
        colour=colour,
        low=(values - half)[places],
        high=(values + half)[places],
        crossed=[not fits[i].converged for i in places],
    )
    if not own:
        return [line]
    rings = charts.Series(
        "jump",
        [jump.after.value for jump in own],
        x=[x[jump.position] for jump in own],
        style="marks",
        colour=colour,
        notes=[f"{name} jumps {jump}" for jump in own],
    )
    return [line, rings]


def thinned(n: int, kept: set[int] | None = None) -> np.ndarray:
    """Return about `SHOWN_FITS` of n positions, evenly spaced from first to last, and those `kept`."""
    return np.unique([*charts.evenly(n, SHOWN_FITS), *(kept or ())]).astype(int)


def folded_jumps(names: Sequence[str], found: Sequence[Named], subject: str) -> blocks.Fold:
    """Make the table of the first `SHOWN_JUMPS` jumps with their reasons, hidden until it is clicked.

    Args:
        names: What the names of the jumps are, for the header.
        found: The jumps.
        subject: What the table is about, such as a market.
    """
    rows = [
        [
            jump.after.time,
            *texts,
            blocks.number(jump.before.value, ".4g"),
            blocks.number(jump.after.value, ".4g"),
            jump.reason,
        ]
        for texts, jump in found[:SHOWN_JUMPS]
    ]
    header = ["snapshot", *names, "from", "to", "why"]
    columns_of_text = (*range(1 + len(names)), len(header) - 1)
    table = blocks.table(header, rows, columns_of_text, f"{subject}: jumps of parameters", stacked=True)
    more = f"; the first {SHOWN_JUMPS}" if len(found) > SHOWN_JUMPS else ""
    return blocks.Fold(f"{len(found)} jumps of parameters with their reasons{more}", [table])
