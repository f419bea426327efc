"""How many programs are compiled: what a test compares that must compile nothing new."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax

from neutral.numerics.compiled import programs_of

COMPILATION = "/jax/core/compile/backend_compile_duration"


def programs(function: Callable[..., Any]) -> int:
    """Number of programs in memory of a function of the package with `compiled`."""
    return programs_of(function)


@contextmanager
def compilations() -> Iterator[list[str]]:
    """The names of all programs that JAX compiles in the context, or reads from its cache on the disk."""
    names: list[str] = []

    def listen(event: str, duration: float, **about: Any) -> None:
        if event == COMPILATION:
            names.append(str(about["fun_name"]).removeprefix("jit(").removesuffix(")"))

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield names
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
