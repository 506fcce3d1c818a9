"""Frozen dataclasses to JSON data and back, strictly: unknown or missing keys and wrong types are refused."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import json
import math
import types
import typing
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from labd.errors import StoreError

T = TypeVar("T")


def to_json(value: object) -> Any:
    """JSON data (dict, list, str, int, float, bool, None) of a record, mapping or sequence.

    Raises StoreError for figures that are not finite and for types that have no JSON form.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return _scalar(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(to_json(item) for item in value)
    if isinstance(value, (datetime.date, datetime.datetime, datetime.time)):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        return to_json(value.item())
    raise StoreError(f"a {type(value).__name__} cannot be stored as JSON: {value!r}")


def dump(value: object) -> str:
    """Canonical JSON text: sorted keys, no blanks, floats that read back to the same bits."""
    return json.dumps(to_json(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def load(text: str, where: str) -> Any:
    """The data that `dump` wrote. Raises StoreError naming where the text stands."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{where} is no JSON that can be read: {error}") from error


def from_json(cls: type[T], data: object) -> T:
    """A record of class `cls` from the data `to_json` made. Raises StoreError naming the key that is wrong."""
    result: T = _value(cls, data, cls.__name__)
    return result


def _scalar(value: object) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        raise StoreError(f"{value} cannot be stored: a figure that is not finite has no value, say None and flag it")
    return value


@functools.cache
def _hints(cls: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _value(hint: Any, data: Any, where: str) -> Any:
    origin: Any = typing.get_origin(hint)
    if hint is Any:
        return data
    if origin is typing.Union or origin is types.UnionType:
        return _optional(hint, data, where)
    if origin is typing.Literal:
        if data not in typing.get_args(hint):
            raise StoreError(f"{where} is {data!r}, one of {', '.join(map(repr, typing.get_args(hint)))} is meant")
        return data
    if origin is tuple:
        return tuple(_value(typing.get_args(hint)[0], item, f"{where}[{k}]") for k, item in enumerate(_expect(list, data, where)))
    if origin is not None and issubclass(origin, Mapping):
        inner = typing.get_args(hint)[1]
        return {key: _value(inner, item, f"{where}.{key}") for key, item in _expect(dict, data, where).items()}
    if dataclasses.is_dataclass(hint):
        return _record(typing.cast("type[Any]", hint), data, where)
    return _plain(hint, data, where)


def _optional(hint: Any, data: Any, where: str) -> Any:
    inner = [arg for arg in typing.get_args(hint) if arg is not type(None)]
    if data is None and len(inner) < len(typing.get_args(hint)):
        return None
    return _value(inner[0], data, where)


def _record(cls: type[Any], data: Any, where: str) -> Any:
    given = dict(_expect(dict, data, where))
    fields = {field.name: field for field in dataclasses.fields(cls)}
    if unknown := sorted(given.keys() - fields.keys()):
        raise StoreError(f"{where} has no field {unknown[0]!r}")
    hints = _hints(typing.cast("Hashable", cls))
    values = {name: _value(hints[name], item, f"{where}.{name}") for name, item in given.items()}
    try:
        return cls(**values)
    except TypeError as error:
        raise StoreError(f"{where}: {error}") from error


def _plain(hint: Any, data: Any, where: str) -> Any:
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        try:
            return hint(data)
        except ValueError:
            raise StoreError(f"{where} is {data!r}, expected one of {', '.join(str(m.value) for m in hint)}") from None
    if hint is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    return _expect(hint, data, where)


def _expect(cls: type[T], data: object, where: str) -> T:
    if not isinstance(data, cls) or (cls is int and isinstance(data, bool)):
        raise StoreError(f"{where} is {data!r}, expected {cls.__name__}")
    return data
