"""Random histories: free of arbitrage, and with the moves of markets."""

import jax
import numpy as np
import pytest

from neutral import ArgumentError
from neutral.ml import synthetic_history

DAYS = 2000


@pytest.fixture(scope="module")
def history():
    return synthetic_history(jax.random.key(3), DAYS)


def test_every_surface_is_free(history):
    surfaces, spot = history
    assert len(surfaces) == DAYS and spot.shape == (DAYS,)
    assert surfaces.certificate.free.all() and surfaces.certificate.proven.all()


def test_it_moves_as_markets_do(history):
    surfaces, spot = history
    vol = np.sqrt(surfaces.theta / surfaces.expiries)
    moves = np.diff(np.log(vol), axis=0).std(axis=0) * np.sqrt(252)
    assert 0.1 < np.median(vol) < 0.3 and 0.4 < moves[4] < 1.2 and moves[0] > moves[-1]
    returns = np.diff(np.log(spot))
    assert returns.std() * np.sqrt(252) == pytest.approx(np.sqrt(np.mean(vol[:, 0] ** 2)), rel=0.1)
    assert np.corrcoef(returns, np.diff(vol[:, 0]))[0, 1] < -0.3


def test_wrong_use_is_told(key):
    with pytest.raises(ArgumentError, match="days=0"):
        synthetic_history(key, 0)
