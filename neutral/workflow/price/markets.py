"""Prices the options of markets with models: a row for each option, a line for each market and model."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ... import durable
from ...errors import ArgumentError, DataError, NeutralError
from ...market.quotes import column
from ...times import minute_text
from ..calibrate.config import Config, shipped_config
from ..config import Document, validated
from ..csv_files import write_csv
from ..inputs.markets import Market
from ..messages import Once
from .models import FittedModel, ModelSource, StoredFits
from .table import price_columns

COLUMNS = (
    *("timestamp", "underlying_name", "instrument_name", "expiry_datetime", "maturity", "strike"),
    *("option_type", "bid_price", "ask_price", "forward", "discount"),
)
"""Columns of the quotes in the table of prices, where a market has them."""
SHOWN_REASONS = 3
SUFFIXES = (".parquet", ".csv")
CASH = "cash"  # the unit of prices in the payment currency, which files of quotes do not name


class PricedMarket(NamedTuple):
    """A market with the prices of its options.

    Attributes:
        market: The market.
        rows: A row for each option with its prices; no row if the market cannot be priced.
        unit: The unit of the prices: the underlying, or `CASH`.
        models: The models by name.
        reason: Why there are no prices; "" if there are.
    """

    market: Market
    rows: pd.DataFrame
    unit: str = ""
    models: dict[str, FittedModel] = {}
    reason: str = ""


def config_of(source: ModelSource) -> Callable[[str], Document]:
    """Return the settings with which quotes are read, by the kind of their file: those of the run if any.

    No market is refused for few quotes, because none is fitted.
    """
    stored = None
    if isinstance(source, StoredFits):
        stored = validated(source.config, str(source.folder), Config)

    def settings(kind: str) -> Document:
        return (stored or shipped_config(kind)).replaced(filters={"min_quotes": 1})

    return settings


def price_markets(markets: Iterable[Market], source: ModelSource) -> Iterator[PricedMarket]:
    """Price the options of markets, also those that filters refuse; a market that cannot be priced is a line.

    Args:
        markets: As `read_markets` gives them.
        source: The models.
    """
    for market in markets:
        if market.frame is None:
            yield PricedMarket(market, pd.DataFrame(), reason=market.reason)
            continue
        try:
            time = None if pd.isna(market.timestamp) else market.timestamp
            yield _priced(market, source.at(market.underlying, time))
        except NeutralError as error:
            yield PricedMarket(market, pd.DataFrame(), reason=str(error))


def _priced(market: Market, models: dict[str, FittedModel]) -> PricedMarket:
    assert market.frame is not None
    parts = [market.frame.assign(refused="")]
    if market.rejected is not None and len(market.rejected):
        parts.append(market.rejected.assign(refused=market.rejected["reason"]))
    frame = pd.concat(parts, ignore_index=True)
    frame = frame.sort_values(["expiry_datetime", "strike", "option_type"], kind="stable", ignore_index=True)
    settlement = market.frame["settlement"].iloc[0]
    unit = market.underlying if settlement == "coin" else CASH
    numbers = {name: _positive(column(frame, name)) for name in ("strike", "forward", "discount")}
    time = "variance_time" if "variance_time" in frame else "maturity"  # by which the models were fitted
    terms = numbers | {"maturity": frame[time].to_numpy(float), "is_call": frame["kind"].to_numpy(bool)}
    kept = frame[[name for name in COLUMNS if name in frame]].assign(unit=unit, refused=frame["refused"])
    fitted = {
        f"fitted_{name}": pd.Timestamp(fit.time) for name, fit in models.items() if fit.time is not None
    }
    rows = kept.assign(**price_columns(models, terms, settlement), **fitted)
    rows.insert(0, "file", market.file)
    return PricedMarket(market, rows, unit, models)


def _positive(values: pd.Series) -> np.ndarray:
    """Return numbers, nan where one is not finite and positive, so that its option has no price."""
    numbers = values.to_numpy(float)
    return np.where(np.isfinite(numbers) & (numbers > 0), numbers, np.nan)


def check_path(path: Path) -> None:
    """Refuse a file of prices of another kind before anything is computed.

    Raises:
        ArgumentError: The file is neither Parquet nor CSV.
    """
    if path.suffix not in SUFFIXES:
        raise ArgumentError(f"--out {path} must end in {' or '.join(SUFFIXES)}.")


def write_prices(priced: list[PricedMarket], path: Path) -> int:
    """Write the rows of all markets to one file, whole or not at all; return their number.

    Raises:
        DataError: No market has prices.
        WriteError: The file cannot be written.
    """
    frames = [market.rows for market in priced if len(market.rows)]
    if not frames:
        reasons = " ".join(map(Once(), (_refusal(market) for market in priced[:SHOWN_REASONS])))
        raise DataError(f"no market has been priced: {reasons or 'the files have none.'}")
    rows = pd.concat(frames, ignore_index=True)
    if path.suffix == ".csv":
        write_csv(path, rows)
    else:
        durable.replace(path, lambda partial: rows.to_parquet(partial, index=False))
    return len(rows)


def _refusal(priced: PricedMarket) -> str:
    """Say why a market has no prices: it could not be read, or no model fits it."""
    market = priced.market
    return market.refusal if market.reason else f"{market.title}: {priced.reason}"


def summary(priced: list[PricedMarket]) -> str:
    """Return a table for a terminal: a line for each market and model, with the unit of the prices."""
    lines: list[dict[str, Any]] = []
    for market in priced:
        title = market.market.title
        if market.reason:
            lines.append({"market": title, "reason": market.reason})
        for name, fit in market.models.items():
            lines.append({"market": title, "model": name} | _line(market, name, fit))
    frame = pd.DataFrame(lines, columns=pd.Index(["market", "model", *_HEADINGS, "reason"]))
    if bool(frame["reason"].isna().all()):
        frame = frame.drop(columns="reason")
    return frame.to_string(index=False, na_rep="-", max_colwidth=80)


_HEADINGS = ("fitted at", "options", "priced", "inside bid-ask", "RMSE to mid", "unit")


def _line(market: PricedMarket, name: str, fit: FittedModel) -> dict[str, Any]:
    """Return the measurements of one model on one market; inside and RMSE are over quotes not refused."""
    rows = market.rows
    prices = rows[f"price_{name}"].to_numpy(float)
    bid, ask = (column(rows, side).to_numpy(float) for side in ("bid_price", "ask_price"))
    used = np.isfinite(prices) & (rows["refused"].to_numpy(object) == "")
    error = (prices - 0.5 * (bid + ask))[used]
    inside = ((bid <= prices) & (prices <= ask))[used]
    return dict(
        zip(
            _HEADINGS,
            (
                "-" if fit.time is None else minute_text(fit.time),
                len(rows),
                int(np.isfinite(prices).sum()),
                f"{inside.mean():.1%}" if used.any() else "-",
                f"{np.sqrt(np.mean(error**2)):.3g}" if used.any() else "-",
                market.unit,
            ),
            strict=True,
        )
    )
