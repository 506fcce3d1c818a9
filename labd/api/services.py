"""What the API stands on; the composition root fills it, tests give the real things or small fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from labd.analyse.worker import Worker
from labd.api.answers import BenchStatus, PlanCheck
from labd.bench.finding import Finding
from labd.guard.wire import OffResult
from labd.influx.replay import Raw, Sent
from labd.live.windows import Between, Stretch
from labd.queue.scheduler import Scheduler
from labd.store.session import CatalogueSession
from labd.stream.hub import Hub
from labd.stream.news import News


class BenchOperations(Protocol):
    """What may be asked of the bench beside its queue. effective: JSON data."""

    async def status(self) -> BenchStatus: ...

    def effective(self) -> Mapping[str, Any]: ...

    async def off(self, who: str) -> Sequence[OffResult]: ...

    async def release(self, who: str) -> None:
        """The end of an emergency stop's hold on the bench. Raises SafetyRefusal."""

    async def check(self, who: str) -> Sequence[Finding]:
        """Raises BenchBusy, LeaseHeld."""

    async def doctor(self) -> Sequence[Finding]:
        """Of its machine, store and bench file; touches no instrument."""

    async def replay(self, run_id: str, raw: Raw | None) -> Sent:
        """A run, or a window of its samples, to InfluxDB once more. Raises NotFound, StoreError, FileError without an `[influx]` table."""

    async def plan_check(self, text: str) -> PlanCheck:
        """Raises FileError."""

    async def search_check(self, text: str, platforms: Sequence[str]) -> str:
        """The name of a use case that may be searched for here. Raises FileError."""


class LiveFrames(Protocol):
    """See docs/reference/live-frames.md."""

    def viewer(self) -> AbstractAsyncContextManager[AsyncIterator[bytes]]: ...


class TraceWindows(Protocol):
    """Parts of stored traces, also of one that is being recorded. Raises NotFound, StoreError."""

    async def read(self, trace: Path, stretch: int, start: int, stop: int | None, *, points: int) -> bytes: ...

    async def stretches(self, trace: Path) -> Sequence[Stretch]: ...

    async def integrate(self, trace: Path, stretch: int, start: int, stop: int) -> Between: ...


@dataclass(frozen=True, slots=True)
class Access:
    """Who is let in. tokens: file of tokens, None where none are asked for (loopback only). hosts: names this server answers to.

    look_again_s: how often a WebSocket's token is looked up again, so that one that is taken back hears and sees nothing more.
    """

    tokens: Path | None = None
    hosts: frozenset[str] = frozenset({"localhost", "127.0.0.1", "[::1]"})
    rate_limit: int = 50
    largest_body: int = 1 << 20
    largest_import: int = 1 << 36
    largest_model: int = 1 << 28
    look_again_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Services:
    """least_free: bytes of the disk that no import or export may take."""

    catalogue: CatalogueSession
    queue: Scheduler
    worker: Worker
    news: Hub[News]
    bench: BenchOperations
    live: LiveFrames
    windows: TraceWindows
    access: Access = field(default_factory=Access)
    least_free: int = 0
