"""Understands names of foreign-exchange quotes: at the money, risk reversal, strangle, put, call."""

import re
from typing import NamedTuple

# The word in a name, without case, blanks and marks, and what the word means.
KINDS = {
    "atm": ("atm", "atmv", "atmvol", "atmdns", "dns", "straddle", "deltaneutral", "atthemoney"),
    "atmf": ("atmf", "atmfwd", "atmforward", "atthemoneyforward"),
    "rr": ("rr", "riskreversal", "riskreversals", "riskrev", "reversal"),
    "bf": ("bf", "bfly", "fly", "butterfly", "butterflies", "str", "strangle", "strangles"),
    "ms": ("ms", "mktstrangle", "marketstrangle", "brokerstrangle", "marketbutterfly", "brokerfly"),
    "ss": ("ss", "sbf", "smilestrangle", "smilebutterfly", "smilefly"),
    "put": ("p", "put", "puts"),
    "call": ("c", "call", "calls"),
}
SIDES = {"bid": ("bid",), "ask": ("ask", "offer", "ofr"), "": ("mid", "middle")}
UNITS = {"percent": ("percent", "pct", "%"), "decimal": ("decimal", "dec")}
PLAIN = (
    "d",
    "delta",
    "δ",
    "vol",
    "vols",
    "volatility",
    "volatilities",
    "implied",
    "iv",
    "sigma",
    "v",
    "quote",
    "fx",
)
_MEANINGS = {
    word: (part, meaning)
    for part, table in (("kind", KINDS), ("side", SIDES), ("unit", UNITS), ("", {"": PLAIN}))
    for meaning, words in table.items()
    for word in words
}
_WORD = "|".join(sorted(map(re.escape, _MEANINGS), key=len, reverse=True))
_TOKEN = re.compile(rf"({_WORD})|(\d+(?:\.\d+)?|\.\d+)")
ACCEPTED = (
    "atm; rr25, 25rr, 25d_rr or the like; bf25, 25bf, 25_fly, ms25 (market strangle) or ss25 (smile "
    "strangle); 25p, p25, 10dp, 10 delta put, 25c, 10dc; each with _bid and _ask or alone, and with _pct "
    "where percent is meant"
)


class QuoteName(NamedTuple):
    """What a name of a quote means."""

    kind: str  # atm, rr, bf, put or call
    delta: float  # absolute, percent; 0 at the money
    side: str  # bid, ask or "" for a mid
    unit: str  # percent, decimal or "" if the name does not state it
    convention: tuple[str, str] | None  # the field of `FxConventions` that the name states, and its value

    @property
    def key(self) -> str:
        """The name of the quote's column here, such as `atm`, `rr25` or `put10`."""
        return self.kind if self.kind == "atm" else f"{self.kind}{self.delta:g}"


_CONVENTIONS = {
    "atmf": ("atm", ("atm_convention", "forward")),
    "ms": ("bf", ("butterfly", "market_strangle")),
    "ss": ("bf", ("butterfly", "smile")),
}


def quote_name(text: str) -> QuoteName | None:
    """Return what a name of a quote means, or None if it is no such name.

    Args:
        text: Such as `ATM`, `25D RR`, `bf_10_bid`, `10 delta put` or `25C (%)`.
    """
    plain = re.sub(r"[\s_/()\[\]:|,-]+", "", text.strip().lower())
    tokens = _TOKEN.findall(plain)
    if "".join(word + number for word, number in tokens) != plain:  # in linear time, however long it is
        return None
    meanings: dict[str, str] = {}
    numbers = []
    for word, number in tokens:
        part, meaning = _MEANINGS[word] if word else ("", "")
        if number:
            numbers.append(float(number))
        elif part and part in meanings:
            return None
        elif part:
            meanings[part] = meaning
    return _understood(meanings, numbers)


def _understood(meanings: dict[str, str], numbers: list[float]) -> QuoteName | None:
    """Combine the words of a name; None if they are too few or too many."""
    kind, convention = _CONVENTIONS.get(meanings.get("kind", ""), (meanings.get("kind", ""), None))
    if kind == "atm":
        delta = 0.0
        complete = all(number in (0.0, 0.5, 50.0) for number in numbers)
    else:
        delta = _percent(numbers[0]) if len(numbers) == 1 else 0.0
        complete = bool(kind) and 0 < delta < 100
    if not complete:
        return None
    return QuoteName(
        kind=kind,
        delta=delta,
        side=meanings.get("side", ""),
        unit=meanings.get("unit", ""),
        convention=convention,
    )


def _percent(delta: float) -> float:
    """Return a delta in percent, where a delta below one is a decimal."""
    return round(100 * delta, 10) if delta < 1 else delta
