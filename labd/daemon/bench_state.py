"""What the daemon can say of its bench, and what somebody may ask of it outside a job: status, emergency stop, check."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from labd import bench_file
from labd.analyse.environment import versions
from labd.api.answers import BenchStatus, CaptureToMake, PlanCheck
from labd.bench.check import Finding
from labd.bench.expand import expand
from labd.bench_file import Bench, effective
from labd.bench_file import station as translate
from labd.daemon.around import Surroundings
from labd.daemon.doctor import findings
from labd.daemon.footprint import footprint
from labd.daemon.guarding import off_beside
from labd.daemon.jobs import BenchUse
from labd.daemon.run import method
from labd.deadline import deadline
from labd.guard.wire import OffResult
from labd.queue.estimate import Planned, costs_s, estimate_s
from labd.queue.scheduler import Scheduler
from labd.store.catalogue import Catalogue
from labd.stream.news import News, NewsKind

HISTORY = 10  # runs whose captures tell what the next ones cost
STOP_S = 5.0  # a run's own way out; after it the guard, or a session of our own, switches off beside it

log = logging.getLogger(__name__)


@dataclass(slots=True)
class BenchState:
    """Implements the API's bench operations."""

    bench: Bench
    around: Surroundings
    use: BenchUse
    scheduler: Scheduler
    sinks: dict[str, Any] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)
    began_s: float = field(default_factory=time.monotonic)

    async def status(self) -> BenchStatus:
        guard = self.around.guard
        free = await self.around.catalogue.do(lambda catalogue: shutil.disk_usage(catalogue.folder).free)
        return BenchStatus(
            bench=self.bench.name,
            description=self.bench.description,
            virtual=self.bench.is_virtual,
            in_use_by=self.use.by,
            queue=await self.scheduler.status(),
            guard=None if guard is None else guard.alive,
            sinks={name: sink.status() for name, sink in self.sinks.items()},
            alarms=tuple(self.alarms),
            store=str(self.around.catalogue.folder),
            free_bytes=free,
            uptime_s=time.monotonic() - self.began_s,
            process=footprint(),
            versions=versions(),
        )

    def effective(self) -> dict[str, Any]:
        return effective(self.bench)

    async def off(self, who: str) -> list[OffResult]:
        """Emergency stop: the queue pauses, the run under way is ended; what is not off in STOP_S is switched off beside it."""
        log.warning("emergency stop by %s", who)
        await self.scheduler.pause_queue(f"emergency stop by {who}")
        self.scheduler.abort_running(f"emergency stop by {who}")
        try:
            async with deadline(STOP_S):
                await self.scheduler.until_idle()
        except TimeoutError:
            log.error("the run has not ended %g s after the emergency stop; switching off beside it", STOP_S)
        results = await off_beside(self.bench, by=who)
        self.around.news.publish(
            News(time.time_ns(), NewsKind.BENCH, f"emergency stop by {who}", data={"sources": [asdict(one) for one in results]})
        )
        return results

    async def release(self, who: str) -> None:
        """What an emergency stop holds off may be used again. Raises SafetyRefusal where no guard answers."""
        if self.around.guard is not None:
            await self.around.guard.release(self.bench.name, by=who)

    async def check(self) -> list[Finding]:
        """Test the bench. Raises BenchBusy while it is in use, LabdError."""
        found: list[Finding] = []
        await self.use.check(found.append, asyncio.Event())
        return found

    async def doctor(self) -> list[Finding]:
        return await self.around.worker.call(findings, self.around.catalogue.folder, self.bench.path.absolute())

    async def plan_check(self, text: str) -> PlanCheck:
        """What a plan would do on this bench: its captures, and an estimate of their time. Raises FileError with every problem."""
        plan = bench_file.plan_of(text, Path("plan"))
        bench_file.check_plan(self.bench, plan)
        plans = expand(translate.wanted(plan), method(self.bench), longest_event_s=self.bench.board.longest_event)
        cost_s = await self.around.catalogue.do(partial(_costs, self.bench.name))
        known = [Planned(one.key, one.duration_s) for one in plans]
        captures = tuple(CaptureToMake(one.key, one.order, one.role, one.duration_s) for one in plans)
        return PlanCheck(plan.name, captures, estimate_s(known, cost_s, stepped=self.bench.clock == "stepped"))

    async def not_off(self, text: str) -> None:
        """Nothing may begin before a person has looked."""
        await self.scheduler.pause_queue(text)
        self.alarm(text)

    def alarm(self, text: str) -> None:
        self.alarms.append(text)
        log.error("%s", text)
        self.around.news.publish(News(time.time_ns(), NewsKind.ALARM, text))


def _costs(bench: str, catalogue: Catalogue) -> dict[str, float]:
    runs = catalogue.runs.newest(limit=HISTORY, bench=bench)
    return costs_s(row for run in runs for row in catalogue.captures.of(run.id))
