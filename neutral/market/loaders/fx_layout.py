"""Brings foreign-exchange volatilities into one layout: a row for each tenor, a column for each quote."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import cast

import numpy as np
import pandas as pd

from ...errors import DataError
from ..fx.pairs import is_usual
from ..quotes import column
from .column_map import how_to_map
from .csv_table import numbers, texts
from .fx_headers import ACCEPTED, QuoteName, quote_name
from .table import Names, Table
from .unknown_columns import are_dates, refuse_unknown

NAMES: Names = {  # without blanks and underscores
    "date": (
        "date",
        "quotedate",
        "tradedate",
        "asof",
        "asofdate",
        "observationdate",
        "snapdate",
        "timestamp",
    ),
    "underlying": ("pair", "currencypair", "ccypair", "fxpair", "cross", "underlying", "symbol"),
    "tenor": ("tenor", "term", "pillar"),
    "expiry": ("expiry", "expiration", "expirydate", "expirationdate", "maturitydate", "maturity"),
    "spot": ("spot", "spotrate", "spotmid", "s0"),
    "domestic": ("rdomestic", "domesticrate", "ratedomestic", "domestic", "rd"),
    "foreign": ("rforeign", "foreignrate", "rateforeign", "foreign", "rf"),
    "forward": ("forward", "fwd", "outright", "forwardrate"),
    "points": ("points", "swappoints", "fxswappoints", "forwardpoints", "fwdpoints"),
    "atm_convention": ("atmconvention", "atmtype"),
    "delta": ("delta", "deltatype", "deltaconvention"),
    "premium_adjusted": ("premiumadjusted", "premiumincluded"),
    "butterfly": ("butterflyconvention", "butterflytype", "strangleconvention"),
}
TEXTS = ("date", "underlying", "tenor", "expiry", "atm_convention", "delta", "premium_adjusted", "butterfly")
RATES = ("domestic", "foreign")
UNIT_ENDS = ("pct", "percent", "%")  # of the names of rates in percent
LABELS = ("quotetype", "quote", "type", "instrument", "strategy", "point", "optiontype", "putcall", "delta")
VALUES: Names = {
    "": ("value", "vol", "volatility", "impliedvol", "impliedvolatility", "iv", "mid", "quote", "pxlast"),
    "bid": ("bid", "bidvol", "pxbid"),
    "ask": ("ask", "askvol", "offer", "pxask"),
}
_LONG_NAMES = {*LABELS, *(name for group in VALUES.values() for name in group)}
TICKERS = ("ticker", "security", "symbol")
TICKER = re.compile(r"([A-Z]{6})(V|\d{1,2}[RB])(ON|TN|SN|\d{1,2}[DWMY])(?:\s+[A-Z]{3,4})?\s+CURNCY")
TICKER_KINDS = {"V": "atm", "R": "rr", "B": "bf"}


def fits(header: Iterable[str]) -> bool:
    """Whether the column names of a file are those of foreign-exchange volatilities."""
    names = {squeezed(name) for name in header}
    if any(name.startswith("strike") for name in names):
        return False
    dated = names & {*NAMES["tenor"], *NAMES["expiry"]}
    valued = any(names & set(group) for group in VALUES.values())
    long = bool(names & set(NAMES["tenor"])) and bool(names & set(LABELS)) and valued
    wide = dated and any(quote_name(name) for name in header)
    return bool(wide) or long or (bool(names & {"ticker", "security"}) and valued and not dated)


def fx_rows(table: Table) -> tuple[Table, pd.DataFrame, Names]:
    """Return the table, a row for each tenor, and the names of the table's columns that are understood.

    The rows have a column `line` of the file, those of `NAMES` that the file has, `tenor` and `ends`, which
    is the day of expiry where the file states it and else the tenor, and one for each quote:
    `atm`, `rr25`, `bf25`, `put25`, `call25` and so on for a mid, `atm_bid` and `atm_ask` for sides, in the
    file's unit, nan where nothing is quoted. `unit` is that which the file declares, or "". `fault` states
    what is wrong with a row, or is "".

    Args:
        table: The parsed file. Quotes are in columns of their own, or below each other with a column that
            states what each is and a column of values.

    Raises:
        DataError: The file has no tenors or no quotes, a quote twice or a risk reversal without strangle, or
            a column whose values are dates or pairs and whose name is not known.
    """
    table = _without_tickers(table)
    quotes = {name: quote for name in table.frame if (quote := quote_name(str(name)))}
    names = _known(table, () if quotes else ("delta",))
    accepted = {**NAMES, **names, **{name: (name,) for name in quotes}}
    table.check_map(accepted)
    # its names have been given to the columns, and the quotes among them are no keys of `names`
    table = dataclasses.replace(table, columns=dataclasses.replace(table.columns, names=()))
    rows = table.select(names, (), TEXTS).rename(columns={"expiry": "ends"})  # which may be a tenor
    refuse_unknown(table, rows, accepted, ROLES)
    if "ends" not in rows:
        rows["ends"] = rows["tenor"]
    rows["tenor"] = rows["tenor"].fillna(rows["ends"]) if "tenor" in rows else rows["ends"]
    rows["ends"] = rows["ends"].fillna(rows["tenor"])
    rows.insert(0, "line", np.arange(2, len(rows) + 2))
    for key in RATES:
        if key in rows and names[key][0].endswith(UNIT_ENDS):
            rows[key] = rows[key] / 100
    rows = _wide(table, rows, quotes) if quotes else _long(table, rows)
    _check_quotes(table, rows)
    understood = [*quotes, *(name for name in table.frame if squeezed(str(name)) in _LONG_NAMES)]
    return table, rows, names | {name: (name,) for name in understood}


def squeezed(name: str) -> str:
    """Return a name without case, blanks, underscores and hyphens."""
    return re.sub(r"[\s_\-./]+", "", name.strip().lower())


def quoted_deltas(rows: pd.DataFrame, kind: str = "rr|bf|put|call") -> tuple[str, ...]:
    """Return the deltas, as text, for which rows have a column of a kind such as `rr`, the largest first."""
    found = (re.fullmatch(rf"(?:{kind})(\d.*?)(?:_bid|_ask)?", str(name)) for name in rows)
    return tuple(sorted({match[1] for match in found if match}, key=float, reverse=True))


def _known(table: Table, without: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the file's name of each column of `NAMES` that it has."""
    names: dict[str, tuple[str, ...]] = {}
    plain = {_rate_name(str(name)): str(name) for name in reversed(list(table.frame))}
    for key, accepted in NAMES.items():
        found = next((plain[name] for name in (key, *accepted) if name in plain), None)
        if found is not None and key not in without:
            names[key] = (found,)
    if not {"tenor", "expiry"} & set(names):
        raise DataError(
            f"{table.path}: the file has no tenors. It has the columns {table.listed}. State which one has "
            f"tenors such as 3m, or days of expiry: {how_to_map('tenor', '...')}."
        )
    return names


def _rate_name(name: str) -> str:
    """Return a squeezed name without a unit at its end."""
    plain = squeezed(name)
    ends = [end for end in UNIT_ENDS if plain.endswith(end)]
    return plain.removesuffix(ends[0]).rstrip("(") if ends else plain


def _are_pairs(distinct: pd.Series, rows: int) -> bool:
    return len(distinct) > 0 and all(map(is_usual, distinct))


ROLES = {"date": are_dates, "underlying": _are_pairs}


def _wide(table: Table, rows: pd.DataFrame, quotes: Mapping[str, QuoteName]) -> pd.DataFrame:
    """Add the columns of quotes to rows that are each a whole tenor."""
    faults = pd.Series("", index=rows.index)
    units = {quote.unit for quote in quotes.values() if quote.unit}
    names: dict[str, str] = {}
    for name, quote in quotes.items():
        key = _side_key(quote.key, quote.side)
        if key in names:
            raise DataError(
                f"{table.path}: the columns {names[key]!r} and {name!r} both have the same quote; remove one."
            )
        names[key] = name
        written = column(table.frame, name)
        values, wrong, percent = _numbers(written)
        rows[key] = values
        faults = faults.where((faults != "") | ~wrong, f"{name} is " + texts(written) + ", no number")
        units |= {"percent"} if percent else set()
        if quote.convention and quote.convention[0] not in rows:
            rows[quote.convention[0]] = quote.convention[1]
    return _with_unit(table, rows.assign(fault=faults), units)


def _long(table: Table, rows: pd.DataFrame) -> pd.DataFrame:
    """Gather quotes that are below each other, a row for each date, pair and tenor."""
    plain = {squeezed(str(name)): str(name) for name in table.frame}
    numeric = {name for name in plain.values() if pd.api.types.is_numeric_dtype(table.frame[name])}
    labels = [plain[x] for x in LABELS if x in plain and (plain[x] not in numeric or x == "delta")]
    sides = {}
    for side, accepted in VALUES.items():
        found = next((plain[x] for x in accepted if x in plain and plain[x] not in labels), None)
        if found is not None:
            sides[side] = found
    if not labels or not sides:
        raise DataError(
            f"{table.path}: no column is a quote. The file has the columns {', '.join(table.frame)}; "
            f"accepted are {ACCEPTED}; or a column quote with such names and a column value. Rename "
            "the columns."
        )
    values = {side: _numbers(column(table.frame, name)) for side, name in sides.items()}
    units = {"percent"} if any(percent for *_, percent in values.values()) else set()
    named = [_label(x) for x in table.frame[labels].apply(texts).fillna("").agg(" ".join, axis=1)]
    keys = [key for key in ("date", "underlying", "tenor", "ends") if key in rows]
    gathered = []
    for _, group in rows.groupby(keys, sort=False, dropna=False):
        record = group.iloc[0].to_dict() | {"fault": ""}
        for i in group.index:
            quoted = {side: (float(x.iloc[i]), bool(bad.iloc[i])) for side, (x, bad, _) in values.items()}
            _put(record, named[i], quoted, i + 2)
        gathered.append(record)
    units |= {quote.unit for quote in named if isinstance(quote, QuoteName) and quote.unit}
    return _with_unit(table, pd.DataFrame(gathered).astype({key: "str" for key in keys}), units)


def _put(
    record: dict[str, object], quote: QuoteName | str, sides: Mapping[str, tuple[float, bool]], line: int
) -> None:
    """Put the quotes of one line into the row of its tenor."""
    fault = ""
    if isinstance(quote, str):
        fault = f"line {line}: the quote {quote!r} is not known; accepted are {ACCEPTED}"
    else:
        for side, (value, wrong) in sides.items():
            key = _side_key(quote.key, side or quote.side)
            if key in record and not np.isnan(cast(float, record[key])):
                fault = f"line {line}: {key} occurs twice in this tenor"
            elif wrong:
                fault = f"line {line}: {key} is no number"
            record[key] = value
        if quote.convention:
            record.setdefault(*quote.convention)
    record["fault"] = record["fault"] or fault


def _label(text: str) -> QuoteName | str:
    """Return what the labels of a line mean, or the text itself if they are not understood.

    A delta alone has the sign of its option, negative for a put.
    """
    words = [word for word in text.split() if word.lower() not in ("nan", "none", "<na>")]
    plain = " ".join(words)
    quote = quote_name(plain)
    if quote is None and len(words) == 1 and re.fullmatch(r"[-+]?\d*\.?\d+", plain):
        quote = quote_name(f"{'p' if plain[0] == '-' else 'c'}{plain.lstrip('+-')}")
        if float(plain) in (0.5, 50.0):  # at the money or a call: nearly the same, but not quite
            quote = None
    return quote or plain


def _numbers(values: pd.Series) -> tuple[pd.Series, pd.Series, bool]:
    """Return numbers, which cells are neither blank nor a finite number, and whether cells end with %."""
    text = texts(values).str.strip()
    percent = text.str.endswith("%").fillna(False)
    found = numbers(text.str.removesuffix("%")) if bool(percent.any()) else numbers(values)
    finite = np.isfinite(found)
    blank = text.isna() | text.str.lower().isin(["", "nan", "none", "<na>"])
    return found.where(finite), (~finite & ~blank).astype(bool), bool(percent.any())


def _with_unit(table: Table, rows: pd.DataFrame, units: set[str]) -> pd.DataFrame:
    """Add the unit that a file declares, for all its quotes."""
    if len(units) > 1:
        raise DataError(
            f"{table.path}: some quotes are declared as percent and others as decimals; use one unit."
        )
    return rows.assign(unit=next(iter(units), ""))


def _check_quotes(table: Table, rows: pd.DataFrame) -> None:
    """Refuse risk reversals without strangles, and the reverse."""
    if not (quoted_deltas(rows) or {"atm", "atm_bid", "atm_ask"} & set(rows)):
        raise DataError(f"{table.path}: no quote is understood. {column(rows, 'fault').iloc[0]}.")
    reversals, strangles = (quoted_deltas(rows, kind) for kind in ("rr", "bf"))
    alone = [f"rr{x} has no bf{x}" for x in reversals if x not in strangles]
    alone += [f"bf{x} has no rr{x}" for x in strangles if x not in reversals]
    if reversals + strangles and not {"atm", "atm_bid", "atm_ask"} & set(rows):
        alone.append("there is no atm")
    if alone:
        raise DataError(
            f"{table.path}: {', '.join(alone)}. A smile needs both, and the volatility at the money. The "
            f"file has the columns {', '.join(table.frame)}; accepted are {ACCEPTED}. Rename or add the "
            "missing column."
        )


def _side_key(key: str, side: str) -> str:
    return f"{key}_{side}" if side else key


def _without_tickers(table: Table) -> Table:
    """Replace tickers such as `EURUSD25R1M Curncy` by pair, quote and tenor."""
    for name in [str(x) for x in table.frame if squeezed(str(x)) in TICKERS]:
        parts = texts(column(table.frame, name)).str.strip().str.upper().str.extract(f"^{TICKER.pattern}$")
        if bool(parts.notna().all(axis=None)):
            kinds = parts[1].str[-1].map(TICKER_KINDS) + parts[1].str[:-1]
            frame = table.frame.drop(columns=name).assign(pair=parts[0], quote=kinds, tenor=parts[2])
            return dataclasses.replace(table, frame=frame)
    return table
