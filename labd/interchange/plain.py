"""Figures in labd's own forms: a CSV table of figures, for whatever has no reader of its own, and the JSON that `document` writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from labd.errors import FileError
from labd.interchange.energyrunner import json_of
from labd.interchange.foreign import Added, Foreign, ForeignFigure, count, number, short, text_of
from labd.interchange.table import Row, rows_of
from labd.kpi.table import wrong_figure
from labd.records import Provenance

SCHEMA_ID = "urn:labd:schema:interchange:1"
NEEDED = ("id", "value", "unit")
GIVEN = (Provenance.DECLARED, Provenance.ESTIMATED)


def read_figures(files: Mapping[str, bytes], asked: Added) -> tuple[Foreign, ...]:
    """A CSV table with the columns id, value and unit, and as wanted name, u, least, most, scope, model, batch, clock_hz, precision,
    conditions, source and provenance (declared or estimated). One card a name. Raises FileError."""
    by_name: dict[str, list[ForeignFigure]] = {}
    for file, data in files.items():
        for row in rows_of(text_of(file, data), file=file, columns=NEEDED):
            stem = file.rpartition("/")[2].rpartition(".")[0]
            by_name.setdefault(asked.name or row.text("name") or stem or "figures", []).append(_of_row(row, asked))
    return tuple(Foreign(name, tuple(found), source=", ".join(files)) for name, found in by_name.items())


def _of_row(row: Row, asked: Added) -> ForeignFigure:
    for column in ("id", "unit"):
        if not row.text(column):
            raise FileError(
                row.file, row.key(column), "expected a KPI's id such as latency" if column == "id" else 'expected a UCUM code such as "J"'
            )
    _check(row.text("id"), row.text("unit"), file=row.file, key=row.key)
    said = row.text("provenance") or str(Provenance.DECLARED)
    if said not in {str(one) for one in GIVEN}:
        raise FileError(row.file, row.key("provenance"), f"expected one of {', '.join(GIVEN)}, got {said!r}")
    batch = row.text("batch")
    return ForeignFigure(
        row.text("id"),
        row.needed("value", least=None),
        row.text("unit"),
        row.text("source") or f"{row.file}, line {row.line}",
        Provenance(said),
        u=row.number("u"),
        scope=row.text("scope"),
        model=asked.model or row.text("model"),
        batch=count(batch, file=row.file, key=row.key("batch")) if batch else None,
        clock_hz=row.number("clock_hz"),
        precision=row.text("precision"),
        conditions=row.text("conditions"),
        **_ends(row),
    )


def _check(kpi: str, unit: str, *, file: str, key: Callable[[str], str]) -> None:
    """Raises FileError for a figure that labd has no place for."""
    if (wrong := wrong_figure(kpi, unit)) is not None:
        raise FileError(file, key(wrong[0]), wrong[1])


def _ends(row: Row) -> dict[str, float | None]:
    least, most = row.number("least", least=None), row.number("most", least=None)
    if least is not None and most is not None and least > most:
        raise FileError(row.file, row.key("least"), f"expected at most {most:g}, which is most, got {least:g}")
    return {"least": least, "most": most}


def read_document(files: Mapping[str, bytes], asked: Added) -> tuple[Foreign, ...]:
    """What another bench exported with `labd export RUN --as json`: its figures as declared ones with their intervals; those of a simulated
    bench are `estimated`. Raises FileError."""
    return tuple(_of_document(file, json_of(file, text_of(file, data)), asked) for file, data in files.items())


def _of_document(file: str, document: Any, asked: Added) -> Foreign:
    if not isinstance(document, dict) or document.get("schema") != SCHEMA_ID:
        said = document.get("schema") if isinstance(document, dict) else document
        raise FileError(file, "schema", f"expected {SCHEMA_ID!r}, got {short(said)}")
    run, device = (_object(document, key, file) for key in ("run", "device"))
    records = document.get("figures")
    if not isinstance(records, list):
        raise FileError(file, "figures", f"expected an array, got {short(records)}")
    simulated = run.get("simulated") is True
    by = Provenance.ESTIMATED if simulated else Provenance.DECLARED
    source = f"labd run {_text(run, 'id', file)}"
    figures = tuple(_of_figure(one, f"figures[{k}]", file, asked, by=by, source=source) for k, one in enumerate(records))
    notes = "measured on virtual instruments" if simulated else ""
    return Foreign(asked.name or _text(device, "name", file), figures, source=source, notes=notes)


def _of_figure(one: Any, at: str, file: str, asked: Added, *, by: Provenance, source: str) -> ForeignFigure:
    if not isinstance(one, dict):
        raise FileError(file, at, f"expected an object, got {short(one)}")
    numbers = {
        key: None if one.get(key) is None else number(one[key], file=file, key=f"{at}.{key}", least=None)
        for key in ("value", "u", "low", "high")
    }
    if numbers["value"] is None:
        raise FileError(file, f"{at}.value", "this key is required: a number")
    if (u := numbers["u"]) is not None and u < 0:
        raise FileError(file, f"{at}.u", f"expected 0 or more, got {u:g}")
    told = ", ".join(filter(None, (_text(one, "conditions", file, at=at), _text(one, "method", file, at=at))))
    kpi, unit = _text(one, "id", file, at=at), _text(one, "unit", file, at=at)
    if not kpi or not unit:
        raise FileError(file, f"{at}.{'id' if not kpi else 'unit'}", "this key is required: some text")
    _check(kpi, unit, file=file, key=lambda name: f"{at}.{name}")
    whole = numbers["low"] is not None and numbers["high"] is not None
    return ForeignFigure(
        kpi,
        numbers["value"],
        unit,
        source,
        by,
        u=u,
        model=asked.model or _text(one, "model", file, at=at),
        conditions=told,
        least=numbers["low"] if whole else None,
        most=numbers["high"] if whole else None,
    )


def _object(document: Mapping[str, Any], key: str, file: str) -> Mapping[str, Any]:
    found = document.get(key)
    if not isinstance(found, dict):
        raise FileError(file, key, f"expected an object, got {short(found)}")
    return found


def _text(document: Mapping[str, Any], key: str, file: str, *, at: str = "") -> str:
    found = document.get(key, "")
    if not isinstance(found, str):
        raise FileError(file, f"{at}.{key}" if at else key, f"expected text, got {short(found)}")
    return found
