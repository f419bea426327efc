"""Names of currency pairs as people write them, and the conventions that are usual for a pair."""

import re
from collections.abc import Mapping

from ...errors import ArgumentError
from .conventions import FxConventions

PREMIUM_ORDER = ("USD", "EUR", "GBP", "AUD", "NZD", "CAD", "CHF", "NOK", "SEK", "DKK", "JPY")
"""Currencies in which a premium is paid: that of a pair is paid in the one that comes first (Clark 2011,
"Foreign exchange option pricing", section 3.3)."""
OTHERS = (
    "AED ARS BHD BRL CLP CNH CNY COP CZK EGP GEL HKD HUF IDR ILS INR ISK JOD KES KRW KWD KZT MAD MXN MYR NGN "
    "OMR PEN PHP PKR PLN QAR RON RSD RUB SAR SGD THB TRY TWD UAH UYU VND ZAR"
).split()
"""Other currencies with options; a pair may have further ones."""
METALS = ("XAU", "XAG", "XPT", "XPD")
PEGS = (("DKK", "EUR"), ("AED", "BHD", "CNH", "CNY", "HKD", "JOD", "KWD", "OMR", "QAR", "SAR", "USD"))
"""Groups of currencies whose pairs move so little that a volatility of half a percent is plausible."""
HUNDREDTHS = ("JPY", "HUF")
"""Currencies in which rates of exchange are quoted to hundredths: their points count hundredths."""
SPOT_DELTAS_UNTIL = 1.01  # years; a tenor of one year may be a day longer
_ACCEPTED = "EURUSD, EUR/USD, eur-usd, EURUSD=X or EURUSD Curncy"
_SUFFIX = re.compile(r"(?:\s+[A-Z]{3,4})?\s+CURNCY|=[A-Z]{0,3}|\.[A-Z]{2,4}")
_PREFIX = re.compile(r"[A-Z_]+:|\^|\$")
_PAIR = re.compile(r"([A-Z]{3})[\s/_.\-|]*([A-Z]{3})")


def pair_name(text: str) -> str:
    """Return the six letters of a currency pair, foreign before domestic, without case, marks and suffixes.

    Args:
        text: A pair as vendors write it, such as `eurusd`, `EUR/USD`, `EURUSD=X` or `EURUSD Curncy`.

    Raises:
        ArgumentError: The text names no pair of two currencies.
    """
    name = pair_in(text)
    if name is None:
        raise ArgumentError(
            f"pair {text!r} is not a currency pair; expected two codes of three letters, the domestic "
            f"currency last, such as {_ACCEPTED}."
        )
    return name


def pair_in(text: str) -> str | None:
    """Return the six letters of a currency pair, or None if the text names no pair; see `pair_name`."""
    plain = text.strip().upper()
    prefix = _PREFIX.match(plain)
    plain = plain[prefix.end() :] if prefix else plain
    match = _PAIR.match(plain)
    if match is None or match[1] == match[2]:
        return None
    rest = plain[match.end() :]
    return match[1] + match[2] if not rest or _SUFFIX.fullmatch(rest) else None


def is_usual(text: str) -> bool:
    """Whether a text names a pair of two currencies that are known here, which six letters alone need not."""
    name = pair_in(text)
    known = (*PREMIUM_ORDER, *OTHERS, *METALS)
    return name is not None and name[:3] in known and name[3:] in known


def usual_conventions(
    pair: str, maturity: float, stated: Mapping[str, object] | None = None
) -> FxConventions:
    """Return the usual conventions of a pair, for those that are not stated.

    The premium is paid in the currency that comes first in `PREMIUM_ORDER`, and deltas are adjusted for it
    if that is the foreign one. For pairs of these currencies deltas are spot deltas up to a year and forward
    deltas beyond (Reiswich and Wystup 2010). At the money is the delta-neutral straddle, and strangles are
    market strangles.

    Args:
        pair: A currency pair, as `pair_name` accepts it.
        maturity: Years.
        stated: Conventions that are known, by the names of the fields of `FxConventions`.

    Raises:
        ArgumentError: A convention is neither stated nor usual, or a stated one is unknown.
    """
    name = pair_name(pair)
    stated = stated or {}
    fields = {"premium_adjusted": _premium_adjusted(name), "delta": _delta(name, maturity), **stated}
    unknown = [field for field, value in fields.items() if value is None]
    if unknown:
        raise ArgumentError(
            f"{name}: the market's {' and '.join(unknown)} for this pair is not known here. State it: in a "
            "column of the file, by conventions={'delta': 'forward'} or the like, in the section [fx] of a "
            "configuration, or by --fx delta=forward."
        )
    return FxConventions(**fields)  # pyright: ignore[reportArgumentType]  # the class checks its fields


def is_pegged(pair: str) -> bool:
    """Whether the volatility of a pair may be below one percent."""
    return any(pair[:3] in group and pair[3:] in group for group in PEGS)


def point(pair: str) -> float:
    """Return the size of a swap point, in domestic currency per unit of foreign."""
    return 0.01 if pair[3:] in HUNDREDTHS else 1e-4


def _premium_adjusted(pair: str) -> bool | None:
    """Whether the premium is paid in the foreign currency; None if it is not known."""
    foreign, domestic = pair[:3], pair[3:]
    order = [currency for currency in PREMIUM_ORDER if currency in (foreign, domestic)]
    return order[0] == foreign if order else None


def _delta(pair: str, maturity: float) -> str | None:
    """Return the kind of deltas of a pair; None if it is not known."""
    known = (*PREMIUM_ORDER, *METALS)
    if pair[:3] in known and pair[3:] in known:
        return "spot" if maturity < SPOT_DELTAS_UNTIL else "forward"
    return None
