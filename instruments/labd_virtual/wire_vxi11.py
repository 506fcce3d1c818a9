"""VXI-11 (VISA `TCPIP::host::inst0::INSTR`): calls over ONC RPC, one for writing a message and another for reading its answer.

VXI-11 revision 1.0, "TCP/IP Instrument Protocol Specification", and VXI-11.3 for IEEE 488.2 instruments; RFC 5531 (RPC) and RFC 4506
(XDR). No portmapper: VISA is told the port. Service requests are not offered.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntEnum

from labd_virtual.wire import MESSAGE_AVAILABLE, Clients, Device, Server, Session

CORE, ABORT = (0x0607AF, 1), (0x0607B0, 1)  # programs and their versions, B.6
LARGEST = 1 << 20  # bytes that one device_write takes
END, TERMCHAR, WAIT_LOCK = 8, 128, 1  # flags, B.5.3
COUNT, CHARACTER, ENDED = 1, 2, 4  # reasons why a read is over, B.6.3
LAST = 0x80000000  # of a record's fragments (RFC 5531, 11)


class Failed(IntEnum):
    """Errors, B.5.2."""

    NOTHING = 0
    NOT_ACCESSIBLE = 3
    BAD_LINK = 4
    UNSUPPORTED = 8
    LOCKED = 11
    NO_LOCK = 12
    TIMEOUT = 15
    ABORTED = 23


class _Malformed(Exception):
    """Arguments that cannot be read."""


class _Arguments:
    """XDR, read from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def word(self) -> int:
        if len(self._data) < 4:
            raise _Malformed
        value, self._data = int.from_bytes(self._data[:4], "big"), self._data[4:]
        return value

    def opaque(self) -> bytes:
        size = self.word()
        padded = -(-size // 4) * 4
        if len(self._data) < padded:
            raise _Malformed
        found, self._data = self._data[:size], self._data[padded:]
        return found


def words(*values: int) -> bytes:
    return struct.pack(f"!{len(values)}I", *(value & 0xFFFFFFFF for value in values))


def opaque(data: bytes) -> bytes:
    return words(len(data)) + data + bytes(-len(data) % 4)


@dataclass(slots=True, eq=False)
class _Link:
    """answer: what is left of the last response. running: what is executed, in turn, the newest last. aborted: set by device_abort."""

    session: Session
    taken: bytearray = field(default_factory=bytearray)
    answer: bytes = b""
    running: list[asyncio.Task[None]] = field(default_factory=list)
    aborted: asyncio.Event = field(default_factory=asyncio.Event)

    def drop(self) -> None:
        for task in self.running:
            task.cancel()
        self.running = []


Act = Callable[[_Link, _Arguments], Awaitable[bytes]]


class Vxi11Server(Server):
    """Device inst0. The links of a connection end with it."""

    def __init__(self, device: Device, *, clients: Clients = "many") -> None:
        super().__init__(device, clients=clients)
        self._numbers = itertools.count(1)
        self._links: dict[int, _Link] = {}
        self._acts: dict[int, Act] = {
            11: self._write,
            12: self._read,
            13: self._status,
            14: self._trigger,
            15: self._clear,
            16: self._done,
            17: self._done,
            18: self._locked,
            19: self._unlock,
            20: self._unsupported,
            22: self._docmd,
        }

    @property
    def resource(self) -> str:
        return f"TCPIP::127.0.0.1,{self.port}::inst0::INSTR"

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._admitted() as session:
            mine: list[int] = []
            try:
                while True:
                    call = await self._record(reader)
                    reply = await self._called(session, mine, _Arguments(call))
                    await self._sent(writer, words(LAST | len(reply)) + reply)
            except _Malformed:
                return  # what is no call is no client
            finally:
                for number in mine:
                    self._destroyed(number)

    async def _record(self, reader: asyncio.StreamReader) -> bytes:
        record = b""
        while True:
            head = int.from_bytes(await self._exactly(reader, 4), "big")
            if (head & ~LAST) + len(record) > 2 * LARGEST:
                raise _Malformed
            record += await self._exactly(reader, head & ~LAST)
            if head & LAST:
                return record

    async def _called(self, session: Session, mine: list[int], arguments: _Arguments) -> bytes:
        """RFC 5531, 9."""
        number, kind, rpc, program, version, procedure = (arguments.word() for _ in range(6))
        for _ in range(2):  # credentials and verifier, which nobody checks
            arguments.word()
            arguments.opaque()
        if kind != 0:
            raise _Malformed
        if rpc != 2:
            return words(number, 1, 1, 0, 2, 2)  # denied: versions
        accepted = words(number, 1, 0, 0, 0)
        known = dict((CORE, ABORT))
        if program not in known:
            return accepted + words(1)
        if version != known[program]:
            return accepted + words(2, known[program], known[program])
        try:
            found = await self._done_of(session, mine, program, procedure, arguments)
        except _Malformed:
            return accepted + words(4)
        return accepted + (words(3) if found is None else words(0) + found)

    async def _done_of(self, session: Session, mine: list[int], program: int, procedure: int, arguments: _Arguments) -> bytes | None:
        """None for a procedure that there is not."""
        if procedure == 0:
            return b""
        if program == ABORT[0]:
            return self._abort(arguments) if procedure == 1 else None
        if procedure == 10:
            return self._created(session, mine, arguments)
        if procedure == 23:
            number = arguments.word()
            found = number in mine
            if found:
                mine.remove(number)
                self._destroyed(number)
            return words(Failed.NOTHING if found else Failed.BAD_LINK)
        if procedure in (25, 26):  # a channel for service requests
            return words(Failed.UNSUPPORTED)
        act = self._acts.get(procedure)
        if act is None:
            return None
        link = self._links.get(arguments.word())
        if link is None:
            return words(Failed.BAD_LINK, *(0,) * {11: 1, 12: 2, 13: 1, 22: 1}.get(procedure, 0))
        return await act(link, arguments)

    def _created(self, session: Session, mine: list[int], arguments: _Arguments) -> bytes:
        _client, lock, _timeout = arguments.word(), arguments.word(), arguments.word()
        if arguments.opaque() != b"inst0":
            return words(Failed.NOT_ACCESSIBLE, 0, 0, 0)
        if lock and self._lock.holder is not None:
            return words(Failed.LOCKED, 0, 0, 0)
        number = next(self._numbers)
        mine.append(number)
        self._links[number] = link = _Link(session)
        if lock:
            self._lock.take(link)
        return words(Failed.NOTHING, number, self.port, LARGEST)

    def _destroyed(self, number: int) -> None:
        link = self._links.pop(number)
        self._lock.give_back(link)
        link.drop()
        if b"?" in link.taken:
            self._device.unterminated()

    async def _write(self, link: _Link, arguments: _Arguments) -> bytes:
        _io_timeout, lock_timeout, flags, data = arguments.word(), arguments.word(), arguments.word(), arguments.opaque()
        if not await self._free(link, flags, lock_timeout):
            return words(Failed.LOCKED, 0)
        link.taken += data
        if flags & END:
            text = link.taken.decode("latin-1")
            link.taken.clear()
            link.running = [task for task in link.running if not task.done()]
            before = link.running[-1] if link.running else None
            link.running.append(self._began(self._run(link, before, text), "vxi-11 message"))
        return words(Failed.NOTHING, len(data))

    async def _run(self, link: _Link, before: asyncio.Task[None] | None, text: str) -> None:
        if before is not None:
            await asyncio.wait((before,))
        if link.answer:  # nobody has fetched it (IEEE 488.2, 6.3.2.3)
            link.answer = b""
            self._device.interrupted()
        link.answer = await self._executed(link.session, text) or b""

    async def _read(self, link: _Link, arguments: _Arguments) -> bytes:
        size, io_timeout, lock_timeout = arguments.word(), arguments.word(), arguments.word()
        flags, character = arguments.word(), arguments.word()
        if not await self._free(link, flags, lock_timeout):
            return words(Failed.LOCKED, 0) + opaque(b"")
        failed = await self._answered(link, io_timeout * 1e-3)
        if failed:
            return words(failed, 0) + opaque(b"")
        part = link.answer[:size]
        reason = 0
        if flags & TERMCHAR and (at := part.find(character & 0xFF)) >= 0:
            part, reason = part[: at + 1], CHARACTER
        if len(part) == size:
            reason |= COUNT
        link.answer = link.answer[len(part) :]
        return words(Failed.NOTHING, reason if link.answer else reason | ENDED) + opaque(part)

    async def _answered(self, link: _Link, within_s: float) -> Failed:
        """Waits for an answer."""
        link.aborted.clear()
        aborted = asyncio.create_task(link.aborted.wait(), name="vxi-11 abort")
        try:
            if link.running:
                await asyncio.wait((link.running[-1], aborted), timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            if not link.answer and not link.aborted.is_set() and (not link.running or link.running[-1].done()):
                self._device.unterminated()  # nothing was asked
                await asyncio.wait((aborted,), timeout=within_s)
        finally:
            aborted.cancel()
        if link.aborted.is_set():
            return Failed.ABORTED
        return Failed.NOTHING if link.answer else Failed.TIMEOUT

    async def _status(self, link: _Link, _: _Arguments) -> bytes:
        return words(Failed.NOTHING, self._device.status() | (MESSAGE_AVAILABLE if link.answer else 0))

    async def _trigger(self, link: _Link, _: _Arguments) -> bytes:
        await link.session.answering.wait()
        self._device.trigger()
        return words(Failed.NOTHING)

    async def _clear(self, link: _Link, _: _Arguments) -> bytes:
        link.drop()
        link.answer = b""
        link.taken.clear()
        return words(Failed.NOTHING)

    async def _done(self, _link: _Link, _: _Arguments) -> bytes:
        return words(Failed.NOTHING)

    async def _unsupported(self, _link: _Link, _: _Arguments) -> bytes:
        return words(Failed.UNSUPPORTED)

    async def _docmd(self, _link: _Link, _: _Arguments) -> bytes:
        return words(Failed.UNSUPPORTED) + opaque(b"")

    async def _locked(self, link: _Link, arguments: _Arguments) -> bytes:
        flags, lock_timeout = arguments.word(), arguments.word()
        if not await self._free(link, flags, lock_timeout):
            return words(Failed.LOCKED)
        self._lock.take(link)
        return words(Failed.NOTHING)

    async def _unlock(self, link: _Link, _: _Arguments) -> bytes:
        return words(Failed.NOTHING if self._lock.give_back(link) else Failed.NO_LOCK)

    async def _free(self, link: _Link, flags: int, wait_ms: int) -> bool:
        """No other link holds the lock, or gives it back in the time that the client wants to wait."""
        return await self._lock.free(link, wait_ms * 1e-3 if flags & WAIT_LOCK else 0.0)

    def _abort(self, arguments: _Arguments) -> bytes:
        """The channel for this is the same port: `create_link` says so."""
        link = self._links.get(arguments.word())
        if link is None:
            return words(Failed.BAD_LINK)
        link.aborted.set()
        return words(Failed.NOTHING)
