"""Defines how sections of configuration files are checked, and explains their errors."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, Tag, model_serializer

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
LONGEST_VALUE = 100  # characters of a value that a message shows
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A table of a configuration file. Unknown keys, nan, inf and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True, frozen=True)

    LATER: ClassVar[frozenset[str]] = frozenset()
    """Keys that were added after results had been stored. They are left out of the content while they have
    their defaults, so that the hash of an older configuration stays."""

    @model_serializer(mode="wrap")
    def _stated(self, serialise: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        content = serialise(self)
        fields = type(self).model_fields
        unchanged = {key for key in self.LATER if getattr(self, key) == fields[key].default}
        return {key: value for key, value in content.items() if key not in unchanged}


def explained(document: type[Section], error: "ErrorDetails") -> str:
    """Explain an error in one line, with the key, its value and what is accepted."""
    where = [str(step) for step in error["loc"]] or [""]
    *table, key = [name for name, _ in _steps(document, where)]
    if error["type"] == "extra_forbidden":
        *_, (_, section) = [("", document), *_steps(document, where[:-1])]
        accepted = ", ".join(section.model_fields)
        return f"unknown key {'.'.join([*table, key])}; accepted in {_named(table)}: {accepted}"
    cause = error.get("ctx", {}).get("error") or error["msg"]
    name = ".".join([*table, key])
    value = repr(error["input"])
    shown = value if len(value) <= LONGEST_VALUE else f"{value[:LONGEST_VALUE]}..."
    return f"{name} = {shown}: {cause}" if name else str(cause)


def _steps(section: object, where: Sequence[str]) -> Iterator[tuple[str, object]]:
    """Yield the keys of a location, each with the section that it opens; pydantic's tags are not keys."""
    name = ""
    for step in where:
        kinds = _kinds(section)
        if step in kinds:
            section = kinds[step]
            continue
        if name:
            yield name, section
        name = step
        fields = getattr(section, "model_fields", {})
        section = fields[step].annotation if step in fields else None
    yield name, section


def _kinds(section: object) -> dict[str, object]:
    """Return the sections by tag if a key accepts one of several sections."""
    tagged = [get_args(part) for part in get_args(section) if get_origin(part) is Annotated]
    return {tag.tag: kind for kind, *notes in tagged for tag in notes if isinstance(tag, Tag)}


def _named(table: list[str]) -> str:
    return f"[{'.'.join(table)}]" if table else "the file"
