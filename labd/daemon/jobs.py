"""Runs the queue's jobs on the one bench of the daemon, one use of the bench at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from labd import bench_file, logs
from labd.bench.control import RunControl
from labd.bench.finding import Finding
from labd.bench.runner import Rules
from labd.bench_file import Bench
from labd.daemon import check as checking
from labd.daemon import run as running
from labd.daemon.accuracy import accuracy_job
from labd.daemon.around import Surroundings
from labd.daemon.guarding import refuse_unattended
from labd.daemon.opened import load_bench
from labd.daemon.run import RunRequest, first_of
from labd.daemon.search_job import search_job
from labd.errors import Interrupted, LabdError, OutputNotVerifiedOff
from labd.guard.link import GuardLost, TakenByGuard
from labd.queue.steps import JobOutcome
from labd.store.jobs import AfterFailure, JobKind, JobRow, JobState
from labd.store.lock import BenchBusy

log = logging.getLogger(__name__)


class BenchUse:
    """The bench as the daemon uses it. alarm: told of outputs that were not verified off or that the guard took; no job may begin then."""

    alarm: Callable[[str], Awaitable[None]]

    def __init__(self, path: Path, around: Surroundings) -> None:
        self._path = path
        self._around = around
        self._lock = asyncio.Lock()
        self.by = ""

    @asynccontextmanager
    async def used_by(self, who: str) -> AsyncIterator[Bench]:
        """The bench file as it is now, for one use. Raises BenchBusy at once while another use goes on, FileError."""
        if self._lock.locked():
            raise BenchBusy(f"the bench is in use: {self.by}")
        async with self._lock:
            self.by = who
            try:
                yield load_bench(self._path)
            except OutputNotVerifiedOff as error:
                await self.alarm(f"outputs not verified off: {error}")
                raise
            except (TakenByGuard, GuardLost) as error:  # else the next job would power the board again, or fail as this one does
                await self.alarm(str(error))
                raise
            finally:
                self.by = ""

    async def run(self, job: JobRow, control: RunControl) -> JobOutcome:
        """One job from its first capture, sample or candidate to its report; whatever fails is in the outcome."""
        try:
            async with self.used_by(f"job {job.id}") as bench:
                refuse_unattended(bench, attended=job.attended)
                if job.kind is JobKind.ACCURACY:
                    with logs.about(job=job.id):
                        await accuracy_job(job, bench, self._around, control)
                    return JobOutcome(JobState.FINISHED, "", "")
                if job.kind is JobKind.SEARCH:
                    with logs.about(job=job.id):
                        await search_job(job, bench, self._around, control)
                    return JobOutcome(JobState.FINISHED, "", "")
                plan = bench_file.plan_of(job.plan_text, Path(f"job {job.id} ({job.plan_name})"), cards=await self._cards_of(job))
                rules = Rules(stop_at_failure=job.after_failure is AfterFailure.STOP, retries=job.retries)
                request = RunRequest(bench, plan, resume=job.run_id, rules=rules, job=job.id, notes=job.note, tags=job.tags)
                with logs.about(job=job.id):
                    outcome = await running.run(request, self._around, control)
        except Interrupted as error:
            return JobOutcome(JobState.INTERRUPTED, await self._run_of(job), control.reason or str(error))
        except LabdError as error:
            log.error("job %s failed: %s", job.id, error)
            return JobOutcome(JobState.FAILED, await self._run_of(job), str(error))
        state = JobState.FAILED if outcome.failed else JobState.FINISHED
        return JobOutcome(state, outcome.run_id, first_of(outcome.failed))

    async def check(self, show: Callable[[Finding], None], stop: asyncio.Event) -> bool:
        """Test the bench, telling each finding; True when nothing failed."""
        async with self.used_by("a check of the bench") as bench:
            return await checking.check(bench, self._around.guard, self._around.catalogue, show=show, stop=stop, hold=False)

    async def _cards_of(self, job: JobRow) -> Mapping[str, Any] | None:
        """Those of the run that a job goes on with: its plan may name files that were beside it on another day."""
        if not job.run_id:
            return None
        row = await self._around.catalogue.do(lambda catalogue: catalogue.runs.get(job.run_id))
        return {kind: card for kind, card in row.cards.items() if kind != "hardware"}  # that is the board's

    async def _run_of(self, job: JobRow) -> str:
        """The newest run that was made for a job, empty when it never came to one."""
        runs = await self._around.catalogue.do(lambda catalogue: catalogue.runs.newest(limit=1, job=job.id))
        return runs[0].id if runs else ""
