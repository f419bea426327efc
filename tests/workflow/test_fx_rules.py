"""Settings of currency pairs in configurations and on the command line reach the loader."""

import pytest

from neutral import ArgumentError
from neutral.cli.options import fx_settings
from neutral.market.loaders.sources import open_source
from neutral.workflow.calibrate.config import shipped_config
from neutral.workflow.inputs.markets import read_market

TEXT = """date,pair,tenor,atm,rr25,bf25
2024-05-28,USD/BRL,1m,15,1.2,0.3
2024-05-28,USD/BRL,3m,15.5,1.4,0.35
"""
GIVEN = ["delta=forward", "domestic_rate=0.1", "foreign_rate=0.05", "premium_adjusted=false"]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "quotes.csv"
    path.write_text(TEXT)
    return open_source(path)


def test_settings_of_the_command_line_reach_the_loader(source):
    config = shipped_config("fx").replaced(data={"spot": 5.1}, fx=fx_settings(GIVEN))
    market = read_market(source, *source.snapshots[0], config)
    assert market.reason == "" and market.frame is not None and len(market.frame) == 6
    assert config.fx.build() == {
        "conventions": {"delta": "forward", "premium_adjusted": False},
        "domestic_rate": 0.1,
        "foreign_rate": 0.05,
    }


def test_what_is_missing_is_told(source):
    market = read_market(source, *source.snapshots[0], shipped_config("fx").replaced(data={"spot": 5.1}))
    assert "pass rates=" in market.reason and "domestic_rate= and foreign_rate=" in market.reason


def test_no_settings_leave_the_hash_as_it_was():
    config = shipped_config("fx")
    assert "fx" not in config.content
    assert config.replaced(fx={"unit": "percent"}).hash != config.hash


@pytest.mark.parametrize("text", ["delta", "=forward", "delta="])
def test_settings_have_names_and_values(text):
    with pytest.raises(ArgumentError, match="not of the form NAME=VALUE, such as --fx delta=forward"):
        fx_settings([text])


def test_unknown_settings_are_refused():
    with pytest.raises(ArgumentError, match="fx.delta = 'fwd': Input should be 'spot' or 'forward'"):
        shipped_config("fx").replaced(fx=fx_settings(["delta=fwd"]))
