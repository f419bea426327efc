"""The settings of JAX that `enable_x64` changes, and the error in a process forked after a computation."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

import neutral as nt


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_after_use_ends_with_an_error():
    assert nt.price(nt.Black(0.2), 100.0, 100.0, 1.0) > 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX and Python warn of the fork as well
        child = os.fork()
    if child == 0:
        try:
            nt.price(nt.Black(0.2), 100.0, 100.0, 1.0)
            os._exit(1)
        except nt.ForkError as error:
            os._exit(0 if "get_context('spawn')" in str(error) else 2)
        finally:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


SESSION = """
import os, sys
import jax
before = dict(jax.config.values)
import neutral
assert dict(jax.config.values) == before  # the import changes nothing
print(neutral.enable_x64({call}))
neutral.implied_vol(9.0, 100.0, 100.0, 1.0)
"""


def session(tmp_path, call="", **environment):
    """The last line that a new process prints, and its errors; its home is `tmp_path`."""
    kept = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", SESSION.format(call=call)],
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return (done.stdout.splitlines() or [""])[-1], done.stderr


def programs_in(folder):
    return sorted(path.name for path in folder.glob("*_black_vol*-cache"))


@pytest.mark.slow
def test_programs_are_kept_in_a_folder(tmp_path):
    """A path wins over the variable of JAX, which wins over the user's folder of caches."""
    folder, errors = session(tmp_path, "cache=True")
    assert Path(folder) == tmp_path / ".cache" / "neutral" / "jax", errors
    assert Path(folder).stat().st_mode & 0o077 == 0 and programs_in(Path(folder))
    jax_folder = tmp_path / "of_jax"
    folder, _ = session(tmp_path, "cache=True", JAX_COMPILATION_CACHE_DIR=str(jax_folder))
    assert Path(folder) == jax_folder and programs_in(jax_folder)
    folder, _ = session(tmp_path, "cache='~/mine'", JAX_COMPILATION_CACHE_DIR=str(jax_folder))
    assert Path(folder) == tmp_path / "mine" and programs_in(Path(folder))


@pytest.mark.slow
def test_without_cache_nothing_is_written(tmp_path):
    assert session(tmp_path) == ("None", "")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """A session in which nobody has chosen a folder; the settings of the tests come back."""
    name = "jax_compilation_cache_dir"
    before = jax.config.values[name]
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    jax.config.update(name, None)
    yield
    jax.config.update(name, before)
    compilation_cache.reset_cache()


def test_the_folder_is_that_of_the_path_of_jax_or_of_the_user(settings, monkeypatch, tmp_path):
    assert nt.enable_x64(cache=False) is None and jax.config.values["jax_compilation_cache_dir"] is None
    assert nt.enable_x64(cache=True) == str(tmp_path / ".cache" / "neutral" / "jax")
    assert (tmp_path / ".cache" / "neutral" / "jax").stat().st_mode & 0o077 == 0
    assert nt.enable_x64(cache="~/mine") == str(tmp_path / "mine")
    assert nt.enable_x64(cache=True) == str(tmp_path / "mine")  # the folder of the session stays
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert nt.enable_x64(cache=True) == str(tmp_path / "caches" / "neutral" / "jax")
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "of_jax"))
    assert nt.enable_x64(cache=True) == str(tmp_path / "of_jax")
    jax.config.update("jax_compilation_cache_dir", "gs://bucket/programs")
    assert nt.enable_x64(cache=True) == "gs://bucket/programs"


@pytest.mark.mistyped
@pytest.mark.parametrize("cache", ["", 1, None, ["folder"]])
def test_another_value_of_cache_is_refused(cache):
    with pytest.raises(nt.ArgumentError, match="must be True, False or the path of a folder"):
        nt.enable_x64(cache)


def test_a_folder_that_cannot_be_used_is_named(settings, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("no folder")
    with pytest.raises(nt.ArgumentError, match=f"cannot be kept in {file}/jax: Not a directory; set JAX_"):
        nt.enable_x64(cache=file / "jax")
    monkeypatch.setattr("neutral.precision._fault_of", lambda folder: "Read-only file system")
    with pytest.warns(UserWarning, match="Read-only file system; set JAX_COMPILATION_CACHE_DIR"):
        assert nt.enable_x64(cache=True) is None
