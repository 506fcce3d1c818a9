"""Answers to the dashboards' queries worked out from the points themselves: as much of InfluxQL as those queries use, in plain Python.

Anything else in a query is refused, so that no query goes unchecked.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.grafana.seeds import Field, Point

SELECT = re.compile(r'SELECT (.+?) FROM "(\w+)" WHERE (.+?)(?: GROUP BY (.+?))?(?: fill\(\w+\))?(?: ORDER BY time DESC LIMIT (\d+))?')
SHOW = re.compile(r'SHOW TAG VALUES FROM "(\w+)" WITH KEY = "(\w+)"(?: WHERE (.+))?')
COLUMN = re.compile(r'(?P<said>.+?)(?: AS "(?P<name>\w+)")?')
TERM = re.compile(r'(?:([A-Z]+)\("(\w+)"\)|"(\w+)")')
CONDITION = re.compile(r"\"(\w+)\" (=|!=|=~) (?:'([^']*)'|/(.*)/)|time (>=|<=) (\d+)ms")
REDUCED: dict[str, Callable[[Sequence[Field]], Field]] = {
    "SUM": lambda values: math.fsum(map(float, values)),
    "MEAN": lambda values: math.fsum(map(float, values)) / len(values),
    "MIN": lambda values: min(map(float, values)),
    "MAX": lambda values: max(map(float, values)),
    "COUNT": len,
    "LAST": lambda values: values[-1],
}
UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
Row = dict[str, Field | None]
Answer = dict[tuple[tuple[str, str], ...], list[Row]]


@dataclass(frozen=True, slots=True)
class Column:
    """A name, and terms joined by an operator. A term: function (or none) and field or tag."""

    name: str
    terms: list[tuple[str, str]]
    operator: str


def answer(query: str, points: Iterable[Point]) -> Answer:
    """Rows by the tags that the query groups by, in the order of their names. `time`, in ms, stands in rows of raw points and of buckets.

    Raises AssertionError for a query that this module cannot read.
    """
    found = SELECT.fullmatch(query)
    if found is None:
        return {(): _tag_values(query, points)}
    columns = [_column(part) for part in re.split(r", (?![^(]*\))", found[1])]
    step_ms, tags = _grouping(found[4] or "")
    kept = sorted((p for p in points if p.measurement == found[2] and _fits(p, found[3])), key=lambda p: p.t_ns)
    series: dict[tuple[tuple[str, str], ...], list[Point]] = defaultdict(list)
    for point in kept:
        series[tuple((tag, point.tags.get(tag, "")) for tag in tags)].append(point)
    raw = not any(function for column in columns for function, _ in column.terms)
    rows = {key: _raw(columns, own) if raw else _reduced(columns, own, step_ms) for key, own in series.items()}
    if found[5]:
        rows = {key: own[::-1][: int(found[5])] for key, own in rows.items()}
    return {key: own for key, own in rows.items() if own}


def _tag_values(query: str, points: Iterable[Point]) -> list[Row]:
    found = SHOW.fullmatch(query)
    assert found is not None, query
    own = [point for point in points if point.measurement == found[1] and (not found[3] or _fits(point, found[3]))]
    return [{"key": found[2], "value": value} for value in sorted({point.tags[found[2]] for point in own if found[2] in point.tags})]


def _column(text: str) -> Column:
    found = COLUMN.fullmatch(text)
    assert found is not None, text
    said = re.split(r" ([-/]) ", found["said"])
    terms = []
    for term in said[::2]:
        parts = TERM.fullmatch(term)
        assert parts is not None, text
        terms.append((parts[1] or "", parts[2] or parts[3]))
    return Column(found["name"] or terms[0][1], terms, said[1] if len(said) == 3 else "")


def _grouping(text: str) -> tuple[int, list[str]]:
    step = re.search(r"time\((\d+)(ms|s|m|h)\)", text)
    return (0 if step is None else int(step[1]) * UNITS_MS[step[2]]), sorted(re.findall(r'"(\w+)"', text))


def _fits(point: Point, where: str) -> bool:
    return all(_holds(point, condition) for condition in re.split(r" (?:AND|and) ", where))


def _holds(point: Point, condition: str) -> bool:
    found = CONDITION.fullmatch(condition)
    assert found is not None, condition
    if found[5]:
        limit_ns = int(found[6]) * 10**6
        return point.t_ns >= limit_ns if found[5] == ">=" else point.t_ns <= limit_ns
    value = point.tags.get(found[1], "")
    if found[2] == "=~":
        return re.search(found[4], value) is not None
    return (value == found[3]) is (found[2] == "=")


def _raw(columns: Sequence[Column], points: Sequence[Point]) -> list[Row]:
    """A point is a row when it has one of the fields; tags alone make none."""
    rows: list[Row] = []
    for point in points:
        if any(name in point.fields for column in columns for _, name in column.terms):
            values = {column.name: _joined(column, [_of(point, name) for _, name in column.terms]) for column in columns}
            rows.append({"time": point.t_ns // 10**6, **values})
    return rows


def _of(point: Point, name: str) -> Field | None:
    return point.fields.get(name, point.tags.get(name) or None)


def _reduced(columns: Sequence[Column], points: Sequence[Point], step_ms: int) -> list[Row]:
    buckets: dict[int, list[Point]] = defaultdict(list)
    for point in points:
        buckets[point.t_ns // 10**6 // step_ms * step_ms if step_ms else 0].append(point)
    rows: list[Row] = []
    for t_ms, own in sorted(buckets.items()):
        row: Row = {"time": t_ms} if step_ms else {}
        for column in columns:
            values = [[p.fields[name] for p in own if name in p.fields] for _, name in column.terms]
            terms = zip(column.terms, values, strict=True)
            row[column.name] = _joined(column, [REDUCED[function](given) if given else None for (function, _), given in terms])
        rows.append(row)
    return rows


def _joined(column: Column, values: Sequence[Field | None]) -> Field | None:
    if not column.operator:
        return values[0]
    first, second = values
    if first is None or second is None:
        return None
    return float(first) / float(second) if column.operator == "/" else float(first) - float(second)
