"""A run for other programs: the JSON of `urn:labd:schema:interchange:1`, and result lines of what was measured by MLPerf Tiny's rule."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Iterator, Sequence
from typing import Any

from labd.errors import WrongState
from labd.interchange import mlperf_lines
from labd.interchange.plain import SCHEMA_ID
from labd.interchange.windows import ENERGY, LENGTH_S, RATE
from labd.records import KpiRecord, OperatingPoint
from labd.report.data import RunReport
from labd.report.json import plain, text

BY_THE_RULE = 'set [windows] in the plan (count = 5, length = "10 s"), as fixtures/plans/mlperf-tiny-energy.toml does'


def render(report: RunReport) -> str:
    return json.dumps(document(report), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def document(report: RunReport) -> dict[str, Any]:
    """What it adds to result.json: each figure with its operating point spelled out in one flat list, whether the bench was simulated, and
    that `labd import` of another bench reads it. Figures without a value are left out: result.json has them with the reason."""
    run, board = report.run, report.board
    points = {point.key: point for point in report.points}
    simulated = any(instrument.virtual for instrument in report.bench.instruments)
    told: dict[str, Any] = {
        "id": run.run_id,
        "name": run.name,
        "state": run.state,
        "started": run.started,
        "ended": run.ended,
        "labd": run.labd_version,
        "complete": run.complete,
        "simulated": simulated,
    }
    device = {
        "name": board.name,
        "description": board.description,
        "hardware": plain(report.cards.get("hardware", {})),
        "models": plain(report.cards.get("model", {})),
    }
    figures = [figure(record, points.get(record.at), report) for record in _every(report.kpis)]
    return {"schema": SCHEMA_ID, "run": plain(told), "device": plain(device), "figures": figures, "beside": plain(report.beside)}


def _every(records: Sequence[KpiRecord]) -> Iterator[KpiRecord]:
    """Those with a finite value, each id and place once."""
    found = {(record.id, record.at): record for record in reversed(records)}
    return (record for record in reversed(found.values()) if plain(record.value) is not None)


def figure(record: KpiRecord, point: OperatingPoint | None, report: RunReport) -> dict[str, Any]:
    models = {one.model for one in report.points}
    written: dict[str, Any] = {
        "id": record.id,
        "at": record.at,
        "mode": str(point.mode) if point else "",
        "rate_hz": point.rate_hz if point else None,
        "supply_v": point.supply_v if point else None,
        "model": point.model if point else (record.at if record.at in models else ""),
        "value": record.value,
        "unit": record.unit,
        "u": record.u,
        "low": record.low,
        "high": record.high,
        "n": record.n,
        "provenance": record.provenance,
        "method": record.method,
        "flags": record.flags,
        "conditions": f"{point.mode}, {point.rate_hz:g} /s, {point.supply_v:g} V" if point else text(record.at),
    }
    found: dict[str, Any] = plain(written)
    return found


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) that every document follows; it ships inside the package."""
    loaded: dict[str, Any] = json.loads(
        importlib.resources.files("labd.interchange").joinpath("interchange.schema.json").read_text("utf-8")
    )
    return loaded


def mlperf_results(report: RunReport, model: str | None = None) -> str:
    """results.txt of one model. model None: the only one that has such figures. Raises WrongState: nothing was measured by MLPerf Tiny's
    rule, or several models were."""
    told = {name: lines for name in dict.fromkeys(point.model for point in report.points) if (lines := _of_model(report, name))}
    if model is not None:
        told = {name: lines for name, lines in told.items() if name == model}
    if not told:
        what = f"model {model!r} of run" if model else "run"
        raise WrongState(
            f"{what} {report.run.run_id} has no energy by MLPerf Tiny's rule, no rate back to back and no accuracy: {BY_THE_RULE}"
        )
    if len(told) > 1:
        raise WrongState(f"run {report.run.run_id} has results of {', '.join(told)}: say which with --model")
    return next(iter(told.values()))


def _of_model(report: RunReport, model: str) -> str:
    places = {point.key for point in report.points if point.model == model} | {model}
    own = [record for record in report.kpis if record.at in places and record.value is not None]

    def value(*kpis: str) -> KpiRecord | None:
        return next((record for kpi in kpis for record in own if record.id == kpi), None)

    energy, rate = value(ENERGY), value(RATE)
    accuracy, auc = value("task.accuracy"), value("task.auc", "task.auc.macro")
    short = energy is not None and any("shorter than" in flag for flag in energy.flags)
    return mlperf_lines.written(
        energy_j=energy.value if energy else None,
        rate_hz=rate.value if rate else None,
        accuracy=accuracy.value if accuracy else None,
        auc=auc.value if auc else None,
        windows=energy.n if energy else 0,
        shortest_s=0.0 if short else LENGTH_S,
    )
