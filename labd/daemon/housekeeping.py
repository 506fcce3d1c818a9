"""Once in a while: old runs go as the bench file says, and the space set aside is taken again."""

from __future__ import annotations

import asyncio
import logging
import time

from labd.bench_file.server import StorageSection
from labd.errors import LabdError
from labd.queue.retention import sweep
from labd.queue.scheduler import Scheduler
from labd.store.session import CatalogueSession

EVERY_S = 600.0

log = logging.getLogger(__name__)


async def housekeeping(catalogue: CatalogueSession, storage: StorageSection, scheduler: Scheduler) -> None:
    """For ever."""
    while True:
        try:
            busy = frozenset(job.run_id for job in await scheduler.jobs(ended=0) if job.run_id)
            await catalogue.do(
                lambda c: sweep(c, quota=storage.quota, keep_days=storage.keep_days, now_ns=time.time_ns(), busy=busy)  # noqa: B023  done at once
            )
            await catalogue.hold_reserve()
        except LabdError as error:
            log.error("housekeeping failed and is tried again: %s", error)
        await asyncio.sleep(EVERY_S)
