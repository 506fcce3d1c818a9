"""The InfluxDB sink: everything goes through an outbox on disk, so that a server that is away costs nothing but time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from labd import fast
from labd.deadline import deadline
from labd.errors import FileError, LabdError
from labd.influx import points
from labd.influx.answers import Verdict
from labd.influx.feeder import Feeder, message
from labd.influx.secrets import server_of
from labd.influx.section import InfluxSection
from labd.influx.sender import Sender
from labd.influx.transport import Transport, transport_of
from labd.outbox.contract import Caps, Gap, Message, Outbox
from labd.outbox.session import OutboxSession
from labd.patience import LONGEST_S
from labd.store.session import CatalogueSession
from labd.stream.feed import Feed, FeedBlock, FeedStart
from labd.stream.hub import Hub
from labd.stream.means import Means
from labd.stream.news import News, NewsKind
from labd.stream.session import InstrumentSession

FOLLOW_S = 0.5  # between two looks at a trace that is being recorded
LOOK_S = 5.0  # at the catalogue, should no news have come
ITSELF_S = 10.0
LOOK_AT_ITSELF_S = 1.0
GOODBYE_S = 3.0
COMPILED_S = 60.0

log = logging.getLogger(__name__)

Itself = Callable[[], Awaitable[Mapping[str, Mapping[str, Any]]]]


@dataclass(frozen=True, slots=True)
class Around:
    """What the sink stands on. itself: what the daemon says of itself, by measurement; folder: of the bench file."""

    catalogue: CatalogueSession
    news: Hub[News]
    feed: Hub[Feed]
    folder: Path
    itself: Itself


class InfluxSink:
    """`run` is its one task."""

    def __init__(self, section: InfluxSection, bench: str, around: Around) -> None:
        self._section = section
        self._bench = bench
        self._around = around
        store = around.catalogue.folder
        self._outbox = OutboxSession(store / "outbox-influx.sqlite", Caps(section.outbox_size, section.outbox_age))
        self._reader = InstrumentSession("influx reader")
        self._feeder = Feeder(bench, around.catalogue, self._outbox, self._reader)
        self._sender = Sender(self._outbox, self._reader, refused=store / "influx-refused.lp", alarm=self._raise_alarm)
        self._errors: dict[str, str] = {}
        self._alarm = ""
        self._woken = asyncio.Event()

    def status(self) -> dict[str, Any]:
        """JSON data for the status page. error: of any part of the sink, now; alarm: what somebody has to mend before anything gets
        through; remark: what became of a damaged outbox."""
        books, sent = self._outbox.books, self._sender.counts
        waiting: dict[str, Any] = (
            {} if books is None else {"waiting": books.waiting, "waiting_bytes": books.waiting_bytes, "dropped": books.dropped}
        )
        if books is not None:
            waiting["oldest_s"] = 0.0 if books.oldest_ns is None else round((time.time_ns() - books.oldest_ns) * 1e-9, 1)
        remark = {"remark": self._outbox.remark} if self._outbox.remark else {}
        error = "; ".join(text for text in (*self._errors.values(), self._sender.error) if text)
        state = {"connected": self._sender.connected, "server": self._section.url, "error": error, "alarm": self._alarm}
        return {**state, **waiting, **sent.told(), **remark}

    async def run(self) -> None:
        """For ever; only cancellation ends it. What can be sent at once is sent then."""
        async with self._reader, self._outbox, asyncio.TaskGroup() as tasks:
            for part, work in (("feeder", self._fed), ("traces", self._followed), ("sender", self._sent), ("itself", self._told)):
                tasks.create_task(self._kept(part, work), name=f"influx {part}")

    async def _kept(self, part: str, work: Callable[[], Awaitable[None]]) -> None:
        """A fault of one part ends neither the others nor the daemon."""
        while True:
            try:
                await work()
            except LabdError as error:
                self._errors[part] = f"{part}: {error}"
                if isinstance(error, FileError):
                    self._raise_alarm(str(error))
                log.error("influx %s: %s; again in %g s", part, error, LONGEST_S)
            except Exception as error:
                self._errors[part] = f"{part}: {type(error).__name__}: {error}"
                log.exception("influx %s: begun anew in %g s", part, LONGEST_S)
            await asyncio.sleep(LONGEST_S)

    async def _fed(self) -> None:
        with self._around.news.subscribe("influx", size=100) as news:  # newest wins: the catalogue has it all
            await self._feeder.begin()
            while True:
                while await self._feeder.events():
                    self._woken.set()
                self._errors.pop("feeder", None)
                with suppress(TimeoutError):
                    async with deadline(LOOK_S):
                        told = [await anext(news), *news.drained()]
                        for run_id in {one.run for one in told if one.kind is NewsKind.KPIS and not one.data.get("final")}:
                            await self._feeder.figures(run_id)

    async def _followed(self) -> None:
        await self._feeder.begin()
        async with InstrumentSession("influx loops") as apart:  # before there is a run whose first look would wait for it
            await apart.call(fast.rows, deadline_s=COMPILED_S)
        while True:
            while await self._feeder.traces():
                self._woken.set()
            self._woken.set()
            await self._feeder.settled()
            self._errors.pop("traces", None)
            await asyncio.sleep(FOLLOW_S)

    async def _sent(self) -> None:
        """Secrets are read again when the server refuses them: who mends a file need not start the daemon again."""
        section = self._section
        while True:
            server = await self._reader.call(partial(server_of, section, self._around.folder), deadline_s=LOOK_S)
            async with transport_of(section.api, server) as transport:
                self._errors.pop("sender", None)
                try:
                    await self._until_refused(transport)
                except asyncio.CancelledError:
                    with suppress(TimeoutError, LabdError):
                        async with deadline(GOODBYE_S):
                            await self._said_goodbye(transport)
                    raise

    async def _until_refused(self, transport: Transport) -> None:
        while True:
            self._woken.clear()
            await self._outbox.change(partial(_tell_gap, self._bench))
            while await self._sender.some(transport, zipped=self._section.compresses):
                if self._sender.verdict is Verdict.SETTINGS:
                    return
                if self._sender.connected:
                    self._alarm = ""
                await self._outbox.change(partial(_tell_gap, self._bench))
            with suppress(TimeoutError):
                async with deadline(LOOK_S):
                    await self._woken.wait()

    def _raise_alarm(self, why: str) -> None:
        text = f"influx: {self._section.url} takes nothing before its settings are mended: {why}"
        if text != self._alarm:
            self._alarm = text
            log.error("%s", text)
            self._around.news.publish(News(time.time_ns(), NewsKind.ALARM, text))

    async def _said_goodbye(self, transport: Transport) -> None:
        while await self._feeder.events() or await self._feeder.traces():
            pass
        while self._sender.verdict is Verdict.DELIVERED and await self._sender.some(transport, zipped=self._section.compresses):
            pass

    async def _told(self) -> None:
        """What the daemon says of itself, every ten seconds and at every change of what it does; energies every second while they grow."""
        means, energy_j, running, told_s = Means(), None, False, -ITSELF_S
        with (
            self._around.news.subscribe("influx itself", size=1) as news,  # newest wins: only that there is some matters
            self._around.feed.subscribe("influx itself", size=4096) as feed,  # newest wins: only this energy is short of what is lost
        ):
            while True:
                for item in feed.drained():
                    means.add(item)
                    if not isinstance(item, FeedBlock):  # a new capture begins at nothing, and after its end there is none
                        energy_j, running = None, isinstance(item, FeedStart)
                taken = means.taken()
                energy_j = (taken or {}).get("energy", energy_j)
                names = {"run": means.run_id, "capture": means.capture} if running else {"run": "", "capture": ""}
                capture = {**names, "energy": energy_j, "run_energy": means.run_energy_j}
                if news.drained() or time.monotonic() >= told_s + ITSELF_S:
                    told_s = time.monotonic()
                    await self._say(await self._around.itself(), capture)
                    self._errors.pop("itself", None)
                elif taken is not None:
                    await self._say({}, capture)
                await asyncio.sleep(LOOK_AT_ITSELF_S)

    async def _say(self, found: Mapping[str, Mapping[str, Any]], capture: Mapping[str, Any]) -> None:
        t_ns = time.time_ns()
        body = points.of_itself("bench", {"bench": self._bench}, t_ns, {**found.get("bench", {}), **capture})
        for sink, values in found.items():
            if sink != "bench":
                body += points.of_itself("outbox", {"bench": self._bench, "sink": sink}, t_ns, values)
        await self._outbox.change(partial(_put, [message("itself", body, t_ns, t_ns)]))
        self._woken.set()


def _put(messages: list[Message], outbox: Outbox) -> None:
    outbox.put(messages)


def _tell_gap(bench: str, outbox: Outbox) -> None:
    def told(gap: Gap) -> Message:
        log.error("influx: %d points were dropped while the server was away; labd replay brings them back", gap.points)
        body = points.gap(bench, first_ns=gap.first_ns, last_ns=gap.last_ns, points=gap.points)
        return Message("event", body, gap.first_ns, gap.last_ns, gap.points)  # should it be dropped itself, its points are in the next

    outbox.tell_gap(told)
