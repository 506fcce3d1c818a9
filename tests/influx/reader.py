"""Line protocol read back by the grammar of its reference, character by character; shares nothing with the encoder."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    measurement: str
    tags: dict[str, str]
    fields: dict[str, float | int | str]
    t_ns: int


def read(data: bytes) -> list[Point]:
    """Every line must be ended."""
    text = data.decode()
    assert not text or text.endswith("\n")
    return [_point(line) for line in text.split("\n")[:-1]]


def _point(line: str) -> Point:
    head, rest = _apart(line, " ", quotes=False, most=2)  # a quote in a tag is a quote
    fields, stamp = _apart(rest, " ")
    measurement, *tags = _apart(head, ",", quotes=False)
    return Point(
        _plain(measurement),
        dict(tuple(_plain(part) for part in _apart(tag, "=", quotes=False)) for tag in tags),  # type: ignore[misc]
        {_plain(key): _value(value) for key, value in (_apart(one, "=", most=2) for one in _apart(fields, ","))},
        int(stamp),
    )


def _apart(text: str, mark: str, *, quotes: bool = True, most: int = 0) -> list[str]:
    parts: list[str] = []
    now, quoted, k = "", False, 0
    while k < len(text):
        if text[k] == "\\" and k + 1 < len(text):
            now += text[k : k + 2]
            k += 2
            continue
        if text[k] == '"' and quotes:
            quoted = not quoted
        if text[k] == mark and not quoted and len(parts) + 1 != most:
            parts.append(now)
            now = ""
        else:
            now += text[k]
        k += 1
    return [*parts, now]


def _plain(text: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", text)


def _value(text: str) -> float | int | str:
    if text.startswith('"'):
        return re.sub(r'\\(["\\])', r"\1", text[1:-1])
    return int(text[:-1]) if text.endswith("i") else float(text)
