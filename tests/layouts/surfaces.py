"""Published surfaces: volatilities or prices by maturity and strike."""

from .equity import _names
from .layout import Form, Layout, long, wide
from .markets import SPX, Market, Option


def _kept(o: Option) -> dict[str, object]:
    return {"T": o.maturity, "strike": o.strike}


def _cash(market: Market, o: Option) -> dict[str, object]:
    return {
        **_kept(o),
        "forward": o.forward,
        "discount": o.discount,
        "type": o.letter,
        "bid": o.bid,
        "ask": o.ask,
    }


def _option_type(market: Market, o: Option) -> dict[str, object]:
    row = _cash(market, o)
    return {("option_type" if name == "type" else name): value for name, value in row.items()}


def _sided(market: Market, call: Option, put: Option) -> dict[str, object]:
    return {
        "date": market.taken.date(),
        "underlying": market.asset,
        "expiry": call.expiry,
        **_kept(call),
        "forward": call.forward,
        "discount": call.discount,
        "bid_iv": call.vol - 0.005,
        "ask_iv": call.vol + 0.005,
    }


def _spot(market: Market, call: Option, put: Option) -> dict[str, object]:
    return {
        "spot": market.spot,
        **_kept(call),
        "zero_rate": market.rate,
        "dividend": market.carry,
        "iv": call.vol,
    }


def _named_vol(market: Market, call: Option, put: Option) -> dict[str, object]:
    return {
        "date": market.taken.date(),
        "underlying": market.asset,
        "expiry_years": call.maturity,
        "strike": call.strike,
        "forward": call.forward,
        "implied_volatility": call.vol,
    }


def _calls(market: Market, call: Option, put: Option) -> dict[str, object]:
    return {
        "snap_date": f"{market.taken:%Y%m%d}",
        "spot": market.spot,
        "zero_rate": market.rate,
        "days": round(call.maturity * 365),
        "strike": call.strike,
        "price": call.price,
    }


def _layout(name: str, build, row, names: str, file_name: str, **more) -> Layout:
    return Layout(
        name=name,
        market=SPX,
        file_name=file_name,
        build=lambda m: build(m, row),
        names=_names(names),
        **more,
    )


_CASH = "expiry=T strike=strike bid=bid ask=ask forward=forward"
_SIDED = (
    "date=date underlying=underlying expiry=expiry strike=strike vol_bid=bid_iv vol_ask=ask_iv "
    "forward=forward"
)

SURFACES = (
    _layout("surface_cash", long, _cash, f"option_type=type {_CASH}", "SPX_20240304.csv"),
    _layout(
        "surface_option_type", long, _option_type, f"option_type=option_type {_CASH}", "SPX_20240304.csv"
    ),
    _layout("surface_vols", wide, _sided, _SIDED, "surface.csv"),
    _layout("surface_vols_parquet", wide, _sided, _SIDED, "surface.parquet", form=Form(kind="parquet")),
    _layout("surface_spot", wide, _spot, "expiry=T strike=strike vol=iv rate=zero_rate", "SPX_20240304.csv"),
    _layout(
        "surface_named_vol",
        wide,
        _named_vol,
        "date=date underlying=underlying expiry=expiry_years strike=strike vol=implied_volatility",
        "smile.csv",
    ),
    _layout(
        "surface_calls",
        wide,
        _calls,
        "date=snap_date expiry=days strike=strike price=price rate=zero_rate",
        "SPX_prices.csv",
    ),
)
