"""The guard's end: clients arm, beat and disarm; one that is lost or silent has its sources switched off."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable

from labd.deadline import deadline
from labd.errors import InstrumentFailure
from labd.guard import wire
from labd.guard.acting import Acting
from labd.guard.holder import Holder
from labd.guard.journal import Journal
from labd.guard.wire import Armament, Message, WireError
from labd.stream.session import InstrumentSession
from labd_instruments import loader
from labd_instruments.errors import InstrumentError

log = logging.getLogger(__name__)

PREPARE_S = 30.0  # importing a driver from a cold disk
GIVE_UP_S = 10.0  # an emergency stop answers within this; the guard goes on trying
GRACE_S = 3.0  # for a living process that has only lost its connection to come back and be told, before it is ended
STOP_GRACE_S = 1.0  # the same in an emergency stop: it hears of it at its next beat
ANSWER_S = 5.0  # a client that does not read for this long is no longer answered


class Guard:
    """linger_s: end by itself when no client has been connected, and nothing was to be done, for this long; None: serve for ever."""

    def __init__(self, journal: Journal, *, linger_s: float | None = None) -> None:
        self._journal = journal
        self._linger_s = linger_s
        self._clients: set[_Client] = set()
        self._acting: dict[str, Acting] = {}
        self._acted: dict[str, tuple[Holder | None, str]] = {}  # of each bench the last time only
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

    def armed_elsewhere(self, client: _Client, bench: str) -> str | None:
        """Why `client` may not arm this bench, or None. A process that has come back on another connection takes its own place."""
        if bench in self._acting:
            return f"the guard is still switching {bench} off ({self._acting[bench].why}); it must be off before it is used again"
        for other in self._clients:
            if other is client or other.armament is None or other.taken or other.armament.bench != bench:
                continue
            if other.holder != client.holder:
                return f"{bench} is in use by process {other.holder.pid}"
            other.armament = None
        return None

    def taken_from(self, client: _Client, bench: str) -> str | None:
        """Why outputs were switched off that this client's process used over an earlier connection, or None."""
        holder, why = self._acted.get(bench, (None, ""))
        if holder != client.holder:
            return None
        if bench in self._acting:
            self._acting[bench].spare()
        return why

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
        if armament.bench in self._acting:
            return
        self._acted[armament.bench] = (holder, why)
        acting = self._acting[armament.bench] = Acting(armament, holder, why, self._journal, grace_s=grace_s)
        self._changed()
        self._tasks.create_task(self._run(acting), name=f"guard {armament.bench} off")

    async def stop_now(self, armament: Armament) -> list[Message]:
        """The emergency stop: what is asked for, whoever uses it; a client that does so is told that its outputs were taken."""
        why = "emergency stop"
        wanted = {source.resource for source in armament.sources}
        holder: Holder | None = None
        for client in self._clients:
            if client.armament is not None and wanted & {source.resource for source in client.armament.sources}:
                holder = client.holder
                client.taken = client.taken or why
        results = await Acting(armament, holder, why, self._journal, grace_s=STOP_GRACE_S).run(give_up_s=GIVE_UP_S)
        if not all(result.off for result in results):
            self.act(armament, None, why)  # nobody waits any more, the outputs are still to be switched off
        return [wire.write_result(result) for result in results]

    def status(self) -> Message:
        armed = [{"bench": c.armament.bench, "pid": c.holder.pid} for c in self._clients if c.armament is not None and not c.taken]
        acting = [{"bench": bench, "why": acting.why} for bench, acting in self._acting.items()]
        return {"pid": os.getpid(), "version": wire.VERSION, "armed": armed, "acting": acting}

    def gone(self, client: _Client) -> None:
        self._clients.discard(client)
        self._changed()

    async def _run(self, acting: Acting) -> None:
        try:
            await acting.run()
        finally:
            del self._acting[acting.armament.bench]
            self._changed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        holder = _peer(writer)
        if holder is None:
            writer.close()
            return
        client = _Client(self, reader, writer, holder)
        self._clients.add(client)
        self._changed()
        client.task = self._tasks.create_task(client.run(), name=f"guard's client {holder.pid}")

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


class _Client:
    """One connection. holder: the process at its other end, as the kernel names it. taken: why its outputs were switched off."""

    def __init__(self, guard: Guard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, holder: Holder) -> None:
        self.holder = holder
        self.armament: Armament | None = None
        self.taken = ""
        self.task: asyncio.Task[None] | None = None
        self._guard = guard
        self._reader = reader
        self._writer = writer
        self._deadline_s = 0.0
        self._served: dict[str, Callable[[Message], Awaitable[Message]]] = {
            "status": self._status,
            "arm": self._arm,
            "beat": self._beat,
            "disarm": self._disarm,
            "take": self._take,
            "off": self._off,
        }

    async def run(self) -> None:
        try:
            await self._converse()
            self._lose("the connection ended without disarming", grace_s=GRACE_S)
        except Exception as error:  # noqa: BLE001  the task's edge: a client that breaks the conversation is lost, the guard is not
            log.warning("guard's client %d: %r", self.holder.pid, error)
            self._lose(f"the connection failed: {error or type(error).__name__}", grace_s=GRACE_S)
        finally:
            self._writer.close()
            self._guard.gone(self)

    async def _converse(self) -> None:
        while True:
            try:
                text = await self._line()
            except ValueError:  # longer than any request
                await self._answer({"error": f"a line has at most {wire.LONGEST_LINE} bytes"})
                continue
            if not text.endswith(b"\n"):
                return
            await self._answer(await self._outcome(text))

    async def _line(self) -> bytes:
        while self.armament is not None and not self.taken:
            try:
                async with asyncio.timeout_at(self._deadline_s):
                    return await self._reader.readline()
            except TimeoutError:
                self._lose(f"no beat for {self.armament.heartbeat_s:g} s")
        return await self._reader.readline()

    async def _answer(self, message: Message) -> None:
        self._writer.write(wire.line(message))
        async with deadline(ANSWER_S):
            await self._writer.drain()

    async def _outcome(self, text: bytes) -> Message:
        try:
            message = wire.read(text)
        except WireError as error:
            return {"error": str(error)}
        served = self._served.get(str(message.get("op")))
        number = {"n": message.get("n")}
        if served is None:
            return number | {"error": f"op: one of {', '.join(self._served)} is wanted, got {message.get('op')!r}"}
        try:
            return number | await served(message)
        except WireError as error:
            return number | {"error": str(error)}

    async def _status(self, _: Message) -> Message:
        return self._guard.status()

    async def _arm(self, message: Message) -> Message:
        armament = wire.read_armament(message)
        await self._guard.prepare(armament)
        taken = self._guard.taken_from(self, armament.bench) if message.get("again") is True else None
        if taken is not None:
            return {"taken": taken}
        refused = self._guard.armed_elsewhere(self, armament.bench)
        if refused is not None:
            return {"error": refused}
        self._guard.forget(armament.bench)
        self.armament, self.taken = armament, ""
        self._alive()
        await self._guard.note("armed", armament.bench, f"for process {self.holder.pid}")
        self._alive()
        return {}

    async def _beat(self, _: Message) -> Message:
        if self.taken:
            return {"taken": self.taken}
        self._alive()
        return {}

    async def _disarm(self, _: Message) -> Message:
        armament, self.armament, self.taken = self.armament, None, ""
        if armament is not None:
            await self._guard.note("disarmed", armament.bench, f"by process {self.holder.pid}")
        return {}

    async def _take(self, message: Message) -> Message:
        """The client could not verify that its outputs are off: the guard goes on, and the client lives."""
        armament, self.armament = self.armament, None
        if armament is not None:
            self._guard.act(armament, None, str(message.get("why") or "handed over"))
        return {}

    async def _off(self, message: Message) -> Message:
        armament = wire.read_armament(message)
        await self._guard.prepare(armament)
        return {"results": await self._guard.stop_now(armament)}

    def _alive(self) -> None:
        if self.armament is not None:
            self._deadline_s = asyncio.get_running_loop().time() + self.armament.heartbeat_s

    def _lose(self, why: str, *, grace_s: float = 0.0) -> None:
        if self.armament is not None and not self.taken:
            self.taken = why
            self._guard.act(self.armament, self.holder, f"process {self.holder.pid}: {why}", grace_s=grace_s)


async def _set(event: asyncio.Event) -> None:
    await event.wait()


def _peer(writer: asyncio.StreamWriter) -> Holder | None:
    """The process that connected, should it be of this guard's user (or root)."""
    connection: socket.socket = writer.get_extra_info("socket")
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    if uid not in (os.getuid(), 0):
        log.warning("process %d of user %d is refused", pid, uid)
        return None
    return Holder.of(pid)
