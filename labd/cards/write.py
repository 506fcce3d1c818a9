"""A stored card as the text of a file that reads back as the same card. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from labd.cards.kinds import KINDS
from labd.config.effective import quantity_mark
from labd.config.quantity import write_quantity
from labd.config.section import Section, section_types, written_name
from labd.config.types import As


def written(card: Mapping[str, Any]) -> str:
    """TOML. Keys that no card of its kind has, such as hashes of files, are left out; so are those that say nothing."""
    model = KINDS[str(card["card"])]
    lines: list[str] = []
    tables: list[str] = []
    for key, field in _fields(model):
        value = card.get(key)
        inner = next(iter(section_types(field.annotation)), None)
        if inner is None:
            lines += _line(key, value, field)
        elif isinstance(value, Mapping):
            tables += ["", f"[{key}]", *_keys(value, inner)]
        else:
            tables += [line for one in value or () for line in ("", f"[[{key}]]", *_keys(one, inner))]
    return "\n".join([*lines, *tables]) + "\n"


def _fields(model: type[Section]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield written_name(name, field), field


def _keys(value: Mapping[str, Any], model: type[Section]) -> Iterator[str]:
    for key, field in _fields(model):
        yield from _line(key, value.get(key), field)


def _line(key: str, value: Any, field: FieldInfo) -> Iterator[str]:
    if value is None or value in ("", [], ()):
        return
    yield f"{key} = {_value(value, field)}"


def _value(value: Any, field: FieldInfo) -> str:
    mark = quantity_mark(field)
    if isinstance(value, Mapping) and isinstance(mark, As):
        return _text(write_quantity(float(value["value"]), mark.kind))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(str(one)) for one in value)}]"
    return _text(str(value))


def _text(text: str) -> str:
    """A basic string of TOML, whose escapes are those of JSON; DEL has to be escaped in one and not in the other."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
