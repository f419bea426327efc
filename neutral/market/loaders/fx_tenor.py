"""The quotes of one tenor of foreign-exchange volatilities, and the options that they become."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ArgumentError
from ..fx import FxConventions, FxSmile, fx_smile, strike_from_delta, usual_conventions
from ..fx.conventions import check_conventions

SIDES = ("put", "call")
TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
TOO_FAR = 30.0  # ratio of volatilities of one pair on one day that no market has
AGREED = 6e-4  # volatility by which rounded quotes of a risk reversal may differ
AT_THE_MONEY = ("", "atm")
LEVEL = 0.8  # of the volatility at the money; a strangle of 25 delta above it is no difference from it


@dataclasses.dataclass(frozen=True, eq=False)
class TenorMarket:
    """What the options of a tenor need besides its quotes."""

    pair: str
    maturity: float  # years, nan if the tenor is not understood
    forward: float  # domestic currency per unit of foreign, nan if unknown
    foreign_discount: float
    scale: float  # of the file's volatilities to decimals
    middle: float  # the usual volatility at the money of the pair on this day, in the file's unit
    conventions: FxConventions | Mapping[str, object] | None  # the caller's


@dataclasses.dataclass(frozen=True, eq=False)
class TenorOptions:
    """The options of a tenor, one for each that the columns of the file can contain, shape (points,) each."""

    smile: FxSmile  # strikes and volatilities are nan where there is a reason
    spread: np.ndarray  # between bid and ask volatility, decimal; nan where none is quoted
    reason: np.ndarray  # why the option cannot be used, or ""


def tenor_options(
    row: Mapping[str, Any], deltas: tuple[str, ...], market: TenorMarket, why: str
) -> TenorOptions:
    """Return the options of one tenor; a fault becomes their reason.

    Args:
        row: The quotes of the tenor, and what the file states of its conventions.
        deltas: The deltas of the file's columns.
        market: What the options need besides.
        why: A reason why the tenor cannot be used, or "".
    """
    places = [(x, side) for x in deltas for side in SIDES if _has(row, f"rr{x}") or _has(row, f"{side}{x}")]
    places += [AT_THE_MONEY] if _has(row, "atm") else []
    if why:
        return _unusable(places, why)
    try:
        _check_row(row, market)
        options = _options(row, deltas, market)
    except ArgumentError as error:
        return _unusable(places, f"tenor {row['tenor']}: {error}")
    left = [place for place in places if not _is_quoted(row, *place)]
    blank = _unusable(left, "no quote of this delta; the tenor is read with what it has")
    return _joined([options, blank])


def stated_conventions(row: Mapping[str, Any], market: TenorMarket) -> FxConventions:
    """Return the caller's conventions, or else those that a row states, or else the usual of the pair."""
    if isinstance(market.conventions, FxConventions):
        return market.conventions
    stated: dict[str, object] = {
        field: row[name].strip().lower()
        for field, name in (
            ("atm", "atm_convention"),
            ("delta", "delta"),
            ("premium_adjusted", "premium_adjusted"),
            ("butterfly", "butterfly"),
        )
        if isinstance(row.get(name), str) and row[name].strip()
    }
    adjusted = stated.get("premium_adjusted")
    if isinstance(adjusted, str):
        stated["premium_adjusted"] = TRUTHS.get(adjusted.removesuffix(".0"), adjusted)
    check_conventions(stated)
    return usual_conventions(market.pair, market.maturity, stated | dict(market.conventions or {}))


def _check_row(row: Mapping[str, Any], market: TenorMarket) -> None:
    """Refuse a tenor whose numbers cannot be used.

    Raises:
        ArgumentError: The reason.
    """
    if row["fault"]:
        raise ArgumentError(row["fault"])
    if not np.isfinite([market.forward, market.foreign_discount]).all():
        raise ArgumentError("its forward or a discount factor is unknown; fill r_domestic and r_foreign")
    for name in row:
        if str(name).endswith("_bid"):
            _check_sides(row, str(name).removesuffix("_bid"))
    levels = [row[x] for x in ("atm", "atm_bid", "atm_ask") if x in row and np.isfinite(row[x])]
    for value in levels:
        if not 1 / TOO_FAR < value / market.middle < TOO_FAR:
            raise ArgumentError(
                f"its volatility at the money, {value:g}, is far from those of the other tenors, around "
                f"{market.middle:g}; are percent and decimals mixed?"
            )


def _check_sides(row: Mapping[str, Any], key: str) -> None:
    """Refuse a quote with one side alone, or with a bid above the ask."""
    bid = row.get(f"{key}_bid", np.nan)
    ask = row.get(f"{key}_ask", np.nan)
    mid = row.get(key, np.nan)
    if np.isnan(mid) and np.isnan(bid) != np.isnan(ask):
        side = "bid" if np.isnan(ask) else "ask"
        raise ArgumentError(f"{key} has only a {side}; fill both sides, or a mid")
    low, high = (mid if np.isnan(x) else x for x in (bid, ask))
    middle = 0.5 * (low + high) if np.isnan(mid) else mid
    if not (np.isnan(middle) or low <= middle <= high):
        raise ArgumentError(f"{key} has a bid above the mid or the ask")


def _options(row: Mapping[str, Any], deltas: tuple[str, ...], market: TenorMarket) -> TenorOptions:
    """Return the options of a tenor, in the order of their strikes."""
    quoted = {key: _mid(row, key) * market.scale for key in _keys(deltas)}
    atm = quoted["atm"]
    wings = [x for x in deltas if np.isfinite(quoted[f"rr{x}"]) or np.isfinite(quoted[f"bf{x}"])]
    sides = [(x, side) for x in deltas for side in SIDES if np.isfinite(quoted[f"{side}{x}"])]
    conventions = stated_conventions(row, market)
    wings = [x for x in wings if not _says_twice(quoted, x)]
    _check_quoted(quoted, wings, sides)
    parts = []
    if np.isfinite(atm):
        smile = fx_smile(
            atm=atm,
            deltas=np.array([float(x) for x in wings]) / 100,
            risk_reversals=np.array([quoted[f"rr{x}"] for x in wings]),
            butterflies=np.array([quoted[f"bf{x}"] for x in wings]),
            forward=market.forward,
            maturity=market.maturity,
            conventions=conventions,
            foreign_discount=market.foreign_discount,
        )
        # wings have the spread of the volatility at the money: those of risk reversals do not add to theirs
        parts.append(_usable(smile, np.full(len(smile.vol), _spread(row, "atm") * market.scale)))
    if sides:
        smile = _by_delta(sides, quoted, market, conventions)
        spread = np.array([_spread(row, f"{side}{x}") * market.scale for x, side in sides])
        parts.append(_usable(smile, spread))
    return _joined(parts)


def _usable(smile: FxSmile, spread: np.ndarray) -> TenorOptions:
    return TenorOptions(smile=smile, spread=spread, reason=np.full(len(spread), "", object))


def _unusable(places: list[tuple[str, str]], reason: str) -> TenorOptions:
    """Return options without strikes, which are all refused for one reason."""
    empty = np.full(len(places), np.nan)
    calls = np.array([side != "put" for _, side in places], bool)
    return TenorOptions(
        smile=FxSmile(strike=empty, vol=empty, is_call=calls),
        spread=empty,
        reason=np.full(len(places), reason, object),
    )


def _joined(parts: list[TenorOptions]) -> TenorOptions:
    """Join options, in the order of their strikes; those without one come last."""
    strike = np.concatenate([part.smile.strike for part in parts])
    order = np.argsort(strike, kind="stable")
    smile = FxSmile(
        strike=strike[order],
        vol=np.concatenate([part.smile.vol for part in parts])[order],
        is_call=np.concatenate([part.smile.is_call for part in parts])[order],
    )
    spread = np.concatenate([part.spread for part in parts])[order]
    return TenorOptions(smile, spread, np.concatenate([part.reason for part in parts])[order])


def _check_quoted(quoted: Mapping[str, float], wings: list[str], sides: list[tuple[str, str]]) -> None:
    """Refuse quotes that are not complete, or do not fit together."""
    if not (np.isfinite(quoted["atm"]) or sides):
        raise ArgumentError("its volatility at the money is missing; fill atm")
    for x in wings:
        missing = [key for key in (f"rr{x}", f"bf{x}") if not np.isfinite(quoted[key])]
        if missing or not np.isfinite(quoted["atm"]):
            raise ArgumentError(
                f"{(missing or ['atm'])[0]} is missing; fill it, or leave the delta {x} blank"
            )
        if x == "25" and abs(quoted["bf25"]) > LEVEL * quoted["atm"] > 0:
            raise ArgumentError(
                "bf25 is as large as the volatility at the money; expected the strangle's volatility less "
                "that at the money"
            )


def _says_twice(quoted: Mapping[str, float], delta: str) -> bool:
    """Whether a risk reversal repeats the volatilities of put and call, which then count.

    Raises:
        ArgumentError: It contradicts them.
    """
    put = quoted[f"put{delta}"]
    call = quoted[f"call{delta}"]
    if np.isnan(put) and np.isnan(call):
        return False
    reversal = quoted[f"rr{delta}"]
    if not abs(call - put - reversal) < AGREED:
        raise ArgumentError(
            f"rr{delta} is not the volatility of the call less that of the put; keep rr{delta} and "
            f"bf{delta}, or the volatilities of put and call"
        )
    return True


def _by_delta(
    sides: list[tuple[str, str]], quoted: Mapping[str, float], market: TenorMarket, conventions: FxConventions
) -> FxSmile:
    """Return the options whose own volatilities are quoted."""
    vol = np.array([quoted[f"{side}{x}"] for x, side in sides])
    is_call = np.array([side == "call" for _, side in sides])
    size = np.array([float(x) / 100 for x, _ in sides])
    if not ((vol > 0) & (vol < 10)).all():
        raise ArgumentError(f"a volatility of {vol.min():g} to {vol.max():g} is not possible")
    strike = strike_from_delta(
        delta=np.where(is_call, size, -size),
        vol=vol,
        forward=market.forward,
        maturity=market.maturity,
        is_call=is_call,
        conventions=conventions,
        foreign_discount=market.foreign_discount,
    )
    return FxSmile(strike=np.asarray(strike), vol=vol, is_call=is_call)


def _keys(deltas: tuple[str, ...]) -> list[str]:
    return ["atm", *(f"{kind}{x}" for x in deltas for kind in ("rr", "bf", *SIDES))]


def _mid(row: Mapping[str, Any], key: str) -> float:
    """Return a mid, or the mean of both sides; nan if nothing is quoted."""
    mid = row.get(key, np.nan)
    return mid if np.isfinite(mid) else 0.5 * (row.get(f"{key}_bid", np.nan) + row.get(f"{key}_ask", np.nan))


def _spread(row: Mapping[str, Any], key: str) -> float:
    """Return the distance of ask and bid; nan if one of them is missing."""
    return row.get(f"{key}_ask", np.nan) - row.get(f"{key}_bid", np.nan)


def _has(row: Mapping[str, Any], key: str) -> bool:
    """Whether the file has a column of a quote."""
    return any(f"{key}{end}" in row for end in ("", "_bid", "_ask"))


def _is_quoted(row: Mapping[str, Any], delta: str, side: str) -> bool:
    """Whether a tenor has a quote of an option."""
    keys = ["atm"] if side == "atm" else [f"rr{delta}", f"{side}{delta}"]
    return any(np.isfinite(_mid(row, key)) for key in keys)
