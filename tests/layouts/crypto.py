"""Layouts of exchanges of crypto options and of vendors of their data, under their public headers."""

from datetime import UTC, datetime

import pandas as pd

from .equity import _names
from .layout import Form, Layout, long, text_frame
from .markets import BTC, BTC_LINEAR, SOL, Market, Option, options

MICRO = 1_000_000


def instrument(market: Market, o: Option, quote: str = "") -> str:
    """Deribit's name of an option, such as BTC-5APR24-60000-C or XRP_USDC-5APR24-0d62-C."""
    day = f"{o.expiry.day}{o.expiry:%b%y}".upper()
    strike = f"{o.strike:g}".replace(".", "d")
    return f"{market.asset}{quote}-{day}-{strike}-{o.letter}"


def expires(market: Market, o: Option) -> datetime:
    return datetime(o.expiry.year, o.expiry.month, o.expiry.day, market.expires_at, tzinfo=UTC)


def snapshot_row(market: Market, o: Option) -> dict[str, object]:
    linear = market.settlement == "cash"
    quote = "_USDC" if linear else ""
    future = f"{market.asset}{quote}-{o.expiry.day}{o.expiry:%b%y}".upper()
    return {
        "timestamp": f"{market.taken:%Y-%m-%dT%H:%M:%S}+00:00",
        "instrument_name": instrument(market, o, quote),
        "underlying": market.asset,
        "underlying_name": future,
        "option_type": o.word,
        "strike": o.strike,
        "expiry_datetime": f"{expires(market, o):%Y-%m-%dT%H:%M:%S}Z",
        "time_to_maturity": o.maturity * 365 / 365.25,
        "bid_price": o.bid,
        "ask_price": o.ask,
        "mark_price": o.price,
        "futures_price": o.forward,
        "futures_instrument_name": future,
        "implied_volatility": 100 * o.vol,
        "delta": 0.5,
        "vega": 30.0,
        "open_interest": 100,
        "volume": 3,
        "currency": market.asset,
        "index_price": market.spot,
    }


def summary_row(market: Market, o: Option) -> dict[str, object]:
    linear = market.settlement == "cash"
    quote = "_USDC" if linear else ""
    return {
        "instrument_name": instrument(market, o, quote),
        "base_currency": market.asset,
        "quote_currency": "USDC" if linear else market.asset,
        "creation_timestamp": round(market.taken.timestamp() * 1000),
        "bid_price": o.bid,
        "ask_price": o.ask,
        "mid_price": o.price,
        "mark_price": o.price,
        "mark_iv": 100 * o.vol,
        "last": o.price,
        "high": o.price,
        "low": o.price,
        "underlying_price": o.forward,
        "underlying_index": instrument(market, o, quote).rsplit("-", 2)[0],
        "estimated_delivery_price": market.spot,
        "interest_rate": 0.0,
        "open_interest": 100.0,
        "volume": 3.0,
        "volume_usd": 1000.0,
        "price_change": 0.1,
    }


def _summaries(records: list[dict[str, str]]) -> object:
    numbers = [{name: _number(value) for name, value in record.items()} for record in records]
    return {"jsonrpc": "2.0", "result": numbers, "usIn": 1, "usOut": 2, "usDiff": 1, "testnet": False}


def _number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text or None


def _tardis(market: Market, o: Option) -> dict[str, object]:
    stamp = round(market.taken.timestamp() * MICRO)
    return {
        "exchange": "deribit",
        "symbol": instrument(market, o),
        "timestamp": stamp,
        "local_timestamp": stamp + 120_000,
        "type": o.word,
        "strike_price": o.strike,
        "expiration": round(expires(market, o).timestamp() * MICRO),
        "open_interest": 100,
        "last_price": o.price,
        "bid_price": o.bid,
        "bid_amount": 5.0,
        "bid_iv": 100 * o.vol,
        "ask_price": o.ask,
        "ask_amount": 5.0,
        "ask_iv": 100 * o.vol,
        "mark_price": o.price,
        "mark_iv": 100 * o.vol,
        "underlying_index": f"SYN.{market.asset}-{o.expiry:%d%b%y}".upper(),
        "underlying_price": o.forward,
        "delta": 0.5,
        "gamma": 0.00001,
        "vega": 30.0,
        "theta": -10.0,
        "rho": 1.0,
    }


def _bybit(market: Market, o: Option) -> dict[str, object]:
    return {
        "symbol": instrument(market, o),
        "bid1Price": o.bid,
        "bid1Size": 1.0,
        "bid1Iv": o.vol,
        "ask1Price": o.ask,
        "ask1Size": 1.0,
        "ask1Iv": o.vol,
        "lastPrice": o.price,
        "highPrice24h": o.price,
        "lowPrice24h": o.price,
        "markPrice": o.price,
        "indexPrice": market.spot,
        "markIv": o.vol,
        "underlyingPrice": o.forward,
        "openInterest": 100.0,
        "turnover24h": 1000.0,
        "volume24h": 3.0,
        "totalVolume": 50,
        "totalTurnover": 1000,
        "delta": 0.5,
        "gamma": 0.00001,
        "vega": 30.0,
        "theta": -10.0,
        "predictedDeliveryPrice": 0,
        "change24h": 0.0,
    }


def _bybit_answer(records: list[dict[str, str]]) -> object:
    taken = round(BTC.taken.timestamp() * 1000)
    result = {"category": "option", "list": records}
    return {"retCode": 0, "retMsg": "SUCCESS", "result": result, "retExtInfo": {}, "time": taken}


def _okx_summary(market: Market, o: Option) -> dict[str, object]:
    return {
        "askVol": o.vol + 0.01,
        "bidVol": o.vol - 0.01,
        "delta": 0.5,
        "deltaBS": 0.5,
        "fwdPx": o.forward,
        "gamma": 0.1,
        "gammaBS": 0.00001,
        "instId": f"{market.asset}-USD-{o.expiry:%y%m%d}-{o.strike:g}-{o.letter}",
        "instType": "OPTION",
        "lever": 10.0,
        "markVol": o.vol,
        "realVol": 0.0,
        "theta": -0.001,
        "thetaBS": -10.0,
        "ts": round(market.taken.timestamp() * 1000),
        "uly": f"{market.asset}-USD",
        "vega": 0.001,
        "vegaBS": 30.0,
        "volLv": o.vol,
    }


def _okx_answer(records: list[dict[str, str]]) -> object:
    return {"code": "0", "data": records, "msg": ""}


def _binance(market: Market, o: Option) -> dict[str, object]:
    return {
        "date": market.taken.date(),
        "hour": 15,
        "symbol": f"{market.asset}-{o.expiry:%y%m%d}-{o.strike:g}-{o.letter}",
        "underlying": f"{market.asset}USDT",
        "type": o.letter,
        "strike": f"{o.expiry:%y%m%d}-{o.strike:g}",
        "open": o.price,
        "high": o.price,
        "low": o.price,
        "close": o.price,
        "volume_contracts": 1.0,
        "volume_usdt": 1000.0,
        "best_bid_price": o.bid,
        "best_ask_price": o.ask,
        "best_bid_qty": 1.0,
        "best_ask_qty": 1.0,
        "best_buy_iv": o.vol,
        "best_sell_iv": o.vol,
        "mark_price": o.price,
        "mark_iv": o.vol,
        "delta": 0.5,
        "gamma": 0.00001,
        "vega": 30.0,
        "theta": -10.0,
        "openinterest_contracts": 100.0,
        "openinterest_usdt": 100000.0,
    }


def _mixed_snapshot(market: Market) -> pd.DataFrame:
    """Coin-settled BTC beside linear SOL, as snapshots of the exchange list them."""
    rows = [snapshot_row(market, o) for o in options(market)]
    return text_frame(rows + [snapshot_row(SOL, o) for o in options(SOL)])


_SNAPSHOT = (
    "date=timestamp underlying=currency contract=instrument_name expiry=expiry_datetime "
    "option_type=option_type "
    "strike=strike bid=bid_price ask=ask_price"
)
_SUMMARY = "underlying=base_currency contract=instrument_name bid=bid_price ask=ask_price"
_TARDIS = (
    "date=timestamp contract=symbol expiry=expiration option_type=type strike=strike_price "
    "bid=bid_price ask=ask_price"
)


def _layout(name: str, row, names: str, file_name: str, market: Market = BTC, **more) -> Layout:
    return Layout(
        name=name,
        market=market,
        file_name=file_name,
        build=lambda m: long(m, row),
        names=_names(names),
        **more,
    )


JSON_SUMMARIES = Form(kind="json", wrap=_summaries)

CRYPTO = (
    _layout("deribit_snapshot", snapshot_row, _SNAPSHOT, "deribit_options_snapshot_20240304T153000Z.csv"),
    _layout(
        "deribit_snapshot_usdc",
        snapshot_row,
        _SNAPSHOT,
        "deribit_options_snapshot_20240304T153000Z.csv",
        market=SOL,
    ),
    _layout(
        "deribit_snapshot_doge",
        snapshot_row,
        _SNAPSHOT,
        "deribit_options_snapshot_20240304T153000Z.csv",
        market=SOL.changed(asset="DOGE", spot=0.14, vol=0.95, digits=9),
    ),
    _layout("deribit_summary_json", summary_row, _SUMMARY, "book_summary_BTC.json", form=JSON_SUMMARIES),
    _layout(
        "deribit_summary_usdc", summary_row, _SUMMARY, "book_summary.json", market=SOL, form=JSON_SUMMARIES
    ),
    _layout("deribit_summary_csv", summary_row, _SUMMARY, "book_summary_BTC.csv"),
    _layout(
        "tardis",
        _tardis,
        _TARDIS,
        "deribit_options_chain_2024-03-04_OPTIONS.csv",
        clock={
            "timestamp": lambda time: round(time.timestamp() * MICRO),
            "local_timestamp": lambda time: round(time.timestamp() * MICRO) + 120_000,
        },
    ),
    _layout(
        "bybit",
        _bybit,
        "contract=symbol bid=bid1Price ask=ask1Price",
        "bybit_tickers.json",
        market=BTC_LINEAR,
        form=Form(kind="json", wrap=_bybit_answer),
    ),
    _layout(
        "bybit_csv",
        _bybit,
        "contract=symbol bid=bid1Price ask=ask1Price",
        "bybit_20240304T153000Z.csv",
        market=BTC_LINEAR,
        facts={"date": "2024-03-04T15:30:00Z"},
    ),
    _layout(
        "okx_summary",
        _okx_summary,
        "date=ts contract=instId vol_bid=bidVol vol_ask=askVol",
        "okx_opt_summary.json",
        form=Form(kind="json", wrap=_okx_answer),
    ),
    _layout(
        "okx_summary_csv", _okx_summary, "date=ts contract=instId vol_bid=bidVol vol_ask=askVol", "okx.csv"
    ),
    _layout(
        "binance_eoh",
        _binance,
        "date=date contract=symbol underlying=underlying option_type=type bid=best_bid_price "
        "ask=best_ask_price",
        "BTCUSDT-EOHSummary-2024-03-04.csv",
        clock={"hour": lambda time: time.hour},
        market=BTC_LINEAR,
    ),
)
