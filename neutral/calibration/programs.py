"""Compiled programs of batches: each is compiled once per shape, before its first use if needed."""

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

import equinox as eqx
import jax
from jax.sharding import PartitionSpec as P

from ..numerics.compiled import Call, Recent, compiling
from ..numerics.packing import Packed
from .lane import solve_lanes
from .request import Lane, Request
from .result import CalibrationResult

MOST_BATCH_PROGRAMS = 32
"""The number of programs of batches that a cache keeps by default."""


def solve_chunk(request: Request, packed: Packed[Lane]) -> Packed[CalibrationResult]:
    """Run `solve_lanes` on a chunk, which is divided among all devices."""
    return Packed.of(_solve(request, packed.tree()), axes=1)


def _solve(request: Request, lanes: Lane) -> CalibrationResult:
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
    `clear` is called, independently of JAX's own caches, or until `most` other programs were used later.
    """

    def __init__(self, most: int = MOST_BATCH_PROGRAMS) -> None:
        self._programs: Recent[Future[Callable[[list[Any]], Packed[CalibrationResult]]]] = Recent(most)

    def __len__(self) -> int:
        """Number of programs that are compiled or being compiled."""
        return len(self._programs)

    def prepare(self, request: Request, lanes: Packed[Lane]) -> None:
        """Compile the program of a chunk without running it, unless it is in the cache.

        Args:
            request: The calibration, as `Request.shared` returns it.
            lanes: A chunk of surfaces, on the host; only shapes and types matter.
        """
        self._program(Call((request, lanes), {}), request)

    def program(
        self, request: Request, lanes: Packed[Lane]
    ) -> Callable[[Packed[Lane]], Packed[CalibrationResult]]:
        """Return the program of chunks, with results on the device; it is compiled unless it is in the cache.

        Args:
            request: The calibration, as `Request.shared` returns it.
            lanes: A chunk of surfaces, on the host; the program serves all of its shape.
        """
        call = Call((request, lanes), {})
        run = self._program(call, request)
        of_request = call.numbers[: len(call.numbers) - len(lanes.arrays)]
        return lambda chunk: run([*of_request, *jax.tree.leaves(chunk)])

    def clear(self) -> None:
        """Remove all programs from the cache, which frees their memory."""
        self._programs.clear()

    def _program(self, call: Call, request: Request) -> Callable[[list[Any]], Packed[CalibrationResult]]:
        """Take a program from the cache, or compile it."""
        key = call.key
        future, is_new = self._programs.get(key, Future)
        if is_new:
            self._compile(key, future, call, request)
        return future.result()

    def _compile(self, key: Hashable, future: Future[Any], call: Call, request: Request) -> None:
        try:
            with compiling(request.setting.coordinates.label):
                future.set_result(call.program(solve_chunk).lower(call.numbers).compile())
        except BaseException as error:
            self._programs.drop(key)  # the next call tries again
            future.set_exception(error)
