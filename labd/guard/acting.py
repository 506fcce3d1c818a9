"""One time that the guard switches off what it answers for, with every step in the journal."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid

from labd.errors import InstrumentFailure
from labd.guard.attempt import until_off
from labd.guard.holder import Holder
from labd.guard.journal import Journal
from labd.guard.wire import Armament, GuardedSource, OffResult

log = logging.getLogger(__name__)


class Acting:
    """holder: the process to be ended where it is in the way, after grace_s; None where it lives on by right. why: for the journal."""

    def __init__(self, armament: Armament, holder: Holder | None, why: str, journal: Journal, *, grace_s: float = 0.0) -> None:
        self.armament = armament
        self.why = why
        self._holder = holder
        self._ended_from_s = time.monotonic() + grace_s
        self._journal = journal
        self._incident = uuid.uuid4().hex[:12]

    def spare(self) -> None:
        """The process works after all: it has come back, and been told."""
        self._holder = None

    async def run(self, *, give_up_s: float | None = None) -> list[OffResult]:
        """All sources at once; returns when every one is off, or give_up_s has passed. The journal never delays switching off."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._note("lost", self.why), name="guard's journal")
            each = [tasks.create_task(self._one(source, give_up_s), name=f"guard {source.name} off") for source in self.armament.sources]
        results = [task.result() for task in each]
        if all(result.off for result in results):
            await self._note("done", "every output is off")
        return results

    async def _one(self, source: GuardedSource, give_up_s: float | None) -> OffResult:
        async def tell(reason: str, attempt: int) -> None:
            await self._note("not_verified", f"attempt {attempt}: {reason}", source=source.name)

        result = await until_off(source, self.armament, in_the_way=self._in_the_way, tell=tell, give_up_s=give_up_s)
        if result.off:
            seen = "off and discharged" if result.discharged else "off; the source does not see whether the board is discharged"
            await self._note(
                "verified", f"{seen}, {result.took_s:.2f} s, attempt {result.attempts}", source=source.name, took_s=result.took_s
            )
        return result

    def _in_the_way(self) -> Holder | None:
        return self._holder if time.monotonic() >= self._ended_from_s else None

    async def _note(self, what: str, text: str, *, source: str = "", took_s: float | None = None) -> None:
        log.warning("%s %s: %s: %s", self.armament.bench, source, what, text)
        try:
            await self._journal.note(what, self.armament.bench, text, incident=self._incident, source=source, took_s=took_s)
        except (OSError, InstrumentFailure) as error:
            log.error("the guard's journal cannot be written: %s", error)  # a full disk keeps no output on
