"""Reads a driver's options from a mapping into its frozen dataclass, with errors that name the key and what would be right."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from labd_instruments.errors import OutOfRangeError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """One option as help and the bench file's commentary show it."""

    name: str
    type: str
    default: object
    sentence: str
    choices: tuple[object, ...] = ()


def option(default: Any, sentence: str, *, choices: tuple[object, ...] = (), low: float | None = None, high: float | None = None) -> Any:
    """A dataclass field with what a user must know about it."""
    return dataclasses.field(default=default, metadata={"sentence": sentence, "choices": choices, "low": low, "high": high})


def describe(options: type) -> tuple[OptionInfo, ...]:
    """What an Options dataclass offers."""
    hints = typing.get_type_hints(options)
    return tuple(
        OptionInfo(f.name, _type_name(hints[f.name]), f.default, f.metadata.get("sentence", ""), f.metadata.get("choices", ()))
        for f in dataclasses.fields(options)
    )


def read(options: type[T], given: Mapping[str, object], name: str) -> T:
    """An instance of the frozen dataclass `options` from what the bench file gives. Raises OutOfRangeError naming the key."""
    fields = {f.name: f for f in dataclasses.fields(options)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(options)
    for key in given:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            hint = f", did you mean {near[0]}?" if near else ""
            raise OutOfRangeError(f"{name}: unknown option {key}{hint} (known: {', '.join(fields) or 'none'})")
    return options(**{key: _checked(key, value, hints[key], fields[key].metadata, name) for key, value in given.items()})


def _checked(key: str, value: object, hint: Any, meta: Mapping[str, Any], name: str) -> object:
    allowed = _allowed(hint)
    if isinstance(value, int) and not isinstance(value, bool) and float in allowed:
        value = float(value)
    fits = any(type(value) is kind for kind in allowed)
    choices = meta.get("choices") or ()
    if not fits or (choices and value not in choices) or _outside(value, meta):
        raise OutOfRangeError(f"{name}: option {key} is {value!r}, right would be {_right(hint, meta)}")
    return value


def _outside(value: object, meta: Mapping[str, Any]) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    low, high = meta.get("low"), meta.get("high")
    return (low is not None and not value >= low) or (high is not None and not value <= high)


def _allowed(hint: Any) -> tuple[Any, ...]:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return typing.get_args(hint)
    return (hint,)


def _type_name(hint: Any) -> str:
    words = {int: "integer", float: "number", str: "text", bool: "true or false", types.NoneType: "nothing"}
    return " or ".join(words.get(kind, str(kind)) for kind in _allowed(hint))


def _right(hint: Any, meta: Mapping[str, Any]) -> str:
    if meta.get("choices"):
        return "one of " + ", ".join(str(choice) for choice in meta["choices"])
    low, high = meta.get("low"), meta.get("high")
    bounds = f" from {low:g} to {high:g}" if low is not None and high is not None else f" of at least {low:g}" if low is not None else ""
    return _type_name(hint) + bounds
