"""`compiled`: functions with one program for all arguments of one shape, a limited number of which are kept.

Arrays and floating-point numbers in arguments are inputs of a program. Everything else in them (settings,
names, flags, integers of Python) belongs to the program. Programs that were not used for longest are dropped
first.
"""

import functools
import inspect
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Generic, ParamSpec, TypeVar

import equinox as eqx
import jax
import numpy as np

P = ParamSpec("P")
Result = TypeVar("Result")
Value = TypeVar("Value")

MOST_PROGRAMS = 64
"""The number of programs that stay in memory, of all functions of the package together: 2 to 4 GB at most."""


class Recent(Generic[Value]):
    """A dictionary of limited size, which drops what was not used for longest. Threads can share it."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def __len__(self) -> int:
        """Number of values."""
        return len(self._values)

    def keys(self) -> list[Hashable]:
        """The keys, those that were not used for longest first."""
        with self._lock:
            return list(self._values)

    def get(self, key: Hashable, make: Callable[[], Value]) -> tuple[Value, bool]:
        """Return the value of a key, and whether it was made for this call."""
        with self._lock:
            is_new = key not in self._values
            if is_new:
                self._values[key] = make()
            self._values.move_to_end(key)
            while len(self._values) > max(self.most, 1):
                self._values.popitem(last=False)
            return self._values[key], is_new

    def drop(self, key: Hashable) -> None:
        """Drop the value of a key, if there is one."""
        with self._lock:
            self._values.pop(key, None)

    def clear(self) -> None:
        """Drop all values."""
        with self._lock:
            self._values.clear()


PROGRAMS: Recent[Callable[..., Any]] = Recent(MOST_PROGRAMS)
"""The programs of all functions with `compiled`; JAX frees a program when it is dropped from here."""

Observer = Callable[[str], AbstractContextManager[Any]]
_observers: list[Observer] = []


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Enter a context of the observer during each compilation that takes seconds, with what is compiled."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


@contextmanager
def compiling(what: str) -> Iterator[None]:
    """Let the observers know that something is being compiled."""
    with ExitStack() as stack:
        for observer in tuple(_observers):
            stack.enter_context(observer(what))
        yield


class Call:
    """The arguments of a call, divided into the numbers, and all that belongs to a program."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        leaves, self._tree = jax.tree.flatten((args, kwargs))
        leaves = [np.asarray(x) if isinstance(x, float | complex) else x for x in leaves]
        self._is_number = [eqx.is_array(x) for x in leaves]
        self._fixed = [None if number else x for x, number in zip(leaves, self._is_number, strict=True)]
        self.numbers = [x for x, number in zip(leaves, self._is_number, strict=True) if number]

    @property
    def key(self) -> Hashable:
        """Equal for two calls that one program serves."""
        kinds = [(x.shape, x.dtype, getattr(x, "weak_type", False)) for x in self.numbers]
        fixed = [(type(x), x) for x in self._fixed]  # the type, because 1 == True
        return self._tree, tuple(kinds), tuple(fixed)

    def program(self, function: Callable[..., Any]) -> Any:
        """The function of the numbers alone, as `jax.jit` returns it; nothing is compiled yet."""
        tree = self._tree
        fixed = self._fixed
        is_number = self._is_number

        def of_numbers(numbers: list[Any]) -> Any:
            given = iter(numbers)
            leaves = [next(given) if number else x for x, number in zip(fixed, is_number, strict=True)]
            args, kwargs = jax.tree.unflatten(tree, leaves)
            return function(*args, **kwargs)

        of_numbers.__name__ = of_numbers.__qualname__ = getattr(function, "__name__", "program")
        return jax.jit(of_numbers)


class _Compiled:
    """A function that is compiled for each shape of its arguments."""

    def __init__(self, function: Callable[..., Any], what: str) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._what = what
        self._signature = inspect.signature(function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            bound = self._signature.bind(*args, **kwargs)
            args = bound.args
            kwargs = bound.kwargs
        call = Call(args, kwargs)
        program, is_new = PROGRAMS.get((self, call.key), lambda: call.program(self._function))
        if is_new and self._what:
            with compiling(self._what):
                return program(call.numbers)
        return program(call.numbers)

    def __get__(self, instance: object, owner: type | None = None) -> Callable[..., Any]:
        return self if instance is None else functools.partial(self, instance)


def compiled(function: Callable[P, Result]) -> Callable[P, Result]:
    """Compile a function with JAX, once for each shape of its arguments, as `jax.jit` does.

    Args:
        function: Takes pytrees. Arrays and plain floating-point numbers in them are inputs of the program;
            everything else in them has to be hashable, and belongs to the program. It returns a pytree of
            arrays.

    Returns:
        The function, which may be used under `jit`, `vmap` and `grad` too. Its programs share `PROGRAMS` with
        those of all other such functions.
    """
    return _Compiled(function, what="")


def compiled_as(what: str) -> Callable[[Callable[P, Result]], Callable[P, Result]]:
    """As `compiled`, for a function that takes seconds to compile; observers get the name `what`."""
    return lambda function: _Compiled(function, what)


def programs_of(function: Callable[..., Any]) -> int:
    """Number of programs in memory of a function with `compiled`."""
    return sum(isinstance(key, tuple) and key[0] is function for key in PROGRAMS.keys())
