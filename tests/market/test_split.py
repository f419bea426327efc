"""Train and test: the published draw, and draws by blocks of strikes and by expiry."""

import numpy as np
import pandas as pd
import pytest

from neutral.errors import ArgumentError
from neutral.market import Split, list_snapshots, load_deribit, prepare, split_seed
from neutral.market.split import KINDS
from neutral.shipped import sample_folder


@pytest.fixture(scope="module")
def kept() -> pd.DataFrame:
    return prepare(load_deribit(list_snapshots(sample_folder())[0], "BTC"))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_is_a_split(kept, kind):
    labels = [Split(kind, seed).labels(kept) for seed in (5, 5, 6)]
    assert (labels[0] == labels[1]).all() and (labels[0] != labels[2]).any()
    assert set(labels[0]) == {"train", "test"}
    # blocks and expiries differ in size
    assert np.mean(labels[0] == "train") == pytest.approx(0.7, abs={"random": 0.003}.get(kind, 0.25))


def test_random_is_the_published_shuffle(kept):
    labels = Split(seed=123).labels(kept)
    shuffled = kept.sample(frac=1, random_state=123)
    n_train = int(0.7 * len(kept))
    assert sorted(shuffled.index[:n_train]) == np.flatnonzero(labels == "train").tolist()


def test_recovered_forwards_stay_out_of_the_random_draw(kept):
    partly = kept.copy()
    partly.loc[::3, "forward_source"] = "parity"
    partly.loc[1::3, "forward_source"] = "expiry"
    labels = Split(seed=7).labels(partly)
    own = (partly["forward_source"] == "futures").to_numpy()
    assert (labels[~own] == "extra").all()
    # the draw is that of a file without the other rows
    np.testing.assert_array_equal(labels[own], Split(seed=7).labels(partly[own]))
    for kind in ("strikes", "expiries"):
        assert "extra" not in Split(kind).labels(partly)


def test_blocks_hold_neighbouring_strikes_calls_and_puts_together(kept):
    labels = Split("strikes", seed=3, block=4).labels(kept)
    large = 0
    for _, rows in kept.assign(side=labels).groupby("expiry_datetime"):
        sides = rows.groupby("strike")["side"].agg(["first", "nunique"])
        assert (sides["nunique"] == 1).all()
        runs = (sides["first"] != sides["first"].shift()).cumsum()
        if len(sides) >= 8:
            large += 1
            assert set(sides["first"]) == {"train", "test"}
            assert runs.value_counts().min() >= 3
    assert large >= 3


def test_expiries_are_whole(kept):
    labels = Split("expiries", seed=3).labels(kept)
    sides = kept.assign(side=labels).groupby("expiry_datetime")["side"]
    assert (sides.nunique() == 1).all()
    assert (sides.first() == "train").sum() == round(0.7 * kept["expiry_datetime"].nunique())


def test_one_expiry_trains(kept):
    one = kept[kept["expiry_datetime"] == kept["expiry_datetime"][0]]
    assert (Split("expiries").labels(one) == "train").all()


WRONG = {"kind": "alternate", "seed": -1, "train_share": 1.0, "block": 0}


@pytest.mark.parametrize(("name", "value"), WRONG.items(), ids=WRONG.keys())
def test_split_checks_itself(name, value):
    with pytest.raises(ArgumentError, match=name):
        Split(**{name: value})


def test_seeds():
    assert split_seed("BTC", 0) == 123
    assert split_seed("ETH", 17) == 10_140
    assert split_seed("SOL", 1, currencies=("BTC", "ETH", "SOL")) == 20_124
    with pytest.raises(ArgumentError, match="currency='SOL'"):
        split_seed("SOL", 1)
    with pytest.raises(ArgumentError, match="position=-1"):
        split_seed("BTC", -1)
