"""What the daemon can say of its bench, and what somebody may ask of it outside a job: status, emergency stop, check."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from labd import bench_file
from labd.analyse.environment import versions
from labd.api.answers import BenchStatus, CaptureToMake, PlanCheck
from labd.bench.expand import CapturePlan, expand
from labd.bench.finding import Finding
from labd.bench_file import Bench, Plan, effective
from labd.bench_file import station as translate
from labd.daemon.around import Surroundings
from labd.daemon.doctor import findings
from labd.daemon.footprint import footprint
from labd.daemon.guarding import off_beside
from labd.daemon.jobs import BenchUse
from labd.daemon.replaying import replayed
from labd.daemon.run import method
from labd.daemon.search_job import checked_for
from labd.deadline import deadline
from labd.errors import LabdError
from labd.guard.wire import OffResult
from labd.influx.replay import Raw, Sent
from labd.queue.estimate import Planned, costs_s, estimate_s
from labd.queue.scheduler import Scheduler
from labd.store.catalogue import Catalogue
from labd.stream.news import News, NewsKind
from labd.stream.session import InstrumentSession

PLAN_S = 30.0
HISTORY = 10  # runs whose captures tell what the next ones cost
STOP_S = 3.0  # a run's own way out; after it the guard, or a session of our own, switches off beside it

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
        free = await self.around.catalogue.read(lambda catalogue: shutil.disk_usage(catalogue.folder).free)
        sinks = {name: sink.status() for name, sink in self.sinks.items()}
        return BenchStatus(
            bench=self.bench.name,
            description=self.bench.description,
            virtual=self.bench.is_virtual,
            in_use_by=self.use.by,
            queue=await self.scheduler.status(),
            guard=None if guard is None else guard.alive,
            sinks=sinks,
            alarms=(*self.alarms, *(said["alarm"] for said in sinks.values() if said.get("alarm"))),
            store=str(self.around.catalogue.folder),
            free_bytes=free,
            uptime_s=time.monotonic() - self.began_s,
            process=footprint(),
            versions=versions(),
        )

    def effective(self) -> dict[str, Any]:
        return effective(self.bench)

    async def off(self, who: str) -> list[OffResult]:
        """Emergency stop: nothing begins any more, the run under way is ended; what is not off in STOP_S is switched off beside it.

        Only then is it written down that the queue is paused: a disk that is full or hangs delays no switching off.
        """
        why = f"emergency stop by {who}"
        log.warning("%s", why)
        self.scheduler.hold(why)
        try:
            async with deadline(STOP_S):
                await self.scheduler.until_over()
        except TimeoutError:
            log.error("the run has not ended %g s after the emergency stop; switching off beside it", STOP_S)
        results = await off_beside(self.bench, by=who)
        self.around.news.publish(News(time.time_ns(), NewsKind.BENCH, why, data={"sources": [asdict(one) for one in results]}))
        for one in results:
            if not one.off:
                self.alarm(f"{one.source} is NOT OFF after the {why}: {one.text}")
        await self._keep_paused(why)
        return results

    async def release(self, who: str) -> None:
        """What an emergency stop holds off may be used again. Raises SafetyRefusal where no guard answers."""
        if self.around.guard is not None:
            await self.around.guard.release(self.bench.name, by=who)

    async def check(self, who: str) -> list[Finding]:
        """Test the bench. Raises BenchBusy while it is in use, LeaseHeld while somebody else has reserved it, LabdError."""
        await self.scheduler.refuse_others(who)
        found: list[Finding] = []
        await self.use.check(found.append, asyncio.Event())
        return found

    async def doctor(self) -> list[Finding]:
        return await self.around.worker.call(findings, self.around.catalogue.folder, self.bench.path.absolute())

    async def replay(self, run_id: str, raw: Raw | None) -> Sent:
        """Told as it goes on to those who watch. Raises LabdError."""
        found = await self.around.catalogue.read(lambda catalogue: catalogue.runs.get(run_id))

        def show(sent: Sent) -> None:
            text = f"replay: {sent.points} points"
            self.around.news.publish(News(time.time_ns(), NewsKind.NOTICE, text, run=found.id, data={"points": sent.points}))

        return await replayed(self.bench, self.around.catalogue.folder, found.id, raw=raw, show=show)

    async def plan_check(self, text: str) -> PlanCheck:
        """What a plan would do on this bench: its captures, and an estimate of their time. Raises FileError with every problem."""
        async with InstrumentSession("plan") as apart:  # the loop has a guard to tell that it lives
            plan, plans = await apart.call(partial(_laid_out, self.bench, text), deadline_s=PLAN_S)
        cost_s = await self.around.catalogue.read(partial(_costs, self.bench.name))
        known = [Planned(one.key, one.duration_s) for one in plans]
        captures = tuple(CaptureToMake(one.key, one.order, one.role, one.duration_s) for one in plans)
        return PlanCheck(
            plan.name,
            captures,
            estimate_s(known, cost_s, stepped=self.bench.clock == "stepped", most_s=None if plan.aim is None else plan.aim.time),
        )

    async def search_check(self, text: str, platforms: Sequence[str]) -> str:
        """The name of a use case whose candidates this bench can measure, with builders that its file names. Raises FileError."""
        async with InstrumentSession("use case") as apart:
            use_case = await apart.call(partial(checked_for, self.bench, text, tuple(platforms)), deadline_s=PLAN_S)
        return use_case.name

    async def not_off(self, text: str) -> None:
        """Nothing may begin before a person has looked."""
        self.scheduler.hold(text)
        self.alarm(text)
        await self._keep_paused(text)

    async def _keep_paused(self, why: str) -> None:
        """Over a restart too, as far as the disk lets it; until then the queue is held all the same."""
        try:
            await self.scheduler.pause_queue(why)
        except LabdError as error:
            self.alarm(f"the queue is paused, but not over a restart of the daemon: {error}")

    def alarm(self, text: str) -> None:
        self.alarms.append(text)
        log.error("%s", text)
        self.around.news.publish(News(time.time_ns(), NewsKind.ALARM, text))


def _costs(bench: str, catalogue: Catalogue) -> dict[str, float]:
    runs = catalogue.runs.newest(limit=HISTORY, bench=bench)
    return costs_s(row for run in runs for row in catalogue.captures.of(run.id))


def _laid_out(bench: Bench, text: str) -> tuple[Plan, list[CapturePlan]]:
    plan = bench_file.plan_of(text, Path("plan"))
    bench_file.check_plan(bench, plan)
    how = method(bench)
    bench_file.check_trigger(bench, plan, streams=how.stream)
    plans = expand(translate.wanted(plan, bench.board), how, longest_event_s=bench.board.longest_event)
    bench_file.check_aim(plan, plans)
    return plan, plans
