"""One option chain under the public headers of many vendors.

The chain has spot 100, rate 3 %, volatility 20 % and is quoted on 2024-03-04; its forwards are 100.379 and
100.900. `VENDORS` has a function for each layout, which turns the chain into a table as the vendor writes it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CASES = Path(__file__).resolve().parent / "cases"
DAY = "2024-03-04"
FORWARDS = (100.379, 100.900)
NEAR = {"2024-04-19": FORWARDS[0], "2024-06-21": FORWARDS[1]}


def chain() -> Any:
    """The chain as rows with expiry (text), type (C or P), strike, bid and ask, in order of these."""
    rows = pd.read_csv(CASES / "interval.csv").rename(columns={"expiration": "expiry", "option_type": "type"})
    return rows[["expiry", "type", "strike", "bid", "ask"]].sort_values(
        ["expiry", "strike", "type"], ignore_index=True
    )


def occ(rows: Any, root: str = "XYZ", width: int = 0) -> list[str]:
    """Symbols of the contracts."""
    return [
        f"{root:<{width}}{expiry[2:4]}{expiry[5:7]}{expiry[8:]}{kind}{round(1000 * strike):08d}"
        for expiry, kind, strike in zip(rows["expiry"], rows["type"], rows["strike"], strict=True)
    ]


def dates(rows: Any, form: str) -> list[str]:
    return [f"{pd.Timestamp(day):{form}}" for day in rows["expiry"]]


def words(rows: Any) -> Any:
    return rows["type"].map({"C": "call", "P": "put"})


def made(rows: Any, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns, index=rows.index)


def sides(rows: Any) -> Any:
    """One row per strike, with columns expiry, strike, and bid and ask of both kinds."""
    wide = rows.pivot(index=["expiry", "strike"], columns="type", values=["bid", "ask"])
    wide.columns = [f"{side}_{kind}" for side, kind in wide.columns]
    return wide.reset_index()


def cboe_end_of_day(rows: Any) -> pd.DataFrame:
    closing = {"bid_eod": 0.9 * rows["bid"], "ask_eod": 0.9 * rows["ask"]}  # another time than the greeks'
    return made(
        rows,
        underlying_symbol="XYZ",
        quote_date=DAY,
        root="XYZ",
        expiration=rows["expiry"],
        strike=rows["strike"],
        option_type=rows["type"],
        open=0.0,
        high=0.0,
        low=0.0,
        close=0.0,
        trade_volume=0,
        bid_size_1545=10,
        bid_1545=rows["bid"],
        ask_size_1545=10,
        ask_1545=rows["ask"],
        underlying_bid_1545=99.99,
        underlying_ask_1545=100.01,
        implied_volatility_1545=0.2,
        delta_1545=0.5,
        vega_1545=0.1,
        bid_size_eod=10,
        ask_size_eod=10,
        underlying_bid_eod=99.0,
        underlying_ask_eod=99.2,
        vwap=0.0,
        open_interest=5,
        delivery_code="",
        **closing,
    )


def cboe_intervals(rows: Any) -> pd.DataFrame:
    return made(
        rows,
        underlying_symbol="^XYZ"[1:],
        quote_datetime=f"{DAY} 10:00:00",
        root="XYZ",
        expiration=rows["expiry"],
        strike=rows["strike"],
        option_type=rows["type"],
        trade_volume=0,
        bid_size=1,
        bid=rows["bid"],
        ask_size=1,
        ask=rows["ask"],
        underlying_bid=99.99,
        underlying_ask=100.01,
    )


def option_metrics(rows: Any) -> pd.DataFrame:
    return made(
        rows,
        secid=123456,
        date=DAY,
        symbol=[f"XYZ {x[3:]}" for x in occ(rows)],
        symbol_flag=1,
        exdate=rows["expiry"],
        last_date=DAY,
        cp_flag=rows["type"],
        strike_price=1000 * rows["strike"],
        best_bid=rows["bid"],
        best_offer=rows["ask"],
        volume=1,
        open_interest=5,
        impl_volatility=0.2,
        delta=0.5,
        optionid=range(len(rows)),
        cfadj=1,
        am_settlement=0,
        contract_size=100,
        ss_flag=0,
        exercise_style="A",
    )


def orats(rows: Any) -> pd.DataFrame:
    wide = sides(rows)
    return made(
        wide,
        ticker="XYZ",
        tradeDate=DAY,
        expirDate=wide["expiry"],
        dte=46,
        strike=wide["strike"],
        stockPrice=100.0,
        callVolume=1,
        callOpenInterest=5,
        putVolume=1,
        putOpenInterest=5,
        callBidPrice=wide["bid_C"],
        callValue=1.0,
        callAskPrice=wide["ask_C"],
        putBidPrice=wide["bid_P"],
        putValue=1.0,
        putAskPrice=wide["ask_P"],
        callMidIv=0.2,
        putMidIv=0.2,
        spotPrice=100.0,
        quoteDate=f"{DAY}T20:46:00Z",
        updatedAt=f"{DAY}T20:46:30Z",
        snapShotEstTime=1546,
        snapShotDate=f"{DAY}T20:46:00Z",
        expiryTod="pm",
    )


def orats_end_of_day(rows: Any) -> pd.DataFrame:
    wide = sides(rows)
    return made(
        wide,
        ticker="XYZ",
        stkPx=100.0,
        expirDate=dates(wide, "%m/%d/%Y"),
        yte=0.1,
        strike=wide["strike"],
        cVolu=1,
        cOi=5,
        pVolu=1,
        pOi=5,
        cBidPx=wide["bid_C"],
        cAskPx=wide["ask_C"],
        pBidPx=wide["bid_P"],
        pAskPx=wide["ask_P"],
        cMidIv=0.2,
        pMidIv=0.2,
        trade_date="03/04/2024",
    )


def tradier(rows: Any) -> pd.DataFrame:
    return made(
        rows,
        symbol=occ(rows),
        description="XYZ Call",
        exch="Z",
        type="option",
        last=1.0,
        volume=1,
        bid=rows["bid"],
        ask=rows["ask"],
        underlying="XYZ",
        strike=rows["strike"],
        trade_date=1709000000000 + np.arange(len(rows)),
        bidsize=1,
        bidexch="C",
        bid_date=1709586000000,
        asksize=1,
        askexch="C",
        ask_date=1709586000000,
        open_interest=5,
        contract_size=100,
        expiration_date=rows["expiry"],
        expiration_type="standard",
        option_type=words(rows),
        root_symbol="XYZ",
    )


def theta_data_2(rows: Any) -> pd.DataFrame:
    return made(
        rows,
        root="XYZ",
        expiration=dates(rows, "%Y%m%d"),
        strike=(1000 * rows["strike"]).astype(int),
        right=rows["type"],
        ms_of_day=57600000,
        bid_size=1,
        bid_exchange=5,
        bid=rows["bid"],
        bid_condition=50,
        ask_size=1,
        ask_exchange=5,
        ask=rows["ask"],
        ask_condition=50,
        date=20240304,
    )


def theta_data_3(rows: Any) -> pd.DataFrame:
    return made(
        rows,
        symbol="XYZ",
        expiration=rows["expiry"],
        strike=rows["strike"],
        right=words(rows).str.upper(),
        timestamp=f"{DAY}T16:00:00.000",
        bid_size=1,
        bid_exchange=5,
        bid=rows["bid"],
        ask_size=1,
        ask_exchange=5,
        ask=rows["ask"],
    )


def historical_option_data(rows: Any) -> pd.DataFrame:
    return made(
        rows,
        UnderlyingSymbol="XYZ",
        UnderlyingPrice=100.0,
        Exchange="*",
        OptionSymbol=occ(rows),
        OptionExt="",
        Type=words(rows),
        Expiration=dates(rows, "%m/%d/%Y"),
        DataDate="03/04/2024",
        Strike=rows["strike"],
        Last=1.0,
        Bid=rows["bid"],
        Ask=rows["ask"],
        Volume=1,
        OpenInterest=5,
        IV=0.2,
        Delta=0.5,
        AKA=occ(rows),
    )


def dolthub(rows: Any) -> pd.DataFrame:
    return made(
        rows,
        date=DAY,
        act_symbol="XYZ",
        expiration=rows["expiry"],
        strike=rows["strike"],
        call_put=words(rows).str.capitalize(),
        bid=rows["bid"],
        ask=rows["ask"],
        vol=0.2,
        delta=0.5,
        vega=0.1,
    )


def yfinance(rows: Any) -> pd.DataFrame:
    return made(
        rows,
        contractSymbol=occ(rows),
        lastTradeDate=[f"2024-03-01 15:{minute % 60:02d}:00+00:00" for minute in range(len(rows))],
        strike=rows["strike"],
        lastPrice=1.0,
        bid=rows["bid"],
        ask=rows["ask"],
        change=0.0,
        percentChange=0.0,
        volume=1.0,
        openInterest=5,
        impliedVolatility=0.2,
        inTheMoney=False,
        contractSize="REGULAR",
        currency="USD",
    )


def openbb(rows: Any) -> pd.DataFrame:
    return made(
        rows,
        underlying_symbol="XYZ",
        underlying_price=100.0,
        contract_symbol=occ(rows),
        eod_date=DAY,
        expiration=rows["expiry"],
        dte=46,
        strike=rows["strike"],
        option_type=words(rows),
        open_interest=5,
        volume=1,
        theoretical_price=1.0,
        last_trade_price=1.0,
        last_trade_time=f"{DAY} 15:00:00",
        tick="up",
        bid=rows["bid"],
        bid_size=1,
        ask=rows["ask"],
        ask_size=1,
        implied_volatility=0.2,
    )


def optionsdx(rows: Any) -> pd.DataFrame:
    wide = sides(rows)
    columns = {
        "[QUOTE_UNIXTIME]": 1709586000,
        " [QUOTE_READTIME]": f"{DAY} 16:00",
        " [QUOTE_DATE]": DAY,
        " [QUOTE_TIME_HOURS]": 16.0,
        " [UNDERLYING_LAST]": 100.0,
        " [EXPIRE_DATE]": wide["expiry"],
        " [EXPIRE_UNIX]": 1713556800,
        " [DTE]": 46.0,
        " [C_DELTA]": 0.5,
        " [C_IV]": 0.2,
        " [C_VOLUME]": "",
        " [C_LAST]": 1.0,
        " [C_SIZE]": "1 x 1",
        " [C_BID]": wide["bid_C"],
        " [C_ASK]": wide["ask_C"],
        " [STRIKE]": wide["strike"],
        " [P_BID]": wide["bid_P"],
        " [P_ASK]": wide["ask_P"],
        " [P_SIZE]": "1 x 1",
        " [P_IV]": 0.2,
    }
    return pd.DataFrame(columns, index=wide.index)


VENDORS: dict[str, Callable[[Any], pd.DataFrame]] = {
    "Cboe DataShop end of day": cboe_end_of_day,
    "Cboe DataShop intervals": cboe_intervals,
    "OptionMetrics": option_metrics,
    "ORATS": orats,
    "ORATS end of day": orats_end_of_day,
    "Tradier": tradier,
    "ThetaData 2": theta_data_2,
    "ThetaData 3": theta_data_3,
    "HistoricalOptionData": historical_option_data,
    "DoltHub": dolthub,
    "yfinance": yfinance,
    "OpenBB": openbb,
    "optionsDX": optionsdx,
}
WITHOUT_DATE = ("yfinance",)
WITHOUT_UNDERLYING = ("optionsDX",)


def nse_bhavcopy(rows: Any) -> pd.DataFrame:
    """Settlement prices of NIFTY, with a future and an option on another underlying."""
    price = 0.5 * (rows["bid"] + rows["ask"])
    options = made(
        rows,
        INSTRUMENT="OPTIDX",
        SYMBOL="NIFTY",
        EXPIRY_DT=dates(rows, "%d-%b-%Y"),
        STRIKE_PR=rows["strike"],
        OPTION_TYP=rows["type"] + "E",
        OPEN=0.0,
        HIGH=0.0,
        LOW=0.0,
        CLOSE=1.0,
        SETTLE_PR=price,
        CONTRACTS=10,
        VAL_INLAKH=1.0,
        OPEN_INT=5,
        CHG_IN_OI=0,
        TIMESTAMP="04-MAR-2024",
    )
    future = options.iloc[:1].assign(INSTRUMENT="FUTIDX", STRIKE_PR=0.0, OPTION_TYP="XX", SETTLE_PR=100.379)
    return pd.concat([future, options], ignore_index=True)


def nse_udiff(rows: Any) -> pd.DataFrame:
    """The same under the header of the files since July 2024."""
    price = 0.5 * (rows["bid"] + rows["ask"])
    options = made(
        rows,
        TradDt=DAY,
        BizDt=DAY,
        Sgmt="FO",
        Src="NSE",
        FinInstrmTp="IDO",
        FinInstrmId=range(len(rows)),
        ISIN="",
        TckrSymb="NIFTY",
        SctySrs="",
        XpryDt=rows["expiry"],
        FininstrmActlXpryDt=rows["expiry"],
        StrkPric=rows["strike"],
        OptnTp=rows["type"] + "E",
        FinInstrmNm="NIFTY24APR",
        ClsPric=price,
        LastPric=price,
        UndrlygPric=100.0,
        SttlmPric=price,
        OpnIntrst=5,
        TtlTradgVol=10,
    )
    future = options.iloc[:1].assign(FinInstrmTp="IDF", StrkPric=np.nan, OptnTp=np.nan, SttlmPric=100.379)
    return pd.concat([future, options], ignore_index=True)
