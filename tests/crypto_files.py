"""Files of crypto options under the headers of the exchanges, with prices of known Black volatilities."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtr

from neutral.market import Filters, Quotes, prepare

TAKEN = datetime(2024, 4, 1, 12, 0, tzinfo=UTC)
DAYS = (11, 39)  # from the day of TAKEN to the expiries
YEAR = 365 * 86400
STEPS = np.arange(0.85, 1.16, 0.05)  # strikes over the forward of the first expiry


class Market(NamedTuple):
    """Options on one coin; the forward grows with the expiry."""

    coin: str = "BTC"
    vol: float = 0.6
    spot: float = 60000.0
    in_coin: bool = True
    days: Sequence[int] = DAYS


class Row(NamedTuple):
    """One option with its prices, in coin or in cash."""

    market: Market
    taken: datetime
    expiry: datetime
    strike: float
    kind: str  # C or P
    forward: float
    bid: float
    ask: float

    @property
    def years(self) -> float:
        return (self.expiry - self.taken).total_seconds() / YEAR


def black(forward: float, strike: float, years: float, vol: float, kind: str) -> float:
    """Undiscounted Black price in cash."""
    stdev = vol * np.sqrt(years)
    d1 = np.log(forward / strike) / stdev + stdev / 2
    call = forward * ndtr(d1) - strike * ndtr(d1 - stdev)
    return float(call if kind == "C" else call - forward + strike)


def chain(market: Market, taken: datetime = TAKEN) -> list[Row]:
    """All options of a market at one time, whose volatility is flat."""
    rows = []
    digits = 4 - int(np.floor(np.log10(market.spot))) - 2
    for days in market.days:
        expiry = taken.replace(hour=8, minute=0, second=0, microsecond=0) + timedelta(days=days)
        years = (expiry - taken).total_seconds() / YEAR
        forward = market.spot * np.exp(0.08 * years)
        for strike in np.round(market.spot * STEPS, digits):
            for kind in "CP":
                price = black(forward, strike, years, market.vol, kind) / (forward if market.in_coin else 1)
                half = 1e-4 * (1 if market.in_coin else forward)
                rows.append(
                    Row(
                        market=market,
                        taken=taken,
                        expiry=expiry,
                        strike=float(strike),
                        kind=kind,
                        forward=float(forward),
                        bid=max(price - half, 0.0),
                        ask=price + half,
                    )
                )
    return rows


def spelled(row: Row, quote: str = "", settled: str = "") -> str:
    """Name of Deribit or Bybit, such as XRP_USDC-12APR24-0d5-C."""
    day = f"{row.expiry.day}{row.expiry:%b%y}".upper()
    strike = f"{row.strike:g}".replace(".", "d") if row.strike < 1e5 else f"{row.strike:.0f}"
    return f"{row.market.coin}{quote}-{day}-{strike}-{row.kind}{settled}"


def numbered(row: Row, quote: str = "") -> str:
    """Name of OKX or Binance, such as BTC-USD-240412-60000-C."""
    return f"{row.market.coin}{quote}-{row.expiry:%y%m%d}-{row.strike:g}-{row.kind}"


def millis(when: datetime) -> int:
    return round(when.timestamp() * 1000)


def deribit(row: Row) -> dict[str, Any]:
    quote = "" if row.market.in_coin else "_USDC"
    name = spelled(row, quote)
    return {
        "volume": 12.5,
        "underlying_price": row.forward,
        "underlying_index": name.rsplit("-", 2)[0],
        "quote_currency": "BTC" if row.market.in_coin else "USDC",
        "price_change": None,
        "open_interest": 30.0,
        "mid_price": (row.bid + row.ask) / 2,
        "mark_price": (row.bid + row.ask) / 2,
        "mark_iv": 100 * row.market.vol,
        "low": None,
        "last": None,
        "interest_rate": 0.0,
        "instrument_name": name,
        "high": None,
        "estimated_delivery_price": row.market.spot,
        "creation_timestamp": millis(row.taken),
        "bid_price": row.bid or None,
        "base_currency": row.market.coin,
        "ask_price": row.ask,
    }


def tardis(row: Row, exchange: str = "deribit") -> dict[str, Any]:
    symbol = {
        "deribit": spelled(row, "" if row.market.in_coin else "_USDC"),
        "okex-options": numbered(row, "-USD"),
        "binance-european-options": numbered(row),
    }[exchange]
    of_deribit = exchange == "deribit"
    return {
        "exchange": exchange,
        "symbol": symbol,
        "timestamp": millis(row.taken) * 1000,
        "local_timestamp": millis(row.taken) * 1000 + 783,
        "type": "call" if row.kind == "C" else "put",
        "strike_price": row.strike,
        "expiration": millis(row.expiry) * 1000,
        "open_interest": 5,
        "last_price": "",
        "bid_price": row.bid or "",
        "bid_amount": 15.0,
        "bid_iv": "",
        "ask_price": row.ask,
        "ask_amount": 15.0,
        "ask_iv": "",
        "mark_price": (row.bid + row.ask) / 2,
        "mark_iv": row.market.vol * (100 if of_deribit else 1),
        "underlying_index": symbol.rsplit("-", 2)[0] if of_deribit else f"{row.market.coin}USDT",
        "underlying_price": row.forward if of_deribit else row.market.spot,
        "delta": 0.5,
        "gamma": 0.0,
        "vega": 2.0,
        "theta": -1.0,
        "rho": "",
    }


def bybit(row: Row, settled: str = "") -> dict[str, Any]:
    return {
        "symbol": spelled(row, settled=settled),
        "bid1Price": f"{row.bid:.10g}",
        "bid1Size": "7.5",
        "bid1Iv": "0.55",
        "ask1Price": f"{row.ask:.10g}",
        "ask1Size": "5.8",
        "ask1Iv": "0.65",
        "lastPrice": "",
        "markPrice": f"{(row.bid + row.ask) / 2:.10g}",
        "indexPrice": f"{row.market.spot}",
        "markIv": f"{row.market.vol}",
        "underlyingPrice": f"{row.forward:.10g}",
        "openInterest": "31.2",
        "volume24h": "4.1",
        "delta": "0.5",
        "gamma": "0.0001",
        "vega": "40.1",
        "theta": "-12.1",
    }


def okx_ticker(row: Row) -> dict[str, Any]:
    return {
        "instType": "OPTION",
        "instId": numbered(row, "-USD" if row.market.in_coin else "-USD_UM"),
        "last": "",
        "lastSz": "0",
        "askPx": f"{row.ask:.12g}",
        "askSz": "1500",
        "bidPx": f"{row.bid:.12g}" if row.bid else "",
        "bidSz": "400",
        "volCcy24h": "0",
        "vol24h": "3",
        "ts": str(millis(row.taken)),
    }


def okx_summary(row: Row) -> dict[str, Any]:
    return {
        "instType": "OPTION",
        "instId": numbered(row, "-USD" if row.market.in_coin else "-USD_UM"),
        "uly": f"{row.market.coin}-USD",
        "markVol": f"{row.market.vol}",
        "bidVol": f"{row.market.vol - 0.01}",
        "askVol": f"{row.market.vol + 0.01}",
        "realVol": "",
        "fwdPx": f"{row.forward:.12g}",
        "ts": str(millis(row.taken)),
    }


def binance(row: Row) -> dict[str, Any]:
    return {
        "date": f"{row.taken:%Y-%m-%d}",
        "hour": row.taken.hour,
        "symbol": numbered(row),
        "underlying": f"{row.market.coin}USDT",
        "type": row.kind,
        "strike": f"{row.expiry:%y%m%d}-{row.strike:g}",
        "open": "0E-8",
        "high": "0E-8",
        "low": "0E-8",
        "close": "0E-8",
        "volume_contracts": "0E-8",
        "volume_usdt": "0E-8",
        "best_bid_price": f"{row.bid:.8f}",
        "best_ask_price": f"{row.ask:.8f}",
        "best_bid_qty": "1.5",
        "best_ask_qty": "1.5",
        "best_buy_iv": "",
        "best_sell_iv": f"{row.market.vol + 0.01}",
        "mark_price": f"{(row.bid + row.ask) / 2:.8f}",
        "mark_iv": f"{row.market.vol}",
        "delta": "0.5",
        "gamma": "0.0001",
        "vega": "40.1",
        "theta": "-12.1",
        "openinterest_contracts": "12.5",
        "openinterest_usdt": "500000",
    }


def as_csv(records: Sequence[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def of_deribit(records: Sequence[dict[str, Any]]) -> str:
    answer = {"jsonrpc": "2.0", "result": records, "usIn": 1, "usOut": 2, "usDiff": 1, "testnet": False}
    return json.dumps(answer)


def of_bybit(records: Sequence[dict[str, Any]], taken: datetime = TAKEN) -> str:
    result = {"category": "option", "list": records}
    return json.dumps(
        {"retCode": 0, "retMsg": "SUCCESS", "result": result, "retExtInfo": {}, "time": millis(taken)}
    )


def of_okx(records: Sequence[dict[str, Any]]) -> str:
    return json.dumps({"code": "0", "msg": "", "data": records})


def prepared(quotes: Quotes) -> pd.DataFrame:
    """The quotes that pass filters which leave out little."""
    return prepare(quotes, Filters(min_quotes=3, min_open_interest=0.0, min_maturity=0.0))[0]


def at_the_money(quotes: Quotes, kept: pd.DataFrame | None = None) -> list[float]:
    """Implied volatility at the money of each expiry, from the kept quotes, by bisection."""
    vols = []
    for _, rows in (prepared(quotes) if kept is None else kept).groupby("expiry_datetime"):
        row = rows.loc[rows["log_moneyness"].abs().idxmin()]
        price = row["mid_price_clean"]
        price *= row["forward"] if quotes.settlement == "coin" else 1 / row["discount"]
        kind = "C" if row["kind"] else "P"
        terms = (row["forward"], row["strike"], row["maturity"])
        vols.append(brentq(lambda vol, terms=terms, p=price, k=kind: black(*terms, vol, k) - p, 1e-3, 9.0))
    return vols
