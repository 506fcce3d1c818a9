"""What the API gives where labd's own records do not say it already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from labd.queue.scheduler import QueueStatus
from labd.records import CaptureState, Role
from labd.store.rows import CaptureRow, RunRow, RunState


@dataclass(frozen=True, slots=True)
class Health:
    status: str = "ok"


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the daemon's process takes. tasks: of its event loop."""

    resident_bytes: int
    descriptors: int
    threads: int
    tasks: int


@dataclass(frozen=True, slots=True)
class BenchStatus:
    """Everything for a status page. in_use_by: the job or check under way, empty when idle. guard: None where none is needed.

    sinks: what each says of itself, by its name.
    """

    bench: str
    description: str
    virtual: bool
    in_use_by: str
    queue: QueueStatus
    guard: bool | None
    sinks: Mapping[str, Mapping[str, Any]]
    alarms: Sequence[str]
    store: str
    free_bytes: int
    uptime_s: float
    process: Footprint
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CaptureToMake:
    key: str
    order: int
    role: Role
    duration_s: float


@dataclass(frozen=True, slots=True)
class PlanCheck:
    """What a plan would do on this bench. estimate_s: None where nothing can be said."""

    name: str
    captures: Sequence[CaptureToMake]
    estimate_s: float | None


@dataclass(frozen=True, slots=True)
class Imported:
    run: str


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in a list. captures: how many in each state."""

    id: str
    state: RunState
    bench_name: str
    plan_name: str
    created_ns: int
    ended_ns: int | None
    error: str
    notes: str
    job: str
    tags: tuple[str, ...]
    captures: dict[str, int]


def summary(run: RunRow, captures: list[CaptureRow]) -> RunSummary:
    states = [row.state for row in captures]
    counts = {str(state): states.count(state) for state in CaptureState}
    given = {field.name: getattr(run, field.name) for field in fields(RunSummary) if field.name != "captures"}
    return RunSummary(**given, captures=counts)
