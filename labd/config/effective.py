"""The effective configuration: every key of a section, defaults included, as JSON-able data with SI values and UCUM units."""

from __future__ import annotations

import datetime
import enum
import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, get_args

from pydantic.fields import FieldInfo

from labd.config.quantity import Kind, Uncertain
from labd.config.section import Section, written_name
from labd.config.types import As, AsNamedBy


def effective_section(section: Section) -> dict[str, Any]:
    """`{"current": {"value": 0.15, "unit": "A"}, ...}`; an uncertain value also has `half_width`; keys as in the file."""
    values = {name: getattr(section, name) for name in type(section).model_fields}
    return {written_name(name, field): plain(values[name], _kind_of(field, values)) for name, field in type(section).model_fields.items()}


def plain(value: Any, kind: Kind | None = None) -> Any:
    """JSON-able form of anything a section or a free table holds; infinities and NaN, which JSON has not, become text."""
    match value:
        case Section():
            return effective_section(value)
        case Uncertain():
            return {"value": value.value, "half_width": value.half_width, "unit": kind.ucum if kind else "1"}
        case float() if kind is not None:
            return {"value": value, "unit": kind.ucum}
        case float() if not math.isfinite(value):
            return str(value)
        case Mapping():
            return {str(k): plain(v, kind) for k, v in value.items()}
        case tuple() | list():
            return [plain(v, kind) for v in value]
        case enum.Enum():
            return value.value
        case datetime.date() | datetime.time():
            return value.isoformat()
        case PurePath():
            return str(value)
    return value


def quantity_mark(field: FieldInfo) -> As | AsNamedBy | None:
    """How a field is marked as a quantity, also inside `... | None` and `tuple[..., ...]`."""
    found = next((m for m in field.metadata if isinstance(m, As | AsNamedBy)), None)
    return found or _mark_in(field.annotation)


def _mark_in(annotation: object) -> As | AsNamedBy | None:
    marks = [m for m in getattr(annotation, "__metadata__", ()) if isinstance(m, As | AsNamedBy)]
    if marks:
        return marks[0]
    return next((found for argument in get_args(annotation) if (found := _mark_in(argument))), None)


def _kind_of(field: FieldInfo, values: Mapping[str, Any]) -> Kind | None:
    match quantity_mark(field):
        case As(kind=kind):
            return kind
        case AsNamedBy() as named:
            return named.kind(dict(values))
    return None
