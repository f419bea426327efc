"""Compiled programs of batches: each is compiled once per shape, before its first use if needed."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future

import equinox as eqx
import jax
from jax.sharding import PartitionSpec as P

from .lane import solve_lanes
from .request import Lane, Request
from .result import CalibrationResult

Program = Callable[[Request, Lane], CalibrationResult]


@eqx.filter_jit
def solve_chunk(request: Request, lanes: Lane) -> CalibrationResult:
    """Run `solve_lanes` on a chunk, which is divided among all devices."""
    devices = jax.device_count()
    together = jax.default_backend() != "cpu"
    if devices == 1:
        return solve_lanes(request, lanes, together)
    mesh = jax.make_mesh((devices,), ("lanes",), axis_types=(jax.sharding.AxisType.Auto,))
    numbers, fixed = eqx.partition(request, eqx.is_array)
    share = jax.shard_map(
        lambda numbers, lanes: solve_lanes(eqx.combine(numbers, fixed), lanes, together),
        mesh=mesh,
        in_specs=(P(), P("lanes")),
        out_specs=P("lanes"),
        check_vma=False,
    )
    return share(numbers, lanes)


class Programs:
    """A cache of compiled programs, by everything fixed at compile time and by the shapes of all arrays.

    Threads can share it: one thread compiles a program, and others that need it wait. The programs stay until
    `clear` is called, independently of JAX's own caches.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._programs: dict[Hashable, Future[Program]] = {}

    def __len__(self) -> int:
        """Number of programs that are compiled or being compiled."""
        return len(self._programs)

    def prepare(self, request: Request, lanes: Lane) -> Program:
        """Compile the program of a chunk without running it, or take it from the cache.

        Args:
            request: The calibration, as `Request.shared` returns it.
            lanes: A chunk of surfaces, on the host; only shapes and types matter.

        Returns:
            The program.
        """
        key = _key(request, lanes)
        with self._lock:
            future = self._programs.get(key)
            is_first = future is None
            if future is None:
                future = Future()
                self._programs[key] = future
        if is_first:
            self._compile(key, future, request, lanes)
        return future.result()

    def __call__(self, request: Request, lanes: Lane) -> CalibrationResult:
        """Results of a chunk, on the device; the program is compiled first unless it is in the cache."""
        return self.prepare(request, lanes)(request, lanes)

    def clear(self) -> None:
        """Remove all programs from the cache, which frees their memory."""
        with self._lock:
            self._programs.clear()

    def _compile(self, key: Hashable, future: Future[Program], request: Request, lanes: Lane) -> None:
        try:
            lowered = solve_chunk.lower(request, lanes)  # pyright: ignore[reportFunctionMemberAccess]
            future.set_result(lowered.compile())
        except BaseException as error:
            with self._lock:
                self._programs.pop(key, None)  # the next call tries again
            future.set_exception(error)


def _key(request: Request, lanes: Lane) -> Hashable:
    """The key of a program in the cache, which is equal for any two chunks that one program serves."""
    leaves, tree = jax.tree.flatten((request, lanes))
    return (tree, *((x.shape, x.dtype) if eqx.is_array(x) else x for x in leaves))
