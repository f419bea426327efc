"""Names of kinds and settlements of options, as people write them."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from jax.core import Tracer

from ..errors import ArgumentError
from ..typing import Flags, Values

Settlement = Literal["cash", "coin"]
Kind = Literal["call", "put"] | Values
KINDS: Mapping[str, str] = {
    "c": "call",
    "call": "call",
    "calls": "call",
    "ce": "call",
    "p": "put",
    "put": "put",
    "puts": "put",
    "pe": "put",
}
"""Names of kinds in small letters, without blanks around them; CE and PE are those of Indian exchanges."""


def call_flags(kind: Kind) -> Flags:
    """Convert kinds of options to booleans; a traced array is returned as it is.

    Args:
        kind: Text of `KINDS` in capital or small letters, such as "call" or "P", or booleans that are True
            for calls; of any shape.

    Returns:
        True for calls; shape of `kind`.

    Raises:
        ArgumentError: An entry is neither; the message names it.
    """
    if isinstance(kind, Tracer):
        return kind
    flags = np.asarray(kind)
    if flags.dtype == bool:
        return flags
    entries = flags.ravel().tolist()
    names = {**KINDS, "true": "call", "false": "put"}
    kinds = [names.get(str(x).strip().lower()) for x in entries]
    wrong = [x for x, name in zip(entries, kinds, strict=True) if name is None]
    if wrong:
        raise ArgumentError(
            f"kind must be 'call', 'put' or booleans (True = call), got {wrong[0]!r} in {len(wrong)} of "
            f"{len(entries)} entries."
        )
    return np.asarray([name == "call" for name in kinds], bool).reshape(flags.shape)
