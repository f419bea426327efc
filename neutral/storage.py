"""Saves models, quotes, surfaces and results as JSON, and loads them bit for bit."""

import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from . import durable, models, pricing
from .calibration import (
    AdamLBFGS,
    CalibrationResult,
    DifferentialEvolution,
    FellerPenalty,
    JumpMomentPenalty,
    LevenbergMarquardt,
    Loss,
    QuasiRandom,
    Search,
    Tikhonov,
)
from .calibration.coordinates import ModelCoordinates, ShiftedCoordinates
from .calibration.history import History
from .calibration.priors import Weights
from .calibration.problem import Setting
from .calibration.request import Request
from .errors import ArgumentError, DataError
from .models import AbstractModel
from .models.parameters import as_parameter
from .pricing.engines.base import AbstractEngine
from .quotes.surface import QuoteSurface
from .surfaces import ESSVI, SANOS, SSVI, SVI, ESSVIMixture, SanosFit, SurfaceFit, TimeChangedSurface

FORMAT = 3
Kind = TypeVar("Kind")
# format 2 has no digest; in format 1 results have no request and history, and Python numbers are arrays
READABLE = (1, 2, 3)
_MODELS = {
    name: cls
    for name, cls in vars(models).items()
    if isinstance(cls, type) and issubclass(cls, AbstractModel) and not name.startswith("Abstract")
}
_ENGINES = tuple(
    cls
    for name, cls in vars(pricing).items()
    if isinstance(cls, type) and issubclass(cls, AbstractEngine) and not name.startswith("Abstract")
)
_PARTS = (
    Request,
    Setting,
    ModelCoordinates,
    ShiftedCoordinates,
    Loss,
    LevenbergMarquardt,
    AdamLBFGS,
    Search,
    QuasiRandom,
    DifferentialEvolution,
    Tikhonov,
    FellerPenalty,
    JumpMomentPenalty,
    History,
    *_ENGINES,
)
_OTHERS = (
    QuoteSurface,
    CalibrationResult,
    ESSVI,
    ESSVIMixture,
    SANOS,
    SSVI,
    SVI,
    SurfaceFit,
    SanosFit,
    TimeChangedSurface,
)
_SAVED: dict[str, type] = _MODELS | {cls.__name__: cls for cls in _OTHERS}
_TYPES: dict[str, type] = _SAVED | {cls.__name__: cls for cls in _PARTS}


def save(obj: Any, path: str | os.PathLike[str]) -> None:
    """Write an object to a JSON file, whole or not at all.

    Args:
        obj: A model of this package, a `QuoteSurface`, a `CalibrationResult`, an `ESSVI`, `ESSVIMixture`,
            `SANOS`, `SSVI`, `SVI` or `TimeChangedSurface`, or the fit of a surface. A result is saved without
            its `request` if that contains an engine, a loss, a prior or a solver that is not of this package.
        path: The file to write; an existing file is replaced.

    Raises:
        ArgumentError: Objects of this type cannot be saved, or the call is inside a JAX transformation.
        WriteError: The disk is full, or writing is not allowed.
    """
    text = json.dumps(durable.sealed({"format": FORMAT, "object": _encode(obj)}), indent=1)
    durable.write_text(Path(path), text + "\n")


def load(path: str | os.PathLike[str]) -> Any:
    """Read an object that `save` wrote; every number comes back bit for bit.

    Args:
        path: The file to read.

    Returns:
        An object of the class that was saved.

    Raises:
        DataError: The file cannot be read, is damaged, or has a format that cannot be read.
    """
    with _damage(path):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        form = content["format"]
    if form not in READABLE:
        accepted = " or ".join(map(str, READABLE))
        raise DataError(f"{path}: format {form!r} cannot be read; expected {accepted}.")
    durable.check_seal(Path(path), content, required=form == FORMAT)
    with _damage(path):
        return _decode(content["object"])


@contextmanager
def _damage(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what a damaged file raises into a message that names the file.

    Raises:
        DataError: The body of the `with` statement raised an error.
    """
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: the file cannot be read: {error.strerror or error}.") from error
    except durable.DAMAGE as error:
        detail = " ".join(str(error).split())  # JAX's own messages have several lines
        raise DataError(f"{path}: was not written by neutral.save, or is damaged: {detail}") from error


def _encode(x: Any) -> Any:
    """Encode an object as a dictionary for JSON; its keys state what kind of object it is."""
    if _TYPES.get(type(x).__name__) is type(x):
        return {"type": type(x).__name__, "fields": _fields(x)}
    if isinstance(x, type) and _MODELS.get(x.__name__) is x:
        return {"class": x.__name__}
    if isinstance(x, Tracer):
        raise ArgumentError("Arrays have no values in a JAX transformation; call neutral.save outside of it.")
    if isinstance(x, jax.Array | np.ndarray | np.generic):
        array = np.asarray(x)
        return {"dtype": str(array.dtype), "shape": list(array.shape), "data": array.ravel().tolist()}
    if isinstance(x, bool | int | float):
        return {"number": x}
    if x is None:
        return {"none": True}
    if isinstance(x, str):
        return {"text": x}
    if isinstance(x, tuple):
        return {"items": [_encode(item) for item in x]}
    if isinstance(x, Weights):
        return {"weights": dict(x)}
    raise ArgumentError(
        f"Got {type(x).__name__}; only {', '.join(sorted(_SAVED))} of this package can be saved. "
        "Save the parameters of a custom model with equinox.tree_serialise_leaves, for example."
    )


def _fields(x: Any) -> dict[str, Any]:
    """Encode the fields of an object; numbers that are fixed at compile time become plain Python numbers."""
    encoded = {}
    for field in dataclasses.fields(x):
        value = getattr(x, field.name)
        if field.metadata.get("static", False) and isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, Request):
            encoded[field.name] = _encode_request(value)
        else:
            encoded[field.name] = _encode(value)
    return encoded


def _encode_request(request: Request) -> Any:
    """Encode the request of a result, or None if a part of it is not of this package."""
    try:
        return _encode(request)
    except ArgumentError:
        return _encode(None)


def _decode(x: Any, typed: bool = True) -> Any:
    """Decode an object that `_encode` encoded.

    Args:
        x: The dictionary.
        typed: Whether a model is built by its constructor, with its checks. A model inside another object may
            have leading axes, which the checks do not accept.
    """
    if "none" in x:
        return None
    for kind in ("text", "number"):
        if kind in x:
            return x[kind]
    if "items" in x:
        return tuple(_decode(item, typed) for item in x["items"])
    if "class" in x:
        return _MODELS[x["class"]]
    if "weights" in x:
        return Weights(x["weights"])
    if "type" not in x:
        return _array(np.asarray(x["data"], x["dtype"]).reshape(x["shape"]))
    if x["type"] not in _TYPES:
        raise DataError(f"type {x['type']!r} cannot be read; expected one of {', '.join(sorted(_SAVED))}.")
    cls = _TYPES[x["type"]]
    checked = typed and x["type"] in _MODELS
    fields = {name: _decode(value, checked) for name, value in x["fields"].items()}
    return cls(**fields) if checked else _unchecked(cls, fields)


def _array(x: np.ndarray) -> Any:
    """Return an array of JAX, or of numpy where JAX would halve its precision."""
    if np.issubdtype(x.dtype, np.floating):
        return as_parameter(x)
    return jnp.asarray(x) if jax.config.jax_enable_x64 else x  # pyright: ignore[reportAttributeAccessIssue]


def _unchecked(cls: type[Kind], fields: dict[str, Any]) -> Kind:
    """Create an object from its fields, or their defaults, without the checks of its constructor."""
    instance = object.__new__(cls)
    for field in dataclasses.fields(cls):  # pyright: ignore[reportArgumentType]
        value = fields.get(field.name, field.default)
        if value is dataclasses.MISSING:
            raise DataError(f"{cls.__name__} without its {field.name} cannot be read.")
        object.__setattr__(instance, field.name, value)
    return instance
