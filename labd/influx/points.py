"""Events, spans, figures and what the daemon says of itself as lines; docs/reference/influx.md. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labd.analyse.wording import said, section
from labd.influx.lines import line
from labd.influx.section import RATE_HZ
from labd.influx.trace_points import point_tags
from labd.records import KpiRecord, OperatingPoint, Window
from labd.store.jsonform import to_json
from labd.store.rows import CaptureRow, RunRow, StoredEvent

MS = 10**6
Fields = dict[str, float | str | None]


def events(bench: str, stored: Iterable[StoredEvent]) -> bytes:
    """One line an event, in their order."""
    return b"".join(_event(bench, one) for one in stored)


def _event(bench: str, stored: StoredEvent) -> bytes:
    one = stored.event
    marks = [str(one.kind), *one.capture.split("/")[:1]]
    fields: Fields = {"text": one.text, "capture": one.capture, "tags": _marks(marks), "n": stored.n, "end": one.t_ns // MS}
    return line("event", {"bench": bench, "run": stored.run_id, "kind": str(one.kind)}, one.t_ns, fields)


def lost(bench: str, run_id: str, name: str, t_ns: int, why: str) -> bytes:
    """A trace that cannot be read, of which nothing more will come."""
    fields: Fields = {"text": f"the samples of {name} are missing here: {why}", "capture": "", "tags": "gap", "n": 0, "end": t_ns // MS}
    return line("event", {"bench": bench, "run": run_id, "kind": "gap"}, t_ns, fields)


def gap(bench: str, *, first_ns: int, last_ns: int, points: int) -> bytes:
    """Points that never reached the server."""
    text = f"{points} points were dropped while the server was away; labd replay brings them back"
    fields: Fields = {"text": text, "capture": "", "tags": "gap", "n": points, "end": last_ns // MS}
    return line("event", {"bench": bench, "run": "", "kind": "gap"}, first_ns, fields)


def captures(bench: str, rows: Iterable[CaptureRow]) -> bytes:
    """A span for each that has begun and ended."""
    found: list[bytes] = []
    for row in rows:
        if row.started_ns is None or row.ended_ns is None:
            continue
        text = row.key if not row.error else f"{row.key}: {row.error}"
        found.append(_span(bench, row, "capture", row.started_ns, row.ended_ns, text=text))
    return b"".join(found)


def phases(bench: str, row: CaptureRow, windows: Sequence[Window], zeros_ns: Mapping[int, int]) -> bytes:
    """A span for each window. zeros_ns: by stretch, UTC of the zero of its axis."""
    found: list[bytes] = []
    for window in windows:
        if window.stretch not in zeros_ns:
            continue
        zero_ns = zeros_ns[window.stretch]
        start_ns, end_ns = (zero_ns + round(t_s * 1e9) for t_s in (window.start_s, window.end_s))
        text = str(window.phase) if window.event < 0 else f"{window.phase} of event {window.event}"
        found.append(_span(bench, row, str(window.phase), start_ns, end_ns, text=text))
    return b"".join(found)


def _span(bench: str, row: CaptureRow, kind: str, start_ns: int, end_ns: int, *, text: str) -> bytes:
    length_s = (end_ns - start_ns) * 1e-9
    fields: Fields = {"text": text, "tags": _marks([kind, str(row.point.mode)]), "end": end_ns // MS, "length": length_s}
    return line("span", {"bench": bench, "run": row.run_id, "kind": kind, "capture": row.key}, start_ns, fields)


def kpis(bench: str, run: RunRow, records: Sequence[KpiRecord], points: Mapping[str, OperatingPoint], *, final: bool) -> bytes:
    """Stamped with the run's beginning and the figure's number among those of its id and place (repeats): later ones replace earlier ones,
    however many others have come between. points: operating points by key."""
    found: list[bytes] = []
    shared = {"bench": bench, "board": board_of(run), "run": run.id, "plan": run.plan_name}
    seen: Counter[tuple[str, str, str]] = Counter()
    for record in records:
        point = points.get(record.at)
        tags = {**shared, "id": record.id, "at": record.at, "unit": record.unit}
        fields = _floats(value=record.value, u=record.u, low=record.low, high=record.high)
        if point is not None:
            tags |= point_tags(to_json(point))
            fields |= _floats(rate_hz=point.rate_hz, supply_v=point.supply_v)
        fields |= {"n": record.n, "final": int(final), "provenance": str(record.provenance), "method": record.method}
        fields |= {"flags": "; ".join(record.flags), "note": record.note}
        name = (record.id, record.at, record.unit)
        found.append(line("kpi", tags, run.created_ns + seen[name], fields))
        seen[name] += 1
    return b"".join(found)


def board_of(run: RunRow) -> str:
    """The board's name as its file has it, empty where a run does not say."""
    return said(section(run.bench_effective, "board", "board").get("name"))


def rate_of(run: RunRow) -> float:
    """Summaries a second of all its samples, as its bench file said when it began: at another rate the points of a replay would stand
    beside those that are there, and every sum would be twice what it is."""
    return float(section(run.bench_effective, "bench", "influx", "rate").get("value", RATE_HZ))


def of_itself(measurement: str, tags: Mapping[str, str], t_ns: int, values: Mapping[str, Any]) -> bytes:
    """What the daemon says: whole numbers as integers, others as floats, words as texts; what is None is left out."""
    fields: Fields = {name: int(value) if isinstance(value, bool) else value for name, value in values.items()}
    return line(measurement, tags, t_ns, fields)


def _floats(**values: float | None) -> Fields:
    """A field's type stays, also where a number is whole."""
    return {name: None if value is None else float(value) for name, value in values.items()}


def _marks(words: Sequence[str]) -> str:
    """Grafana splits an annotation's tags at commas."""
    return ",".join(word.replace(",", " ") for word in words if word)
