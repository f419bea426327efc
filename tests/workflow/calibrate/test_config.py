import dataclasses

import pytest

import neutral as nt
from neutral.errors import ArgumentError
from neutral.market import Filters, Split, split_seed
from neutral.workflow import Config, load_config
from neutral.workflow.calibrate.config import SearchRules, SplitRules, shipped_config
from neutral.workflow.config import FilterRules, LossRules, validated


def test_shipped_file_states_the_defaults():
    assert load_config() == Config()


def test_sections_have_the_fields_of_what_they_build():
    assert list(FilterRules.model_fields) == [field.name for field in dataclasses.fields(Filters)]
    assert set(SplitRules.model_fields) == {field.name for field in dataclasses.fields(Split)} - {"seed"}
    assert Config().filters.build() == Filters()
    assert Config().split.build() == Split()
    assert Config().split.build(seed=7) == Split(seed=7)
    assert set(LossRules.model_fields) - {"open_interest_power"} == set(nt.Loss.__dataclass_fields__)
    assert Config().loss.build() == nt.Loss("spread", "soft_l1", 0.4)
    assert set(SearchRules.model_fields) == set(nt.Search.__dataclass_fields__) - {"explore"}
    assert Config().search.build() == nt.Search()


def test_each_kind_of_file_has_its_shipped_configuration():
    assert shipped_config("deribit") == load_config()
    for kind in ("equity chain", "surface", "fx"):
        assert shipped_config(kind).data.currencies == ["all"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"speed": 1}, "unknown key speed; accepted in the file: data, filters"),
        (
            {"data": {"limt": 3}},
            "unknown key data.limt; accepted in [data]: day_count, rates, spot, limit, currencies",
        ),
        ({"loss": {"c": -1.0}}, "loss.c = -1.0: Input should be greater than 0"),
        ({"loss": {"c": float("nan")}}, "loss.c = nan: Input should be a finite number"),
        ({"loss": {"robust": "l2"}}, "loss.robust = 'l2': Input should be 'none', 'soft_l1'"),
        ({"loss": 3}, "loss = 3"),
        ({"run": {"block": "32"}}, "run.block = '32': Input should be a valid integer"),
        ({"models": ["bates"]}, "models.0 = 'bates': Input should be 'black', 'heston', 'svcj' or 'svcj++'"),
        ({"models": ["svcj", "svcj"]}, "none twice"),
        ({"filters": {"moneyness": [2.0, 1.0]}}, "the lowest must be below the highest"),
        ({"run": {"currencies": ["SOL"]}}, "accepted are those of data.currencies: BTC, ETH"),
    ],
)
def test_what_is_wrong_is_named(content, message):
    with pytest.raises(ArgumentError) as refusal:
        validated(content, "mine.toml", Config)
    assert str(refusal.value).startswith("mine.toml: ")
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"models = [", b"\xff\xfe", None])
def test_unreadable_files_are_refused(tmp_path, content):
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArgumentError, match=r"mine\.toml"):
        load_config(path)


def test_hash_counts_what_changes_results_alone():
    base = Config()
    for same in (
        base.replaced(run={"workers": 1, "chunk": 4, "currencies": ["ETH"]}),
        base.replaced(data={"limit": 3, "first_index": 7}),
        base.replaced(models=["svcj++", "svcj", "heston", "black"]),
    ):
        assert same.hash == base.hash
    for other in (
        base.replaced(run={"block": 1}),
        base.replaced(loss={"c": 0.5}),
        base.replaced(loss={"open_interest_power": 0.5}),
        base.replaced(models=["black"]),
        base.replaced(data={"day_count": "365"}),
    ):
        assert other.hash != base.hash


def test_seeds_follow_currency_and_position():
    config = Config().replaced(run={"currencies": ["ETH"]})
    assert config.underlyings == ["ETH"]
    assert config.seed("ETH", 5) == split_seed("ETH", 5) == 123 + 10_000 + 5
