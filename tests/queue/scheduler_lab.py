"""A scheduler on a real catalogue whose disk refuses or stalls when a test wants it to, and jobs that end as they are told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from labd.bench.control import RunControl
from labd.errors import StoreError
from labd.queue.scheduler import Scheduler
from labd.queue.steps import JobOutcome
from labd.store.catalogue import Catalogue
from labd.store.jobs import JobRow, JobState, NewJob
from labd.store.session import CatalogueSession
from labd.stream.hub import Hub
from labd.stream.news import News

T = TypeVar("T")

SOON_S = 10.0
NOW_NS = 1_795_444_200_000_000_000  # 2026-11-23 14:30 UTC
HOUR_NS = 3600 * 10**9


class Disk(CatalogueSession):
    """A catalogue whose disk refuses, or holds up, what a test wants it to. stalls: which step from now on, 0 for none.

    attempts: what was refused so far.
    """

    refuses = False
    stalls = 0
    attempts = 0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.refused = asyncio.Event()
        self.goes_on = threading.Event()

    async def do(self, work: Callable[[Catalogue], T]) -> T:
        self.stalls -= 1
        if self.stalls == 0:
            return await self._stalled(work)
        if self.refuses:
            self.attempts += 1
            self.refused.set()
            raise StoreError("the disk is full")
        return await super().do(work)

    async def _stalled(self, work: Callable[[Catalogue], T]) -> T:
        """Given up while the thread is in it, and done late: when the disk goes on."""
        loop, begun = asyncio.get_running_loop(), asyncio.Event()

        def late(catalogue: Catalogue) -> T:
            loop.call_soon_threadsafe(begun.set)
            self.goes_on.wait(timeout=SOON_S)
            return work(catalogue)

        asked = asyncio.create_task(super().do(late))
        await begun.wait()
        asked.cancel()
        await asyncio.wait((asked,))
        self.refused.set()
        raise StoreError("the disk did not answer within 60 s")

    @asynccontextmanager
    async def held_up(self) -> AsyncIterator[None]:
        """What is asked inside waits until the end."""
        let_go = threading.Event()
        first = asyncio.create_task(super().do(lambda _catalogue: let_go.wait()))
        await asyncio.sleep(0)
        try:
            yield
        finally:
            let_go.set()
            await first


@dataclass(slots=True)
class Lab:
    """A scheduler whose jobs wait until the test ends them. way_out: cleared, a job that is aborted takes its time."""

    catalogue: Disk
    now_ns: int = NOW_NS
    begun: list[str] = field(default_factory=list)
    ends: dict[str, asyncio.Future[JobOutcome]] = field(default_factory=dict)
    controls: dict[str, RunControl] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    way_out: asyncio.Event = field(default_factory=asyncio.Event)
    scheduler: Scheduler = field(init=False)

    def __post_init__(self) -> None:
        self.way_out.set()
        self.scheduler = Scheduler(self.catalogue, bench="demo", run=self.run, news=Hub[News](), now_ns=lambda: self.now_ns)

    async def run(self, job: JobRow, control: RunControl) -> JobOutcome:
        self.begun.append(job.plan_name)
        self.controls[job.plan_name] = control
        end = self.ends[job.plan_name] = asyncio.get_running_loop().create_future()
        self.changed.set()
        aborted = asyncio.create_task(control.stop.wait())
        await asyncio.wait((end, aborted), return_when=asyncio.FIRST_COMPLETED)
        aborted.cancel()
        await self.way_out.wait()
        return end.result() if end.done() else JobOutcome(JobState.INTERRUPTED, f"run of {job.plan_name}", control.reason)

    async def until_begun(self, *names: str) -> None:
        async with asyncio.timeout(SOON_S):
            while self.begun != list(names):
                self.changed.clear()
                await self.changed.wait()

    async def end(self, name: str, state: JobState = JobState.FINISHED, error: str = "") -> None:
        self.ends[name].set_result(JobOutcome(state, f"run of {name}", error))
        async with asyncio.timeout(SOON_S):
            await self.scheduler.until_idle()

    async def submit(self, name: str, **given: Any) -> JobRow:
        return await self.scheduler.submit(NewJob(name, "plan", **given))

    async def states(self) -> dict[str, JobState]:
        return {job.plan_name: job.state for job in await self.scheduler.jobs()}


@asynccontextmanager
async def running(lab: Lab) -> AsyncIterator[Lab]:
    """As long as the daemon is there."""
    task = asyncio.create_task(lab.scheduler.run(), name="scheduler")
    try:
        yield lab
    finally:
        task.cancel()
        await asyncio.wait((task,))
    if not task.cancelled():
        task.result()
