"""The emergency stop: through the guard where one serves, else by this process itself, whatever the daemon is doing."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from labd.errors import SafetyRefusal
from labd.guard.attempt import until_off
from labd.guard.holder import Holder
from labd.guard.link import GuardLink
from labd.guard.wire import Armament, OffResult

log = logging.getLogger(__name__)

GIVE_UP_S = 10.0


async def switch_off(armament: Armament, *, socket: Path | None = None, holder: Holder | None = None) -> list[OffResult]:
    """Switch every source off; returns within about GIVE_UP_S how each went (`OffResult.off` False: cut the supply by hand).

    socket: of the guard, tried first; it knows which process uses the sources. holder: that process, for when no guard answers; ended
    where its session is in the way (at once where the link is exclusive, else after an attempt beside it has failed).
    """
    if socket is not None:
        async with GuardLink(socket) as link:
            if link.alive:
                try:
                    return await link.off(armament)
                except SafetyRefusal as error:  # GuardLost among them
                    log.warning("%s; switching off without it", error)
    async with asyncio.TaskGroup() as tasks:
        each = [
            tasks.create_task(
                until_off(source, armament, in_the_way=lambda: holder, tell=_tell, give_up_s=GIVE_UP_S), name=f"{source.name} off"
            )
            for source in armament.sources
        ]
    return [task.result() for task in each]


async def _tell(reason: str, attempt: int) -> None:
    log.warning("attempt %d to switch off failed: %s", attempt, reason)
