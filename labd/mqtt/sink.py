"""The MQTT sink: everything that happens goes through an outbox, so that a broker that is away costs nothing but time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiomqtt
from aiomqtt import MqttError, Will
from paho.mqtt.subscribeoptions import SubscribeOptions

from labd.deadline import deadline
from labd.errors import LabdError
from labd.mqtt import messages
from labd.mqtt.connection import Connection, Refused, credentials
from labd.mqtt.delivery import Delivery
from labd.mqtt.feeder import Feeder
from labd.mqtt.identity import identity
from labd.mqtt.messages import Topics
from labd.mqtt.section import MqttSection
from labd.outbox.contract import Caps
from labd.outbox.session import OutboxSession
from labd.patience import LONGEST_S, Patience
from labd.store.folder import slug
from labd.store.session import CatalogueSession
from labd.stream.feed import Feed
from labd.stream.hub import Hub
from labd.stream.means import Means
from labd.stream.news import News

LOOK_S = 5.0  # at the catalogue, should no news have come; and how long a connection stands before it is trusted
GOODBYE_S = 3.0
ONLINE = messages.status("online")
# A command that was retained would be done again at every connect: none that waited is sent, and one that comes is seen to be retained.
COMMANDS = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND, retainAsPublished=True)

log = logging.getLogger(__name__)

Handler = Callable[[Connection, aiomqtt.Message], Awaitable[None]]


class MqttSink:
    """`run` is its one task. command: told each message of a command topic, when the bench file lets them in."""

    def __init__(
        self,
        section: MqttSection,
        bench: str,
        *,
        folder: Path,
        catalogue: CatalogueSession,
        news: Hub[News],
        feed: Hub[Feed],
        command: Handler | None = None,
    ) -> None:
        self._section = section
        self._bench = bench
        self._folder = folder
        self._store = catalogue.folder
        self._news = news
        self._feed = feed
        self._command = command if section.commands else None
        self.topics = Topics(section.prefix, slug(bench))
        self._outbox = OutboxSession(self._store / "outbox-mqtt.sqlite", Caps(section.outbox_size, section.outbox_age))
        self._patience = Patience()
        self._feeder = Feeder(self.topics, bench, catalogue, self._outbox)
        self._delivery = Delivery(self._outbox, self._patience)
        self._filled = asyncio.Event()
        self._connection: Connection | None = None
        self._errors: dict[str, str] = {}

    def status(self) -> dict[str, Any]:
        """JSON data for the status page. error: of any part of the sink, now; remark: what became of a damaged outbox."""
        books = self._outbox.books
        counts = {} if books is None else {"waiting": books.waiting, "dropped": books.dropped, "rejected": books.rejected}
        remark = {"remark": self._outbox.remark} if self._outbox.remark else {}
        error = "; ".join(self._errors.values())
        broker = f"{self._section.host}:{self._section.port}"
        return {"connected": self._connection is not None, "broker": broker, "error": error, **counts, **remark}

    async def run(self) -> None:
        """For ever; only cancellation ends it. What can be sent at once is sent then, and the retained state says `stopped`."""
        async with self._outbox, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._kept("feeder", self._fed), name="mqtt feeder")
            tasks.create_task(self._kept("sender", self._sent), name="mqtt sender")
            tasks.create_task(self._kept("statistics", self._statistics), name="mqtt statistics")

    async def _kept(self, part: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Exception as error:
                log.exception("mqtt %s: begun anew in %g s", part, LONGEST_S)
                while isinstance(error, ExceptionGroup):
                    error = error.exceptions[0]
                self._errors[part] = f"{part}: {type(error).__name__}: {error}"
            await asyncio.sleep(LONGEST_S)

    async def _fed(self) -> None:
        patience = Patience()
        with self._news.subscribe("mqtt", size=1) as news:  # only that there is some matters: the catalogue has it all
            while True:
                try:
                    while await self._feeder.some():
                        self._filled.set()
                except LabdError as error:
                    await asyncio.sleep(self._failed("feeder", error, patience))
                    continue
                self._errors.pop("feeder", None)
                patience.restored()
                with suppress(TimeoutError):
                    async with deadline(LOOK_S):
                        await anext(news)

    async def _sent(self) -> None:
        """Connect, send what waits, and again when the broker goes away."""
        while True:
            try:
                async with await self._client() as found:
                    self._connection = found
                    self._errors.pop("sender", None)
                    log.info("mqtt: connected to %s", self._section.host)
                    try:
                        await self._with(found)
                    except asyncio.CancelledError:
                        await self._goodbye(found)
                        raise
            except (MqttError, OSError, LabdError) as error:
                wait_s = self._failed("sender", error, self._patience)
            finally:
                self._connection = None
            await asyncio.sleep(wait_s)

    async def _with(self, found: Connection) -> None:
        if self._command is not None:
            await self._said("commands", found.hear(self.topics.of("command", "+"), COMMANDS))
        await self._online(found)  # now commands are heard
        await self._said("watch", found.hear(self.topics.status, SubscribeOptions(qos=1)))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._deliver(found), name="mqtt delivery")
                tasks.create_task(self._listen(found), name="mqtt commands")
        except ExceptionGroup as group:
            lost, others = group.split(MqttError)
            if lost is None or others is not None:
                raise
            raise MqttError(str(lost.exceptions[0])) from group

    async def _goodbye(self, found: Connection) -> None:
        """The daemon stops: what waits goes if it can go at once."""
        with suppress(MqttError, TimeoutError, LabdError):
            async with deadline(GOODBYE_S):
                while await self._feeder.some():
                    pass
                while await self._delivery.some(found):
                    pass
        with suppress(MqttError, TimeoutError, LabdError):
            async with deadline(GOODBYE_S):
                await found.deliver(self.topics.status, messages.status("stopped"), retain=True)

    async def _deliver(self, found: Connection) -> None:
        """An error of the outbox, or a refusal that may be taken back, is waited out with the connection up."""
        if self._delivery.suspects:
            await asyncio.sleep(LOOK_S)
        while True:
            self._filled.clear()
            try:
                while await self._delivery.some(found):
                    pass
            except LabdError as error:
                await asyncio.sleep(self._failed("delivery", error, self._patience))
                continue
            self._errors.pop("delivery", None)
            try:
                async with deadline(LOOK_S):
                    await self._filled.wait()
            except TimeoutError:
                self._patience.restored()  # nothing waits, and the connection stands

    async def _statistics(self) -> None:
        """Low-rate means, for whoever looks just now: not through the outbox, and counted on while nobody is connected."""
        means = Means()
        with self._feed.subscribe("mqtt statistics", size=4096) as feed:  # newest wins; counter: lost, told in the payload
            while True:
                await asyncio.sleep(self._section.statistics_interval)
                for item in feed.drained():
                    means.add(item)
                figures = means.taken()
                if figures is not None and self._connection is not None:
                    body = messages.statistics(means.run_id, means.capture, {**figures, "lost": feed.lost}, t_ns=time.time_ns())
                    self._connection.tell(self.topics.statistics, body)

    async def _listen(self, found: Connection) -> None:
        async for message in found.messages:
            if str(message.topic) == self.topics.status:
                if message.payload != ONLINE:  # the Last Will of a connection that is no more, come late
                    log.info("mqtt: %s said %r; this bench is online", self.topics.status, message.payload[:80] if message.payload else "")
                    await self._online(found)
            elif self._command is not None:
                await self._command(found, message)

    async def _online(self, found: Connection) -> None:
        await self._said("status", found.deliver(self.topics.status, ONLINE, retain=True))

    async def _said(self, part: str, asked: Awaitable[None]) -> None:
        """A broker that refuses one thing may let all else pass."""
        try:
            await asked
        except Refused as error:
            self._errors[part] = f"{part}: {error}"
            log.warning("mqtt: %s: %s", part, error)
        else:
            self._errors.pop(part, None)

    def _failed(self, part: str, error: Exception, patience: Patience) -> float:
        """Seconds until the next try."""
        wait_s = patience.spent()
        self._errors[part] = str(error) or type(error).__name__
        log.warning("mqtt %s: %s; again in %.1f s", part, self._errors[part], wait_s)
        return wait_s

    async def _client(self) -> Connection:
        """Raises FileError for a password or an authority that cannot be read, StoreError."""
        name = await asyncio.to_thread(identity, self._store, self._bench)
        given = await asyncio.to_thread(credentials, self._section, self._folder)
        return Connection(
            self._section.host,
            self._section.port,
            username=self._section.username,
            password=given.password,
            tls_context=given.tls,
            identifier=name,
            will=Will(self.topics.status, messages.status("offline"), qos=1, retain=True),
        )
