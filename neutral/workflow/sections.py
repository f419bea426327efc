"""Sections of configuration files: how they are checked, and how what is wrong is explained."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, Tag

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A table of the file: no unknown keys, finite numbers, no conversion of one type to another."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True, frozen=True)


def explained(document: type[Section], wrong: "ErrorDetails") -> str:
    """One line on something that is wrong: the key, what came and what is accepted."""
    where = [str(step) for step in wrong["loc"]] or [""]
    *table, key = [name for name, _ in _steps(document, where)]
    if wrong["type"] == "extra_forbidden":
        *_, (_, section) = [("", document), *_steps(document, where[:-1])]
        accepted = ", ".join(section.model_fields)
        return f"unknown key {'.'.join([*table, key])}; accepted in {_named(table)}: {accepted}"
    cause = wrong.get("ctx", {}).get("error") or wrong["msg"]
    name = ".".join([*table, key])
    return f"{name} = {wrong['input']!r}: {cause}" if name else str(cause)


def _steps(section: object, where: Sequence[str]) -> Iterator[tuple[str, object]]:
    """Keys on the way to a place, each with the section that it opens; tags are no keys."""
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
    """Sections by tag where a key takes one of several."""
    tagged = [get_args(one) for one in get_args(section) if get_origin(one) is Annotated]
    return {tag.tag: kind for kind, *notes in tagged for tag in notes if isinstance(tag, Tag)}


def _named(table: list[str]) -> str:
    return f"[{'.'.join(table)}]" if table else "the file"
