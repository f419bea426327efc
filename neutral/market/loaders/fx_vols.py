"""Reads foreign-exchange volatilities quoted by tenor and delta, and turns them into priced options."""

import dataclasses
from collections.abc import Mapping
from datetime import date as Date
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import ArgumentError, DataError
from ...times import DAYS_A_YEAR
from ..clock import VarianceClock
from ..fx import FxConventions, pair_name
from ..fx.conventions import check_conventions
from ..fx.pairs import is_usual, pair_in
from ..quotes import LONGEST_COLLECTION, UNKNOWN_DATE, Quotes, column
from ..variance_time import in_clock
from .choices import timestamp_of
from .column_map import Columns
from .file_content import MarketData, read_content
from .fx_layout import NAMES, fits, fx_rows, quoted_deltas
from .fx_market import (
    Market,
    check_rate,
    market_of_rates,
    market_of_swaps,
    rates_beside,
    spot_of,
    states_rates,
)
from .fx_tenor import TenorMarket, TenorOptions, tenor_options
from .fx_unit import SCALES, Unit, scale_of, typical_level
from .listing import Listing, listing
from .option_table import DAY, option_table
from .sources import SourceKind
from .table import read_table
from .tenors import expiries
from .vol_quotes import SPREAD, OptionTerms, bid_ask_around, check_spread


@dataclasses.dataclass(frozen=True)
class FxOptions:
    """The arguments of `load_fx_vols` that set how volatilities are read.

    Raises:
        ArgumentError: The spread is negative or not finite, a convention or unit is unknown, or a rate is
            not finite or in percent.
    """

    spread: float = SPREAD
    rates: str | Path | None = None
    spot: float | None = None
    conventions: FxConventions | Mapping[str, object] | None = None
    domestic_rate: float | None = None
    foreign_rate: float | None = None
    unit: Unit | None = None

    def __post_init__(self) -> None:
        check_spread(self.spread)
        if self.unit is not None and self.unit not in SCALES:
            raise ArgumentError(f"unit={self.unit!r} is unknown; expected 'percent' or 'decimal'.")
        if self.conventions is not None and not isinstance(self.conventions, FxConventions):
            check_conventions(self.conventions)
        for name in ("domestic_rate", "foreign_rate"):
            check_rate(name, getattr(self, name))


def load_fx_vols(
    path: MarketData,
    pair: str | None = None,
    date: str | Date | None = None,
    spread: float = SPREAD,
    rates: str | Path | None = None,
    spot: float | None = None,
    conventions: FxConventions | Mapping[str, object] | None = None,
    domestic_rate: float | None = None,
    foreign_rate: float | None = None,
    unit: Unit | None = None,
    columns: Columns | None = None,
    clock: VarianceClock | None = None,
) -> Quotes:
    """Read volatilities at the money, risk reversals and strangles, in percent, and price their options.

    A file has a row for each tenor with a column for each quote, or a row for each quote;
    `docs/market_data.md` lists the names. Each tenor gives an option at the money, and a put and a call for
    every delta, from risk reversal and strangle (see `fx_smile`) or from their own volatilities. A tenor or
    a delta that cannot be read gives the same rows without strikes and prices, with the reason in `refused`.

    - Expiry: the quote date plus the tenor, without holidays and settlement lags; act/365. ON, TN and SN end
      one, two and three days after it, weekends left out. Dates and IMM dates are accepted too.
    - Unit: percent or decimals, as the file declares or `unit` states, or else as the size of the
      volatilities at the money shows.
    - Rates: `domestic_rate` and `foreign_rate`, or those of the file, continuously compounded; a forward or
      swap points of the file count more than its foreign rate. Otherwise a second file gives,
      by tenor, par rates of overnight swaps in percent (annual, act/360), swap points and the cross-currency
      basis, which is added to the foreign rate. Discount factors are bootstrapped; par rates are linear
      between tenors, and log discount factors between tenors of up to a year and between whole years beyond.
      The forward is spot plus points, or without points spot x foreign / domestic discount factor. The
      foreign discount factor is then set to agree with the forward.
    - Conventions: the caller's, those of the columns `delta`, `premium_adjusted`, `atm_convention` and
      `butterfly_convention`, or the usual ones of the pair, as `docs/market_data.md` lists them.
    - Bid and ask: those of volatilities that are quoted with both sides. Those at the money are also the
      spread of options that follow from risk reversals and strangles. Otherwise `spread` is assumed.

    Args:
        path: CSV file, plain or gzip; Parquet file; or a table of any library.
        pair: Currency pair such as "EURUSD" or "eur/usd", domestic currency last; None takes the only one. A
            file that states no pair has this one; for such a file None takes the name of the file.
        date: Quote date; None takes the only one. If there is no date, expiries count from `UNKNOWN_DATE`.
        spread: Distance between bid and ask volatility, around the quoted mid; decimal.
        rates: File of rates. None takes the file in the same folder whose name has `_rates` in place of
            `_vol`.
        spot: Spot rate, domestic currency per unit of foreign; required if the file does not state it.
        conventions: Conventions of all tenors, or some of them by name, such as `{"premium_adjusted": True}`;
            they replace those of the file and of the pair.
        domestic_rate: Continuously compounded rate of the domestic currency, decimal, for all tenors.
        foreign_rate: The same of the foreign currency.
        unit: "percent" or "decimal" of the volatilities; None takes the file's.
        columns: A map from the names of this package to the file's, for columns with other names; see
            `Columns`. None maps none.
        clock: Clock of the column `variance_time`, by which surfaces and fits measure time; None for calendar
            time.

    Returns:
        A row for each option, ordered by tenor and strike; European, with prices in domestic currency per
        unit of foreign.

    Raises:
        DataError: A file cannot be read, is damaged or empty, has no tenors or no quotes, has a column of
            dates or pairs under an unknown name, rates in percent or swap points in another unit, or has no
            row of the pair or date. The message names the file, and the line or column.
        ArgumentError: There is no positive spot, an argument is not possible, the file has several pairs or
            dates and the argument that chooses one is None, or it is not clear whether volatilities are
            percent.
        PrecisionError: Double precision is off.
    """
    options = FxOptions(
        spread=spread,
        rates=rates,
        spot=spot,
        conventions=conventions,
        domestic_rate=domestic_rate,
        foreign_rate=foreign_rate,
        unit=unit,
    )
    return in_clock(fx_quotes(read_fx_vols(read_content(path, columns)), pair, date, options), clock)


def read_fx_vols(data: MarketData) -> Listing:
    """Read a file once, for `fx_quotes` on each of its pairs and dates.

    Raises:
        DataError: As for `load_fx_vols`.
    """
    table, rows, names = fx_rows(read_table(data))
    if "underlying" in rows:
        pairs = column(rows, "underlying")
        rows["underlying"] = pairs.map({x: pair_in(x) or x for x in pairs.dropna().unique()})
    return listing(table, rows, names)


def fx_quotes(vols: Listing, pair: str | None, date: str | Date | None, options: FxOptions) -> Quotes:
    """Return the quotes of one pair on one date.

    Args:
        vols: The parsed file.
        pair: As for `load_fx_vols`.
        date: As for `load_fx_vols`.
        options: How the volatilities are read.

    Raises:
        DataError: As for `load_fx_vols`.
        ArgumentError: As for `load_fx_vols`.
        PrecisionError: Double precision is off.
    """
    rows, pair, quote_date = _snapshot(vols, pair, date)
    snapshot_ts = quote_date or UNKNOWN_DATE
    start = timestamp_of(snapshot_ts)
    expiry, faults = expiries(rows, start, dated=quote_date is not None)
    maturity = ((expiry - start) / DAY).to_numpy(float) / DAYS_A_YEAR
    market, spot = _market(
        path=vols.path, rows=rows, pair=pair, start=start, maturity=maturity, options=options
    )
    tenors = _tenors(
        rows=rows,
        pair=pair,
        maturity=maturity,
        market=market,
        scale=scale_of(vols, options.unit),
        conventions=options.conventions,
        faults=faults,
    )
    row = np.repeat(np.arange(len(rows)), [len(tenor.smile.strike) for tenor in tenors])
    vol = np.concatenate([tenor.smile.vol for tenor in tenors])
    if not np.isfinite(vol).any():
        raise DataError(
            f"{vols.path}: no tenor can be used, so correct the first one at least. Row "
            f"{rows['line'].iloc[0]}: {tenors[0].reason[0]}"
        )
    own = np.concatenate([tenor.spread for tenor in tenors])
    terms = OptionTerms(
        forward=market.forward[row],
        discount=market.domestic[row],
        strike=np.concatenate([tenor.smile.strike for tenor in tenors]),
        maturity=maturity[row],
        is_call=np.concatenate([tenor.smile.is_call for tenor in tenors]),
    )
    assumed = np.isnan(own) & np.isfinite(vol)
    bid, ask = bid_ask_around(vol, np.where(np.isnan(own), options.spread, own), terms)
    columns = {
        "timestamp": pd.NaT if quote_date is None else start,
        "expiry_datetime": expiry.iloc[row].reset_index(drop=True),
        "option_type": np.where(terms.is_call, "call", "put"),
        "strike": terms.strike,
        "maturity": terms.maturity,
        "bid_price": bid,
        "ask_price": ask,
        "futures_price": terms.forward,
        "discount": terms.discount,
        "implied_volatility": vol,
        "underlying_name": pair,
    }
    frame = option_table(columns, len(row))
    reasons = np.concatenate([tenor.reason for tenor in tenors])
    frame["refused"] = np.where(reasons != "", reasons, frame["refused"])
    return Quotes(
        frame=frame,
        currency=pair,
        snapshot_ts=snapshot_ts,
        path=vols.path,
        day_count="365",
        sha256=vols.sha256,
        settlement="cash",
        spot=spot,
        assumed_spread=options.spread if assumed.any() or not np.isfinite(vol).any() else np.nan,
    )


def _snapshot(
    vols: Listing, pair: str | None, date: str | Date | None
) -> tuple[pd.DataFrame, str, datetime | None]:
    """Return the rows of one pair on one date, the six letters of the pair, and the date.

    Raises:
        DataError: As for `load_fx_vols`; also if the rows are of several times of the day.
        ArgumentError: As for `load_fx_vols`.
    """
    rows, name, day = vols.pick("pair", pair and (pair_in(pair) or pair), date)
    times = column(rows, "date").dropna()
    if len(times) and times.max() - times.min() > LONGEST_COLLECTION:
        raise DataError(
            f"{vols.path}: the rows of {name} on {day:%Y-%m-%d} are of several times, from "
            f"{times.min():%H:%M} to {times.max():%H:%M}. Keep the rows of one time of a day."
        )
    if not vols.named and pair is None and not is_usual(name):
        raise ArgumentError(f"{vols.path}: the file states no pair; pass pair=, or add a column pair.")
    try:
        return rows, pair_name(name), day
    except ArgumentError as error:
        raise DataError(f"{vols.path}: {error}") from error


def _market(
    path: Path, rows: pd.DataFrame, pair: str, start: pd.Timestamp, maturity: np.ndarray, options: FxOptions
) -> tuple[Market, float]:
    """Return forwards and discount factors of each tenor, and the spot."""
    spot = spot_of(path, rows, options.spot)
    callers = {"domestic": options.domestic_rate, "foreign": options.foreign_rate}
    given = {key: value for key, value in callers.items() if value is not None}
    rows = rows.assign(**given)
    if "foreign" in given:  # the caller's rate counts more than forwards of the file
        rows = rows.drop(columns=["forward", "points"], errors="ignore")
    if states_rates(rows):
        return market_of_rates(path, rows, pair, maturity, spot), spot
    beside = rates_beside(path, options.rates)
    market = market_of_swaps(
        path=beside, start=start, pair=pair, tenors=column(rows, "tenor"), maturity=maturity, spot=spot
    )
    return market, spot


def _tenors(
    rows: pd.DataFrame,
    pair: str,
    maturity: np.ndarray,
    market: Market,
    scale: float,
    conventions: FxConventions | Mapping[str, object] | None,
    faults: np.ndarray,
) -> list[TenorOptions]:
    """Return the options of each tenor."""
    deltas = quoted_deltas(rows)
    middle = typical_level(rows)
    tenors = []
    for i, record in enumerate(rows.to_dict("records")):
        about = TenorMarket(
            pair=pair,
            maturity=maturity[i],
            forward=market.forward[i],
            foreign_discount=market.foreign[i],
            scale=scale,
            middle=middle,
            conventions=conventions,
        )
        tenors.append(tenor_options(record, deltas, about, faults[i]))
    return tenors


FX_VOLS = SourceKind(
    name="fx",
    description="volatilities by delta (tenor and atm, with rr25 and bf25, or 25p and 25c)",
    columns={"tenor": (*NAMES["tenor"], *NAMES["expiry"]), "atm": ("atm", "atm_bid")},
    recognises=fits,
    read=read_fx_vols,
    quotes=fx_quotes,
    options=FxOptions,
)
