"""Writes data that TOML parses into as TOML again. Pure."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(data: Mapping[str, Any]) -> str:
    """Of a whole file: keys first, then tables, in their order. Comments are not data. Raises TypeError for what TOML has no form of."""
    return "\n".join(_lines(data, "")).lstrip("\n") + "\n"


def _lines(data: Mapping[str, Any], path: str) -> Iterator[str]:
    below = {key: value for key, value in data.items() if _is_table(value) or _is_tables(value)}
    yield from (f"{_key(key)} = {_value(value)}" for key, value in data.items() if key not in below)
    for key, value in below.items():
        place = f"{path}.{_key(key)}" if path else _key(key)
        for one in [value] if _is_table(value) else value:
            yield ""
            yield f"[{place}]" if _is_table(value) else f"[[{place}]]"
            yield from _lines(one, place)


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_tables(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and bool(value) and all(_is_table(one) for one in value)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"TOML has no form of {value!r}")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _quoted(key)


def _quoted(text: str) -> str:
    """A basic string; JSON escapes what TOML wants escaped, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
