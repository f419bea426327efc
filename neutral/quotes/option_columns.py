"""The columns of a table of options by their accepted names, and the terms of the options in them."""

from collections.abc import Iterable, Mapping

import numpy as np

from ..errors import ArgumentError
from ..options.kinds import call_flags
from ..times import years_to
from ..times.instants import Instants, is_missing
from .agreement import refuse_different_terms
from .column_names import CHAIN_NAMES, QUOTE_PAIRS, squeezed
from .tables import AnyTable

NAMES: Mapping[str, tuple[str, ...]] = {
    "forward": ("forward", "forward_price", "futures_price", "future_price", "underlying_forward"),
    "spot": CHAIN_NAMES["spot"],
    "strike": CHAIN_NAMES["strike"],
    "maturity": (
        *("maturity", "time_to_maturity", "time_to_expiry", "maturity_years", "years_to_maturity"),
        *("years_to_expiry", "ttm", "tau", "tenor", "t"),
    ),
    "expiry": CHAIN_NAMES["expiry"],
    "date": CHAIN_NAMES["date"],
    "kind": ("kind", *CHAIN_NAMES["option_type"], "is_call"),
    "rate": ("rate", "interest_rate", "risk_free_rate"),
    "dividend": ("dividend", "dividend_yield"),
    "discount": ("discount", "discount_factor"),
    "price": ("price", "mid_price_clean", "option_price", *CHAIN_NAMES["price"]),
    "vol": ("vol", "volatility"),
    "vendor_vol": CHAIN_NAMES["implied_volatility"],
    "weight": ("weight",),
    "train": ("train",),
    "split": ("split",),
    "settlement": ("settlement",),
    "surface": ("surface",),
}
"""For each column the names that tables use, compared as `squeezed` gives them; the first present one counts.

Bid and ask are not among them, because their names belong together; see `QUOTE_PAIRS`.
"""
NUMBERS = frozenset("forward spot strike rate dividend discount price vol vendor_vol bid ask weight".split())
NOT_NUMBERS = "OTMm"  # kinds of numpy dtypes: text, times and spans
LARGEST_RATE = 1.0  # median; a rate above it is in percent
LARGEST_MATURITY = 30.0  # years, median; numbers above it are days
SPLITS = ("train", "test")
SHOWN_NAMES = 8


BY_PARITY = "neutral.build_surface(neutral.Quotes.from_frame(table, date=..., symbol=...))"


class OptionColumns(dict[str, np.ndarray]):
    """Columns of a table by the names of this package, and the names of the others."""

    unread: tuple[str, ...] = ()


def option_columns(table: AnyTable) -> OptionColumns:
    """Read the columns of a table by the names of `NAMES`, and bid and ask; other columns do not matter.

    Args:
        table: A table of any library, or a mapping of columns.

    Returns:
        Arrays of shape (rows,), by the names of this package.

    Raises:
        ArgumentError: The data is no table, columns differ in length, a column that counts has a second one
            of its name, or its values are of the wrong type.
    """
    from .frames import numpy_columns  # loads pandas

    arrays = numpy_columns(table)
    header = {squeezed(name): name for name in reversed(arrays)}
    found = {role: _first(header, names) for role, names in NAMES.items()} | _sides(header)
    _refuse_twins(arrays, found)
    columns = OptionColumns({role: arrays[name] for role, name in found.items() if name})
    columns.unread = tuple(name for name in arrays if name not in found.values())
    for role, values in columns.items():
        if role not in {*NUMBERS, "maturity"} or values.dtype.kind not in NOT_NUMBERS:
            columns[role] = values.astype(float) if role in NUMBERS else values
            continue
        if all(map(is_missing, values)):  # a column without a value has no type
            columns[role] = np.full(values.shape, np.nan)
        elif role in NUMBERS:
            raise ArgumentError(
                f"the column {found[role]} must contain numbers, got {_sort(values)} such as {values[0]!r}; "
                f"convert it, as with table[{found[role]!r}].astype(float)."
            )
    if "split" in columns and "train" not in columns:
        columns["train"] = _of_train(columns["split"], found["split"])
    if "kind" in columns and columns["kind"].dtype.kind in "iuf":
        columns["kind"] = _flags_of_kind(columns["kind"], found["kind"])
    return columns


def terms_of(
    columns: Mapping[str, np.ndarray], date: Instants | None = None, *, needs_kind: bool = True
) -> dict[str, np.ndarray]:
    """Compute the terms of the options of a table.

    Args:
        columns: As `option_columns` returns them.
        date: The quote date; None takes the column date.
        needs_kind: Whether a table without kinds is refused; if not, its options are out of the money.

    Returns:
        Arrays of shape (rows,): strike; maturity, years; forward, spot e^{(rate - dividend) maturity} where
        the table states none; discount, e^{-rate maturity} where it states none and a rate; is_call.

    Raises:
        ArgumentError: A column is missing or has values that are not accepted; the message names it.
    """
    require(columns, ("strike", "kind") if needs_kind else ("strike",))
    maturity = _maturity(columns, columns.get("date") if date is None else date)
    rate = columns.get("rate")
    if rate is not None and _median(np.abs(rate)) > LARGEST_RATE:
        raise ArgumentError(
            f"the rate must be decimal (0.03 for 3 %); the median of the column is {_median(rate):g}. "
            "If it is in percent, divide it by 100."
        )
    discount = columns.get("discount")
    if discount is None:
        discount = np.ones(maturity.shape) if rate is None else np.exp(-rate * maturity)
    forward = _forward(columns, maturity)
    strike = columns["strike"]
    is_call = np.asarray(call_flags(columns["kind"])) if "kind" in columns else strike >= forward
    terms = {
        "strike": strike,
        "maturity": maturity,
        "forward": forward,
        "discount": discount,
        "is_call": is_call,
    }
    refuse_different_terms(columns, terms, _second_maturity(columns, date))
    return terms


def mid_prices(columns: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Return the prices of the options of a table, or the middle of bid and ask; None if it has neither."""
    if "price" in columns:
        return np.asarray(columns["price"], float)
    return 0.5 * (columns["bid"] + columns["ask"]) if {"bid", "ask"} <= set(columns) else None


def require(columns: Mapping[str, np.ndarray], names: tuple[str, ...], more: tuple[str, ...] = ()) -> None:
    """Refuse a table that lacks columns.

    Args:
        columns: The columns that are present.
        names: Names of columns that must be.
        more: What is missing besides, in words.

    Raises:
        ArgumentError: A column is missing; the message lists those that are missing and those that are there.
    """
    missing = [name for name in names if name not in columns] + list(more)
    if not {"maturity", "expiry"} & set(columns):
        missing.append("maturity (or expiry)")
    if not {"forward", "spot"} & set(columns):
        missing.append("forward (or spot)")
    if missing:
        chain = {"bid", "ask", "expiry"} <= set(columns) or "forward (or spot)" in missing
        raise ArgumentError(
            f"the table lacks the columns {', '.join(missing)}; it has {_listed(columns)}. Rename or add "
            "columns." + (_help_with_chains(columns) if chain else "")
        )


def _listed(columns: Mapping[str, np.ndarray]) -> str:
    """List the columns of a table, those whose names mean nothing last."""
    known = ", ".join(sorted(columns)) or "no column of a known name"
    others = columns.unread if isinstance(columns, OptionColumns) else ()
    if not others:
        return known
    more = ", ..." if len(others) > SHOWN_NAMES else ""
    return f"{known} (unknown names: {', '.join(others[:SHOWN_NAMES])}{more})"


def _help_with_chains(columns: Mapping[str, np.ndarray]) -> str:
    """Say how to find the forwards of a chain."""
    if "kind" in columns and np.unique(np.asarray(call_flags(columns["kind"]))).size == 1:
        return (
            " neutral.build_surface finds forwards by put-call parity, which needs calls and puts; the table "
            "has one kind alone, so add the column forward, or spot and rate."
        )
    return f" {BY_PARITY} finds the forwards of an option chain by put-call parity."


def _first(header: Mapping[str, str], names: tuple[str, ...]) -> str:
    """Return the first of several names that a table has, as the table writes it; "" if it has none."""
    return next((header[form] for form in map(squeezed, names) if form in header), "")


def _refuse_twins(names: Iterable[str], found: Mapping[str, str]) -> None:
    """Refuse a table with two columns of one name, such as strike and Strike, of which one counts."""
    used = {squeezed(name): name for name in found.values() if name}
    for name in names:
        if (chosen := used.get(squeezed(name), name)) != name:
            raise ArgumentError(
                f"the columns {chosen} and {name} have one name, because capitals, blanks and underscores do "
                "not count. Rename or remove one of them."
            )


def _flags_of_kind(values: np.ndarray, name: str) -> np.ndarray:
    """Return the booleans of a column is_call of 0 and 1; other columns of kinds contain no numbers."""
    if squeezed(name) == "iscall" and np.isin(values, (0, 1)).all():
        return values == 1
    wrong = np.nonzero(~np.isin(values, (0, 1)))[0]
    row = int(wrong[0]) if wrong.size else 0
    raise ArgumentError(
        f"the column {name} must contain call and put, or booleans; row {row} has {values[row]:g}. Fill what "
        "is missing, or replace the numbers, as with table['is_call'] == 1."
    )


def _of_train(split: np.ndarray, name: str) -> np.ndarray:
    """Return the flags of the quotes that a column of texts assigns to the fit."""
    texts = np.array([str(x).strip().lower() for x in split.tolist()], object)
    unknown = np.nonzero(~np.isin(texts, SPLITS))[0]
    if unknown.size:
        raise ArgumentError(
            f"the column {name} must contain the texts train and test; {unknown.size} of {texts.size} rows "
            f"do not, the first is row {unknown[0]} with {split[unknown[0]]!r}. Replace them, or rename the "
            "column."
        )
    return texts == "train"


def _sides(header: Mapping[str, str]) -> dict[str, str]:
    """Return the columns of bid and ask, which must belong together."""
    pairs = [tuple(header.get(squeezed(name), "") for name in pair) for pair in QUOTE_PAIRS]
    bid, ask = max(pairs, key=lambda pair: sum(map(bool, pair)))  # the first of the fullest pairs
    return {"bid": bid, "ask": ask}


def _median(values: np.ndarray) -> float:
    """Return the median of the numbers that are there, 0 if there is none."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else 0.0


def _sort(values: np.ndarray) -> str:
    return {"M": "times", "m": "spans of time"}.get(values.dtype.kind, "text")


def _maturity(columns: Mapping[str, np.ndarray], date: Instants | None) -> np.ndarray:
    """Return the years to expiry, from the column maturity or else from the dates of expiry."""
    name = "maturity" if "maturity" in columns else "expiry"
    values = columns[name]
    if name == "expiry" and values.dtype.kind in "biuf":
        raise ArgumentError(
            f"the column expiry must contain dates, got numbers such as {values[0]:g}; convert it, as with "
            "pandas.to_datetime, or name a column of years maturity."
        )
    if name == "maturity" and values.dtype.kind in "iuf" and _median(values) > LARGEST_MATURITY:
        raise ArgumentError(
            f"the column maturity must be in years; its median is {_median(values):g}. If it is in days, "
            "divide it by 365."
        )
    if date is None and values.dtype.kind in "OTM":
        raise ArgumentError(
            f"the column {name} has dates or tenors, and the quote date is missing; add a column date, as "
            "with table.assign(date='2026-01-14')."
        )
    return np.asarray(years_to(values, date, name), float)


def _second_maturity(columns: Mapping[str, np.ndarray], date: Instants | None) -> np.ndarray | None:
    """Return the years to the expiries of a table that states maturities too; None if unknown."""
    quoted = columns.get("date") if date is None else date
    if quoted is None or not {"maturity", "expiry"} <= set(columns):
        return None
    try:
        return np.asarray(years_to(columns["expiry"], quoted, "expiry"), float)
    except ArgumentError:  # the column counts for nothing
        return None


def _forward(columns: Mapping[str, np.ndarray], maturity: np.ndarray) -> np.ndarray:
    """Return the forwards, which follow from spot, rate and dividend where the table states none."""
    if "forward" in columns:
        return columns["forward"]
    if "rate" not in columns:
        raise ArgumentError(
            "the table has a spot but no rate; add a column forward, or the columns rate and dividend, "
            "decimal and per year (0 where there is none), or let "
            f"{BY_PARITY} find the forwards by put-call parity."
        )
    return columns["spot"] * np.exp((columns["rate"] - columns.get("dividend", 0.0)) * maturity)
