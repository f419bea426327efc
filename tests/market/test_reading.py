"""Checks at the end of reading: an ordinary market has no finding, and each kind of mix-up has one."""

import numpy as np
import pandas as pd
import pytest

from neutral.market import Filters, check_reading
from neutral.options import black

STRIKES = np.arange(80.0, 121.0, 4.0)
NOTHING = pd.DataFrame({"reason": pd.Series([], dtype=object)})


def market(vols=(0.2, 0.2), forwards=(100.0, 101.0), times=(0.126, 0.2986), discount=0.98):
    """The kept quotes of two expiries, calls and puts of Black's formula, in the order of `prepare`."""
    rows = []
    for vol, forward, t in zip(vols, forwards, times, strict=True):
        for strike in STRIKES * forward / 100.0:
            for kind in (True, False):
                k = np.log(strike / forward)
                price = discount * forward * float(black.price(k, vol * np.sqrt(t), kind))
                rows.append((t, forward, strike, kind, price, k))
    names = ["maturity", "forward", "strike", "kind", "mid_price_clean", "log_moneyness"]
    return pd.DataFrame(rows, columns=names).assign(discount=discount, settlement="cash")


def test_an_ordinary_market_has_its_numbers_and_no_finding():
    check = check_reading(market(vols=(0.2, 0.25)), NOTHING)
    assert check.findings == ()
    assert check.parity_error == pytest.approx(0.0, abs=1e-12)
    assert (check.lowest_vol, check.highest_vol) == pytest.approx((0.2, 0.25), abs=1e-9)
    assert check.forward_jump == pytest.approx(np.log(1.01), rel=1e-12) and check.refused_share == 0.0
    assert list(check.numbers) == [
        "parity_error",
        "lowest_vol",
        "highest_vol",
        "forward_jump",
        "refused_share",
    ]


def test_prices_in_coin_have_the_same_numbers():
    cash = market()
    coin = cash.assign(mid_price_clean=cash["mid_price_clean"] / (0.98 * cash["forward"]), settlement="coin")
    assert check_reading(coin, NOTHING).numbers == pytest.approx(
        check_reading(cash, NOTHING).numbers, abs=1e-9
    )


def calls_of_another_market(frame):
    return frame.assign(mid_price_clean=frame["mid_price_clean"] + 3.0 * frame["kind"])


@pytest.mark.parametrize(
    ("kept", "finding"),
    [
        # a forward of 100, and calls that are 3 above those of the puts
        (calls_of_another_market(market()), r"calls and puts disagree by 3\.0\d% of the forward"),
        (market(vols=(6.0, 6.0)), r"from 600\.00% to 600\.00%"),
        (market(vols=(0.002, 0.2)), r"from 0\.20% to 20\.00%"),
        (market(forwards=(100.0, 140.0)), r"the forward changes by 33\.65%"),
        (market(vols=(0.5, 0.2)), r"calendar arbitrage: .* 0\.5 at 0\.126 years and 0\.2 at 0\.2986 years"),
    ],
)
def test_a_mixed_up_market_has_a_finding(kept, finding):
    (found,) = check_reading(kept, NOTHING).findings
    assert pd.Series([found]).str.contains(finding).all(), found


def test_refused_quotes_count_if_something_is_wrong_with_them():
    reasons = ["the bid is missing"] * 45 + ["the open interest is missing or below 1"] * 100
    check = check_reading(market(), pd.DataFrame({"reason": reasons}))
    assert check.refused_share == 45 / (44 + 45)
    assert check.findings == ("51% of the quotes are refused for a fault; look at their reasons",)


def test_quotes_far_from_the_money_say_nothing_about_the_volatility_there():
    far = market(vols=(0.5, 0.2))
    far = far[(far["log_moneyness"] < -0.1) | (far["log_moneyness"] > 0.1)]
    check = check_reading(far[far["maturity"] > 0.2], NOTHING)
    assert np.isnan(check.highest_vol) or check.highest_vol == pytest.approx(0.2)
    assert check.findings == ()


def test_a_surface_of_a_mixed_up_file_is_built_with_a_warning(tmp_path):
    from neutral import QuoteWarning
    from neutral.market import build_surface, load_equity_chain

    lines = ["date,symbol,under,expiration,strike,put/call,bid,ask"]
    for days, vol in ((46, 0.5), (109, 0.2)):
        expiry = pd.Timestamp("2024-03-04") + pd.Timedelta(days=days)
        for strike in STRIKES:
            for kind in "CP":
                price = 100.0 * float(
                    black.price(np.log(strike / 100.0), vol * np.sqrt(days / 365), kind == "C")
                )
                bid, ask = f"{price - 0.01:.4f}", f"{price + 0.01:.4f}"
                line = f"2024-03-04,X,SPX,{expiry:%Y-%m-%d},{strike},{kind},{bid},{ask}"
                lines.append(line)
    path = tmp_path / "chain.csv"
    path.write_text("\n".join(lines))
    with pytest.warns(
        QuoteWarning, match=r"chain\.csv: calendar arbitrage: the volatility at the money is 0\.[45]"
    ):
        build_surface(load_equity_chain(path, rates=0.0), Filters(min_quotes=3))
