"""Save and load: models, quotes, surfaces and results as JSON, read back bit for bit."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from . import durable, models
from .calibration import CalibrationResult
from .errors import ArgumentError, DataError
from .models import AbstractModel
from .models.parameters import as_parameter
from .quotes.surface import QuoteSurface
from .surfaces import ESSVI, SANOS, SSVI, SVI, ESSVIMixture, SanosFit, SurfaceFit

FORMAT = 1
_MODELS = {
    name: cls
    for name, cls in vars(models).items()
    if isinstance(cls, type) and issubclass(cls, AbstractModel) and not name.startswith("Abstract")
}
_OTHERS = (QuoteSurface, CalibrationResult, ESSVI, ESSVIMixture, SANOS, SSVI, SVI, SurfaceFit, SanosFit)
_TYPES: dict[str, Any] = _MODELS | {cls.__name__: cls for cls in _OTHERS}


def save(obj: Any, path: str | os.PathLike[str]) -> None:
    """Write an object to a JSON file, whole or not at all.

    Args:
        obj: A model of this package, a `QuoteSurface`, a `CalibrationResult`, an `ESSVI`, `ESSVIMixture`,
            `SANOS`, `SSVI` or `SVI`.
        path: File to write; replaced if it exists.

    Raises:
        ArgumentError: objects of this type cannot be stored.
        WriteError: the disk is full, or writing is not allowed.
    """
    text = json.dumps({"format": FORMAT, "object": _encode(obj)}, indent=1)
    durable.write_text(Path(path), text + "\n")


def load(path: str | os.PathLike[str]) -> Any:
    """Read an object that `save` wrote; every number comes back bit for bit.

    Raises:
        DataError: the file is not of this format, or damaged.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise DataError(f"{path}: format {content['format']!r} is not known here, {FORMAT} is.")
        return _decode(content["object"])
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} was not written by neutral.save, or is damaged: {error}") from error


def _encode(x: Any) -> Any:
    if type(x).__name__ in _TYPES and type(x) is _TYPES[type(x).__name__]:
        fields = {f.name: _encode(getattr(x, f.name)) for f in dataclasses.fields(x)}
        return {"type": type(x).__name__, "fields": fields}
    if isinstance(x, Tracer):
        raise ArgumentError("Inside a jax transformation there are no numbers to save; save outside of it.")
    if isinstance(x, jax.Array | np.ndarray | np.generic | float | int):
        array = np.asarray(x)
        return {"dtype": str(array.dtype), "shape": list(array.shape), "data": array.ravel().tolist()}
    if x is None:
        return {"none": True}
    if isinstance(x, str):
        return {"text": x}
    if isinstance(x, tuple):
        return {"items": [_encode(item) for item in x]}
    raise ArgumentError(
        f"Only the package's own {', '.join(sorted(_TYPES))} can be saved, got {type(x).__name__}; "
        "keep the parameters of a model of your own, for example with equinox.tree_serialise_leaves."
    )


def _decode(x: Any, typed: bool = True) -> Any:
    """The object; models inside of others may have leading axes and are not checked as typed ones."""
    if "none" in x:
        return None
    if "text" in x:
        return x["text"]
    if "items" in x:
        return tuple(_decode(item, typed) for item in x["items"])
    if "type" not in x:
        return as_parameter(np.asarray(x["data"], x["dtype"]).reshape(x["shape"]))
    if x["type"] not in _TYPES:
        raise DataError(f"Type {x['type']!r} is not known; known are {', '.join(sorted(_TYPES))}.")
    cls, inner = _TYPES[x["type"]], typed and x["type"] in _MODELS
    fields = {name: _decode(value, inner) for name, value in x["fields"].items()}
    return cls(**fields) if inner else _unchecked(cls, fields)


def _unchecked(cls: type, fields: dict[str, Any]) -> Any:
    """An object from its stored fields, which may have leading axes, without the checks of typed numbers."""
    obj = object.__new__(cls)
    for name, value in fields.items():
        object.__setattr__(obj, name, value)
    return obj
