"""The pipeline on real markets: equity chains, published surfaces, coin options."""

import numpy as np
import pytest

from neutral.workflow.pipeline.config import load_pipeline_config
from neutral.workflow.pipeline.records import OF_A_FIT
from neutral.workflow.pipeline.run import run_pipeline
from neutral.workflow.pipeline.stages import STAGES

pytestmark = pytest.mark.slow

MARKETS = {
    "published_surfaces/dax_20020705_sepp.csv": "heston_index",
    "published_surfaces/sx5e_20100301_andreasen_huge.csv": "heston_index",
    "equity_chains/spx_yahoo_202605.csv.gz": "heston_index",
    "published_surfaces/spx_2022_speciale.csv.gz": "heston_index",
    "published_surfaces/spx_20230215.csv.gz": "heston_index",
}


def check(run):
    assert [stage.name for stage in run.stages] == list(STAGES)
    assert run.record["converged"], run.log
    assert all(run.record[name] is not None for name in OF_A_FIT if name != "timestamp")
    assert np.isfinite(run.record["condition_number"])
    errors = run.record["iv_rmse_per_maturity"]
    assert len(errors) == run.record["n_maturities"] == len(run.record["maturities"])
    kept = int(run.stages[0].metrics["kept"])
    assert run.record["n_options"] == kept
    assert kept + run.record["n_rejected"] == run.stages[0].metrics["quotes"]


@pytest.mark.parametrize("name", MARKETS)
def test_heston_on_indices(market_data, tmp_path, name):
    date = "2026-05-13" if "yahoo" in name else None  # the file does not state it
    config = load_pipeline_config(MARKETS[name]).replaced(data={"date": date})
    (run,), history = run_pipeline([market_data / name], tmp_path, config)
    check(run)
    assert len(history) == 1
    # five parameters do not meet these markets to 30 bp, and the gates say so
    assert run.outcome == "fail" and run.record["iv_rmse"] > 0.003


def test_svcj_on_deribit(market_data, tmp_path):
    files = sorted((market_data / "deribit" / "run").glob("*.csv.gz"))[:3]
    runs, _ = run_pipeline(files, tmp_path, load_pipeline_config("svcj_deribit"))
    assert [run.market.underlying for run in runs] == ["BTC", "ETH"] * 3
    for run in runs:
        check(run)
    # the second day knows the first
    assert all(np.isfinite(run.stages[3].metrics["kappa_change"]) for run in runs[2:])
