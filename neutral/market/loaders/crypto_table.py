"""Builds quotes from files of crypto exchanges: one row per option, named by the exchange, at a time in UTC."""

import dataclasses
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from datetime import date as Date
from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import ArgumentError, DataError
from ...options.kinds import Settlement
from ...times import DAY_COUNTS, SECONDS_A_DAY
from ..filters import first_reason
from ..quotes import Quotes, column
from .crypto_names import Exchange, options_of, settlement_of
from .csv_table import CsvTable, Names, numbers
from .option_table import WHERE_PRESENT, Value, choose, option_table, option_types, rows_where
from .rates import Rates, discount_factors
from .snapshot_times import snapshot_times
from .vol_quotes import OptionTerms, cash_price

NOT_AN_OPTION = "the instrument is not an option"
DISAGREES = "the name of the instrument and its columns disagree"
TEXTS = ("name", "time", "expiry", "option_type", "underlying_name", "exchange")
SECONDS = 1e9  # seconds from 1970 to 2001; times in ms, us and ns are 10^3, 10^6 and 10^9 times as large
FIRST = pd.Timestamp("2001-01-01", tz="UTC")
LAST = pd.Timestamp("2200-01-01", tz="UTC")
FORWARD_AGREEMENT = 3e-3  # ticks and spreads of these markets are wider than those of equity indices
SHOWN = 6  # largest number of snapshots that a message lists
EXAMPLES = "BTC-26APR24-60000-C, SOL_USDC-26APR24-150-C, BTC-USD-240426-60000-C or BTC-240426-60000-C"


@dataclasses.dataclass(frozen=True)
class CryptoOptions:
    """How quotes of crypto options are read.

    Raises:
        ArgumentError: The day count is unknown.
    """

    rates: Rates | float | None = None
    """Rate of the discount factors of cash-settled options; None takes 1, because the exchanges do not discount.
    Prices in coin have no discount factor."""
    day_count: str = "365"
    """Days per year of the maturities, "365" or "365.25"; the exchanges use 365."""

    def __post_init__(self) -> None:
        if self.day_count not in DAY_COUNTS:
            raise ArgumentError(
                f"day_count={self.day_count!r} is unknown; expected one of "
                f"{', '.join(map(repr, DAY_COUNTS))}."
            )


@dataclasses.dataclass(frozen=True, eq=False)
class CryptoListing:
    """A parsed file with every underlying and time in it."""

    frame: pd.DataFrame
    """Columns underlying, snapshot (UTC, NaT if the file states no time), time, expiry, option_type, strike and
    refused; bid and ask, or bid_vol and ask_vol; forward, spot, vol and others where the file has them."""
    path: Path
    sha256: str  # of the uncompressed bytes

    @property
    def snapshots(self) -> tuple[tuple[str, datetime | None], ...]:
        """Each underlying with each of its times, in time order; the time is None where it is unknown."""
        pairs = self.frame[["snapshot", "underlying"]].drop_duplicates()
        pairs = pairs.sort_values(["snapshot", "underlying"])
        times = [None if time is pd.NaT else time.to_pydatetime() for time in pairs["snapshot"]]
        return tuple(zip(pairs["underlying"], times, strict=True))

    def pick(self, asset: str | None, date: str | Date | None) -> tuple[pd.DataFrame, str, datetime]:
        """Select the rows of one underlying at one time.

        Args:
            asset: The underlying, such as BTC or BTC_USDC; None takes the only one.
            date: The time of a snapshot, or the day of a single one; None takes the only one. A file that
                states no time has this one.

        Raises:
            ArgumentError: The file has several underlyings or times and the argument that chooses one is
                None or the day of several, or `date` is no time.
            DataError: There are no such rows.
        """
        names = sorted(column(self.frame, "underlying").unique())
        name = choose(self.path, "asset", asset, names)
        rows = rows_where(self.frame, column(self.frame, "underlying") == name)
        taken = column(rows, "snapshot")
        when = None if date is None else _time(date)
        if taken.isna().all():
            if when is None:
                raise ArgumentError(
                    f"{self.path}: neither the rows nor the name of the file say when the quotes were taken. "
                    "Pass date='2024-04-01T12:00', add a column timestamp, or write the time into the file "
                    "name, such as btc_20240401T120000.csv."
                )
            return rows, name, when
        time = _choose_time(self.path, when, sorted(taken.unique()))
        return rows_where(rows, taken == time), name, time.to_pydatetime()


def crypto_listing(table: CsvTable, frame: pd.DataFrame, names: Names, exchange: Exchange) -> CryptoListing:
    """Make a listing of typed columns. Underlying, expiry, strike and kind are those of the instruments' names.

    Rows of other instruments, such as futures, are refused where there are options on their underlying, and
    left out where there are none.

    Args:
        table: The parsed file.
        frame: Its typed columns, with the text columns `name` and, where the file has them, `time`, `expiry`
            and `option_type`.
        names: The accepted names of each column.
        exchange: How the names of the instruments are read.

    Raises:
        DataError: A row has no name or no time although others have, a time has no accepted form, or no row is
            an option.
    """
    titles = {key: names.get(key) and table.name_of(key, names) or key for key in TEXTS}
    name = column(frame, "name")
    table.refuse_blanks(name, titles["name"])
    options = options_of(name, exchange)
    if options["strike"].isna().all():
        raise DataError(
            f"{table.path}: no {titles['name']} is the name of an option, and the first is {name[0]!r}; expected "
            f"names such as {EXAMPLES}."
        )
    disagrees = _disagrees(table, frame, titles, options)
    reason = first_reason(
        [(NOT_AN_OPTION, options["strike"].isna().to_numpy()), (DISAGREES, disagrees)], len(name)
    )
    frame = frame.drop(columns=["expiry", "strike", "option_type"], errors="ignore").join(options)
    frame["underlying"] = _underlyings(name, column(options, "underlying"))
    frame["time"] = _times(table, frame, titles)
    frame["snapshot"] = column(frame, "time")
    if frame["time"].notna().all():
        frame["snapshot"], replaced = snapshot_times(column(frame, "time"), name)
        reason = np.where(reason == "", replaced, reason)
    frame["refused"] = reason
    return CryptoListing(rows_where(frame, frame["underlying"].notna()), table.path, table.sha256)


def crypto_quotes(
    listing: CryptoListing, asset: str | None, date: str | Date | None, options: CryptoOptions
) -> Quotes:
    """Return the quotes of one underlying at one time.

    Args:
        listing: The parsed file.
        asset: The underlying, such as BTC or BTC_USDC; None takes the only one.
        date: As for `CryptoListing.pick`.
        options: How the quotes are read.

    Raises:
        DataError: The file has no such rows, or its prices in coin are above 1 coin.
        ArgumentError: The file has several underlyings or times and the argument that chooses one is None, or
            `date` is no time.
        PrecisionError: The file has volatilities in place of prices, and double precision is off.
    """
    rows, name, taken = listing.pick(asset, date)
    settlement = settlement_of(name)
    quoted_at = column(rows, "time").fillna(pd.Timestamp(taken))
    seconds = (column(rows, "expiry") - quoted_at).dt.total_seconds().to_numpy()
    maturity = seconds / (SECONDS_A_DAY * DAY_COUNTS[options.day_count])
    undiscounted = settlement == "coin" or options.rates is None
    columns = {
        "timestamp": quoted_at,
        "expiry_datetime": column(rows, "expiry"),
        "option_type": column(rows, "option_type"),
        "strike": column(rows, "strike"),
        "maturity": maturity,
        "futures_price": _stated(rows, "forward"),
        "discount": np.ones(len(rows)) if undiscounted else discount_factors(options.rates, taken, maturity),
        "implied_volatility": _stated(rows, "vol"),
        "underlying_name": rows["underlying_name"] if "underlying_name" in rows else name,
    }
    columns["bid_price"], columns["ask_price"] = _bid_ask(rows, columns, settlement)
    columns |= {key: column(rows, key) for key in WHERE_PRESENT if np.isfinite(_stated(rows, key)).any()}
    frame = option_table(columns, len(rows))
    refused = column(rows, "refused")
    frame["refused"] = refused.where(refused != "", frame["refused"])
    if np.isfinite(_stated(rows, "spot")).any():
        frame["index_price"] = column(rows, "spot")
    check_coin_prices(listing.path, frame, settlement)
    return Quotes(
        frame=frame,
        currency=name,
        snapshot_ts=taken,
        path=listing.path,
        day_count=options.day_count,
        sha256=listing.sha256,
        settlement=settlement,
        forward_agreement=FORWARD_AGREEMENT,
    )


def check_coin_prices(path: Path, frame: pd.DataFrame, settlement: Settlement) -> None:
    """Refuse prices in coin that no option can have: a call is never worth more than the coin itself.

    Args:
        path: The file, for the message.
        frame: The columns bid_price and option_type of one underlying.
        settlement: Its settlement; nothing is checked for "cash".

    Raises:
        DataError: Most calls have a bid above 1 coin.
    """
    bid = frame["bid_price"].to_numpy()[(frame["option_type"] == "call").to_numpy(bool)]
    quoted = bid[bid > 0]
    if settlement == "coin" and len(quoted) and np.median(quoted) > 1.0:
        raise DataError(
            f"{path}: half of the calls have bid prices above {np.median(quoted):.6g}, so they are not in coin, of "
            "which a call is worth at most 1. If they settle in cash, name the instruments accordingly, such as "
            "BTC_USDC-26APR24-60000-C; if prices have been converted, divide them by the price of the coin."
        )


def _underlyings(name: pd.Series, underlying: pd.Series) -> pd.Series:
    """Return the underlying of each row; other instruments have that of options whose names begin as theirs do."""
    start = name.str.strip().str.upper().str.split("-").str[0]
    known = pd.DataFrame({"start": start, "underlying": underlying}).dropna().drop_duplicates("start")
    return underlying.fillna(start.map(known.set_index("start")["underlying"]))


def _disagrees(
    table: CsvTable, frame: pd.DataFrame, titles: Mapping[str, str], options: pd.DataFrame
) -> np.ndarray:
    """Whether expiry, strike or kind in the columns of a row are not those in its name, bool, shape (rows,)."""
    wrong = np.zeros(len(frame), bool)
    if "strike" in frame:
        strike = column(frame, "strike")
        wrong |= (strike.notna() & ~np.isclose(strike, options["strike"], rtol=1e-9, atol=0.0)).to_numpy()
    if "option_type" in frame:
        kind = option_types(column(frame, "option_type"))
        wrong |= (kind.notna() & (kind != options["option_type"])).to_numpy(bool)
    if "expiry" in frame:
        expiry = instants(table, column(frame, "expiry"), titles["expiry"])
        wrong |= (expiry.notna() & (expiry != options["expiry"])).to_numpy()
    return wrong


def _times(table: CsvTable, frame: pd.DataFrame, titles: Mapping[str, str]) -> pd.Series:
    """Return the time of each row, or that in the name of the file where no row has one, else NaT."""
    if "time" in frame and frame["time"].notna().any():
        table.refuse_blanks(column(frame, "time"), titles["time"])
        return instants(table, column(frame, "time"), titles["time"])
    return pd.Series(_time_in(table.path), index=frame.index, dtype="datetime64[us, UTC]")


def instants(table: CsvTable, values: pd.Series, name: str) -> pd.Series:
    """Parse a column of times: numbers since 1970, whose size tells the unit, or text; in UTC.

    Args:
        table: The file.
        values: Times as text, which are parsed, or as times; a blank becomes NaT.
        name: The file's name of the column, for the error.

    Raises:
        DataError: A value has no accepted form or another unit than the others, or is outside 2001 to 2199.
    """
    missing = values.isna().to_numpy()
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return values
    number = numbers(values).to_numpy()
    if (number >= SECONDS).any():
        with np.errstate(invalid="ignore", divide="ignore"):
            unit = np.floor(np.log10(number / SECONDS) / 3)  # 0 for seconds, 1 for ms, 2 for us, 3 for ns
        wrong = ~missing & ~((unit == unit[np.argmax(~missing)]) & (unit >= 0) & (unit <= 3))
        _refuse_time(table, values, name, wrong)
        micros = np.round(np.where(missing, 0.0, number) * 10.0 ** (6 - 3 * unit[np.argmax(~missing)]))
        times = pd.Series(micros.astype("int64").astype("datetime64[us]"), values.index).dt.tz_localize("UTC")
        times = times.mask(missing)
    else:
        times = table.dates(values, name)
    _refuse_time(table, values, name, ~missing & ~times.between(FIRST, LAST).to_numpy())
    return times


def _refuse_time(table: CsvTable, values: pd.Series, name: str, wrong: np.ndarray) -> None:
    """Refuse a column of times with a wrong value, naming the first."""
    if wrong.any():
        first = int(wrong.argmax())
        raise DataError(
            f"{table.path}: row {first + 1}: {name} {values[first]!r} is no time between {FIRST:%Y} and {LAST:%Y} of "
            "the form of the others. Accepted are seconds, milliseconds, microseconds or nanoseconds since 1970, "
            "and ISO times such as 2024-04-01T12:00:00Z; all times of a column must have the same form."
        )


def _stated(rows: pd.DataFrame, key: str) -> np.ndarray:
    """Return a column as floats, nan where the file does not have it; shape (rows,)."""
    return rows[key].to_numpy(float) if key in rows else np.full(len(rows), np.nan)


def _bid_ask(
    rows: pd.DataFrame, columns: Mapping[str, Value], settlement: Settlement
) -> tuple[np.ndarray, np.ndarray]:
    """Return bid and ask prices, of the file or of its volatilities, shape (rows,) each."""
    if "bid" in rows:
        return _stated(rows, "bid"), _stated(rows, "ask")
    terms = OptionTerms(
        forward=np.asarray(columns["futures_price"]),
        discount=np.asarray(columns["discount"]),
        strike=np.asarray(columns["strike"]),
        maturity=np.asarray(columns["maturity"]),
        is_call=(column(rows, "option_type") == "call").to_numpy(bool),
    )
    unit = terms.forward if settlement == "coin" else np.ones(len(rows))
    vols = (np.where(_stated(rows, key) > 0, _stated(rows, key), np.nan) for key in ("bid_vol", "ask_vol"))
    bid, ask = (cash_price(vol, terms) / unit for vol in vols)
    return bid, ask


def _time(date: str | Date) -> pd.Timestamp:
    """Convert a time that the caller gives to UTC.

    Raises:
        ArgumentError: It is no time.
    """
    try:
        when = pd.Timestamp(date)
    except ValueError:
        when = pd.NaT
    if not isinstance(when, pd.Timestamp):
        raise ArgumentError(f"date={date!r} is no time; expected one such as '2024-04-01T12:00' (UTC).")
    return when.tz_localize("UTC") if when.tzinfo is None else when.tz_convert("UTC")


def _choose_time(path: Path, when: pd.Timestamp | None, available: list[pd.Timestamp]) -> pd.Timestamp:
    """Return the time that the caller wants, the only one of the day that the caller wants, or the only one."""
    if when is None or when == when.normalize() and when not in available:
        chosen = [time for time in available if when is None or time.normalize() == when]
    else:
        chosen = [time for time in available if time == when]
    shown = ", ".join(f"{time.tz_localize(None).isoformat()}" for time in (chosen or available)[:SHOWN])
    shown += ", ..." if len(chosen or available) > SHOWN else ""
    if not chosen:
        raise DataError(f"{path}: there are no rows for date={str(when)!r}; the file has {shown} (UTC).")
    if len(chosen) > 1:
        raise ArgumentError(
            f"{path}: the file holds {len(chosen)} times, {shown}; say which one, for example "
            f"date={chosen[0].tz_localize(None).isoformat()!r}."
        )
    return chosen[0]


def _time_in(path: Path) -> datetime | None:
    """Return the time in a file name, such as btc_20240401T120000Z.json, or None; a date alone is no time."""
    for day, time in re.findall(r"(?<!\d)(\d{8})[T_-]?(\d{6})(?!\d)", path.name):
        try:
            return datetime.strptime(day + time, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except ValueError:  # the digits are no time
            continue
    return None
