"""Real snapshots: counts, seeds and splits as published, forwards recovered from parity."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import ndtr

from neutral.errors import DataError
from neutral.market import Quotes, Split, build_surface, list_snapshots, load_deribit, prepare, split_seed
from neutral.market.forwards import call_put_pairs, forward_table, parity_forward
from neutral.market.loaders.deribit import quotes_of, read_snapshot
from neutral.shipped import sample_folder

CURRENCIES = ("BTC", "ETH")


@pytest.fixture(scope="module")
def manifest(market_data) -> Any:
    return pd.read_csv(market_data / "deribit" / "manifest.csv", index_col="file")


@pytest.fixture(scope="module")
def published(market_data) -> Any:
    return pd.read_csv(market_data / "deribit" / "reference_fits.csv", index_col=["file", "currency"])


def tables(quotes: Quotes, split: Split | None = None) -> tuple[Any, Any]:
    return prepare(quotes, split=split)


@pytest.mark.heavy
@pytest.mark.parametrize("folder", ["run", "awkward"])
def test_counts_and_seeds_are_the_published_ones(market_data, manifest, published, folder):
    compared = 0
    for path in list_snapshots(market_data / "deribit" / folder):
        snapshot, facts = read_snapshot(path), manifest.loc[path.name]
        assert snapshot.sha256 == facts["sha256_raw"]
        assert len(snapshot.frame) == facts["rows"]
        for currency in CURRENCIES:
            seed = split_seed(currency, int(facts["seq"]))
            quotes = quotes_of(snapshot, currency)
            kept, rejected = tables(quotes, Split(seed=seed))
            assert len(kept) + len(rejected) == len(quotes)
            assert (rejected["reason"] != "").all()
            drawn = (kept["split"] != "extra").sum()
            assert drawn == facts[f"liquid_{currency.lower()}"]
            assert (kept["split"] == "train").sum() == int(0.7 * drawn)
            if (path.name, currency) in published.index:
                row = published.loc[(path.name, currency)]
                assert (drawn, seed) == (row["n_options"], row["split_seed"])
                compared += 1
    assert compared == {"run": 400, "awkward": 10}[folder]


def black_error(sigma: float, rows: Any) -> np.ndarray:
    """Black price in coin less mid."""
    stdev = sigma * np.sqrt(rows["maturity"])
    d1 = -rows["log_moneyness"] / stdev + 0.5 * stdev
    call = ndtr(d1) - rows["moneyness"] * ndtr(d1 - stdev)
    return np.where(rows["kind"], call, call - 1 + rows["moneyness"]) - rows["mid_price_clean"]


def black_test_error(kept: Any) -> float:
    """Root mean square error in the test set of the Black model fitted to the train set."""
    train, test = (kept[kept["split"] == side] for side in ("train", "test"))
    weight = 1 / (train["spread"] + 1e-6)

    def loss(sigma: float) -> float:
        return float(np.sum((weight * black_error(sigma, train)) ** 2))

    found: Any = minimize_scalar(loss, bounds=(0.05, 3.0), method="bounded", options={"xatol": 1e-10})
    return float(np.sqrt(np.mean(black_error(found.x, test) ** 2)))


@pytest.mark.heavy
def test_split_gives_the_published_black_errors(market_data, manifest, published):
    # up to 1.2 % remains, as from published prices read off a coarser grid than the closed form;
    # a draw from another seed changes them by 10 %
    off = {0: [], 1: []}
    for path in list_snapshots(market_data / "deribit" / "run")[::10]:
        for currency in CURRENCIES:
            seed = split_seed(currency, int(manifest.loc[path.name, "seq"]))
            quotes = load_deribit(path, currency)
            for shift in off:
                kept, _ = prepare(quotes, split=Split(seed=seed + shift))
                target = published.loc[(path.name, currency), "rmse_test_black"]
                off[shift].append(abs(black_test_error(kept) / target - 1))
    assert max(off[0]) < 0.02
    assert np.median(off[1]) > 3 * np.median(off[0])


def recovered(frame: pd.DataFrame) -> list[tuple[float, float, float]]:
    """Per expiry: parity less quoted forward in uncertainties; relative uncertainty and error."""
    table = forward_table(frame, np.ones(len(frame), bool))
    found = []
    for expiry, rows in frame.groupby("expiry_datetime"):
        parity = parity_forward(*call_put_pairs(rows))
        quoted = table.loc[expiry]
        if parity.pairs >= 2 and quoted["source"] == "futures":
            distance = (parity.forward - quoted["forward"]) / np.hypot(parity.sd, quoted["forward_sd"])
            found.append((distance, parity.sd / parity.forward, parity.forward / quoted["forward"] - 1))
    return found


def check_recovered(found: list[tuple[float, float, float]]) -> None:
    distance, relative, error = np.array(found).T
    # one by construction of the uncertainty; the tail beyond four is that of quotes read minutes apart
    assert np.sqrt(np.mean(distance**2)) == pytest.approx(1.0, abs=0.25)
    assert np.mean(np.abs(distance) > 4.0) < 2e-3
    # the uncertainty is small enough to be of use: basis points
    assert np.median(relative) < 5e-4 and np.median(np.abs(error)) < 3e-4


def test_parity_agrees_with_the_quoted_futures_of_the_sample():
    check_recovered(
        [
            one
            for path in list_snapshots(sample_folder())
            for currency in CURRENCIES
            for one in recovered(load_deribit(path, currency).frame)
        ]
    )


@pytest.mark.slow
def test_parity_agrees_with_the_quoted_futures(market_data):
    files = list_snapshots(market_data / "deribit" / "run")
    check_recovered(
        [one for path in files for c in CURRENCIES for one in recovered(load_deribit(path, c).frame)]
    )


def test_awkward_snapshots_give_a_surface_or_say_why(market_data):
    surfaces = 0
    for path in list_snapshots(market_data / "deribit" / "awkward"):
        for currency in CURRENCIES:
            quotes = load_deribit(path, currency)
            try:
                surface, rejected = build_surface(quotes, split=Split())
            except DataError as error:
                assert path.name in str(error)
                continue
            assert len(surface.quotes().price) + len(rejected) == len(quotes)
            surfaces += 1
    assert surfaces > 0


def test_hidden_futures_are_recovered_within_a_few_basis_points():
    quotes = load_deribit(list_snapshots(sample_folder())[4], "BTC")
    hidden = dataclasses.replace(quotes, frame=quotes.frame.assign(futures_price=np.nan))
    given, found = prepare(quotes)[0], prepare(hidden)[0]
    assert set(found["forward_source"]) == {"parity"} and len(found) == len(given)
    error = np.abs(found["forward"] - given["forward"])
    assert (error < 4 * found["forward_sd"]).all() and (error < 1e-3 * given["forward"]).all()
