"""Layouts of vendors of listed options, under their published headers."""

from datetime import date, datetime

import pandas as pd

from .layout import Form, Layout, long, text_frame, wide
from .markets import SPX, STOCK, Market, Option, options

HALF = 0.5


def occ(root: str, option: Option, pad: int = 0) -> str:
    """The 21 characters of the Options Clearing Corporation, or the same without blanks."""
    return f"{root:<{pad}}{option.expiry:%y%m%d}{option.letter}{round(option.strike * 1000):08d}"


def us(day: date) -> str:
    return f"{day:%m/%d/%Y}"


def _cboe_eod(market: Market, o: Option) -> dict[str, object]:
    size = {"bid_size_1545": 10, "bid_1545": o.bid, "ask_size_1545": 12, "ask_1545": o.ask}
    greeks = dict.fromkeys(["delta_1545", "gamma_1545", "theta_1545", "vega_1545", "rho_1545"], 0.1)
    return {
        "underlying_symbol": f"^{market.asset}",
        "quote_date": market.taken.date(),
        "root": market.asset,
        "expiration": o.expiry,
        "strike": f"{o.strike:.3f}",
        "option_type": o.letter,
        **dict.fromkeys(["open", "high", "low", "close"], o.price),
        "trade_volume": 12,
        **size,
        "underlying_bid_1545": market.spot - HALF,
        "underlying_ask_1545": market.spot + HALF,
        "implied_underlying_price_1545": market.spot,
        "active_underlying_price_1545": market.spot,
        "implied_volatility_1545": o.vol,
        **greeks,
        "bid_size_eod": 10,
        "bid_eod": o.bid,
        "ask_size_eod": 10,
        "ask_eod": o.ask,
        "underlying_bid_eod": market.spot - HALF,
        "underlying_ask_eod": market.spot + HALF,
        "vwap": o.price,
        "open_interest": 100,
        "delivery_code": "",
    }


def _cboe_interval(market: Market, o: Option) -> dict[str, object]:
    return {
        "underlying_symbol": f"^{market.asset}",
        "quote_datetime": f"{market.taken:%Y-%m-%d} 10:00:00",
        "root": market.asset,
        "expiration": o.expiry,
        "strike": f"{o.strike:.3f}",
        "option_type": o.letter,
        **dict.fromkeys(["open", "high", "low", "close"], 0),
        "trade_volume": 0,
        "bid_size": 5,
        "bid": o.bid,
        "ask_size": 6,
        "ask": o.ask,
        "underlying_bid": market.spot - HALF,
        "underlying_ask": market.spot + HALF,
        "implied_underlying_price": market.spot,
        "active_underlying_price": market.spot,
        "implied_volatility": o.vol,
        "delta": 0.5,
        "open_interest": 100,
    }


def _option_metrics(market: Market, o: Option) -> dict[str, object]:
    return {
        "secid": 108105 if market.asset == "SPX" else 102434,
        "date": market.taken.date(),
        "symbol": f"{market.asset} {o.expiry:%y%m%d}{o.letter}{round(o.strike * 1000)}",
        "symbol_flag": 1,
        "exdate": o.expiry,
        "last_date": market.taken.date(),
        "cp_flag": o.letter,
        "strike_price": round(o.strike * 1000),
        "best_bid": o.bid,
        "best_offer": o.ask,
        "volume": 5,
        "open_interest": 100,
        "impl_volatility": o.vol,
        "delta": 0.5,
        "gamma": 0.01,
        "vega": 5.0,
        "theta": -1.0,
        "optionid": 150000000 + round(o.strike * 1000),
        "cfadj": 1,
        "am_settlement": 1,
        "contract_size": 100,
        "ss_flag": 0,
        "forward_price": "",
        "expiry_indicator": "",
        "index_flag": 1,
        "exercise_style": "E",
    }


def _sas_dates(market: Market, o: Option) -> dict[str, object]:
    row = _option_metrics(market, o)
    for name in ("date", "exdate", "last_date"):
        row[name] = f"{row[name]:%d%b%Y}".upper()
    return row | {"cp_flag": o.letter, "ticker": market.asset}


def _orats(market: Market, call: Option, put: Option) -> dict[str, object]:
    return {
        "ticker": market.asset,
        "tradeDate": market.taken.date(),
        "expirDate": call.expiry,
        "dte": (call.expiry - market.taken.date()).days,
        "strike": call.strike,
        "stockPrice": market.spot,
        "callVolume": 3,
        "callOpenInterest": 100,
        "callBidSize": 10,
        "callAskSize": 10,
        "putVolume": 3,
        "putOpenInterest": 100,
        "putBidSize": 10,
        "putAskSize": 10,
        "callBidPrice": call.bid,
        "callValue": call.price,
        "callAskPrice": call.ask,
        "putBidPrice": put.bid,
        "putValue": put.price,
        "putAskPrice": put.ask,
        "callBidIv": call.vol,
        "callMidIv": call.vol,
        "callAskIv": call.vol,
        "smvVol": call.vol,
        "putBidIv": call.vol,
        "putMidIv": call.vol,
        "putAskIv": call.vol,
        "residualRate": 0.001,
        "delta": 0.5,
        "spotPrice": market.spot,
        "quoteDate": f"{market.taken:%Y-%m-%d}T20:46:00Z",
        "updatedAt": f"{market.taken:%Y-%m-%d}T20:59:00Z",
        "expiryTod": "pm",
    }


def _orats_file(market: Market, call: Option, put: Option) -> dict[str, object]:
    return {
        "ticker": market.asset,
        "stkPx": market.spot,
        "expirDate": us(call.expiry),
        "yte": call.maturity,
        "strike": call.strike,
        "cVolu": 3,
        "cOi": 100,
        "pVolu": 3,
        "pOi": 100,
        "cBidPx": call.bid,
        "cValue": call.price,
        "cAskPx": call.ask,
        "pBidPx": put.bid,
        "pValue": put.price,
        "pAskPx": put.ask,
        "cBidIv": call.vol,
        "cMidIv": call.vol,
        "cAskIv": call.vol,
        "smoothSmvVol": call.vol,
        "iRate": market.rate,
        "divRate": market.carry,
        "spot_px": market.spot,
        "trade_date": us(market.taken.date()),
    }


def _tradier(market: Market, o: Option) -> dict[str, object]:
    stamp = round(market.taken.timestamp() * 1000) + 72_000_000 - 1000 * round(o.strike)  # of each quote
    return {
        "symbol": occ(market.asset, o),
        "description": f"{market.asset} {o.expiry:%b %d %Y} ${o.strike:.2f} {o.word.title()}",
        "exch": "Z",
        "type": "option",
        "last": o.price,
        "change": 0.0,
        "volume": 7,
        "open": o.price,
        "high": o.price,
        "low": o.price,
        "close": o.price,
        "bid": o.bid,
        "ask": o.ask,
        "underlying": market.asset,
        "strike": o.strike,
        "change_percentage": 0.0,
        "average_volume": 0,
        "last_volume": 1,
        "trade_date": stamp - 8_000_000,
        "prevclose": o.price,
        "week_52_high": 0.0,
        "week_52_low": 0.0,
        "bidsize": 10,
        "bidexch": "C",
        "bid_date": stamp,
        "asksize": 10,
        "askexch": "C",
        "ask_date": stamp - 40_000,
        "open_interest": 100,
        "contract_size": 100,
        "expiration_date": o.expiry,
        "expiration_type": "standard",
        "option_type": o.word,
        "root_symbol": market.asset,
    }


def _theta(market: Market, o: Option) -> dict[str, object]:
    return {
        "root": market.asset,
        "expiration": f"{o.expiry:%Y%m%d}",
        "strike": round(o.strike * 1000),
        "right": o.letter,
        "ms_of_day": 62_100_000,
        "bid_size": 10,
        "bid_exchange": 5,
        "bid": o.bid,
        "bid_condition": 50,
        "ask_size": 10,
        "ask_exchange": 5,
        "ask": o.ask,
        "ask_condition": 50,
        "date": f"{market.taken:%Y%m%d}",
    }


def _theta_3(market: Market, o: Option) -> dict[str, object]:
    return {
        "symbol": market.asset,
        "expiration": o.expiry,
        "strike": f"{o.strike:.3f}",
        "right": o.word.upper(),
        "timestamp": f"{market.taken:%Y-%m-%d}T16:00:00.000",
        "bid_size": 10,
        "bid_exchange": 5,
        "bid": o.bid,
        "bid_condition": 50,
        "ask_size": 10,
        "ask_exchange": 5,
        "ask": o.ask,
        "ask_condition": 50,
    }


def _historical(market: Market, o: Option) -> dict[str, object]:
    return {
        "UnderlyingSymbol": market.asset,
        "UnderlyingPrice": market.spot,
        "Exchange": "*",
        "OptionSymbol": occ(market.asset, o),
        "OptionExt": "",
        "Type": o.word,
        "Expiration": us(o.expiry),
        "DataDate": us(market.taken.date()),
        "Strike": o.strike,
        "Last": o.price,
        "Bid": o.bid,
        "Ask": o.ask,
        "Volume": 3,
        "OpenInterest": 100,
        "IV": o.vol,
        "Delta": 0.5,
        "Gamma": 0.01,
        "Theta": -1.0,
        "Vega": 3.0,
        "AKA": occ(market.asset, o),
    }


def _dolthub(market: Market, o: Option) -> dict[str, object]:
    return {
        "date": market.taken.date(),
        "act_symbol": market.asset,
        "expiration": o.expiry,
        "strike": f"{o.strike:.2f}",
        "call_put": o.word.title(),
        "bid": o.bid,
        "ask": o.ask,
        "vol": o.vol,
        "delta": 0.5,
        "gamma": 0.01,
        "theta": -1.0,
        "vega": 3.0,
        "rho": 1.0,
    }


def _nse(market: Market) -> pd.DataFrame:
    """The bhavcopy of derivatives: closes and settlement prices, and futures among the options."""
    dated = f"{market.taken:%d-%b-%Y}".upper()

    def row(instrument: str, expiry: date, strike: float, kind: str, price: float) -> dict[str, object]:
        return {
            "INSTRUMENT": instrument,
            "SYMBOL": market.asset,
            "EXPIRY_DT": f"{expiry:%d-%b-%Y}",
            "STRIKE_PR": strike,
            "OPTION_TYP": kind,
            **dict.fromkeys(["OPEN", "HIGH", "LOW", "CLOSE", "SETTLE_PR"], round(price, 4)),
            "CONTRACTS": 40,
            "VAL_INLAKH": 100.0,
            "OPEN_INT": 1000,
            "CHG_IN_OI": 10,
            "TIMESTAMP": dated,
        }

    futures = [row("FUTIDX", expiry, 0.0, "XX", market.forward(expiry)) for expiry, _ in market.vols]
    quoted = [row("OPTIDX", o.expiry, o.strike, f"{o.letter}E", o.price) for o in options(market)]
    return text_frame(futures + quoted)


def _options_dx(market: Market, call: Option, put: Option) -> dict[str, object]:
    stamp = round(market.taken.timestamp())
    named = {
        "QUOTE_UNIXTIME": stamp + 75_600,
        "QUOTE_READTIME": f"{market.taken:%Y-%m-%d} 16:00",
        "QUOTE_DATE": market.taken.date(),
        "QUOTE_TIME_HOURS": 16.0,
        "UNDERLYING_LAST": market.spot,
        "EXPIRE_DATE": call.expiry,
        "EXPIRE_UNIX": stamp + (call.expiry - market.taken.date()).days * 86_400 + 72_000,
        "DTE": (call.expiry - market.taken.date()).days,
        **{f"C_{greek}": 0.5 for greek in ("DELTA", "GAMMA", "VEGA", "THETA", "RHO")},
        "C_IV": call.vol,
        "C_VOLUME": 5.0,
        "C_LAST": call.price,
        "C_SIZE": "10 x 12",
        "C_BID": call.bid,
        "C_ASK": call.ask,
        "STRIKE": call.strike,
        "P_BID": put.bid,
        "P_ASK": put.ask,
        "P_SIZE": "10 x 12",
        "P_LAST": put.price,
        **{f"P_{greek}": 0.5 for greek in ("DELTA", "GAMMA", "VEGA", "THETA", "RHO")},
        "P_IV": put.vol,
        "P_VOLUME": 5.0,
        "STRIKE_DISTANCE": abs(call.strike - market.spot),
        "STRIKE_DISTANCE_PCT": abs(call.strike / market.spot - 1),
    }
    return {f"[{name}]" if name.startswith("QUOTE_UNIX") else f" [{name}]": x for name, x in named.items()}


def _yahoo(market: Market, o: Option) -> dict[str, object]:
    hour = 14 + round(o.strike) % 6  # of the last trade, which differs from option to option
    return {
        "contractSymbol": occ(market.asset, o),
        "lastTradeDate": f"{market.taken:%Y-%m-%d} {hour}:31:07+00:00",
        "strike": o.strike,
        "lastPrice": o.price,
        "bid": o.bid,
        "ask": o.ask,
        "change": 0.0,
        "percentChange": 0.0,
        "volume": 3.0,
        "openInterest": 100,
        "impliedVolatility": o.vol,
        "inTheMoney": str((o.strike < market.spot) == o.is_call),
        "contractSize": "REGULAR",
        "currency": "USD",
    }


def _openbb(market: Market, o: Option) -> dict[str, object]:
    return {
        "underlying_symbol": market.asset,
        "underlying_price": market.spot,
        "contract_symbol": occ(market.asset, o),
        "eod_date": market.taken.date(),
        "expiration": o.expiry,
        "dte": (o.expiry - market.taken.date()).days,
        "strike": o.strike,
        "option_type": o.word,
        "open_interest": 100,
        "volume": 3,
        "theoretical_price": o.price,
        "last_trade_price": o.price,
        "last_trade_time": f"{market.taken:%Y-%m-%d} 15:59:12",
        "tick": "up",
        "bid": o.bid,
        "bid_size": 10,
        "ask": o.ask,
        "ask_size": 10,
        "implied_volatility": o.vol,
        "delta": 0.5,
    }


def _alpha_vantage(market: Market, o: Option) -> dict[str, object]:
    return {
        "contractID": occ(market.asset, o),
        "symbol": market.asset,
        "expiration": o.expiry,
        "strike": f"{o.strike:.2f}",
        "type": o.word,
        "last": o.price,
        "mark": o.price,
        "bid": o.bid,
        "bid_size": 10,
        "ask": o.ask,
        "ask_size": 10,
        "volume": 3,
        "open_interest": 100,
        "date": market.taken.date(),
        "implied_volatility": o.vol,
        "delta": 0.5,
    }


def _market_data(market: Market, o: Option) -> dict[str, object]:
    stamp = round(market.taken.timestamp())
    return {
        "optionSymbol": occ(market.asset, o),
        "underlying": market.asset,
        "expiration": stamp + (o.expiry - market.taken.date()).days * 86_400 + 72_000,
        "side": o.word,
        "strike": o.strike,
        "dte": (o.expiry - market.taken.date()).days,
        "updated": stamp + 72_000,
        "bid": o.bid,
        "bidSize": 10,
        "mid": o.price,
        "ask": o.ask,
        "askSize": 10,
        "last": o.price,
        "openInterest": 100,
        "volume": 3,
        "underlyingPrice": market.spot,
        "iv": o.vol,
    }


def _generic(market: Market, o: Option) -> dict[str, object]:
    return {
        "date": market.taken.date(),
        "symbol": market.asset,
        "expiry": o.expiry,
        "strike": o.strike,
        "type": o.letter,
        "bid": o.bid,
        "ask": o.ask,
    }


def _generic_wide(market: Market, call: Option, put: Option) -> dict[str, object]:
    return {
        "date": market.taken.date(),
        "underlying": market.asset,
        "expiry": call.expiry,
        "strike": call.strike,
        "call_bid": call.bid,
        "call_ask": call.ask,
        "put_bid": put.bid,
        "put_ask": put.ask,
    }


def _long_end_of_day(market: Market, o: Option) -> dict[str, object]:
    return {
        "date": market.taken.date(),
        "symbol": occ(market.asset, o, pad=6),
        "under": market.asset,
        "expiration": o.expiry,
        "strike": o.strike,
        "put/call": o.letter,
        "bid": o.bid,
        "ask": o.ask,
        "price": o.price,
        "volume": 4,
        "open interest": 100,
        "implied vol": o.vol,
        "delta": 0.5,
        "gamma": 0.01,
        "rho": 0.1,
        "theta": -0.1,
        "vega": 3.0,
        "nonstd": 0,
    }


def _own(market: Market, o: Option) -> dict[str, object]:
    return {
        "timestamp": f"{market.taken:%Y-%m-%d}T00:00:00+00:00",
        "expiry_datetime": f"{o.expiry:%Y-%m-%d}T00:00:00+00:00",
        "option_type": o.word,
        "strike": o.strike,
        "maturity": o.maturity,
        "bid_price": o.bid,
        "ask_price": o.ask,
        "futures_price": o.forward,
        "discount": o.discount,
        "implied_volatility": o.vol,
        "underlying_name": market.asset,
    }


def _names(text: str) -> dict[str, str]:
    """The names of columns from words such as "date=quote_date"; a tilde stands for a blank."""
    return dict(word.replace("~", " ").split("=") for word in text.split())


def _long(name: str, row, names: str, file_name: str, market: Market = SPX, **more) -> Layout:
    return Layout(
        name=name,
        market=market,
        file_name=file_name,
        build=lambda m: long(m, row),
        names=_names(names),
        **more,
    )


def _wide(name: str, row, names: str, file_name: str, market: Market = SPX, **more) -> Layout:
    return Layout(
        name=name,
        market=market,
        file_name=file_name,
        build=lambda m: wide(m, row),
        names=_names(names),
        **more,
    )


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


_DX_CLOCK = {
    "[QUOTE_UNIXTIME]": lambda time: round(time.timestamp()),
    " [QUOTE_READTIME]": lambda time: f"{time:%Y-%m-%d %H:%M}",
    " [QUOTE_TIME_HOURS]": lambda time: time.hour + time.minute / 60,
}
AMERICAN_DATES = {"date_format": "MM/DD/YYYY"}
_HISTORICAL = (
    "date=DataDate underlying=UnderlyingSymbol expiry=Expiration option_type=Type strike=Strike "
    "bid=Bid ask=Ask "
    "contract=OptionSymbol spot=UnderlyingPrice"
)
_GENERIC = "date=date underlying=symbol expiry=expiry option_type=type strike=strike bid=bid ask=ask"
_END_OF_DAY = (
    "date=date underlying=under contract=symbol expiry=expiration option_type=put/call "
    "strike=strike bid=bid ask=ask"
)
_DX = "date=~[QUOTE_DATE] expiry=~[EXPIRE_DATE] strike=~[STRIKE] spot=~[UNDERLYING_LAST]"

EQUITY = (
    _long(
        "cboe_eod",
        _cboe_eod,
        "date=quote_date underlying=underlying_symbol root=root expiry=expiration option_type=option_type "
        "strike=strike bid=bid_eod ask=ask_eod",
        "UnderlyingOptionsEODCalcs_2024-03-04.csv",
    ),
    _long(
        "cboe_interval",
        _cboe_interval,
        "date=quote_datetime underlying=underlying_symbol root=root expiry=expiration "
        "option_type=option_type "
        "strike=strike bid=bid ask=ask",
        "UnderlyingOptionsIntervals_3600sec_2024-03-04.csv",
    ),
    _long(
        "option_metrics",
        _option_metrics,
        "date=date contract=symbol expiry=exdate option_type=cp_flag strike=strike_price "
        "bid=best_bid ask=best_offer",
        "opprcd2024.csv",
    ),
    _long(
        "option_metrics_sas",
        _sas_dates,
        "date=date underlying=ticker contract=symbol expiry=exdate option_type=cp_flag strike=strike_price "
        "bid=best_bid ask=best_offer",
        "wrds_query.csv",
    ),
    _wide(
        "orats",
        _orats,
        "date=tradeDate underlying=ticker expiry=expirDate strike=strike",
        "orats_strikes.csv",
    ),
    _wide(
        "orats_file",
        _orats_file,
        "date=trade_date underlying=ticker expiry=expirDate strike=strike",
        "ORATS_SMV_Strikes_20240304.csv",
        facts=AMERICAN_DATES,
    ),
    _long(
        "tradier",
        _tradier,
        "date=bid_date underlying=underlying contract=symbol root=root_symbol expiry=expiration_date "
        "option_type=option_type strike=strike bid=bid ask=ask",
        "SPX_20240304.csv",
        clock={"bid_date": _milliseconds, "ask_date": _milliseconds},
    ),
    _long(
        "theta",
        _theta,
        "date=date underlying=root expiry=expiration option_type=right strike=strike bid=bid ask=ask",
        "theta_quotes.csv",
        clock={"ms_of_day": lambda time: 1000 * (3600 * time.hour + 60 * time.minute)},
    ),
    _long(
        "theta_3",
        _theta_3,
        "date=timestamp underlying=symbol expiry=expiration option_type=right strike=strike bid=bid ask=ask",
        "theta_history.csv",
    ),
    _long(
        "historical_option_data", _historical, _HISTORICAL, "L2_options_20240304.csv", facts=AMERICAN_DATES
    ),
    _long(
        "historical_option_data_stock",
        _historical,
        _HISTORICAL,
        "options.csv",
        market=STOCK,
        facts=AMERICAN_DATES,
    ),
    _long(
        "dolthub",
        _dolthub,
        "date=date underlying=act_symbol expiry=expiration option_type=call_put strike=strike "
        "bid=bid ask=ask",
        "option_chain.csv",
    ),
    Layout(
        name="nse",
        market=SPX.changed(asset="NIFTY", spot=22000.0, rate=0.07, carry=0.01),
        file_name="fo04MAR2024bhav.csv",
        build=_nse,
        names=_names(
            "date=TIMESTAMP underlying=SYMBOL expiry=EXPIRY_DT option_type=OPTION_TYP "
            "strike=STRIKE_PR price=SETTLE_PR"
        ),
    ),
    _wide("options_dx_txt", _options_dx, _DX, "spx_eod_202403.txt", clock=_DX_CLOCK),
    _wide("options_dx", _options_dx, _DX, "spx_eod_202403.csv", clock=_DX_CLOCK),
    _long("yahoo", _yahoo, "contract=contractSymbol strike=strike bid=bid ask=ask", "SPX_20240304.csv"),
    _long("yahoo_undated", _yahoo, "contract=contractSymbol strike=strike bid=bid ask=ask", "SPX.csv"),
    _long(
        "openbb",
        _openbb,
        "date=eod_date underlying=underlying_symbol contract=contract_symbol expiry=expiration "
        "option_type=option_type strike=strike bid=bid ask=ask "
        "spot=underlying_price",
        "chains.csv",
    ),
    _long(
        "alpha_vantage",
        _alpha_vantage,
        "date=date underlying=symbol contract=contractID expiry=expiration option_type=type "
        "strike=strike bid=bid ask=ask",
        "historical_options.csv",
    ),
    _long(
        "market_data",
        _market_data,
        "date=updated underlying=underlying contract=optionSymbol expiry=expiration "
        "option_type=side strike=strike "
        "bid=bid ask=ask",
        "chain.csv",
    ),
    _long("generic_long", _generic, _GENERIC, "options.csv"),
    _long("generic_stock", _generic, _GENERIC, "options.csv", market=STOCK),
    _wide(
        "generic_wide",
        _generic_wide,
        "date=date underlying=underlying expiry=expiry strike=strike",
        "prices.csv",
    ),
    _long("end_of_day", _long_end_of_day, _END_OF_DAY, "eod.csv"),
    _long("end_of_day_stock", _long_end_of_day, _END_OF_DAY, "eod.csv", market=STOCK),
    _long("end_of_day_parquet", _long_end_of_day, _END_OF_DAY, "eod.parquet", form=Form(kind="parquet")),
    _long(
        "cboe_eod_parquet",
        _cboe_eod,
        "underlying=underlying_symbol",
        "cboe.parquet",
        form=Form(kind="parquet"),
    ),
    _long(
        "own_names",
        _own,
        "date=timestamp underlying=underlying_name expiry=expiry_datetime "
        "option_type=option_type strike=strike "
        "bid=bid_price ask=ask_price",
        "quotes.csv",
    ),
)
