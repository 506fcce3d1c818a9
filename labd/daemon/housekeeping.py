"""Once in a while: old runs go as the bench file says, and the space set aside is taken again."""

from __future__ import annotations

import asyncio
import logging
import time

from labd.bench_file.server import StorageSection
from labd.errors import LabdError
from labd.queue.retention import Keeping, sweep
from labd.store.session import CatalogueSession

EVERY_S = 600.0

log = logging.getLogger(__name__)


async def housekeeping(catalogue: CatalogueSession, storage: StorageSection) -> None:
    """For ever."""
    keeping = Keeping(storage.quota, storage.keep_days)
    while True:
        try:
            await sweep(catalogue, keeping, now_ns=time.time_ns())
            await catalogue.hold_reserve()
        except LabdError as error:
            log.error("housekeeping failed and is tried again: %s", error)
        await asyncio.sleep(EVERY_S)
