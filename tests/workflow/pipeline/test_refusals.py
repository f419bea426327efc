"""What is said of files that cannot be used, of damaged records and of wrong configurations."""

import json

import pytest

from neutral.errors import ArgumentError, DataError
from neutral.shipped import configuration, sample_folder
from neutral.workflow.pipeline.config import PipelineConfig, load_pipeline_config
from neutral.workflow.pipeline.records import Records, as_plain
from neutral.workflow.pipeline.run import run_pipeline

CONFIG = load_pipeline_config("heston_index")


@pytest.fixture
def garbage(tmp_path):
    files = [tmp_path / "noise.csv", tmp_path / "spx_20240524.csv"]
    files[0].write_bytes(b"\x00\xff garbage")
    whole = (sample_folder("index") / "spx_20240523.csv").read_text().splitlines()
    files[1].write_text("\n".join(whole[:12]) + "\n")
    return files


def test_what_cannot_be_read_is_a_record_with_a_reason(garbage, tmp_path):
    told = []
    runs, history = run_pipeline(garbage, tmp_path / "out", CONFIG, told.append)
    assert told == runs and history == []
    for run in runs:
        assert [stage.name for stage in run.stages] == ["preprocess", "store"]
        assert run.outcome == "fail" and run.record["status"] == "refused"
        assert run.record["reason"] == run.stages[0].reason
        assert run.record["reason"].removeprefix(f"{run.market.file}: ") in str(run)
        assert run.stages[1].outcome == "pass"
    assert "noise.csv" in runs[0].record["reason"]
    assert "at least 20 are needed" in runs[1].record["reason"]
    table = (tmp_path / "out" / "records.csv").read_text()
    assert table.count(",refused,") == 2


def test_a_damaged_record_is_named(tmp_path):
    Records(tmp_path)
    bad = tmp_path / "records" / "SPX.json"
    bad.write_text('{"asset": "SPX"')
    with pytest.raises(DataError, match=r"SPX\.json: is damaged: .*; move it out of the folder"):
        Records(tmp_path)
    bad.write_text('{"asset": "SPX"}')
    with pytest.raises(DataError, match=r"it lacks timestamp, file, .*; move it out"):
        Records(tmp_path)


@pytest.mark.parametrize(
    "damage, words",
    [
        ({"timestamp": 5}, "timestamp"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"converged": "no"}, "converged"),
        ({"model": ["heston"]}, "model"),
        ({"parameters": "v0"}, "parameters"),
    ],
)
def test_a_record_with_values_of_another_kind_is_named(tmp_path, damage, words):
    Records(tmp_path)
    whole = dict.fromkeys(
        ("asset", "timestamp", "file", "config_hash", "code_version", "model", "status"), ""
    )
    record = whole | {"converged": True} | damage
    (tmp_path / "records" / "SPX.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match=rf"SPX\.json: is damaged: {words} cannot be read; move it out"):
        Records(tmp_path)


@pytest.mark.parametrize("content", ["[]", "7", "null", '"text"'])
def test_a_record_that_is_no_object_is_named(tmp_path, content):
    Records(tmp_path)
    (tmp_path / "records" / "SPX.json").write_text(content)
    with pytest.raises(DataError, match=r"SPX\.json: is not a record of the pipeline"):
        Records(tmp_path)


def test_only_recent_fits_of_the_same_model_count_as_earlier(tmp_path):
    records = Records(tmp_path)
    common = {"file": "f", "config_hash": "0" * 64, "code_version": "1", "status": "converged"}
    for day, model, converged in (
        ("2024-05-01", "heston", True),
        ("2024-05-20", "heston", True),
        ("2024-05-21", "heston", False),
        ("2024-05-22", "bates", True),
    ):
        records.store(
            common | {"asset": "SPX", "timestamp": f"{day}T00:00:00Z", "model": model, "converged": converged}
        )
    found = records.before("SPX", "2024-05-23T00:00:00Z", "heston", 7.0)
    assert found is not None and found["timestamp"] == "2024-05-20T00:00:00Z"
    assert records.before("SPX", "2024-05-23T00:00:00Z", "heston", 2.0) is None
    assert records.before("DAX", "2024-05-23T00:00:00Z", "heston", 7.0) is None
    assert records.before("SPX", "", "heston", 7.0) is None


def test_a_record_from_the_future_or_without_fields_is_told(tmp_path):
    record = {"asset": "SPX", "timestamp": "2200-01-01T00:00:00Z", "file": "f", "config_hash": "0" * 64}
    record |= {"code_version": "1", "model": "heston", "status": "converged", "converged": True}
    metrics = Records(tmp_path).store(record | {"loss": float("nan")})
    assert metrics["write_failures"] == 0.0 and metrics["clock_skew_seconds"] > 1e9
    assert metrics["missing_fields"] == 11.0
    assert as_plain({"a": float("inf"), "b": (1, True)}) == {"a": None, "b": [1, True]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "sabr"}, r"model = 'sabr'"),
        ({"simpler": ["heston"]}, r"simpler = \['heston'\]: expected models other than heston"),
        (
            {"model": "piecewise_heston"},
            r"breakpoints = \[\]: expected times in years for the model piecewise",
        ),
        (
            {"bounds": {"intervals": {"xi": (0.1, 1.0)}}},
            "unknown parameter xi; expected parameters of the models: kappa",
        ),
        ({"prior": {"weights": {"xi": 1.0}}}, "unknown parameter xi"),
        ({"validation": {"folds": 1}}, "expected 0, or at least 2 folds"),
        ({"gates": {"playbooks": ["heston"], "fie": "x"}}, r"unknown key gates\.fie; accepted in \[gates\]"),
        (
            {"speed": 1},
            "unknown key speed; accepted in the file: data, filters, columns",
        ),
    ],
)
def test_a_wrong_configuration_is_one_clear_error(change, message):
    with pytest.raises(ArgumentError, match=message):
        CONFIG.replaced(**change)


def test_a_configuration_is_a_file_or_the_name_of_a_shipped_one(tmp_path):
    assert load_pipeline_config("configs/heston_index.toml").hash == CONFIG.hash
    own = tmp_path / "heston_index.toml"
    own.write_text('model = "bates"\n')
    assert load_pipeline_config(own).model == "bates"
    with pytest.raises(ArgumentError, match=r"none\.toml: cannot be read: No such file"):
        load_pipeline_config("none.toml")
    own.write_text(f'[gates]\nplaybooks = ["slv"]\nfile = {json.dumps(str(tmp_path / "g.toml"))}\n')
    with pytest.raises(DataError, match=r"g\.toml: cannot be read as limits"):
        _ = load_pipeline_config(own).limits


def test_the_hash_knows_limits_and_not_the_files(tmp_path):
    moved = CONFIG.replaced(data={"files": ["elsewhere"], "limit": 3})
    assert moved.hash == CONFIG.hash != CONFIG.replaced(loss={"weight": "spread"}).hash
    gates = tmp_path / "gates.toml"
    text = configuration("gates").read_text()
    gates.write_text(text.replace("at_most = 0.15", "at_most = 0.16", 1))
    assert CONFIG.replaced(gates={"file": str(gates)}).hash != CONFIG.hash


def test_the_shipped_configuration_states_every_key():
    import tomllib

    content = tomllib.loads(configuration("heston_index").read_text())
    shown = {key for key, value in content.items() if not isinstance(value, dict)}
    plain = PipelineConfig()
    tables = {key: set(value) for key, value in content.items() if isinstance(value, dict)}
    optional = {"breakpoints", "columns", "clock", "fx"}
    assert shown | set(tables) | optional == set(PipelineConfig.model_fields)
    assert set(plain.loss.model_dump()) == tables["loss"]
    assert set(plain.search.model_dump()) == tables["search"]


def test_records_of_different_underlyings_have_different_files(tmp_path):
    records = Records(tmp_path)
    common = {"timestamp": "2024-05-01T00:00:00Z", "file": "f", "config_hash": "0" * 64, "code_version": "1"}
    names = ["A/B", "AB", "../../AB", "A B"]
    for name in names:
        records.store({"asset": name, "model": "heston", "status": "refused", "converged": False} | common)
    assert sorted(record["asset"] for record in Records(tmp_path).all.values()) == sorted(names)
    assert [path.name for path in tmp_path.iterdir()] == ["records"]
