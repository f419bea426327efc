"""Builds quotes from files of crypto exchanges, whose rows name an option and may state a time of the day."""

import dataclasses
import reprlib
from collections.abc import Mapping
from datetime import date as Date
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import ArgumentError, DataError
from ...options.kinds import Settlement
from ...quotes.table import LARGEST_VOL, LEAST_VOL
from ...times import DAY_COUNTS, SECONDS_A_DAY
from ..filters import first_reason
from ..quotes import Quotes, column
from .choices import as_moment, choose, choose_time, snapshots_in
from .crypto_names import Exchange, options_of, settlement_of
from .option_table import WHERE_PRESENT, Value, check_day_count, option_table, option_types, rows_where
from .quote_times import parse_times, time_in
from .rates import Rates, discount_factors
from .repeats import refuse_times
from .snapshot_times import snapshot_times
from .table import Names, Table
from .vol_quotes import OptionTerms, cash_price

NOT_AN_OPTION = "the instrument is not an option"
DISAGREES = "the name of the instrument and its columns disagree"
TEXTS = ("name", "time", "expiry", "option_type", "underlying_name", "exchange")
FORWARD_AGREEMENT = 3e-3  # ticks and spreads of these markets are wider than those of equity indices
EXAMPLES = "BTC-26APR24-60000-C, SOL_USDC-26APR24-150-C, BTC-USD-240426-60000-C or BTC-240426-60000-C"


@dataclasses.dataclass(frozen=True)
class CryptoOptions:
    """How quotes of crypto options are read.

    Raises:
        ArgumentError: The day count is unknown.
    """

    rates: Rates | float | None = None
    """Rates of the discount factors of options that settle in cash. None takes 1, because the exchanges do
    not discount. Options that settle in coin have no discount factor."""
    day_count: str = "365"
    """Days per year of the maturities, "365" or "365.25"; the exchanges use 365."""

    def __post_init__(self) -> None:
        check_day_count(self.day_count)


@dataclasses.dataclass(frozen=True, eq=False)
class CryptoListing:
    """A parsed file with every underlying and time in it."""

    frame: pd.DataFrame
    """Columns underlying, snapshot (UTC, NaT if the file states no time), time, expiry, option_type, strike
    and refused; bid and ask, or bid_vol and ask_vol; forward, spot, vol and others that the file has."""
    path: Path
    sha256: str  # of the uncompressed bytes

    @property
    def snapshots(self) -> tuple[tuple[str, datetime | None], ...]:
        """Each underlying with each of its times, in time order; the time is None where it is unknown."""
        return snapshots_in(self.frame)

    def pick(self, asset: str | None, date: str | Date | None) -> tuple[pd.DataFrame, str, datetime]:
        """Select the rows of one underlying at one time.

        Args:
            asset: The underlying, such as BTC or BTC_USDC; None takes the only one.
            date: The time of a snapshot, or the day of a single one; None takes the only one. A file that
                states no time has this one.

        Raises:
            ArgumentError: The file has several underlyings or times and the argument that chooses one is
                None or the day of several; `date` is no time; or neither file nor caller state a time.
            DataError: There are no such rows.
        """
        when = as_moment(date)
        name = choose(self.path, "asset", asset, sorted(column(self.frame, "underlying").unique()))
        rows = rows_where(self.frame, column(self.frame, "underlying") == name)
        taken = column(rows, "snapshot")
        if taken.isna().all():
            if when is None:
                raise ArgumentError(
                    f"{self.path}: neither the rows nor the name of the file state when the quotes were "
                    "taken. Pass date='2024-04-01T12:00', add a column timestamp, or write the time into "
                    "the name of the file, such as btc_20240401T120000.csv."
                )
            return rows, name, when
        time = choose_time(self.path, when, taken)
        return rows_where(rows, taken == time), name, time


def crypto_listing(table: Table, frame: pd.DataFrame, names: Names, exchange: Exchange) -> CryptoListing:
    """Make a listing of typed columns. Underlying, expiry, strike and kind are those in the names of options.

    Rows of other instruments, such as futures, are refused where there are options on their underlying, and
    left out where there are none.

    Args:
        table: The parsed file.
        frame: Its typed columns, with the text column `name` and, where the file has them, `time` (text or
            times) and the texts `expiry` and `option_type`.
        names: The accepted names of each column.
        exchange: How the names of the instruments are read.

    Raises:
        DataError: A row has no name or no time although others have, a time has no accepted form, or no row
            is an option.
    """
    titles = {key: (table.name_of(key, names) if key in names else None) or key for key in TEXTS}
    name = column(frame, "name")
    table.refuse_blanks(name, titles["name"])
    options = options_of(name, exchange)
    is_option = options["strike"].notna().to_numpy()
    if not is_option.any():
        raise DataError(
            f"{table.path}: no {titles['name']} is the name of an option, and the first is "
            f"{reprlib.repr(name[0])}; expected names such as {EXAMPLES}."
        )
    disagrees = is_option & _disagrees(table, frame, titles, options)
    reason = first_reason([(NOT_AN_OPTION, ~is_option), (DISAGREES, disagrees)], len(name))
    frame = frame.drop(columns=["expiry", "strike", "option_type"], errors="ignore").join(options)
    refuse_times(table, table.unused(names), column(frame, "expiry"))
    frame["underlying"] = _underlyings(name, column(options, "underlying"))
    frame["time"] = _times(table, frame, titles["time"])
    frame["snapshot"] = frame["time"]
    if bool(frame["time"].notna().all()):
        frame["snapshot"], replaced = snapshot_times(column(frame, "time"), name)
        reason = np.where(reason == "", replaced, reason)
    frame["refused"] = reason
    return CryptoListing(rows_where(frame, column(frame, "underlying").notna()), table.path, table.sha256)


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
        DataError: The file has no such rows, or its prices cannot be in coin although the names state it.
        ArgumentError: As for `CryptoListing.pick`.
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
    columns["bid_price"], columns["ask_price"] = _bid_ask(listing.path, rows, columns, settlement)
    columns |= {key: column(rows, key) for key in WHERE_PRESENT if np.isfinite(_stated(rows, key)).any()}
    frame = option_table(columns, len(rows))
    frame["refused"] = column(rows, "refused").where(rows["refused"] != "", frame["refused"])
    if np.isfinite(_stated(rows, "spot")).any():
        frame["index_price"] = rows["spot"]
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
    if settlement == "cash":
        return
    bid = frame["bid_price"].to_numpy()[(frame["option_type"] == "call").to_numpy(bool)]
    bid = bid[bid > 0]
    if len(bid) and np.median(bid) > 1.0:
        raise DataError(
            f"{path}: half of the calls have bids of {np.median(bid):.6g} or more, so they are not in "
            "coin, of which a call is worth at most 1. If the options settle in cash, their names must state "
            "so, such as BTC_USDC-26APR24-60000-C; if prices were converted, divide them by that of the coin."
        )


def _underlyings(name: pd.Series, underlying: pd.Series) -> pd.Series:
    """Return the underlying of each row; other instruments take that of options whose names begin alike."""
    start = name.str.strip().str.upper().str.replace("-.*", "", regex=True)
    known = pd.DataFrame({"start": start, "underlying": underlying}).dropna().drop_duplicates("start")
    return underlying.fillna(start.map(known.set_index("start")["underlying"]))


def _disagrees(
    table: Table, frame: pd.DataFrame, titles: Mapping[str, str], options: pd.DataFrame
) -> np.ndarray:
    """Whether a row's columns state another strike, kind or expiry than its name, bool, shape (rows,)."""
    wrong = np.zeros(len(frame), bool)
    if "strike" in frame:
        strike = column(frame, "strike")
        wrong |= (strike.notna() & ~np.isclose(strike, options["strike"], rtol=1e-9, atol=0.0)).to_numpy()
    if "option_type" in frame:
        kind = option_types(column(frame, "option_type"))
        wrong |= (kind.notna() & (kind != options["option_type"])).to_numpy(bool)
    if "expiry" in frame:
        expiry = parse_times(table, column(frame, "expiry"), titles["expiry"])
        wrong |= (expiry.notna() & (expiry != options["expiry"])).to_numpy(bool)
    return wrong


def _times(table: Table, frame: pd.DataFrame, title: str) -> pd.Series:
    """Return the time of each row, or that in the name of the file where no row has one, else NaT."""
    if "time" not in frame or bool(frame["time"].isna().all()):
        return pd.Series(time_in(table.path), index=frame.index, dtype="datetime64[us, UTC]")
    stated = column(frame, "time")
    table.refuse_blanks(stated, title)
    return stated if isinstance(stated.dtype, pd.DatetimeTZDtype) else parse_times(table, stated, title)


def _stated(rows: pd.DataFrame, key: str) -> np.ndarray:
    """Return a column as floats, nan where the file does not have it; shape (rows,)."""
    return rows[key].to_numpy(float) if key in rows else np.full(len(rows), np.nan)


def _check_unit(path: Path, vols: np.ndarray) -> None:
    """Refuse volatilities whose median no market has.

    Raises:
        DataError: They are percent, or in another unit.
    """
    middle = float(np.median(vols[vols > 0])) if (vols > 0).any() else LEAST_VOL
    if not LEAST_VOL <= middle <= LARGEST_VOL:
        raise DataError(
            f"{path}: the ask volatilities are {middle:.4g} in the median, outside {LEAST_VOL:g} to "
            f"{LARGEST_VOL:g}; expected decimals, such as 0.6 for 60 %. Multiply or divide them by 100."
        )


def _bid_ask(
    path: Path, rows: pd.DataFrame, columns: Mapping[str, Value], settlement: Settlement
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
    vols = [_stated(rows, key) for key in ("bid_vol", "ask_vol")]
    _check_unit(path, vols[1])
    with np.errstate(all="ignore"):  # impossible forwards, whose rows are refused
        bid, ask = (cash_price(np.where(vol > 0, vol, np.nan), terms) / unit for vol in vols)
    return bid, ask
