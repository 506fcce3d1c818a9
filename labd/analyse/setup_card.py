"""The set-up card of a run: what the run itself knows of how it was measured, and what a person added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labd.analyse.instruments import instruments
from labd.analyse.wording import quantity_text, said, section
from labd.records import MarkStyle, OperatingPoint
from labd.report.data import InstrumentFacts
from labd.store.rows import CaptureRow, RunRow

GUARD_BAND = "energy by guard band: integrated past both edges, with what rests outside taken off"
WINDOWS = {
    MarkStyle.GATE: f"from the rise to the fall of the marker, one inference; {GUARD_BAND}",
    MarkStyle.PHASES: f"wake, load, infer and tail by four edges of the marker an event; {GUARD_BAND}",
    MarkStyle.PULSES: "between the falling edges that MLPerf Tiny's energy build gives before and after many inferences",
    MarkStyle.TEXT: "between the time stamps that the board prints before and after many inferences",
}
FROM_RUN = ("instruments", "ranges", "supply", "temperature", "windows", "modes", "rates")


def known(run: RunRow, captures: Sequence[CaptureRow]) -> dict[str, Any]:
    """By keys of the set-up card; a key that the run does not know is left out."""
    plan = section(run.plan_expanded, "plan", "plan")
    used = instruments(run, captures)
    points = [row.point for row in captures]
    found: dict[str, Any] = {
        "instruments": [_instrument(one) for one in used],
        "ranges": "; ".join(f"{one.name} {', '.join(one.ranges)}" for one in used if one.ranges),
        "supply": ", ".join(quantity_text(volts, "V") for volts in sorted({p.supply_v for p in points})) or said(plan.get("supply")),
        "temperature": said(section(run.bench_effective, "bench").get("ambient")),
        "windows": "; ".join(_windows(captures)),
        "modes": ", ".join(_modes(points, captures)) or said(plan.get("modes")),
        "rates": said(plan.get("rates")),
    }
    return {key: value for key, value in found.items() if value}


def setup_card(run: RunRow, captures: Sequence[CaptureRow]) -> dict[str, Any]:
    """As a run stores cards. What a person wrote stands before what the run knows."""
    typed = section(run.cards, "setup")
    base = {"schema": 1, "card": "setup", "name": f"{run.bench_name}, {run.plan_name}"}
    told = {key: value for key, value in typed.items() if value not in (None, "", [], ())}
    found = {**base, **known(run, captures), **told}
    unknown = [key for key in found.get("unknown", ()) if key not in found]
    return {**found, "unknown": unknown} if "unknown" in found else found


def _instrument(one: InstrumentFacts) -> str:
    who = " ".join(part for part in (one.maker, one.model) if part) or one.driver
    more = [f"serial {one.serial}" if one.serial else "", f"firmware {one.firmware}" if one.firmware else ""]
    more += [" and ".join(one.roles), "virtual" if one.virtual else "", f"calibrated {one.calibrated}" if one.calibrated else ""]
    return f"{one.name}: {', '.join(part for part in (who, *more) if part)}"


def _windows(captures: Sequence[CaptureRow]) -> list[str]:
    marks = dict.fromkeys(str(row.plan.get("marks", "")) for row in captures)
    return [WINDOWS[MarkStyle(mark)] for mark in marks if mark in set(MarkStyle)]


def _modes(points: Sequence[OperatingPoint], captures: Sequence[CaptureRow]) -> list[str]:
    """An always-on mode with how it waits."""
    idle: Mapping[str, str] = {str(row.point.mode): str(row.plan.get("idle_kind") or "") for row in captures}
    modes = dict.fromkeys(p.mode for p in points)
    return [f"{mode} ({idle[mode]})" if not mode.is_event and idle.get(mode) else str(mode) for mode in modes]
