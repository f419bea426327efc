"""Describes charts as plain data, which the script of a page draws when a reader comes near them."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

DIGITS = 5  # significant digits of numbers in a chart

Style = Literal["line", "dots", "bars", "path", "whiskers", "marks"]
"""How a series is drawn.

"line" joins points; "dots" are single points; "bars" reach from `low` to `high` at each x; "path" is a line
with a point at each x and a band from `low` to `high`; "whiskers" are points with horizontal bars from `low`
to `high`; "marks" are rings around points that are explained.
"""

QUIET = -1
"""Colour of what stays in the background, such as the market's bars."""


@dataclass(frozen=True)
class Series:
    """One line, or one set of points.

    Attributes:
        name: Its name in the legend.
        y: Values; nan leaves a gap.
        x: Positions; None takes those of the view.
        style: How it is drawn.
        colour: Position in the palette; `QUIET` for grey; a share in (0, 1) for a place on the scale from
            short to long maturities.
        low: Lower ends of bars or of the band.
        high: Upper ends.
        notes: A text for each point, which a reader gets by pointing at it.
        crossed: Whether each point is a cross, which marks a fit that did not converge.
    """

    name: str
    y: ArrayLike | None = None
    x: ArrayLike | Sequence[str] | None = None
    style: Style = "line"
    colour: float = 0
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    notes: Sequence[str] | None = None
    crossed: Sequence[bool] | None = None

    def content(self) -> dict[str, Any]:
        """Return what the script needs, without empty entries."""
        entries = {
            "name": self.name,
            "style": self.style,
            "colour": self.colour,
            "x": self.x,
            "y": self.y,
            "low": self.low,
            "high": self.high,
            "notes": self.notes,
            "crossed": None if self.crossed is None or not any(self.crossed) else self.crossed,
        }
        return {name: entry for name, entry in entries.items() if entry is not None}


@dataclass(frozen=True)
class Panel:
    """A rectangle with its own vertical axis, whose range follows the values unless it is given."""

    series: Sequence[Series]
    title: str = ""
    range: tuple[float, float] | None = None


@dataclass(frozen=True)
class View:
    """What a chart shows at a time; a chart with several views lets readers choose.

    Attributes:
        panels: The panels.
        label: Its name in the choice, such as an expiry.
        group: The name of the views among which it is listed, such as a snapshot.
        x: Positions of all series without their own.
        forward: Forward price of a smile, for its axis of strikes; nan for none.
        t: Maturity of a smile in years, for its axis of deltas; nan for none.
        dates: Expiries in ISO form at `x`, for an axis of days; () where they are not known.
    """

    panels: Sequence[Panel]
    label: str = ""
    group: str = ""
    x: ArrayLike | None = None
    forward: float = math.nan
    t: float = math.nan
    dates: Sequence[str] = ()


@dataclass(frozen=True)
class Axis:
    """An axis: its label, and its kind.

    Attributes:
        label: Name and unit.
        kind: "number"; "log"; "time" for texts in ISO form; "names" for texts; "moneyness" for log-forward
            moneyness, with a switch to strike and delta; "days" for days to expiry, with a switch to dates.
        unit: Written behind values, such as " %".
    """

    label: str
    kind: Literal["number", "log", "time", "names", "moneyness", "days"] = "number"
    unit: str = ""


@dataclass(frozen=True)
class Grid:
    """A surface over moneyness in standard deviations (M,) and maturity (T,), for one market.

    Attributes:
        label: Its name in the choice.
        moneyness: Moneyness in standard deviations at the money, (M,).
        years: Maturities in years, (T,).
        vols: Volatilities in percent, (T, M).
        at_the_money: Volatilities at the money in percent, (T,).
        forwards: Forward prices, (T,); nan where they are not known.
        ticks: Maturities in years with labels, such as the dates of expiries.
        fixed: The name of `moneyness` if it is another one, which cannot be switched; "" if it is as above.
    """

    label: str
    moneyness: np.ndarray
    years: np.ndarray
    vols: np.ndarray
    at_the_money: np.ndarray
    forwards: np.ndarray
    ticks: Sequence[tuple[float, str]] = ()
    fixed: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart that readers can zoom, point at and download.

    Attributes:
        title: Its heading, and with the subject the name of its downloads.
        caption: What it shows and how to read it.
        alt: The result in words, for readers who cannot see it.
        x: The horizontal axis.
        y: The vertical axis.
        views: What it shows.
        grids: Surfaces for a chart in three dimensions, in place of `views`.
        columns: The largest number of panels in a row.
        height: Height of a panel in pixels.
        lines: Vertical or horizontal lines at these values, such as {"x": 0.0}.
        chooser: The name of the choice between views.
        subject: What it is about, such as a market; the section's heading already states it.
    """

    macro: ClassVar[str] = "chart"
    title: str
    caption: str
    alt: str
    x: Axis
    y: Axis
    views: Sequence[View] = ()
    grids: Sequence[Grid] = ()
    columns: int = 3
    height: int = 380
    lines: Mapping[str, float] = field(default_factory=dict)
    chooser: str = "Expiry"
    subject: str = ""

    def content(self) -> str:
        """Return the chart as JSON that is safe inside an element of HTML."""
        shared = {
            "title": self.title,
            "subject": self.subject,
            "x": vars(self.x),
            "y": vars(self.y),
            "columns": self.columns,
            "height": self.height,
            "lines": dict(self.lines),
        }
        shown = {"grids": [vars(grid) for grid in self.grids]} if self.grids else {"views": self._views()}
        return safe_json(shared | shown)

    def _views(self) -> list[dict[str, Any]]:
        return [
            vars(view)
            | {
                "panels": [
                    {
                        "title": panel.title,
                        "range": panel.range,
                        "series": [one.content() for one in panel.series],
                    }
                    for panel in view.panels
                ]
            }
            for view in self.views
        ]

    @property
    def n_panels(self) -> int:
        """The largest number of panels of a view."""
        return max((len(view.panels) for view in self.views), default=1)

    @property
    def labels(self) -> list[tuple[str, list[tuple[int, str]]]]:
        """Return groups of choices: the name of each group with positions and labels; none for one view."""
        shown: Sequence[View | Grid] = self.grids or self.views
        groups: dict[str, list[tuple[int, str]]] = {}
        for i, one in enumerate(shown):
            groups.setdefault(getattr(one, "group", ""), []).append((i, one.label))
        return list(groups.items()) if len(shown) > 1 else []


def safe_json(content: object) -> str:
    """Return JSON in which no text can end the element of HTML around it; nan and inf are null."""
    text = json.dumps(_plain(content), separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _plain(x: Any) -> Any:
    """Convert to the types of JSON; numbers are rounded to `DIGITS` digits, which is enough for a screen."""
    if x is None or isinstance(x, str | bool | int):
        return x
    if isinstance(x, Mapping):
        return {str(key): _plain(value) for key, value in x.items()}
    if isinstance(x, np.bool_):
        return bool(x)
    if np.ndim(x):
        return [_plain(one) for one in x]
    value = float(x)
    if not math.isfinite(value):
        return None
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded


def evenly(n: int, most: int) -> np.ndarray:
    """Return at most `most` of the positions 0 to n - 1, ascending and evenly spaced from first to last."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def percent(values: ArrayLike) -> np.ndarray:
    """Return decimals in percent."""
    return 100.0 * np.asarray(values, float)
