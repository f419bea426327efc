"""What is known of the layouts of vendors of option chains, one row of a table each.

A layout adds to the names of `column_names` only what these do not determine: a column whose meaning depends
on the vendor, units and forms of dates that its documentation states, and rows that are no options.
"""

import dataclasses
from collections.abc import Collection, Mapping

import pandas as pd

from ...quotes.column_names import squeezed
from ..quotes import Exercise, column
from .csv_table import texts
from .table import Table

OPTION_TYPES_OF_FUTURES = ("XX", "", "FF")  # in the column of kinds of files that list futures as well


@dataclasses.dataclass(frozen=True)
class Layout:
    """The facts about one layout."""

    name: str
    columns: tuple[str, ...]  # that its files have, in squeezed form; they recognise the layout
    or_columns: tuple[str, ...] = ()  # others that recognise it as well
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)  # role -> column, squeezed
    unused: tuple[str, ...] = ()  # columns whose names mean something else in other layouts
    strike_scale: float = 1.0  # the strike over the number in its column
    date_format: str | None = None
    exercise: Exercise | None = None
    kinds: str | None = None  # the column of kinds, if the file lists futures beside options
    timezone: str | None = None  # of the times of day in its files; None for UTC

    def fits(self, header: Collection[str]) -> bool:
        """Whether a file with these columns, in squeezed form, has the layout."""
        groups = [set(group) for group in (self.columns, self.or_columns) if group]
        return any(group <= set(header) for group in groups)


LAYOUTS = (
    # Cboe DataShop, Option EOD Summary: quotes at 15:45 and at the close; greeks belong to those at 15:45
    Layout(
        name="Cboe DataShop end of day",
        columns=("bid1545", "ask1545", "bideod", "askeod"),
        names={"bid": "bid1545", "ask": "ask1545", "implied_volatility": "impliedvolatility1545"},
    ),
    # Cboe DataShop, Option Quotes at intervals: times of New York
    Layout(
        name="Cboe DataShop intervals",
        columns=("underlyingsymbol", "quotedatetime", "expiration", "strike", "optiontype"),
        timezone="America/New_York",
    ),
    # optionsDX: quotes of the day at hours of New York
    Layout(
        name="optionsDX",
        columns=("quotereadtime", "quotetimehours", "expiredate", "cbid", "pbid"),
        timezone="America/New_York",
    ),
    # OptionMetrics IvyDB US: "strike price times 1000"
    Layout(
        name="OptionMetrics",
        columns=("cpflag", "strikeprice", "bestbid", "bestoffer"),
        strike_scale=1e-3,
    ),
    # ThetaData, version 2 of its terminal: strikes in tenths of a cent; version 3 has `symbol` and dollars
    Layout(
        name="ThetaData version 2",
        columns=("root", "right", "msofday", "expiration", "strike"),
        unused=("msofday2",),
        strike_scale=1e-3,
    ),
    # HistoricalOptionData (DeltaNeutral), L2 and L3
    Layout(
        name="HistoricalOptionData",
        columns=("underlyingsymbol", "datadate", "expiration", "strike", "type"),
        date_format="MM/DD/YYYY",
    ),
    # DoltHub post-no-preference/options, table option_chain
    Layout(
        name="DoltHub",
        columns=("actsymbol", "callput", "vol"),
        names={"implied_volatility": "vol"},
    ),
    # National Stock Exchange of India, bhavcopy until July 2024; all options are European since 2011
    Layout(
        name="NSE bhavcopy",
        columns=("instrument", "expirydt", "strikepr", "optiontyp"),
        names={
            "underlying": "symbol",
            "expiry": "expirydt",
            "strike": "strikepr",
            "option_type": "optiontyp",
            "price": "settlepr",
            "open_interest": "openint",
            "volume": "contracts",
        },
        exercise="european",
        kinds="optiontyp",
    ),
    # National Stock Exchange of India, UDiFF bhavcopy since July 2024
    Layout(
        name="NSE UDiFF bhavcopy",
        columns=("tckrsymb", "xprydt", "strkpric", "optntp"),
        names={
            "date": "traddt",
            "underlying": "tckrsymb",
            "expiry": "xprydt",
            "strike": "strkpric",
            "option_type": "optntp",
            "price": "sttlmpric",
            "spot": "undrlygpric",
            "open_interest": "opnintrst",
            "volume": "ttltradgvol",
        },
        exercise="european",
        kinds="optntp",
    ),
    # Tradier: `type` is the kind of security, and `trade_date` the time of the last trade
    Layout(
        name="Tradier",
        columns=("rootsymbol", "expirationdate", "optiontype"),
        or_columns=("biddate", "askdate", "exch"),
        unused=("type", "tradedate"),
    ),
    # ORATS: `quoteDate` and `updatedAt` are times of single rows
    Layout(
        name="ORATS",
        columns=("ticker", "expirdate", "callbidprice", "putbidprice"),
        names={"date": "tradedate"},
    ),
    Layout(
        name="ORATS end of day",
        columns=("ticker", "expirdate", "cbidpx", "pbidpx"),
        names={"date": "tradedate"},
    ),
)


def layout_columns(role: str) -> tuple[str, ...]:
    """Return the names that layouts give to a role."""
    return tuple(layout.names[role] for layout in LAYOUTS if role in layout.names)


def with_layout(table: Table) -> tuple[Table, Layout | None]:
    """Apply the layout of a table, if its columns are those of one.

    Returns:
        The table with the columns, dates and rows that the layout prescribes, and the layout; columns that
        the caller maps keep the caller's meaning.
    """
    header = {squeezed(name): name for name in table.frame}
    layout = next((layout for layout in LAYOUTS if layout.fits(header)), None)
    if layout is None:
        return table, None
    frame = table.frame.drop(columns=[header[name] for name in layout.unused if name in header])
    if layout.kinds is not None:
        kinds = texts(column(frame, header[layout.kinds])).fillna("").str.strip().str.upper()
        options = pd.Series(~kinds.isin(OPTION_TYPES_OF_FUTURES))
        frame = frame.loc[options].reset_index(drop=True)
    names = {key: header[name] for key, name in layout.names.items() if name in header}
    return (
        dataclasses.replace(table, frame=frame, layout_names=names, date_format=layout.date_format),
        layout,
    )
