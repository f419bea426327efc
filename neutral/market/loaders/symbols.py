"""Names of underlyings: how vendors write them, which exercise their options have, and their option roots."""

import re

from ..quotes import Exercise

WORDS = re.compile(r"\s+(INDEX|EQUITY|CURNCY|COMDTY)$")  # at the end of a Bloomberg ticker
MARKS = "^$."  # before the name of an index at Yahoo, Schwab and Reuters
PLAIN_TICKER = re.compile(
    r"[A-Z]{1,5}([./ -][A-Z]{1,2})?"
)  # of stocks and funds, with a class or an exchange

EUROPEAN = frozenset(
    """
    SPX SPXW SPXPM XSP GSPC XEO VIX VIXW NDX NDXP XND NQX RUT RUTW MRUT RUI RLG RLV DJX DJXW MXEA MXEF
    DAX ODAX GDAXI MDAX SX5E OESX ESTX50 STOXX50E SX7E OESB V2X V2TX VSTOXX SMI OSMI SSMI UKX FTSE FTSE100
    CAC CAC40 PX1 FCHI AEX BEL20 BFX IBEX IBEX35 MIB FTSEMIB SPMIB OMX OMXS30 OMXH25 OMXC25 OBX ATX WIG20
    HSI HHI HSCEI HSTECH MHI MCH N225 NKY NI225 NIKKEI NIKKEI225 TPX TOPIX KOSPI KOSPI2 KOSPI200 TWSE TAIEX
    TXO TWII AS51 XJO ASX200 NIFTY NIFTY50 NSEI BANKNIFTY NSEBANK FINNIFTY MIDCPNIFTY NIFTYNXT50 SENSEX
    BANKEX SXO TSX60 SPTSX60 TOP40 ALSI CSI300
    """.split()
)
"""Indices whose options can be exercised only at expiry, and are settled in cash."""
AMERICAN_INDICES = frozenset(["OEX"])  # indices whose options can be exercised at any time
CRYPTO = frozenset(
    "BTC XBT ETH SOL XRP DOGE AVAX TRX MATIC POL BNB LTC BCH ADA DOT LINK PAXG USDC USDT TON SUI HYPE".split()
)
"""Coins; some are also tickers of funds, so they do not determine the exercise of equity options."""
ROOTS = {"SPXW": "SPX", "SPXPM": "SPX", "NDXP": "NDX", "RUTW": "RUT", "VIXW": "VIX", "DJXW": "DJX"}
"""The underlying of option roots that have another name than it."""
AM_ROOTS = frozenset(["SPX", "NDX", "RUT", "DJX", "VIX", "VIXW"])
PM_ROOTS = frozenset(["SPXW", "SPXPM", "NDXP", "RUTW", "DJXW", "XSP", "XEO", "MRUT", "XND"])
# root of an option, date of expiry YYMMDD, C or P, and 1000 times the strike: eight digits, or, after a
# blank, as many as it has (OptionMetrics)
OCC = re.compile(
    r"(?:O:)?(?P<root>[A-Z][A-Z0-9.]{0,5}?)(?:\s+|(?=\d{6}[CP]\d{8}$))"
    r"(?P<expiry>\d{6})(?P<type>[CP])(?P<strike>\d{3,8})",
    re.IGNORECASE,
)


def plain_symbol(name: str) -> str:
    """Return a name in capitals, without marks of indices and words of Bloomberg: `^spx Index` gives SPX."""
    return WORDS.sub("", name.strip().upper()).lstrip(MARKS).strip()


def bare_symbol(name: str) -> str:
    """Return a plain symbol without the prefix or suffix of an exchange: CBOE:SPX and SPX.XO give SPX."""
    return re.split(r"[. /_-]", plain_symbol(name).rpartition(":")[2], maxsplit=1)[0]


def exercise_of(name: str) -> Exercise | None:
    """Return the exercise of the options on an underlying, or None if its name does not determine it.

    Args:
        name: The name as the file states it; a mark of an index matters.
    """
    bare = bare_symbol(name)
    if bare in EUROPEAN:
        return "european"
    if bare in AMERICAN_INDICES:
        return "american"
    upper = name.strip().upper()
    says_index = upper.startswith(tuple(MARKS)) or upper.endswith(" INDEX") or upper.startswith("I:")
    if says_index or is_crypto(name) or not PLAIN_TICKER.fullmatch(plain_symbol(name)):
        return None
    return "american"


def is_crypto(name: str) -> bool:
    """Whether a name is that of a coin, alone or with the currency in which it is quoted."""
    bare = bare_symbol(name)
    pair = re.fullmatch(r"([A-Z]+?)(USD|USDT|USDC|EUR|PERP)", bare)
    return bare in CRYPTO or (pair is not None and pair[1] in CRYPTO)


def underlying_of_root(root: str) -> str:
    """Return the underlying of an option root: SPXW gives SPX, and the adjusted root XYZ1 gives XYZ."""
    plain = plain_symbol(root)
    if plain in ROOTS or plain in EUROPEAN:
        return ROOTS.get(plain, plain)
    return plain.rstrip("0123456789") or plain


def settlement_time_of(root: str) -> str:
    """Return "am" or "pm", the time of the settlement of options of a root; "" if it is unknown."""
    return "am" if root in AM_ROOTS else "pm" if root in PM_ROOTS else ""
