"""What the API gives where labd's own records do not say it already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labd.queue.scheduler import QueueStatus
from labd.records import Role


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
