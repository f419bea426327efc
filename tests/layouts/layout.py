"""What a layout is: a table under a vendor's header, how it is written to a file, and the truth about it."""

import dataclasses
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime

import pandas as pd

from .markets import Market, Option, options


@dataclasses.dataclass(frozen=True)
class Truth:
    """What a reader has to find for one underlying at one time."""

    market: Market
    root: str = ""  # set where an underlying has several series on one day
    straddle: int = 0  # 1 or -1 where the volatility is that of the strike F exp(+-vol^2 t / 2)
    skew: float = 0.0  # volatility of the highest strike less that of the lowest
    time: str = ""  # of the day, set where a day has several

    @property
    def day(self) -> date:
        return self.market.taken.date()

    def at_strike(self, expiry: date, vol: float) -> float:
        """The log-moneyness at which an expiry has its volatility."""
        return 0.5 * self.straddle * vol**2 * self.market.maturity(expiry)


@dataclasses.dataclass(frozen=True)
class Form:
    """How a table is written to bytes."""

    kind: str = "csv"  # or "parquet", "table", or "json"
    separator: str = ","
    mark: bool = False  # whether it begins with a byte order mark
    packed: bool = False  # whether it is compressed with gzip
    quoted: bool = False
    line_end: str = "\n"
    footer: str = ""
    decimal_comma: bool = False
    wrap: Callable[[list[dict[str, str]]], object] | None = None  # the JSON document of records


@dataclasses.dataclass(frozen=True)
class Case:
    """One file: its cells as text, its name, and the truth about every underlying and time in it."""

    layout: "Layout"
    frame: pd.DataFrame
    file_name: str
    truths: tuple[Truth, ...]
    names: Mapping[str, str]  # the file's column of each meaning
    form: Form
    facts: Mapping[str, object]  # what the vendor documents, for readers that ask

    def changed(self, **changes) -> "Case":
        return dataclasses.replace(self, **changes)

    def content(self) -> bytes:
        """The bytes of the file."""
        written = _written(self.frame, self.form)
        marked = b"\xef\xbb\xbf" + written if self.form.mark else written
        return gzip.compress(marked, mtime=0) if self.form.packed else marked


@dataclasses.dataclass(frozen=True)
class Layout:
    """A vendor's layout as a function of a market.

    `build` gives the cells as text. `names` gives the vendor's column for each meaning: date, underlying,
    expiry, option_type, strike, bid, ask, contract, root, vol (what the file quotes), time.
    """

    name: str
    market: Market
    file_name: str
    build: Callable[[Market], pd.DataFrame]
    names: Mapping[str, str]
    form: Form = Form()
    facts: Mapping[str, object] = dataclasses.field(default_factory=dict)
    clock: Mapping[str, Callable[[datetime], object]] = dataclasses.field(default_factory=dict)
    straddle: int = 0
    skew: float = 0.0

    def case(self) -> Case:
        market = self.market
        facts = {
            "rate": market.rate,
            "rates": market.rate,
            "exercise": market.exercise,
            "settlement": market.settlement,
            "spot": market.spot,
            "symbol": market.asset,
            "asset": market.asset,
            "pair": market.asset,
            "date": f"{market.taken:%Y-%m-%d}",
        }
        return Case(
            layout=self,
            frame=self.build(market),
            file_name=self.file_name,
            truths=(self.truth(market),),
            names=self.names,
            form=self.form,
            facts=facts | dict(self.facts),
        )

    def truth(self, market: Market, **more) -> Truth:
        return Truth(market, straddle=self.straddle, skew=self.skew, **more)


Cells = Mapping[str, object]


def long(market: Market, row: Callable[[Market, Option], Cells]) -> pd.DataFrame:
    """One row per option, as text."""
    return text_frame([row(market, option) for option in options(market)])


def wide(market: Market, row: Callable[[Market, Option, Option], Cells]) -> pd.DataFrame:
    """One row per strike, from its call and its put."""
    listed = options(market)
    return text_frame([row(market, call, put) for call, put in zip(listed[::2], listed[1::2], strict=True)])


def text_frame(rows: Sequence[Cells]) -> pd.DataFrame:
    """A table of texts; numbers are written in full."""
    return pd.DataFrame([{name: _text(value) for name, value in row.items()} for row in rows], dtype="str")


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with the types that a library gives it: numbers, and text for all else."""
    columns = {}
    for name in frame:
        try:
            columns[name] = pd.to_numeric(frame[name])
        except ValueError:
            columns[name] = frame[name]
    return pd.DataFrame(columns)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.10f}".rstrip("0").rstrip(".")
    return str(value)


def _written(frame: pd.DataFrame, form: Form) -> bytes:
    if form.kind == "json":
        records = [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
        return json.dumps(form.wrap(records) if form.wrap else records).encode()
    if form.kind == "parquet":
        buffer = io.BytesIO()
        typed(frame).to_parquet(buffer, index=False)
        return buffer.getvalue()
    cells = frame.replace({r"\.": ","}, regex=True) if form.decimal_comma else frame
    text = cells.to_csv(
        index=False, sep=form.separator, quoting=1 if form.quoted else 0, lineterminator=form.line_end
    )
    return (text + form.footer).encode()
