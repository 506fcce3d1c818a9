"""A section: the frozen model of one table of a file, which can say what its own keys contradict."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Wrong:
    """One problem: the path of the key to change, relative to the section that reports it, and what would be right."""

    key: str
    text: str

    def under(self, path: str) -> Wrong:
        return Wrong(".".join(part for part in (path, self.key) if part), self.text)


class Section(BaseModel):
    """Every table of a file. Unknown keys are refused; quantities are SI floats."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def wrong(self) -> Iterator[Wrong]:
        """What the keys of this table contradict among themselves (each key by itself is already right)."""
        yield from ()


def written_name(name: str, field: FieldInfo) -> str:
    """A field's key as it stands in the file (`from` is no Python name)."""
    return field.alias or name


def key_path(location: Sequence[int | str]) -> str:
    """`("accuracy", 2, "range")` as `accuracy[2].range`; keys that TOML wants quoted are quoted."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{bare_or_quoted(part)}"
    return path.removeprefix(".")


def bare_or_quoted(key: str) -> str:
    if _BARE_KEY.fullmatch(key) and len(key) <= 60:
        return key
    return '"' + "".join(c if c.isprintable() and c != '"' else f"\\u{ord(c):04x}" for c in key[:60]) + '"'


def every_wrong(section: Section) -> Iterator[Wrong]:
    """What the section and the sections below it contradict, with paths relative to it."""
    yield from section.wrong()
    for name, field in type(section).model_fields.items():
        for path, below in _sections_in(getattr(section, name), written_name(name, field)):
            for wrong in every_wrong(below):
                yield wrong.under(path)


def section_types(annotation: object) -> Iterator[type[Section]]:
    """The section types inside an annotation such as `tuple[Row, ...] | None`."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        if issubclass(annotation, Section):
            yield annotation
        return
    for argument in get_args(annotation):
        yield from section_types(argument)


def _sections_in(value: Any, path: str) -> Iterator[tuple[str, Section]]:
    if isinstance(value, Section):
        yield path, value
    elif isinstance(value, Mapping):
        for key, below in value.items():
            yield from _sections_in(below, f"{path}.{bare_or_quoted(str(key))}")
    elif isinstance(value, tuple):
        for index, below in enumerate(value):
            yield from _sections_in(below, f"{path}[{index}]")
