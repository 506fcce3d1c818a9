"""The emergency stop: through the guard where one serves, else by this process itself, whatever the daemon is doing."""

from __future__ import annotations

import asyncio
import getpass
import logging
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path

from labd.errors import InstrumentFailure, SafetyRefusal
from labd.guard.attempt import until_off
from labd.guard.holder import Holder
from labd.guard.journal import Journal
from labd.guard.link import GuardLink
from labd.guard.wire import Armament, OffResult

log = logging.getLogger(__name__)

GIVE_UP_S = 10.0


async def switch_off(
    armament: Armament, *, sockets: Iterable[Path] = (), holder: Holder | None = None, journal: Path | None = None, by: str = ""
) -> list[OffResult]:
    """Switch every source off; returns within about GIVE_UP_S how each went (`OffResult.off` False: cut the supply by hand).

    sockets: of guards, tried first, all of them: they know which process uses the sources, and hold the bench off afterwards.
    For when none answers: holder, that process, ended where its session is in the way (at once where the link is exclusive, else after an
    attempt beside it has failed), and journal, where the next guard finds that the bench is to be held off. by: who wants it, where not
    this process's user.
    """
    async with AsyncExitStack() as stack:
        links = [await stack.enter_async_context(GuardLink(socket)) for socket in sockets]
        answers = await asyncio.gather(*(_through(link, armament, by) for link in links if link.alive))
    told = [answer for answer in answers if answer is not None]
    return best(told) if told else await _alone(armament, holder, journal, by)


def best(answers: Iterable[Iterable[OffResult]]) -> list[OffResult]:
    """One result a source from several who tried: off where one of them has verified it."""
    found: dict[str, OffResult] = {}
    for result in (result for answer in answers for result in answer):
        if result.off or result.source not in found:
            found[result.source] = result
    return list(found.values())


async def release(bench: str, *, sockets: Iterable[Path], journal: Path, by: str = "") -> None:
    """Let the bench be armed again after an emergency stop. Raises SafetyRefusal (a guard refuses), OSError, InstrumentFailure."""
    async with AsyncExitStack() as stack:
        links = [await stack.enter_async_context(GuardLink(socket)) for socket in sockets]
        alive = [link for link in links if link.alive]
        for link in alive:
            await link.release(bench, by=by)
    if not alive:
        async with Journal(journal) as book:
            await book.note("released", bench, f"by {by or getpass.getuser()}")


async def _through(link: GuardLink, armament: Armament, by: str) -> list[OffResult] | None:
    try:
        return await link.off(armament, by=by)
    except SafetyRefusal as error:  # GuardLost among them
        log.warning("%s; switching off without it", error)
        return None


async def _alone(armament: Armament, holder: Holder | None, journal: Path | None, by: str) -> list[OffResult]:
    async with asyncio.TaskGroup() as tasks:
        each = [
            tasks.create_task(
                until_off(source, armament, in_the_way=lambda: holder, tell=_tell, give_up_s=GIVE_UP_S), name=f"{source.name} off"
            )
            for source in armament.sources
        ]
        if journal is not None:
            tasks.create_task(_leave_word(journal, armament.bench, by), name="guard's journal")
    return [task.result() for task in each]


async def _leave_word(journal: Path, bench: str, by: str) -> None:
    try:
        async with Journal(journal) as book:
            await book.note("stopped", bench, f"emergency stop by {by or getpass.getuser()}")
    except (OSError, InstrumentFailure) as error:
        log.warning("the next guard will not know of this emergency stop: %s", error)


async def _tell(reason: str, attempt: int) -> None:
    log.warning("attempt %d to switch off failed: %s", attempt, reason)
