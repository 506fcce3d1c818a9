"""One time that the guard switches off what it answers for, with every step in the journal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid

from labd.deadline import deadline
from labd.errors import InstrumentFailure
from labd.guard.attempt import until_off
from labd.guard.holder import Holder
from labd.guard.journal import Journal
from labd.guard.wire import Armament, GuardedSource, OffResult

log = logging.getLogger(__name__)


class Acting:
    """holder: the process to be ended where it is in the way, after grace_s; None where it lives on by right. why: for the journal.

    incident: one that this belongs to, else a new one.
    """

    def __init__(
        self, armament: Armament, holder: Holder | None, why: str, journal: Journal, *, grace_s: float = 0.0, incident: str = ""
    ) -> None:
        self.armament = armament
        self.why = why
        self._holder = holder
        self._ended_from_s = time.monotonic() + grace_s
        self._journal = journal
        self.incident = incident or uuid.uuid4().hex[:12]
        self._began_s = time.monotonic()
        self._results = {
            source.name: OffResult(source.name, False, None, "no attempt has ended yet", 0.0, 0) for source in armament.sources
        }
        self._done = asyncio.Event()

    def covers(self, armament: Armament) -> bool:
        """Whether everything that is to be switched off there is being switched off here."""
        return {source.resource for source in armament.sources} <= {source.resource for source in self.armament.sources}

    def spare(self) -> None:
        """The process works after all: it has come back, and been told."""
        self._holder = None

    async def outcome(self, within_s: float) -> list[OffResult]:
        """How each source is as soon as all are off, or after within_s; what is not off by then is tried on."""
        with contextlib.suppress(TimeoutError):
            async with deadline(within_s):
                await self._done.wait()
        return list(self._results.values())

    async def run(self) -> None:
        """All sources at once; returns when every one is off. The journal never delays switching off."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._note("lost", self.why), name="guard's journal")
            for source in self.armament.sources:
                tasks.create_task(self._one(source), name=f"guard {source.name} off")
        await self._note("done", "every output is off")
        self._done.set()

    async def _one(self, source: GuardedSource) -> None:
        async def tell(reason: str, attempt: int) -> None:
            self._results[source.name] = OffResult(source.name, False, None, reason, time.monotonic() - self._began_s, attempt)
            await self._note("not_verified", f"attempt {attempt}: {reason}", source=source.name)

        result = self._results[source.name] = await until_off(source, self.armament, in_the_way=self._in_the_way, tell=tell)
        seen = "off and discharged" if result.discharged else "off; the source does not see whether the board is discharged"
        await self._note("verified", f"{seen}, {result.took_s:.2f} s, attempt {result.attempts}", source=source.name, took_s=result.took_s)

    def _in_the_way(self) -> Holder | None:
        return self._holder if time.monotonic() >= self._ended_from_s else None

    async def _note(self, what: str, text: str, *, source: str = "", took_s: float | None = None) -> None:
        log.warning("%s %s: %s: %s", self.armament.bench, source, what, text)
        try:
            await self._journal.note(what, self.armament.bench, text, incident=self.incident, source=source, took_s=took_s)
        except (OSError, InstrumentFailure) as error:
            log.error("the guard's journal cannot be written: %s", error)  # a full disk keeps no output on
