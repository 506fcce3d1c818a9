"""What a kill must leave as it was: samples, finished captures, the queue."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from benchmarks.torture.served import Served
from labd.live.frame import header_of
from labd.records import CaptureState
from labd.store.trace import CHANNELS, Trace

SOON_S = 5.0
HOUR_NS = 3600 * 10**9
# What becomes another when the daemon finds that it has died in the middle of a job; everything else of its row stays.
OF_THE_KILLED = frozenset({"state", "urgent", "position", "started_ns", "ended_ns", "error"})


def lost(before: Trace, after: Trace) -> int:
    """Samples of `before` that `after` has not, or has with another value, at another place or another time."""
    now = {stretch.facts.number: stretch for stretch in after.stretches}
    missing = 0
    for stretch in before.stretches:
        found = now.get(stretch.facts.number)
        if found is None or found.t0_ns != stretch.t0_ns or found.facts.seq != stretch.facts.seq:
            missing += len(stretch)
            continue
        held = np.zeros(len(stretch), dtype=bool)
        held[: min(len(stretch), len(found))] = True
        for channel in CHANNELS:
            held &= _same(getattr(stretch, channel), getattr(found, channel), len(stretch))
        missing += int(np.count_nonzero(~held))
    return missing


def _same(one: Any, other: Any, count: int) -> Any:
    """bool [count]: bit for bit, NaN included; absent from both is the same."""
    if one is None or other is None:
        return np.full(count, one is None and other is None)
    same = np.zeros(count, dtype=bool)
    shared = min(count, len(other))
    size = one.dtype.itemsize
    same[:shared] = (one[:shared].view(f"u{size}") == other[:shared].view(f"u{size}")) if one.dtype == other.dtype else False
    return same


def fingerprint(trace: Trace) -> str:
    """SHA-256 of every sample and of where each stretch begins, whatever form the file has."""
    digest = hashlib.sha256()
    for stretch in trace.stretches:
        digest.update(f"{stretch.facts.number} {stretch.t0_ns} {stretch.facts.seq} {len(stretch)} {stretch.dt_ns};".encode())
        for channel in CHANNELS:
            values = getattr(stretch, channel)
            digest.update(b"-" if values is None else np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


@dataclass(slots=True)
class Finished:
    """Captures of a job that were finished before some kill: when each had begun, and its samples' fingerprint."""

    before: dict[str, tuple[int | None, str]] = field(default_factory=dict)

    def note(self, daemon: Served, job: str) -> None:
        """The first time counts: what it is later is held against that."""
        for row in daemon.rows(job):
            if row.state is CaptureState.FINISHED and row.key not in self.before:
                self.before[row.key] = (row.started_ns, fingerprint(daemon.trace(row)))

    def touched(self, daemon: Served, job: str) -> list[str]:
        now = {row.key: row for row in daemon.rows(job)}
        return [
            key
            for key, (started_ns, samples) in self.before.items()
            if now[key].started_ns != started_ns or fingerprint(daemon.trace(now[key])) != samples
        ]


@dataclass(slots=True)
class Viewer:
    """Somebody at the live page: the capture last seen, and how many samples of it have been shown. A block is shown once it is written."""

    socket: ClientConnection
    capture: str = ""
    samples: int = 0
    thread: threading.Thread | None = None

    def follow(self) -> None:
        try:
            for frame in self.socket:
                assert isinstance(frame, bytes)
                header = header_of(frame)
                if start := header.get("start"):
                    self.capture, self.samples = start["capture"], 0
                self.samples = max(self.samples, header.get("samples", 0))  # none in a frame between two captures
        except ConnectionClosed:
            return

    def ended(self) -> None:
        """The daemon has died; what it had sent has been read."""
        assert self.thread is not None
        self.thread.join(SOON_S)
        self.socket.close()


def viewer(daemon: Served) -> Viewer:
    found = Viewer(connect(str(daemon.http.base_url).replace("http", "ws", 1) + "live", max_size=1 << 24))
    found.thread = threading.Thread(target=found.follow, name="viewer", daemon=True)
    found.thread.start()
    return found


@dataclass(frozen=True, slots=True)
class Queue:
    """Every job as the API tells it, in its order, with what holds the queue back."""

    jobs: tuple[Mapping[str, Any], ...]
    why_paused: str
    lease: Mapping[str, Any] | None

    @classmethod
    def of(cls, daemon: Served) -> Queue:
        queue = daemon.get("status")["queue"]
        return cls(tuple(daemon.get("jobs", ended=1000)), queue["why_paused"] if queue["paused"] else "", daemon.get("lease"))

    def changed(self, after: Queue, *, killed: str) -> list[str]:
        """What a kill in the middle of the job `killed` has changed and must not have: that one stays first, the others stay whole."""
        order = [[job["id"] for job in queue.jobs] for queue in (self, after)]
        found = [] if order[0] == order[1] else [f"the order of the queue was {order[0]}, is {order[1]}"]
        now = {job["id"]: job for job in after.jobs}
        for job in self.jobs:
            for name, value in job.items():
                may = job["id"] == killed and name in OF_THE_KILLED
                if job["id"] in now and not may and now[job["id"]][name] != value:
                    found.append(f"{name} of job {job['id']} ({job['plan_name']}) was {value!r}, is {now[job['id']][name]!r}")
        held = [(name, getattr(self, name), getattr(after, name)) for name in ("why_paused", "lease")]
        return found + [f"{name} was {was!r}, is {now_is!r}" for name, was, now_is in held if was != now_is]


def crowd(daemon: Served, plan: str) -> int:
    """One job of every kind that may wait, one moved, one cancelled, and a lease. Returns how many wait."""
    now_ns = time.time_ns()
    first = daemon.submit(plan, "plain")
    daemon.submit(plan, "ahead", priority=5, note="first board\nsecond line", tags=["paper", "keep"], retries=2, after_failure="stop")
    daemon.submit(plan, "behind", priority=-5, attended=True)
    daemon.submit(plan, "tomorrow", not_before_ns=now_ns + 24 * HOUR_NS)
    daemon.submit(plan, "nightly", recurrence="0 2 * * *", zone="Europe/Berlin")
    moved = daemon.submit(plan, "moved")
    daemon.post(f"jobs/{moved}/move", {"where": "before", "other": first})
    daemon.delete(f"jobs/{daemon.submit(plan, 'cancelled')}")
    daemon.post("lease", {"until_ns": now_ns + HOUR_NS, "purpose": "a new board"})
    return 6
