"""One client's conversation with the guard: what it asks is answered, and a heartbeat of silence is noticed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from labd.deadline import deadline
from labd.guard import wire
from labd.guard.peer import Peer
from labd.guard.wire import Armament, Message, WireError

if TYPE_CHECKING:
    from labd.guard.server import Guard

log = logging.getLogger(__name__)

GRACE_S = 3.0  # for a living process that has only lost its connection to come back and be told, before it is ended
IN_THE_SOCKET_S = 0.05  # to read what is there already
ANSWER_S = 5.0  # a client that does not read for this long is no longer answered


FOR_OTHERS = ("status", "off")
RELEASE = "it is held off until `labd bench resume BENCH`, or until the daemon's queue is resumed"


class Client:
    """One connection. holder: the process at its other end. taken: why its outputs were switched off."""

    def __init__(self, guard: Guard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer) -> None:
        self.holder = peer.holder
        self.armament: Armament | None = None
        self.taken = ""
        self.task: asyncio.Task[None] | None = None
        self._guard = guard
        self._peer = peer
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
            "release": self._release,
        }

    async def run(self) -> None:
        try:
            # a process that is killed with an answer unread resets its connection
            with contextlib.suppress(ConnectionError):
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
        """The deadline is not what decides: where this process did not run for a while, what the client has said lies in the socket."""
        while self.armament is not None and not self.taken:
            text = await self._line_by(self._deadline_s)
            if text is None:
                text = await self._line_by(asyncio.get_running_loop().time() + IN_THE_SOCKET_S)
            if text is not None:
                return text
            self._lose(f"no beat for {self.armament.heartbeat_s:g} s")
        return await self._reader.readline()

    async def _line_by(self, end_s: float) -> bytes | None:
        """None when none came. The end of the connection is an empty line."""
        try:
            async with asyncio.timeout_at(end_s):
                return await self._reader.readline()
        except TimeoutError:
            return None

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
        if served is not None and not self._peer.owns and message["op"] not in FOR_OTHERS:
            return number | {"error": f"user {self._peer.user} may ask for {' and '.join(FOR_OTHERS)} only"}
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
        stopped = self._guard.stopped(armament.bench)
        if stopped is not None:
            return {"error": f"{stopped}; {RELEASE}", "stopped": True}
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
        armament, taken = self.armament, self.taken
        self.armament, self.taken = None, ""
        if armament is not None:
            await self._guard.note("disarmed", armament.bench, f"by process {self.holder.pid}")
        return {"taken": taken} if taken else {}

    async def _take(self, message: Message) -> Message:
        """The client could not verify that its outputs are off: the guard goes on, and the client lives."""
        armament, self.armament = self.armament, None
        if armament is not None:
            self._guard.act(armament, None, str(message.get("why") or "handed over"))
        return {}

    async def _off(self, message: Message) -> Message:
        """Without sources: whatever is armed on this bench."""
        if "sources" not in message:
            bench = wire.text_of(message, "bench")
            results = await self._guard.stop_armed(bench, self._who(message))
            return (
                {"results": results}
                if results
                else {"error": f"nothing is armed on {bench}; sources: a list of what is to be switched off"}
            )
        armament = wire.read_armament(message)
        await self._guard.prepare(armament)
        return {"results": await self._guard.stop_now(armament, self._who(message))}

    async def _release(self, message: Message) -> Message:
        await self._guard.release(str(message.get("bench")), self._who(message))
        return {}

    def _who(self, message: Message) -> str:
        """The daemon acts for somebody; whoever comes himself is whom the kernel names."""
        by = message.get("by")
        return by if self._peer.owns and isinstance(by, str) and by else self._peer.user

    def _alive(self) -> None:
        if self.armament is not None:
            self._deadline_s = asyncio.get_running_loop().time() + self.armament.heartbeat_s

    def _lose(self, why: str, *, grace_s: float = 0.0) -> None:
        if self.armament is not None and not self.taken:
            self.taken = why
            self._guard.act(self.armament, self.holder, f"process {self.holder.pid}: {why}", grace_s=grace_s)
