"""Real Deribit snapshots: two solvers, two global searches, and the main job against the published fits."""

import numpy as np
import pandas as pd
import pytest

import neutral as nt
from neutral import market
from neutral.market.loaders.deribit import snapshot_time
from neutral.workflow import open_store, run
from neutral.workflow.calibrate.run import model_fitter

pytestmark = pytest.mark.slow
LOSS = nt.Loss("spread", "soft_l1", 0.4)


@pytest.fixture(scope="module")
def files(market_data):
    return market.list_snapshots(market_data / "deribit" / "run")


def surfaces(files, step):
    """Bitcoin and Ether in turn."""
    picked = files[3::step]
    quotes = [market.load_deribit(file, ("BTC", "ETH")[i % 2]) for i, file in enumerate(picked)]
    return nt.stack([market.build_surface(one)[0] for one in quotes])


def test_both_solvers_end_at_one_loss(files):
    stack = surfaces(files, 4)
    search = nt.Search(finalists=1)
    solvers = (nt.LevenbergMarquardt(), nt.AdamLBFGS())
    one, other = (nt.calibrate_batch(nt.Heston, stack, loss=LOSS, solver=s, search=search) for s in solvers)
    assert np.mean(np.abs(other.loss / one.loss - 1.0) <= 1e-6) >= 0.95


def test_global_searches_find_the_best_optimum_known(files):
    stack = surfaces(files, 10)
    searches = [
        nt.Search(finalists=28, explore=nt.QuasiRandom()),
        nt.Search(finalists=16, explore=nt.DifferentialEvolution()),
        nt.Search(finalists=52, explore=nt.QuasiRandom(points=2048, keep=48, seed=1)),
    ]
    loss = np.stack(
        [nt.calibrate_batch(nt.SVCJ, stack, loss=LOSS, search=search).loss for search in searches]
    )
    found = loss[:2] <= np.min(loss, axis=0) * (1.0 + 1e-4)
    # one miss of 20 is 95 %
    assert np.all(np.sum(~found, axis=1) <= 1)


# model: the published model it is set against; mean error over its, share inside bid-ask, for BTC and ETH
ASKED = {
    "heston": ("heston", (0.80, 0.95), (0.56, 0.63)),
    "svcj": ("svcj", (1.02, 0.97), (0.617 - 0.02, 0.648 - 0.02)),
    "svcj++": ("svcj", (0.74, 0.69), (0.82, 0.88)),
}


def test_the_main_job_beats_the_published_fits(market_data, files, tmp_path):
    """Test quotes of the same splits, pooled; and a richer model is never worse than one that it contains."""
    assert run(files, tmp_path).complete
    fits = open_store(tmp_path).read("fits").to_pandas()
    loss = fits.pivot(index=["snapshot_ts", "currency"], columns="model", values="loss")
    for simple, rich in (("black", "heston"), ("heston", "svcj"), ("svcj", "svcj++")):
        assert np.all(loss[rich] <= loss[simple] * (1.0 + 1e-6))
    published = pd.read_csv(market_data / "deribit" / "reference_fits.csv")
    published["snapshot_ts"] = [snapshot_time(name) for name in published["file"]]
    both = fits.merge(published, on=["snapshot_ts", "currency"])
    assert len(both) == len(fits)
    for name, (other, ratios, shares) in ASKED.items():
        for currency, ratio, share in zip(("BTC", "ETH"), ratios, shares, strict=True):
            rows = both[(both["model"] == name) & (both["currency"] == currency)].dropna(
                subset=f"mae_test_{other}"
            )
            pooled = rows[["mae_test", f"mae_test_{other}", "inside_test"]].mul(rows["n_test"], axis=0).sum()
            assert pooled["mae_test"] <= ratio * pooled[f"mae_test_{other}"], (name, currency)
            assert pooled["inside_test"] >= share * rows["n_test"].sum(), (name, currency)


HARD = slice(128, 168)  # early February 2026: parameters end on bounds, quotes hardly see others


@pytest.mark.parametrize("seed", range(2))
def test_convergence_does_not_hang_on_the_last_digits_of_the_prices(files, tmp_path, seed):
    """Prices move by 1e-13, as sums on another processor do: 319 of 320 fits converge, the other says why."""
    fit = model_fitter()

    def jittered(frames, *others):
        rng = np.random.default_rng([seed, len(frames), *map(len, frames)])
        columns = ["bid_price", "ask_price", "mid_price_clean"]
        moved = [frame.copy() for frame in frames]
        for frame in moved:
            frame[columns] *= 1.0 + 1e-13 * rng.standard_normal((len(frame), 1))
        return fit(moved, *others)

    run(files[HARD], tmp_path, fit=jittered)
    fits = open_store(tmp_path).read("fits").to_pandas()
    assert len(fits) == 320
    failed = fits[fits["status"] != "converged"]
    assert len(failed) <= 1
    assert set(failed["status"]) <= {"max_steps", "stalled"}
    assert np.all(fits["gradient_norm"].drop(failed.index) <= 1e-6)
