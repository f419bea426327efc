"""Checks of the table that a quote surface is built from."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int

from ..errors import ArgumentError
from ..options import black
from ..options.kinds import Settlement
from ..times.instants import Instants, as_instants, is_missing
from .agreement import refuse_different_prices
from .option_columns import mid_prices, option_columns, require, terms_of
from .tables import AnyTable

LARGEST_VOL = 5.0
"""Volatility at the money above which the unit is in doubt; no market has been quoted at 500 % for long."""
LEAST_VOL = 0.01
"""Volatility at the money below which the unit is in doubt."""


_OF_LOADERS = frozenset(("option_type", "bid_price", "ask_price", "futures_price", "underlying_name"))


def columns_of(table: AnyTable, date: Instants | None = None) -> dict[str, np.ndarray]:
    """Read the columns of a table as arrays, with defaults for optional columns that are absent.

    Args:
        table: The table; see `QuoteSurface.from_quotes`.
        date: The quote date; None takes the column date.

    Returns:
        Arrays with one value per row, by name; `is_call` is True for calls. `settlement` is there if the
        table has that column.

    Raises:
        ArgumentError: a column is missing or has values that are not valid; the message names it and a row.
    """
    try:
        return _columns_of(table, date)
    except ArgumentError as error:
        if _OF_LOADERS <= {str(name) for name in getattr(table, "columns", ())}:
            raise ArgumentError(
                f"{error} The table is the frame of what a loader returns, before forwards and filters: with "
                "quotes = neutral.Quotes.from_frame(...) or a loader, pass neutral.build_surface(quotes)[0]."
            ) from error
        raise


def _columns_of(table: AnyTable, date: Instants | None) -> dict[str, np.ndarray]:
    given = option_columns(table)
    values = _value_columns(given)
    needs_kind = "vol" not in values
    names = ("strike", "kind") if needs_kind else ("strike",)
    require(given, names, () if values else ("price (or vol, or bid and ask)",))
    column = terms_of(given, date, needs_kind=needs_kind) | values
    rows = column["strike"].size
    if rows == 0:
        raise ArgumentError("from_quotes needs at least one row, got no quotes.")
    if date is None:
        _refuse_several_dates(given, column["is_call"])
    for name, default in (("weight", 1.0), ("bid", np.nan), ("ask", np.nan)):
        column[name] = np.asarray(given.get(name, np.full(rows, default)), float)
    column["train"] = _train_flags(given.get("train", np.ones(rows, bool)))
    ends = given["maturity" if "maturity" in given else "expiry"]
    _check_values(column, dated=ends.dtype.kind not in "biuf")
    return column | {name: given[name] for name in ("settlement",) if name in given}


def settlement_of(column: Mapping[str, np.ndarray], settlement: Settlement | None) -> Settlement:
    """Return the settlement that the caller states, or else the column of the table, or else "cash".

    Raises:
        ArgumentError: It is neither "cash" nor "coin", or the column has both, or rows without a value.
    """
    stated = set(column.get("settlement", [])) if settlement is None else {settlement}
    if any(map(is_missing, stated)):
        raise ArgumentError("the column settlement has rows without a value; fill them with cash or coin.")
    if len(stated) > 1:
        raise ArgumentError("the column settlement has both cash and coin; make a surface of each.")
    chosen = stated.pop() if stated else "cash"
    if chosen not in ("cash", "coin"):
        raise ArgumentError(f"settlement must be 'cash' or 'coin' (inverse), got {chosen!r}.")
    return chosen


def _refuse_several_dates(given: Mapping[str, np.ndarray], is_call: np.ndarray) -> None:
    """Refuse quotes of several days or snapshots; quotes of one snapshot may have different times."""
    if "date" not in given or given["date"].dtype.kind not in "OM":
        return
    try:
        times = as_instants("date", given["date"])
    except ArgumentError:  # where maturities are in years, the date does not matter
        return
    known = times[~np.isnat(times)]
    if not known.size or known.max() == known.min():
        return
    repeated = False
    if "expiry" in given:
        options = list(zip(given["expiry"].tolist(), given["strike"].tolist(), is_call.tolist(), strict=True))
        repeated = len(set(options)) < len(options)
    if repeated or known.max() - known.min() >= np.timedelta64(1, "D"):
        first, last = (np.datetime_as_string(x, "s") for x in (known.min(), known.max()))
        raise ArgumentError(
            f"the column date has several snapshots, {first} to {last}, and a surface is of one; select the "
            "rows of one, or pass a table with the column surface, such as the date, to calibrate_batch."
        )


def _value_columns(given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the column of prices or volatilities; none if the table has neither.

    A column `vol` counts first; prices beside it are there to be compared. Then come prices, and the middle
    of bid and ask. Volatilities of another name, which vendors compute, count where a table has nothing else.
    """
    if "vol" in given:
        stated = ("vol", "price") if "kind" in given else ("vol",)
        return {name: np.asarray(given[name], float) for name in stated if name in given}
    prices = mid_prices(given)
    if prices is not None:
        return {"price": prices}
    return {"vol": np.asarray(given["vendor_vol"], float)} if "vendor_vol" in given else {}


def _train_flags(values: np.ndarray) -> np.ndarray:
    """Return the flags of quotes that calibration uses.

    Raises:
        ArgumentError: The column contains neither booleans nor 0 and 1.
    """
    if values.dtype == bool:
        return values
    if values.dtype.kind in "iuf" and np.isin(values, (0, 1)).all():
        return values == 1
    raise ArgumentError(
        f"train must contain booleans, got {values[0]!r}; convert it, as with table['train'] == 'yes'."
    )


def _check_values(column: dict[str, np.ndarray], dated: bool) -> None:
    """Refuse a table with values outside their domains; `dated` states whether maturities come from dates."""
    if dated and np.any(column["maturity"] <= 0):
        rows = np.nonzero(column["maturity"] <= 0)[0]
        raise ArgumentError(
            f"the expiry must be after the quote date; {rows.size} of {column['maturity'].size} rows are "
            f"not, the first is row {rows[0]}. Leave these rows out, or give both times of the day."
        )
    for name in ("forward", "strike", "maturity", "discount"):
        _refuse(name, column[name], ~(np.isfinite(column[name]) & (column[name] > 0)), "finite and above 0")
    for name in ("vol" if "vol" in column else "price", "weight"):
        _refuse(
            name, column[name], ~(np.isfinite(column[name]) & (column[name] >= 0)), "finite and not negative"
        )
    if "vol" in column:
        _refuse_percent(column["vol"])
        _refuse_prices(column)
    _refuse("ask", column["ask"], column["ask"] < column["bid"], "at least the bid")


def _refuse_percent(vols: Float[np.ndarray, "n"]) -> None:
    """Refuse volatilities that are in percent: their median is above that of any market."""
    middle = float(np.median(vols))
    if middle > LARGEST_VOL:
        raise ArgumentError(
            f"vol must be decimal (0.2 for 20 %); the median of the column is {middle:.4g}, that is "
            f"{100.0 * middle:,.0f} %. If it is in percent, divide it, and bid and ask, by 100."
        )


def _refuse_prices(column: dict[str, np.ndarray]) -> None:
    """Refuse prices as bid and ask of volatilities: most of these volatilities are outside."""
    quoted = np.isfinite(column["bid"]) & np.isfinite(column["ask"])
    outside = (column["vol"] < column["bid"]) | (column["vol"] > column["ask"])
    if np.sum(outside & quoted) > 0.5 * np.sum(quoted):
        row = int(np.nonzero(outside & quoted)[0][0])
        raise ArgumentError(
            "bid and ask must be volatilities, as the column vol is, and most volatilities are outside; "
            f"row {row} has bid {column['bid'][row]:g}, vol {column['vol'][row]:g} and ask "
            f"{column['ask'][row]:g}. If they are prices, leave the column vol out."
        )


def _refuse(name: str, values: np.ndarray, bad: Bool[np.ndarray, "n"], rule: str) -> None:
    if bad.any():
        rows = np.nonzero(bad)[0]
        raise ArgumentError(
            f"{name} must be {rule}; {rows.size} of {bad.size} rows are not, the first is row {rows[0]} with "
            f"{values[rows[0]]}."
        )


def check_constant(
    name: str, values: Float[np.ndarray, "n"], t: Float[np.ndarray, "m"], row: Int[np.ndarray, "n"]
) -> None:
    """Raise an error if a column has different values at one maturity.

    Args:
        name: Name of the column.
        values: The column.
        t: The different maturities in years.
        row: Index of each row's maturity in `t`.

    Raises:
        ArgumentError: two values differ; the message names the maturity and both values.
    """
    first = np.full(t.size, np.nan)
    first[row] = values
    bad = np.abs(values - first[row]) > 1e-12 * np.abs(values)
    if bad.any():
        i = int(np.nonzero(bad)[0][0])
        raise ArgumentError(
            f"{name} must be one per maturity; at maturity {t[row[i]]:g} it is {values[i]} and "
            f"{first[row[i]]}. Use one value per expiry, such as the median."
        )


def slots(row: Int[np.ndarray, "n"], strike: Float[np.ndarray, "n"], maturities: int) -> Int[np.ndarray, "n"]:
    """Index each row's strike among the ascending strikes of its maturity; `row` is the maturity's index."""
    slot = np.zeros(row.size, np.int64)
    for i in range(maturities):
        same = row == i
        slot[same] = np.unique(strike[same], return_inverse=True)[1]
    return slot


def check_single(
    kind: Int[np.ndarray, "n"],
    row: Int[np.ndarray, "n"],
    slot: Int[np.ndarray, "n"],
    column: dict[str, np.ndarray],
) -> None:
    """Raise an error if a table quotes an option twice.

    Args:
        kind: 0 for calls, 1 for puts.
        row: Index of each row's maturity.
        slot: Index of each row's strike among those of its maturity.
        column: The columns of the table.

    Raises:
        ArgumentError: an option occurs twice; the message names it.
    """
    cells = np.stack([kind, row, slot], axis=1)
    _, first, count = np.unique(cells, axis=0, return_index=True, return_counts=True)
    if (count > 1).any():
        i = int(first[count > 1][0])
        raise ArgumentError(
            f"the {'put' if kind[i] else 'call'} at maturity {column['maturity'][i]:g} and strike "
            f"{column['strike'][i]:g} is quoted {count.max()} times; keep one quote per option."
        )


def normalised_prices(
    column: dict[str, np.ndarray],
    unit: Float[np.ndarray, "n"],
    k: Float[np.ndarray, "n"],
    t: Float[np.ndarray, "n"],
) -> tuple[np.ndarray, ...]:
    """Compute normalised price, bid and ask from prices or from volatilities.

    Args:
        column: The columns of the table.
        unit: Unit of the quoted prices of each row.
        k: Log-forward moneyness of each row.
        t: Maturity of each row in years.

    Returns:
        Three arrays, price, bid and ask; nan where a bid or ask is absent.

    Raises:
        ArgumentError: The table has prices that are not those of its volatilities.
    """
    if "vol" not in column:
        return column["price"] / unit, column["bid"] / unit, column["ask"] / unit
    names = ("vol", "bid", "ask")
    prices = [np.asarray(black.price(k, column[name] * np.sqrt(t), column["is_call"])) for name in names]
    if "price" in column:
        refuse_different_prices(column["price"] / unit, prices[0])
    return tuple(prices)
