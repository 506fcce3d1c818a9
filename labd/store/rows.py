"""The rows of the catalogue as frozen dataclasses; times are nanoseconds UTC since 1970. `jsonform` turns them into JSON and back."""

from __future__ import annotations

import datetime
import enum
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labd.records import CaptureState, Event, OperatingPoint, Role
from labd.store.folder import slug


class RunState(enum.StrEnum):
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class NewRun:
    """Everything known before the first capture. *_text: the files as read; bench_effective, plan_expanded: after defaults and expansion.

    seeds: name to seed. versions: package or program to version. environment: CPU features, BLAS, platform. instruments: name to identity
    and settings. firmware_sha256: of the image on the DUT, empty where unknown. job: of the queue that made it, empty where none did.
    """

    bench_name: str
    bench_text: str
    plan_name: str
    plan_text: str
    bench_effective: Mapping[str, Any] = field(default_factory=dict)
    board_text: str = ""
    plan_expanded: Mapping[str, Any] = field(default_factory=dict)
    cards: Mapping[str, Any] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    instruments: Mapping[str, Any] = field(default_factory=dict)
    firmware_sha256: str = ""
    job: str = ""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as stored. error: why it failed or was interrupted, empty otherwise."""

    id: str
    state: RunState
    created_ns: int
    ended_ns: int | None
    bench_name: str
    bench_text: str
    bench_sha256: str
    bench_effective: Mapping[str, Any]
    board_text: str
    plan_name: str
    plan_text: str
    plan_sha256: str
    plan_expanded: Mapping[str, Any]
    cards: Mapping[str, Any]
    seeds: Mapping[str, int]
    versions: Mapping[str, str]
    environment: Mapping[str, Any]
    instruments: Mapping[str, Any]
    firmware_sha256: str
    error: str
    notes: str
    job: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in a list. captures: how many in each state. untold: keys of cards that nobody filled in, such as hardware.process_node;
    complete: there is none; both None before the run has figures."""

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
    complete: bool | None = None
    untold: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RunAge:
    """As much of a run as decides whether it may go."""

    id: str
    created_ns: int
    going_on: bool
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlannedCapture:
    """One capture of the expansion. key: stable over runs of the same plan. order: its place in this run, 0 first. plan: all else the
    expansion says about it (events, duration, seed), as JSON data."""

    key: str
    role: Role
    point: OperatingPoint
    order: int
    repeat: int = 0
    plan: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CaptureRow:
    """One capture as stored. trace: path relative to the store's folder, empty before it was recorded. samples, stretches: what the trace
    holds. acquisition: what the instrument really delivered (Acquisition as JSON). attempt: how often it was made before this time."""

    run_id: str
    key: str
    role: Role
    point: OperatingPoint
    order: int
    repeat: int
    plan: Mapping[str, Any]
    state: CaptureState
    started_ns: int | None
    ended_ns: int | None
    acquisition: Mapping[str, Any]
    trace: str
    samples: int
    stretches: int
    flags: tuple[str, ...]
    error: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its place: id ascends over all runs and is never used twice, n counts within its run."""

    id: int
    run_id: str
    n: int
    event: Event


def new_run_id(name: str, now_ns: int) -> str:
    """Readable and sortable by time (UTC): `20261123-143000-demo-ab12`; the last four digits are random."""
    stamp = datetime.datetime.fromtimestamp(now_ns // 1_000_000_000, datetime.UTC)
    return f"{stamp:%Y%m%d-%H%M%S}-{slug(name)}-{secrets.token_hex(2)}"
