"""The guard's end: clients arm, beat and disarm; one that is lost or silent has its sources switched off."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Mapping

from labd.deadline import deadline
from labd.errors import InstrumentFailure
from labd.guard import wire
from labd.guard.acting import Acting
from labd.guard.client import Client
from labd.guard.holder import Holder
from labd.guard.journal import Journal
from labd.guard.peer import peer_of
from labd.guard.wire import Armament, Message, WireError
from labd.stream.session import InstrumentSession
from labd_instruments import loader
from labd_instruments.errors import InstrumentError

log = logging.getLogger(__name__)

PREPARE_S = 30.0  # importing a driver from a cold disk
GIVE_UP_S = 10.0  # an emergency stop answers within this; the guard goes on trying
STOP_GRACE_S = 1.0  # for a living process to hear of an emergency stop at its next beat, before it is ended


class Guard:
    """linger_s: end by itself when no client has been connected, and nothing was to be done, for this long; None: serve for ever.

    stops: emergency stops that an earlier guard heard of and nobody has released, by bench.
    """

    def __init__(self, journal: Journal, *, linger_s: float | None = None, stops: Mapping[str, str] | None = None) -> None:
        self._journal = journal
        self._linger_s = linger_s
        self._clients: set[Client] = set()
        self._acting: list[Acting] = []
        self._acted: dict[str, tuple[Holder | None, str]] = {}  # of each bench the last time only
        self._stops = dict(stops or {})
        self._incidents: dict[str, str] = {}  # of each stop
        self._busy = asyncio.Event()
        self._quiet = asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._preparing = InstrumentSession("guard's drivers")

    async def serve(self, listener: socket.socket, stop: asyncio.Event) -> None:
        """Until `stop` is set or, with linger_s, nobody needs it."""
        async with self._preparing, self._tasks:
            server = await asyncio.start_unix_server(self._connected, sock=listener, limit=wire.LONGEST_LINE)
            self._changed()
            ends: list[asyncio.Task[object]] = [self._tasks.create_task(_set(stop), name="guard's stop")]
            if self._linger_s is not None:
                ends.append(self._tasks.create_task(self._until_idle(self._linger_s), name="guard's idle time"))
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                server.close()
                for task in (*ends, *(client.task for client in self._clients if client.task is not None)):
                    task.cancel()

    def armed_elsewhere(self, client: Client, bench: str) -> str | None:
        """Why `client` may not arm this bench, or None. A process that has come back on another connection takes its own place."""
        if (acting := self._acting_on(bench)) is not None:
            return f"the guard is still switching {bench} off ({acting.why}); it must be off before it is used again"
        for other in self._clients:
            if other is client or other.armament is None or other.taken or other.armament.bench != bench:
                continue
            if other.holder != client.holder:
                return f"{bench} is in use by process {other.holder.pid}"
            other.armament = None
        return None

    def taken_from(self, client: Client, bench: str) -> str | None:
        """Why outputs were switched off that this client's process used over an earlier connection, or None."""
        holder, why = self._acted.get(bench, (None, ""))
        if holder != client.holder:
            return self._stops.get(bench)
        if (acting := self._acting_on(bench)) is not None:
            acting.spare()
        return why

    def stopped(self, bench: str) -> str | None:
        """The emergency stop that holds this bench off until somebody releases it, or None."""
        return self._stops.get(bench)

    async def release(self, bench: str, who: str) -> None:
        """The bench may be armed again."""
        self._incidents.pop(bench, None)
        if self._stops.pop(bench, None) is not None:
            await self.note("released", bench, f"by {who}")

    def forget(self, bench: str) -> None:
        self._acted.pop(bench, None)

    async def prepare(self, armament: Armament) -> None:
        """Everything that takes time is loaded now, not when seconds count. Raises WireError for a driver or option that does not exist."""
        for source in armament.sources:
            try:
                await self._preparing.call(loader.prepare, source.driver, deadline_s=PREPARE_S)
                await self._preparing.call(loader.check_options, source.driver, source.name, source.options, deadline_s=PREPARE_S)
            except InstrumentError as error:
                raise WireError(str(error)) from error

    async def note(self, what: str, bench: str, text: str) -> None:
        try:
            await self._journal.note(what, bench, text)
        except (OSError, InstrumentFailure) as error:
            log.error("the guard's journal cannot be written: %s", error)

    def act(self, armament: Armament, holder: Holder | None, why: str, *, grace_s: float = 0.0) -> None:
        """Switch off in the background, until it is done."""
        if self._acting_on(armament.bench) is None:
            self._begin(armament, holder, why, grace_s=grace_s)

    async def stop_now(self, armament: Armament, who: str) -> list[Message]:
        """The emergency stop: what is asked for, whoever uses it, and nobody arms this bench until it is released.

        A client that uses it is told that its outputs were taken.
        """
        again = armament.bench in self._stops  # the first word, the whole command and the daemon say the same: one stop
        why = self._stops.setdefault(armament.bench, f"emergency stop by {who}")
        wanted = {source.resource for source in armament.sources}
        holder: Holder | None = None
        for client in self._clients:
            if client.armament is not None and wanted & {source.resource for source in client.armament.sources}:
                holder = client.holder
                client.taken = client.taken or why
        acting = next((one for one in self._acting if one.covers(armament)), None)
        if acting is None:
            acting = self._begin(
                armament, holder, why, grace_s=STOP_GRACE_S, incident=self._incidents.get(armament.bench, "") if again else ""
            )
        self._incidents[armament.bench] = acting.incident
        if not again:
            await self.note("stopped", armament.bench, why)  # beside the switching off, which does not wait for it
        return [wire.write_result(result) for result in await acting.outcome(GIVE_UP_S)]

    async def stop_armed(self, bench: str, who: str) -> list[Message]:
        """The emergency stop for who knows the bench's name alone; nothing where nobody uses it."""
        armed = [client.armament for client in self._clients if client.armament is not None and client.armament.bench == bench]
        return [result for armament in armed for result in await self.stop_now(armament, who)]

    def status(self) -> Message:
        armed = [{"bench": c.armament.bench, "pid": c.holder.pid} for c in self._clients if c.armament is not None and not c.taken]
        acting = [{"bench": one.armament.bench, "why": one.why} for one in self._acting]
        stopped = [{"bench": bench, "why": why} for bench, why in self._stops.items()]
        return {"pid": os.getpid(), "version": wire.VERSION, "armed": armed, "acting": acting, "stopped": stopped}

    def gone(self, client: Client) -> None:
        self._clients.discard(client)
        self._changed()

    def _begin(self, armament: Armament, holder: Holder | None, why: str, *, grace_s: float, incident: str = "") -> Acting:
        self._acted[armament.bench] = (holder, why)
        acting = Acting(armament, holder, why, self._journal, grace_s=grace_s, incident=incident)
        self._acting.append(acting)
        self._changed()
        self._tasks.create_task(self._run(acting), name=f"guard {armament.bench} off")
        return acting

    async def _run(self, acting: Acting) -> None:
        try:
            await acting.run()
        finally:
            self._acting.remove(acting)
            self._changed()

    def _acting_on(self, bench: str) -> Acting | None:
        return next((one for one in self._acting if one.armament.bench == bench), None)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = peer_of(writer)
        if peer is None:
            writer.close()
            return
        client = Client(self, reader, writer, peer)
        self._clients.add(client)
        self._changed()
        client.task = self._tasks.create_task(client.run(), name=f"guard's client {peer.holder.pid}")

    def _changed(self) -> None:
        busy = bool(self._clients or self._acting)
        (self._busy.set if busy else self._busy.clear)()
        (self._quiet.clear if busy else self._quiet.set)()

    async def _until_idle(self, linger_s: float) -> None:
        while True:
            await self._quiet.wait()
            try:
                async with deadline(linger_s):
                    await self._busy.wait()
            except TimeoutError:
                return


async def _set(event: asyncio.Event) -> None:
    await event.wait()
