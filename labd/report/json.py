"""The result as JSON that follows the published schema `urn:labd:schema:result:1`."""

from __future__ import annotations

import dataclasses
import enum
import importlib.resources
import json
import math
from collections.abc import Mapping
from typing import Any

from labd.records import KpiRecord, OperatingPoint
from labd.report import table_one
from labd.report.data import RunReport
from labd.report.targets import TargetAnswer, target_answers

SCHEMA_ID = "urn:labd:schema:result:1"
_LEFT_OUT = frozenset({"excerpts", "edge_cases", "points"})  # pictures; written as `withheld`; written with their keys


def render(report: RunReport) -> str:
    """The document, indented, keys in a fixed order, no NaN and no infinity (null; `bound` of the value says which end is open)."""
    return json.dumps(document(report), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def document(report: RunReport) -> dict[str, Any]:
    fields = {f.name: plain(getattr(report, f.name)) for f in dataclasses.fields(report) if f.name not in _LEFT_OUT}
    points = [operating_point(p) for p in report.points]
    fields["task"] = [{name: item for name, item in one.items() if name != "kpis"} for one in fields["task"]]  # they stand in `kpis`
    return {
        "schema": SCHEMA_ID,
        "operating_points": points,
        **fields,
        "complete": report.disclosed,
        "missing": [text(key) for key in report.missing],
        "targets": [target_object(item) for item in target_answers(report)],
        "table_1_1": [row_object(item) for item in table_one.answers(report)],
        "withheld": [value_object(r) for r in report.withheld()],
    }


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) that every document of `render` follows; it ships inside the package."""
    text = importlib.resources.files("labd.report").joinpath("result.schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def plain(thing: object) -> Any:
    """Dataclasses become objects, enumerations their text, tuples arrays, non-finite numbers null, lone surrogates U+FFFD."""
    if isinstance(thing, KpiRecord):
        return value_object(thing)
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        return {f.name: plain(getattr(thing, f.name)) for f in dataclasses.fields(thing)}
    if isinstance(thing, enum.Enum):
        return str(thing.value)
    if isinstance(thing, Mapping):
        return {text(str(k)): plain(v) for k, v in thing.items()}
    if isinstance(thing, tuple | list):
        return [plain(v) for v in thing]
    if isinstance(thing, float):
        return thing if math.isfinite(thing) else None
    return text(thing) if isinstance(thing, str) else thing


def text(value: str) -> str:
    return value.encode("utf-8", "replace").decode("utf-8")


def operating_point(point: OperatingPoint) -> dict[str, Any]:
    written: dict[str, Any] = plain(point)
    return {"key": text(point.key), **written}


def value_object(record: KpiRecord) -> dict[str, Any]:
    """One figure: value, UCUM unit, standard uncertainty, 95 % interval, provenance, method, budget."""
    written = {f.name: plain(getattr(record, f.name)) for f in dataclasses.fields(record)}
    order = ("id", "at", "value", "unit", "u", "low", "high")
    return {name: written.pop(name) for name in order} | {"bound": bound(record)} | written


def target_object(item: TargetAnswer) -> dict[str, Any]:
    """One target of the use case for one curve, with its answer and the figure that gave it."""
    target, found = item.target, item.conformity
    return {
        "curve": text(item.curve),
        "model": text(item.model),
        "name": text(target.name),
        "limit": plain(target.limit),
        "unit": target.unit,
        "side": "at_least" if target.least else "at_most",
        "answer": str(found.answer),
        "chance": found.chance,
        "why": text(found.why),
        "note": text(item.note),
        "figure": None if item.record is None else value_object(item.record),
    }


def row_object(item: table_one.RowAnswer) -> dict[str, Any]:
    """A row of the paper's table: by which figures it is told, what a card says, or why there is neither."""
    figures = [{"id": text(record.id), "at": text(record.at)} for record in item.valued]
    row = item.row
    return {"id": row.id, "domain": str(row.domain), "name": row.name, "figures": figures, "told": text(item.told), "why": text(item.why)}


def bound(record: KpiRecord) -> str:
    """Which ends of the interval are known: `both`, `lower`, `upper` or `none`."""
    low, high = (end is not None and math.isfinite(end) for end in (record.low, record.high))
    return {(True, True): "both", (True, False): "lower", (False, True): "upper"}.get((low, high), "none")
