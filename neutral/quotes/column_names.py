"""The names that vendors use for the columns of option chains, in one table.

Names are compared in lower case and without blanks, underscores, dashes, dots and brackets, so that
`quote_date` means `QuoteDate`, `[QUOTE_DATE]` and `quote date` too.
"""

import re
from collections.abc import Mapping

QUOTE_PAIRS = (
    ("bid", "ask"),
    ("bid_price", "ask_price"),
    ("best_bid", "best_ask"),
    ("best_bid", "best_offer"),
    ("bid_1545", "ask_1545"),
    ("bid_eod", "ask_eod"),
    ("close_bid", "close_ask"),
    ("bid_px", "ask_px"),
    ("bid_price", "offer_price"),
)
"""The names of bid and ask that belong together; a bid and an ask of different times would be no quote."""
SPOT_PAIRS = (
    ("underlying_bid", "underlying_ask"),
    ("underlying_bid_1545", "underlying_ask_1545"),
    ("underlying_bid_eod", "underlying_ask_eod"),
)
"""The same for bid and ask of the underlying."""
CHAIN_NAMES: Mapping[str, tuple[str, ...]] = {
    "date": (
        *("date", "quotedate", "quote_date", "quote_time_utc", "quote_datetime", "data_date", "trade_date"),
        *("trading_date", "eod_date", "as_of_date", "asof", "snapshot_date", "snap_date", "snapshot_time"),
        *("snapshot", "timestamp", "datetime", "observation_date", "valuation_date", "pricing_date"),
        *("business_date", "date_time", "quote_timestamp", "quote_unixtime"),
    ),
    "time": ("quote_readtime", "time", "quote_time", "time_of_day", "ms_of_day", "quote_time_hours"),
    "underlying": (
        *("under", "underlying", "underlying_symbol", "under_symbol", "underlying_ticker", "act_symbol"),
        *("ticker", "stock_symbol", "underlying_name", "underlier", "stock", "asset", "symbol"),
    ),
    "contract": (
        *("contract_symbol", "option_symbol", "occ_symbol", "osi_symbol", "contract", "contract_name"),
        *(
            "contract_id",
            "option_ticker",
            "optionalias",
            "opra",
            "occ",
            "osi",
            "symbol",
            "optionroot",
            "ticker",
        ),
    ),
    "root": ("root", "root_symbol", "option_root", "trading_class", "option_class", "class"),
    "spot": (
        *("underlying_last", "spot", "underlying_price", "stock_price", "spot_price", "underlying_close"),
        *("underlying_mid", "active_underlying_price", "active_underlying_price_1545", "stk_px"),
    ),
    "spot_bid": tuple(bid for bid, _ in SPOT_PAIRS),
    "spot_ask": tuple(ask for _, ask in SPOT_PAIRS),
    "expiry": (
        *("expiration", "expiry", "expire_date", "expiry_date", "expiration_date", "exdate", "expir_date"),
        *("exp_date", "maturity_date", "expiration_datetime", "expiry_datetime", "exp"),
    ),
    "option_type": (
        *(
            "put/call",
            "type",
            "option_type",
            "call/put",
            "put_call",
            "call_put",
            "cp_flag",
            "cp",
            "c/p",
            "p/c",
        ),
        *("right", "option_right", "kind", "put_or_call", "call_or_put", "call_put_flag", "pc"),
    ),
    "strike": ("strike", "strike_price"),
    "strike_x1000": (),
    "bid": tuple(dict.fromkeys(bid for bid, _ in QUOTE_PAIRS)),
    "ask": tuple(dict.fromkeys(ask for _, ask in QUOTE_PAIRS)),
    "price": ("mid", "mid_price", "mark", "mark_price", "settlement_price", "settle_price", "settle"),
    "open_interest": ("open interest", "openinterest", "open_interest", "oi", "open_int"),
    "volume": ("volume", "trade_volume"),
    "vega": ("vega", "vega_1545"),
    "implied_volatility": (
        *("implied vol", "impliedvol", "implied_volatility", "iv", "impl_volatility", "mid_iv", "ivmean"),
        *("implied_volatility_1545",),
    ),
    "vol_percent": ("iv_pct", "iv_percent", "implied_volatility_pct", "iv%"),
    "settlement_time": ("settlement_time", "am_settlement", "am_set_flag", "expiry_tod", "am_pm", "ampm"),
    "exercise_style": ("exercise_style", "exercise", "option_style"),
    "contract_size": ("contract_size", "multiplier"),
    "adjusted": ("ss_flag", "adjusted", "is_adjusted", "non_standard"),
    "quoted_at": ("bid_date",),
    "quote_time": ("last_update", "last_updated", "updated_at", "last_quote_time"),
}
"""For each column of an option chain the names that files use; of several names the first counts."""

SIDED_NAMES: Mapping[str, tuple[str, ...]] = {
    "bid": ("{0}_bid", "{0}_bid_price", "{0}_bid_px"),
    "ask": ("{0}_ask", "{0}_ask_price", "{0}_ask_px"),
    "implied_volatility": ("{0}_iv", "{0}_mid_iv", "{0}_implied_volatility"),
    "volume": ("{0}_volume", "{0}_volu"),
    "open_interest": ("{0}_open_interest", "{0}_oi"),
    "vega": ("{0}_vega",),
}
"""Columns of files with one row per strike; {0} is c or call, p or put."""
SIDES = {"call": ("c", "call"), "put": ("p", "put")}

MEANINGLESS = frozenset(
    """
    exchange exch exchanged currency currencyid description optionext deliverycode aka cusip isin sid issuer
    issuetype series industrygroup bidexch askexch bidexchange askexchange inthemoney itm expirationtype
    condition bidcondition askcondition suffix symbolflag indexflag expiryindicator divconvention instrument
    src sgmt rmks fininstrmtp fininstrmnm sctysrs lasttradedate lastdate lasttradetime lasttrade
    lasttradetimestamp biddate askdate tradedate created updatedat snapshotesttime snapshotdate bizdt
    quotedate fininstrmactlxprydt dte
    """.split()
)
"""Known columns of vendors, in squeezed form, that do not identify the contract or snapshot of a row."""


def sided_names(role: str) -> tuple[str, ...]:
    """Return the names of a column of calls in files with one row per strike."""
    return tuple(text.format(side) for side in SIDES["call"] for text in SIDED_NAMES[role])


def squeezed(name: str) -> str:
    """Return the form of the name of a column that is compared."""
    return re.sub(r"[\s_.\[\]-]", "", name.lower())
