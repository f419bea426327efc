import dataclasses

import pytest

import neutral as nt
from neutral.errors import ArgumentError
from neutral.market import Filters, Split, split_seed
from neutral.workflow import Config, load_config
from neutral.workflow.calibrate.config import SearchRules, SplitRules, shipped_config
from neutral.workflow.config import FilterRules, LossRules, validated
from neutral.workflow.pipeline.config import PipelineConfig


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
            "unknown key data.limt; accepted in [data]: day_count, date, rates, dividends, dividend_model, ",
        ),
        ({"loss": {"c": -1.0}}, "loss.c = -1.0: Input should be greater than 0"),
        ({"loss": {"c": float("nan")}}, "loss.c = nan: Input should be a finite number"),
        ({"loss": {"robust": "l2"}}, "loss.robust = 'l2': Input should be 'none', 'soft_l1'"),
        ({"loss": 3}, "loss = 3"),
        ({"run": {"block": "32"}}, "run.block = '32': Input should be a valid integer"),
        ({"models": ["sabr"]}, "models.0 = 'sabr': expected one of black, black++, merton,"),
        (
            {"breakpoints": [0.5, 0.25]},
            "breakpoints = [0.5, 0.25]: expected one or more times in ascending order",
        ),
        (
            {"solver": {"kind": "newton"}},
            "whose kind is one of levenberg_marquardt, adam_lbfgs",
        ),
        (
            {"solver": {"kind": "adam_lbfgs", "damping": 0.1}},
            "unknown key solver.damping; accepted in [solver]: kind, gtol, max_steps, adam_steps, rate,",
        ),
        (
            {"solver": {"rate": 0.1}},
            "unknown key solver.rate; accepted in [solver]: kind, gtol,",
        ),
        ({"solver": {"max_steps": 0}}, "solver.max_steps = 0: Input should be greater than or equal to 1"),
        (
            {"engine": "lewis"},
            "engine = 'lewis': expected a table whose kind is one of lewis, ",
        ),
        (
            {"engine": {"kind": "cos", "nodes": 64}},
            "unknown key engine.nodes; accepted in [engine]: kind, N,",
        ),
        ({"engine": {"kind": "cos", "range": [1.0, -1.0]}}, "or two numbers in ascending order"),
        ({"models": ["svcj", "svcj"]}, "expected one or more different models"),
        ({"filters": {"moneyness": [2.0, 1.0]}}, "the first number must be below the second"),
        ({"run": {"currencies": ["SOL"]}}, "expected one or more of data.currencies: BTC, ETH"),
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


METHODS = [
    ({"solver": {"gtol": 1e-7}}, nt.LevenbergMarquardt(gtol=1e-7)),
    ({"solver": {"kind": "adam_lbfgs", "memory": 5}}, nt.AdamLBFGS(memory=5)),
    ({"engine": {}}, nt.Lewis()),
    ({"engine": {"nodes": 48}}, nt.Lewis(48)),
    ({"engine": {"kind": "carr_madan", "alpha": 0.75}}, nt.CarrMadan(alpha=0.75)),
    ({"engine": {"kind": "cos", "range": [-2.0, 1.0]}}, nt.COS(range=(-2.0, 1.0))),
]


@pytest.mark.parametrize(("content", "built"), METHODS)
@pytest.mark.parametrize("kind", [Config, PipelineConfig])
def test_solver_and_engine_are_built_by_kind(kind, content, built):
    config = kind.model_validate(content)
    (name,) = content
    assert getattr(config, name).build() == built
    assert config.replaced(**content).hash == config.hash


def test_another_kind_replaces_the_settings_of_the_one_before():
    config = Config().replaced(solver={"damping": 1.0}).replaced(solver={"kind": "adam_lbfgs", "rate": 0.2})
    assert config.solver.build() == nt.AdamLBFGS(rate=0.2)
    assert config.replaced(solver={"memory": 5}).solver.build() == nt.AdamLBFGS(rate=0.2, memory=5)
    split = Config().replaced(split={"block": 5}).replaced(split={"kind": "strikes"}).split
    assert (split.kind, split.block) == ("strikes", 5)


def test_a_further_solver_is_of_the_other_kind():
    solver = Config().solver
    assert solver.other(10) == nt.AdamLBFGS(max_steps=10_000)
    other = Config().replaced(solver={"kind": "adam_lbfgs", "gtol": 1e-5}).solver
    assert other.other(2) == nt.LevenbergMarquardt(gtol=1e-5, max_steps=2000)


def test_configurations_from_before_kinds_and_breakpoints_keep_their_hash():
    assert load_config().hash == "3bd8eec313968c28bced1b3147f7029d48e4a8032eb66a29e0ae70a956e2206e"
    base = Config().replaced(models=["heston"])
    assert base.replaced(breakpoints=[0.5]).hash == base.hash
    pieces = Config().replaced(models=["piecewise_heston"])
    assert pieces.replaced(breakpoints=[0.5]).hash != pieces.hash
    assert base.replaced(engine={"kind": "cos"}).hash != base.hash


def test_seeds_follow_currency_and_position():
    config = Config().replaced(run={"currencies": ["ETH"]})
    assert config.underlyings == ["ETH"]
    assert config.seed("ETH", 5) == split_seed("ETH", 5) == 123 + 10_000 + 5
