"""Names of currency pairs as people write them, and the conventions that are usual for a pair."""

import pytest

from neutral import ArgumentError, FxConventions
from neutral.market.fx import pair_name, usual_conventions
from neutral.market.fx.conventions import check_conventions
from neutral.market.fx.pairs import is_pegged, is_usual, point

WRITTEN = (
    "EURUSD",
    "eurusd",
    "EUR/USD",
    "EUR-USD",
    "eur_usd",
    "EUR.USD",
    "EUR USD",
    "EURUSD=X",
    "EURUSD=R",
    "EURUSD Curncy",
    "EURUSD BGN Curncy",
    " eurusd curncy ",
    "C:EURUSD",
    "FX_IDC:EURUSD",
    "OANDA:EUR_USD",
    "^EURUSD",
    "$EURUSD",
)


@pytest.mark.parametrize("text", WRITTEN)
def test_a_pair_is_known_however_it_is_written(text):
    assert pair_name(text) == "EURUSD"


@pytest.mark.parametrize("text", ["", "EUR", "EUR Curncy", "EUREUR", "SPX500", "EURUSDX", "EURUSD 1M", "€$"])
def test_other_texts_are_no_pair(text):
    with pytest.raises(
        ArgumentError, match="expected two codes of three letters, the domestic currency last"
    ):
        pair_name(text)


def test_six_letters_alone_need_not_be_a_pair():
    assert is_usual("usd/brl") and not is_usual("market") and not is_usual("EUR")


# Reiswich and Wystup (2010), table 1: the currency of the premium, and whether deltas are adjusted for it
PUBLISHED = {
    "EURUSD": False,
    "USDJPY": True,
    "EURJPY": True,
    "USDCHF": True,
    "EURCHF": True,
    "GBPUSD": False,
    "EURGBP": True,
    "AUDUSD": False,
    "AUDJPY": True,
    "USDCAD": True,
    "USDBRL": True,
    "USDMXN": True,
}


@pytest.mark.parametrize("pair", PUBLISHED)
def test_premiums_are_paid_in_the_published_currency(pair):
    conventions = usual_conventions(pair.lower(), 0.5, {"delta": "forward"})
    assert conventions == FxConventions("forward", premium_adjusted=PUBLISHED[pair])


def test_deltas_are_spot_deltas_up_to_a_year():
    assert usual_conventions("EURUSD", 366 / 365).delta == "spot"
    assert usual_conventions("EURUSD", 2.0).delta == "forward"
    assert usual_conventions("XAUUSD", 0.5) == FxConventions("spot")
    assert usual_conventions("EURUSD", 0.5, {"atm": "forward"}).atm == "forward"


@pytest.mark.parametrize("pair, unknown", [("USDBRL", "delta"), ("BTCETH", "premium_adjusted and delta")])
def test_what_is_not_usual_has_to_be_told(pair, unknown):
    with pytest.raises(
        ArgumentError, match=f"{pair}: the market's {unknown} for this pair .* --fx delta=forw"
    ):
        usual_conventions(pair, 0.5)


@pytest.mark.mistyped
def test_unknown_conventions_are_refused():
    with pytest.raises(
        ArgumentError, match="'premium' is no convention .*; the conventions are delta, premium_"
    ):
        check_conventions({"premium": True})
    with pytest.raises(ArgumentError, match="premium_adjusted='maybe' is unknown; expected False or True"):
        usual_conventions("EURUSD", 0.5, {"premium_adjusted": "maybe"})


def test_pegs_and_points():
    assert is_pegged("USDHKD") and is_pegged("EURDKK") and not is_pegged("EURUSD")
    assert (point("USDJPY"), point("EURUSD")) == (0.01, 1e-4)
