"""Settings and fixtures of every test: double precision, strict shapes, a compilation cache that is kept."""

import importlib.metadata
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import jax
import pytest
from references import load_reference

from neutral.calibration import batch
from neutral.numerics.compiled import PROGRAMS

ROOT = Path(__file__).resolve().parent.parent
FAST_COMPILATION = (
    "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0"
    " --xla_cpu_parallel_codegen_split_count=1"
)
MAPS = Path("/proc/self/maps")
MOST_MAPS = 40_000  # of 65,530 that Linux grants a process: where they run out the compiler crashes

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update(
    "jax_compilation_cache_dir", os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(ROOT / ".cache" / "jax")
)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)

PROGRAMS.most = 256  # modules share programs, and `few_maps` drops them in time

hypothesis.settings.register_profile(
    "neutral", deadline=None, derandomize="CI" in os.environ, print_blob=True
)
hypothesis.settings.load_profile("neutral")


def pytest_configure(config: pytest.Config) -> None:
    """Compile quickly where jax still has its older code generator, but for the slow tests.

    The suite spends its time in the compiler, and these programs are as exact. `make slow`, and `.ci/run` on
    a newer Python, compile as users do; so does `XLA_FLAGS= make test`, in twice the time.
    """
    older = importlib.metadata.version("jaxlib").startswith("0.10.")
    if older and "not slow" in config.option.markexpr:
        os.environ.setdefault("XLA_FLAGS", FAST_COMPILATION)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests that pass wrong types on purpose where the runtime type checker would refuse them."""
    if config.getoption("jaxtyping_packages", None):
        mistyped = [item for item in items if item.get_closest_marker("mistyped")]
        config.hook.pytest_deselected(items=mistyped)
        items[:] = [item for item in items if item not in mistyped]


@pytest.fixture(scope="session")
def reference() -> Callable[[str], Any]:
    """`reference("heston")` is the list of records of tests/reference/heston.json."""
    return load_reference


@pytest.fixture(autouse=True, scope="module")
def few_maps() -> Iterator[None]:
    """Compiled programs go before the memory maps that they hold run out."""
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()
        batch.PROGRAMS.clear()
        PROGRAMS.clear()


@pytest.fixture
def key() -> jax.Array:
    """A random key, the same in every run."""
    return jax.random.key(20260115)


@pytest.fixture
def keys(key) -> Callable[[int], jax.Array]:
    """`keys(n)` are n independent random keys, the same in every run."""
    return lambda n: jax.random.split(key, n)


@pytest.fixture(scope="session")
def market_data() -> Path:
    """The folder of real market data, for the tests that need more than the shipped sample."""
    folder = os.environ.get("NEUTRAL_DATA")
    if not folder:
        pytest.skip("NEUTRAL_DATA is not set: it names the folder of market data")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"NEUTRAL_DATA={folder} is not a folder")
    return path


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium: playwright's own, or one of the system."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no browser: playwright is not installed")
    with playwright.sync_playwright() as running:
        own = Path(running.chromium.executable_path)
        found = own if own.exists() else shutil.which("chromium") or shutil.which("google-chrome")
        if not found:
            pytest.skip("no browser: neither playwright nor the system has a chromium")
        arguments = [
            "--no-sandbox",
            "--enable-unsafe-swiftshader",
        ]  # three dimensions without a graphics card
        started = running.chromium.launch(executable_path=found, args=arguments)
        yield started
        started.close()
