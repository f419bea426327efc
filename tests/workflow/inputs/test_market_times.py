"""Clocks, times of settlement and stale quotes in configurations."""

import datetime

import numpy as np
import pytest

import neutral as nt
from neutral.errors import ArgumentError
from neutral.ml import CubeGrid
from neutral.workflow.calibrate.config import Config, shipped_config
from neutral.workflow.calibrate.plan import load_snapshot, make_plan
from neutral.workflow.config import validated
from neutral.workflow.inputs.markets import read_markets
from neutral.workflow.pipeline.config import PipelineConfig
from neutral.workflow.surfaces.cube import _sample
from neutral.workflow.surfaces.fit import MarketSurface

TRADING = nt.VarianceClock(weekend=0.0)
STRIKES = (95.0, 100.0, 105.0)


@pytest.fixture
def chain(tmp_path):
    """Three days of one chain, on which the spot rises and the put at 105 stays."""
    rows = ["quote_date,underlying,underlying_last,expiration,type,strike,bid,ask"]
    for day, spot in (("2024-03-06", 100.0), ("2024-03-07", 101.0), ("2024-03-08", 102.0)):
        for strike in STRIKES:
            call = max(spot - strike, 0.0) + 1.0 + 0.1 * (spot - 100.0)
            put = call - spot + strike if strike < 105.0 else 7.0
            rows += [
                f"{day},SPX,{spot},2024-03-15,{kind},{strike},{price:.4f},{price + 0.1:.4f}"
                for kind, price in (("call", call), ("put", put))
            ]
    path = tmp_path / "spx.csv"
    path.write_text("\n".join(rows))
    return path


def config(**sections) -> Config:
    loose = {"min_quotes": 1, "min_open_interest": 0.0, "forward_agreement": 0.5}
    return shipped_config("equity chain").replaced(filters=loose, **sections)


def test_a_section_makes_a_clock(chain):
    chosen = config(clock={"weekend": 0.0}, data={"rates": 0.0})
    assert chosen.clock.build() == TRADING
    markets = list(read_markets([chain], lambda kind: chosen))
    assert [market.clock for market in markets] == [TRADING] * 3
    for market, days in zip(markets, (7, 6, 5), strict=True):
        assert market.frame is not None
        np.testing.assert_allclose(market.frame["variance_time"] * TRADING.year, days, rtol=1e-13)


def test_every_field_can_be_set():
    content = {
        "weekend": 0.1,
        "holidays": [datetime.date(2024, 3, 29), "2024-05-27"],
        "holiday": 0.2,
        "session": ["09:30", "16:00"],
        "night": 0.3,
        "early_closes": {"2024-11-29": "13:00"},
        "weights": {"2024-07-05": 0.5},
        "events": {"2024-05-22T20:20:00Z": 4.0},
        "weekend_days": ["sat", "sun"],
        "timezone": "America/New_York",
        "days_a_year": 252.0,
    }
    for kind in (Config, PipelineConfig):
        built = kind().replaced(clock=content).clock.build()
        assert built == nt.VarianceClock(**content)
        assert kind().replaced(clock=content).hash != kind().hash
    assert Config().clock.build() is None
    with pytest.raises(ArgumentError, match="belong to a session"):
        validated({"clock": {"night": 0.2}}, "mine.toml", Config)
    with pytest.raises(ArgumentError, match="unknown key clock.weekends; accepted in \\[clock\\]: exchange,"):
        validated({"clock": {"weekends": 0.2}}, "mine.toml", Config)


def test_an_exchange_by_name():
    clock = Config().replaced(clock={"exchange": "XNYS", "night": 0.2}).clock.build()
    assert clock == nt.VarianceClock.from_exchange("XNYS", night=0.2)


def test_unchanged_quotes_are_refused_in_order_of_time(chain):
    stale = config(data={"rates": 0.0, "max_unchanged": 2})
    *first, last = read_markets([chain], lambda kind: stale)
    for market in first:
        assert market.rejected is not None and market.rejected.empty
    assert last.rejected is not None
    reason = "stale: bid and ask unchanged since 2024-03-06T00:00:00Z"
    assert last.rejected[["option_type", "strike", "reason"]].to_numpy().tolist() == [["put", 105.0, reason]]
    plan = make_plan(chain, stale)
    rejected = [load_snapshot(file, plan.config).markets["SPX"].n_rejected for file in plan.archive]
    assert rejected == [0, 0, 1]
    assert stale.hash != config(data={"rates": 0.0}).hash


class Flat(nt.VolSurface):
    """20 % per year of its own time."""

    def variance_at(self, k, t):
        return 0.04 * t + 0.0 * k


def test_a_cube_is_in_calendar_time(chain):
    """Quoted on Friday: three days later one day of variance has passed."""
    *_, market = read_markets([chain], lambda kind: config(clock={"weekend": 0.0}, data={"rates": 0.0}))
    sample = _sample(MarketSurface(market, surface=Flat(), row={"margin": 1.0}), CubeGrid((1.0,), (3.0, 7.0)))
    assert sample is not None
    vols = sample.surfaces[0].implied_vol(0.0, np.array([3.0, 7.0]) / 365)
    np.testing.assert_allclose(vols, 0.2 * np.sqrt([7 / 15, 1.0]), rtol=1e-12)
