"""The MQTT sink: everything that happens goes through an outbox, so that a broker that is away costs nothing but time."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiomqtt
from aiomqtt import Client, MqttError, Will

from labd.deadline import deadline
from labd.errors import FileError, LabdError
from labd.mqtt import messages
from labd.mqtt.messages import Topics
from labd.mqtt.section import MqttSection
from labd.outbox.contract import Caps, Lent, Message, Outbox
from labd.outbox.sqlite import SqliteOutbox
from labd.store.catalogue import Catalogue
from labd.store.folder import slug
from labd.store.session import CatalogueSession
from labd.stream.feed import Feed
from labd.stream.hub import Hub
from labd.stream.means import Means
from labd.stream.news import News, NewsKind
from labd.stream.session import InstrumentSession

BATCH = 100
LOOK_S = 5.0  # at the catalogue, should no news have come
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
GOODBYE_S = 3.0
DISK_S = 60.0
SOURCE = "events"

log = logging.getLogger(__name__)

Handler = Callable[[Client, aiomqtt.Message], Any]


class MqttSink:
    """`run` is its one task. commands: told each message of a command topic, when the bench file lets them in."""

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
        self._folder = folder
        self._catalogue = catalogue
        self._news = news
        self._feed = feed
        self._command = command if section.commands else None
        self.topics = Topics(section.prefix, slug(bench))
        self._disk = InstrumentSession("mqtt outbox")
        self._outbox: Outbox | None = None
        self._filled = asyncio.Event()
        self._connected = False
        self._error = ""
        self._books: dict[str, int] = {}

    def status(self) -> dict[str, Any]:
        """JSON data for the status page."""
        return {"connected": self._connected, "broker": f"{self._section.host}:{self._section.port}", "error": self._error, **self._books}

    async def run(self) -> None:
        """For ever. On cancellation what can be sent at once is sent, and the retained state says `stopped`."""
        path = self._catalogue.folder / "outbox-mqtt.sqlite"
        caps = Caps(self._section.outbox_size, self._section.outbox_age)
        async with self._disk:
            self._outbox = await self._do(partial(SqliteOutbox, path, caps))
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._fed(), name="mqtt feeder")
                    tasks.create_task(self._sent(), name="mqtt sender")
            finally:
                await self._do(self._outbox.close)

    async def _fed(self) -> None:
        """Events of the catalogue into the outbox, each once; figures when a run has ended."""
        with self._news.subscribe("mqtt", size=1) as news:  # only that there is some matters: the catalogue has it all
            while True:
                try:
                    while await self._feed_some():
                        self._filled.set()
                except LabdError as error:
                    log.error("mqtt: events wait in the catalogue: %s", error)
                with suppress(TimeoutError):
                    async with deadline(LOOK_S):
                        await anext(news)

    async def _feed_some(self) -> bool:
        outbox = self._box
        after = await self._do(partial(outbox.cursor, SOURCE))
        events = await self._catalogue.do(lambda catalogue: catalogue.runs.events_after(after, limit=BATCH))
        if not events:
            return False
        ended = [stored.run_id for stored in events if stored.event.kind == NewsKind.RUN_ENDED]
        figures = [one for run_id in ended for one in await self._catalogue.do(partial(_figures, self.topics, run_id))]
        told = [messages.event(self.topics, stored) for stored in events]
        await self._do(partial(outbox.put, [*told, *figures], source=SOURCE, cursor=events[-1].id))
        return True

    async def _sent(self) -> None:
        """Connect, send what waits, and again when the broker goes away."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                async with await self._client() as client:
                    self._connected, self._error, wait_s = True, "", FIRST_WAIT_S
                    log.info("mqtt: connected to %s", self._section.host)
                    try:
                        await self._with(client)
                    finally:
                        if (task := asyncio.current_task()) is not None and task.cancelling():
                            await self._goodbye(client)
            except (MqttError, OSError, ssl.SSLError, FileError) as error:
                self._error = str(error) or type(error).__name__
                log.warning("mqtt: %s; again in about %.1f s", self._error, wait_s)
            finally:
                self._connected = False
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))  # many benches must not come back at once
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _with(self, client: Client) -> None:
        await self._do(self._box.release)  # a delivery that was cut off may have left some lent
        if self._command is not None:
            await client.subscribe(self.topics.of("command", "+"), qos=1)
        await client.publish(self.topics.status, messages.status("online"), qos=1, retain=True)  # now commands are heard
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._deliver(client), name="mqtt delivery")
                tasks.create_task(self._statistics(client), name="mqtt statistics")
                tasks.create_task(self._listen(client), name="mqtt commands")
        except ExceptionGroup as group:
            lost, others = group.split(MqttError)
            if lost is None or others is not None:
                raise
            raise MqttError(str(lost.exceptions[0])) from group

    async def _goodbye(self, client: Client) -> None:
        """The daemon stops: what waits goes if it can go at once."""
        with suppress(MqttError, TimeoutError, LabdError):
            async with deadline(GOODBYE_S):
                await self._do(self._box.release)
                while await self._feed_some():
                    pass
                while await self._deliver_some(client):
                    pass
        with suppress(MqttError, TimeoutError):
            async with deadline(GOODBYE_S):
                await client.publish(self.topics.status, messages.status("stopped"), qos=1, retain=True)

    async def _deliver(self, client: Client) -> None:
        while True:
            self._filled.clear()
            while await self._deliver_some(client):
                pass
            with suppress(TimeoutError):
                async with deadline(LOOK_S):
                    await self._filled.wait()

    async def _deliver_some(self, client: Client) -> bool:
        """One batch, each message accepted when the broker has it. What is not sent is kept."""
        outbox = self._box
        lent = await self._do(partial(outbox.lend, BATCH))
        sent: list[Lent] = []
        try:
            for one in lent:
                await client.publish(one.message.address, one.message.body, qos=1)
                sent.append(one)
        finally:
            await self._do(partial(_settle, outbox, sent, lent[len(sent) :]))
            books = await self._do(outbox.books)
            self._books = {"waiting": books.waiting, "dropped": books.dropped, "rejected": books.rejected}
        return bool(lent)

    async def _statistics(self, client: Client) -> None:
        """Low-rate means, for whoever looks just now: not through the outbox."""
        means = Means()
        with self._feed.subscribe("mqtt statistics", size=4096) as feed:  # newest wins; counter: lost, told in the payload
            while True:
                await asyncio.sleep(self._section.statistics_interval)
                for item in feed.drained():
                    means.add(item)
                figures = means.taken()
                if figures is not None:
                    body = messages.statistics(means.run_id, means.capture, {**figures, "lost": feed.lost}, t_ns=time.time_ns())
                    await client.publish(self.topics.statistics, body, qos=0)

    async def _listen(self, client: Client) -> None:
        async for message in client.messages:
            if self._command is not None:
                await self._command(client, message)

    async def _client(self) -> Client:
        """Raises FileError for a password or an authority that cannot be read."""
        section = self._section
        tls = await self._do(partial(_tls, section, self._folder)) if section.tls else None
        return Client(
            section.host,
            section.port,
            username=section.username,
            password=await self._do(partial(_password, section, self._folder)),
            identifier=f"labd-{self.topics.bench}-{os.getpid()}",
            protocol=aiomqtt.ProtocolVersion.V5,
            will=Will(self.topics.status, messages.status("offline"), qos=1, retain=True),
            tls_context=tls,
            timeout=10,
        )

    @property
    def _box(self) -> Outbox:
        assert self._outbox is not None  # `run` has opened it
        return self._outbox

    async def _do(self, work: Callable[[], Any]) -> Any:
        return await self._disk.call(work, deadline_s=DISK_S)


def _figures(topics: Topics, run_id: str, catalogue: Catalogue) -> list[Message]:
    return [messages.kpi(topics, run_id, record, t_ns=time.time_ns()) for record in catalogue.kpis.of(run_id)]


def _settle(outbox: Outbox, sent: list[Lent], unsent: list[Lent]) -> None:
    outbox.accept(sent)
    outbox.keep(unsent)


def _password(section: MqttSection, folder: Path) -> str | None:
    if section.password_env is not None:
        if section.password_env not in os.environ:
            raise FileError("mqtt", "password_env", f"there is no environment variable {section.password_env}")
        return os.environ[section.password_env]
    if section.password_file is None:
        return None
    try:
        return (folder / section.password_file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise FileError(str(folder / section.password_file), "", f"cannot be read: {error.strerror or error}") from error


def _tls(section: MqttSection, folder: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if section.tls_ca is None else str(folder / section.tls_ca))
    except (OSError, ssl.SSLError) as error:
        raise FileError(str(section.tls_ca), "", f"is no PEM file of an authority: {error}") from error
