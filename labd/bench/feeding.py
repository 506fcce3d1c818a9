"""Feeds the watchdog of a source that guards itself, as long as this process runs and its session answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from labd.bench.interlock import Caller, Interlock
from labd.deadline import deadline
from labd.errors import InstrumentFailure
from labd_instruments.contract import GuardsItself

log = logging.getLogger(__name__)

FEEDS = 3  # in one delay of the watchdog
END_S = 0.1


@asynccontextmanager
async def fed(interlock: Interlock, session: Caller, watchdog_s: float | None) -> AsyncIterator[None]:
    """While the body runs. On the way out the traffic of switching off feeds it."""
    driver = interlock.source
    if watchdog_s is None or not isinstance(driver, GuardsItself):
        yield
        return
    stop = asyncio.Event()
    feeding = asyncio.create_task(_feed(interlock, session, driver, watchdog_s / FEEDS, stop), name="watchdog fed")
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait((feeding,), timeout=END_S)  # an exchange under way ends by itself, a hung one is left
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


async def _feed(interlock: Interlock, session: Caller, driver: GuardsItself, every_s: float, stop: asyncio.Event) -> None:
    while not stop.is_set():
        if interlock.guarded:
            try:
                await session.call(driver.feed_watchdog)
                interlock.was_fed()
            except InstrumentFailure as error:  # whoever measures meets it as well, and ends the run
                log.warning("the source's watchdog could not be fed: %s", error)
        with suppress(TimeoutError):
            async with deadline(every_s):
                await stop.wait()
