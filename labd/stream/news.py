"""News: what the daemon tells its watchers about runs, captures, jobs and the bench, as it happens."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class NewsKind(enum.StrEnum):
    """What happened. The data of each is documented in docs/reference/events.md."""

    RUN_STARTED = "run_started"
    RUN_RESUMED = "run_resumed"
    RUN_PAUSED = "run_paused"
    RUN_CONTINUED = "run_continued"
    RUN_ENDED = "run_ended"
    CAPTURE_STARTED = "capture_started"
    CAPTURE_ENDED = "capture_ended"
    KPIS = "kpis"
    NOTICE = "notice"
    QUEUE = "queue"
    LEASE = "lease"
    BENCH = "bench"
    GUARD = "guard"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class News:
    """One piece of news. data: JSON data. Watchers may lose some (a hub's newest wins); the catalogue's events are the record."""

    t_ns: int
    kind: NewsKind
    text: str
    run: str = ""
    capture: str = ""
    job: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
