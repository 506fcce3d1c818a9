"""A card to fill in, and the schema of all kinds. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from labd.cards.kinds import KINDS, UNNAMED, AnyCard, Given
from labd.config.effective import quantity_mark
from labd.config.section import Section, section_types, written_name
from labd.config.types import As, Bytes

SCHEMA_ID = "urn:labd:schema:cards:1"
_HEAD = ("schema", "card", "name")
_LAST = ("unknown", "given")
_EXAMPLES = {bool: "false", int: "0", float: "0.0"}


def template(kind: str) -> str:
    """TOML with every key of a kind, commented out but for those that are required, each with what it means."""
    model = KINDS[kind]
    lines = [f"# {model.kind.removeprefix('a ').capitalize()}: {_first(model)}", "schema = 1", f'card = "{kind}"', f'name = "{UNNAMED}"']
    tables: list[str] = []
    last: list[str] = []
    for key, field in _fields(model):
        if key in _HEAD:
            continue
        if any(section_types(field.annotation)):
            tables += _table(key, field)
        else:
            (last if key in _LAST else lines).extend(_key(key, field))
    return "\n".join([*lines, *last, *tables]) + "\n"


def schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a card of any kind as its TOML parses, by its key `card`."""
    union: TypeAdapter[AnyCard] = TypeAdapter(AnyCard)
    made = union.json_schema(schema_generator=FileSchema, by_alias=True)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, "title": "labd card, version 1"}
    return {**head, **made}


class FileSchema(GenerateJsonSchema):
    """Quantities are text with a unit in a file; their own reader checks them."""

    def function_plain_schema(self, schema: core_schema.PlainValidatorFunctionSchema) -> JsonSchemaValue:
        return {"type": "string", "description": "a quantity with its unit"}

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        return {"type": ["integer", "string"]} if inner.get("type") == "integer" else {"type": "number"}


def _table(key: str, field: FieldInfo) -> Iterator[str]:
    (model,) = section_types(field.annotation)
    several = model is Given
    yield ""
    yield f"# {field.description}"
    yield f"# [[{key}]]" if several else f"[{key}]"
    for name, one in _fields(model):
        yield from _key(name, one)


def _key(key: str, field: FieldInfo) -> Iterator[str]:
    yield from textwrap.wrap(f"{key}: {field.description}", 130, initial_indent="# ", subsequent_indent="#   ")
    yield f"# {key} = {_example(field)}"


def _example(field: FieldInfo) -> str:
    mark = quantity_mark(field)
    if isinstance(mark, As):
        return f'"{mark.kind.example}"'
    if isinstance(field.default, str) and field.default:
        return f'"{field.default}"'
    for part in _parts(field.annotation):
        if get_origin(part) is Literal:
            return f'"{get_args(part)[0]}"'
        if part is Bytes:
            return '"64 kB"'
        if part in _EXAMPLES:
            return _EXAMPLES[part]
    return "[]" if any(get_origin(part) is tuple for part in _parts(field.annotation)) else '""'


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation, and what stands in it, but not inside lists."""
    yield annotation
    if get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _parts(part)
    elif get_origin(annotation) is Annotated:
        yield get_args(annotation)[0]


def _fields(model: type[Section]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield written_name(name, field), field


def _first(model: type[Section]) -> str:
    return (model.__doc__ or "").strip().split("\n")[0]
