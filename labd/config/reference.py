"""The keys of a file as a Markdown reference, made from its section model."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from labd.config.effective import quantity_mark
from labd.config.quantity import Uncertain, write_quantity, write_uncertain
from labd.config.section import Section, section_types, written_name
from labd.config.types import As, AsNamedBy


def reference(model: type[Section], title: str, intro: str) -> str:
    """A page with one table of keys a section, in the file's order."""
    parts = [f"# {title}", intro]
    for path, section in _sections(model, ""):
        heading = f"## `{path}`" if path else "## Top level"
        parts += [heading, *([_sentence(section)] if path else []), _table(section)]
    return "\n\n".join(parts) + "\n"


def _sections(model: type[Section], path: str) -> Iterator[tuple[str, type[Section]]]:
    yield path, model
    for name, field in model.model_fields.items():
        for below in section_types(field.annotation):
            key = f"{path.strip('[]')}.{written_name(name, field)}".removeprefix(".")
            yield from _sections(below, _table_header(key, field))


def _table_header(key: str, field: FieldInfo) -> str:
    if _plain_origin(field.annotation) is tuple:
        return f"[[{key}]]"
    return f"[{key}.NAME]" if _plain_origin(field.annotation) is Mapping else f"[{key}]"


def _plain_origin(annotation: object) -> object:
    """The container of an annotation, looking through `... | None`."""
    arguments = [a for a in get_args(annotation) if a is not type(None)]
    if get_origin(annotation) in (Union, UnionType) and len(arguments) == 1:
        return _plain_origin(arguments[0])
    origin = get_origin(annotation)
    return Mapping if isinstance(origin, type) and issubclass(origin, Mapping) else origin


def _sentence(section: type[Section]) -> str:
    return (section.__doc__ or "").strip().split("\n")[0]


def _table(section: type[Section]) -> str:
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for name, field in section.model_fields.items():
        if not any(section_types(field.annotation)):
            rows.append(f"| `{written_name(name, field)}` | {_holds(field)} | {_default(field)} | {field.description or ''} |")
    return "\n".join(rows)


def _holds(field: FieldInfo) -> str:
    listed = "list of " if _plain_origin(field.annotation) is tuple else ""
    return listed + (_quantity(field) or _word(field.annotation))


def _quantity(field: FieldInfo) -> str:
    match quantity_mark(field):
        case As() as mark:
            spread = ", may have `+-`" if mark.uncertain else ""
            limits = f", {mark.range}" if mark.range and mark.range != f"above {write_quantity(0.0, mark.kind)}" else ""
            return f"{mark.kind.name} such as `{mark.kind.example}`{limits}{spread}"
        case AsNamedBy() as named:
            return f"quantity of the kind that `{named.key}` names"
    return ""


def _word(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(f'`"{a}"`' if isinstance(a, str) else f"`{a}`" for a in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return ", ".join(f'`"{member.value}"`' for member in annotation)
    if _plain_origin(annotation) is Mapping:
        return "table"
    inner = [a for a in get_args(annotation) if a not in (type(None), Ellipsis)]
    if inner:
        return _word(inner[0])
    return {"str": "text", "bool": "`true` or `false`", "int": "whole number", "float": "number", "date": "date, without quotes"}[
        annotation.__name__
    ]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True) if field.default_factory is None else {}
    if value is PydanticUndefined or value in (None, "", (), {}):
        return "-"
    mark = quantity_mark(field)
    return ", ".join(f"`{_written(item, mark)}`" for item in (value if isinstance(value, tuple) else (value,)))


def _written(value: Any, mark: As | AsNamedBy | None) -> str:
    if isinstance(mark, As):
        return write_uncertain(value, mark.kind) if isinstance(value, Uncertain) else write_quantity(value, mark.kind)
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)
