"""HiSLIP (VISA `TCPIP::host::hislip0::INSTR`): two connections a session, one for messages and one beside them for status and clear.

IVI-6.1, "IVI High-Speed LAN Instrument Protocol", revision 1.1; section numbers below are its. Overlapped mode, TLS and service requests
are not offered: a client asks for the synchronized mode, or gets it.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
from dataclasses import dataclass, field
from enum import IntEnum

from labd_virtual.wire import MESSAGE_AVAILABLE, Clients, Device, Server, Session

HEADER = struct.Struct("!2sBBIQ")  # 2.4: prologue, type, control code, parameter, length of the payload
PROLOGUE = b"HS"
VERSION = 0x0100  # 1.0, without what came with 2.0
VENDOR = int.from_bytes(b"LV", "big")  # no vendor's (VPP-9)
LARGEST = 1 << 20  # bytes of a payload that are taken
FETCHED = 1  # control bit of a client's messages (RMT-delivered): it has all of the last answer
LOCKED, NOT_LOCKED = 1, 0


class Kind(IntEnum):
    """Message types, table 4."""

    INITIALIZE = 0
    INITIALIZE_RESPONSE = 1
    FATAL_ERROR = 2
    ERROR = 3
    ASYNC_LOCK = 4
    ASYNC_LOCK_RESPONSE = 5
    DATA = 6
    DATA_END = 7
    DEVICE_CLEAR_COMPLETE = 8
    DEVICE_CLEAR_ACKNOWLEDGE = 9
    ASYNC_REMOTE_LOCAL = 10
    ASYNC_REMOTE_LOCAL_RESPONSE = 11
    TRIGGER = 12
    INTERRUPTED = 13
    ASYNC_INTERRUPTED = 14
    ASYNC_MAX_SIZE = 15
    ASYNC_MAX_SIZE_RESPONSE = 16
    ASYNC_INITIALIZE = 17
    ASYNC_INITIALIZE_RESPONSE = 18
    ASYNC_DEVICE_CLEAR = 19
    ASYNC_STATUS_QUERY = 21
    ASYNC_STATUS_RESPONSE = 22
    ASYNC_DEVICE_CLEAR_ACKNOWLEDGE = 23
    ASYNC_LOCK_INFO = 24
    ASYNC_LOCK_INFO_RESPONSE = 25


class Fatal(IntEnum):
    """Codes of a fatal error, table 7."""

    BAD_HEADER = 1
    NOT_BOTH_CHANNELS = 2
    BAD_INITIALIZATION = 3
    TOO_MANY_CLIENTS = 4


UNKNOWN_TYPE, TOO_LARGE = 1, 4  # codes of an error that is not fatal, table 8


@dataclass(frozen=True, slots=True)
class Message:
    kind: int
    control: int
    parameter: int
    payload: bytes


class _Broken(Exception):
    """What ends a connection, told to the client."""

    def __init__(self, code: Fatal) -> None:
        super().__init__(code.name)
        self.code = code


@dataclass(slots=True, eq=False)
class _Both:
    """The two connections of a session. running: the message that is executed, which a device clear ends. waiting: an answer that the
    client has not said to have fetched. beside: writes to the asynchronous connection."""

    session: Session
    beside: asyncio.StreamWriter | None = None
    largest: int = LARGEST
    taken: bytearray = field(default_factory=bytearray)
    running: asyncio.Task[bytes | None] | None = None
    waiting: bool = False
    clearing: bool = False


class HislipServer(Server):
    """Sub-address hislip0."""

    def __init__(self, device: Device, *, clients: Clients = "many") -> None:
        super().__init__(device, clients=clients)
        self._ids = itertools.count(1)
        self._open: dict[int, _Both] = {}

    @property
    def resource(self) -> str:
        return f"TCPIP::127.0.0.1::hislip0,{self.port}::INSTR"

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await self._message(reader)
            if first.kind == Kind.INITIALIZE:
                await self._synchronous(reader, writer)
            else:
                await self._asynchronous(self._session(first), reader, writer)
        except _Broken as broken:
            await self._tell(writer, Kind.FATAL_ERROR, broken.code, 0, broken.code.name.replace("_", " ").lower().encode())

    def _session(self, first: Message) -> _Both:
        """That an asynchronous connection belongs to."""
        if first.kind != Kind.ASYNC_INITIALIZE or first.parameter not in self._open:
            raise _Broken(Fatal.BAD_INITIALIZATION)
        return self._open[first.parameter]

    async def _synchronous(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._clients == "one_refusing" and self._sessions:
            raise _Broken(Fatal.TOO_MANY_CLIENTS)
        async with self._admitted() as session:
            number, both = next(self._ids) & 0xFFFF, _Both(session)
            self._open[number] = both
            try:
                await self._tell(writer, Kind.INITIALIZE_RESPONSE, 0, VERSION << 16 | number)
                while True:
                    await self._one(both, await self._message(reader), writer)
            finally:
                del self._open[number]
                self._lock.give_back(both)
                if b"?" in both.taken:
                    self._device.unterminated()

    async def _one(self, both: _Both, message: Message, writer: asyncio.StreamWriter) -> None:
        match message.kind:
            case Kind.DATA | Kind.DATA_END:
                if not both.clearing:
                    await self._fetched(both, message, writer)
                    both.taken += message.payload
                    if message.kind == Kind.DATA_END:
                        await self._run(both, message.parameter, writer)
            case Kind.TRIGGER:
                await both.session.answering.wait()
                self._device.trigger()
            case Kind.DEVICE_CLEAR_COMPLETE:  # 4.12: all that was on its way before it is behind us
                both.taken.clear()
                both.clearing = both.waiting = False
                await self._tell(writer, Kind.DEVICE_CLEAR_ACKNOWLEDGE, 0, 0)
            case Kind.FATAL_ERROR:
                raise ConnectionResetError
            case Kind.ERROR:
                pass
            case _:
                await self._tell(writer, Kind.ERROR, UNKNOWN_TYPE, 0, b"unrecognized message type")

    async def _fetched(self, both: _Both, message: Message, writer: asyncio.StreamWriter) -> None:
        """3.1.2: a message before the last answer was fetched interrupts that."""
        if both.waiting and not message.control & FETCHED and not both.taken:
            self._device.interrupted()
            if both.beside is not None:
                await self._tell(both.beside, Kind.ASYNC_INTERRUPTED, 0, message.parameter)
            await self._tell(writer, Kind.INTERRUPTED, 0, message.parameter)
        both.waiting = False

    async def _run(self, both: _Both, number: int, writer: asyncio.StreamWriter) -> None:
        text = both.taken.decode("latin-1")
        both.taken.clear()
        await self._lock.free(both)
        both.running = running = self._began(self._executed(both.session, text), "hislip message")
        try:
            await asyncio.wait((running,))
        finally:
            running.cancel()
            both.running = None
        if running.cancelled() or both.clearing:
            return
        if (reply := running.result()) is not None:
            both.waiting = True
            parts = [reply[k : k + both.largest] for k in range(0, len(reply), both.largest)]
            for part in parts[:-1]:
                await self._tell(writer, Kind.DATA, 0, number, part)
            await self._tell(writer, Kind.DATA_END, 0, number, parts[-1])

    async def _asynchronous(self, both: _Both, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        both.beside = writer
        await self._tell(writer, Kind.ASYNC_INITIALIZE_RESPONSE, 0, VENDOR)
        while True:
            message = await self._message(reader)
            match message.kind:
                case Kind.ASYNC_MAX_SIZE:
                    both.largest = max(1, min(LARGEST, int.from_bytes(message.payload, "big")))
                    await self._tell(writer, Kind.ASYNC_MAX_SIZE_RESPONSE, 0, 0, LARGEST.to_bytes(8, "big"))
                case Kind.ASYNC_STATUS_QUERY:
                    both.waiting = both.waiting and not message.control & FETCHED
                    byte = self._device.status() | (MESSAGE_AVAILABLE if both.waiting else 0)
                    await self._tell(writer, Kind.ASYNC_STATUS_RESPONSE, byte, 0)
                case Kind.ASYNC_DEVICE_CLEAR:
                    both.clearing = True
                    if both.running is not None:
                        both.running.cancel()
                    await self._tell(writer, Kind.ASYNC_DEVICE_CLEAR_ACKNOWLEDGE, 0, 0)
                case Kind.ASYNC_LOCK:
                    await self._tell(writer, Kind.ASYNC_LOCK_RESPONSE, await self._locked(both, message), 0)
                case Kind.ASYNC_LOCK_INFO:
                    held = int(self._lock.holder is not None)
                    await self._tell(writer, Kind.ASYNC_LOCK_INFO_RESPONSE, held, held)
                case Kind.ASYNC_REMOTE_LOCAL:
                    await self._tell(writer, Kind.ASYNC_REMOTE_LOCAL_RESPONSE, 0, 0)
                case Kind.FATAL_ERROR:
                    return
                case Kind.ERROR:
                    pass
                case _:
                    await self._tell(writer, Kind.ERROR, UNKNOWN_TYPE, 0, b"unrecognized message type")

    async def _locked(self, both: _Both, message: Message) -> int:
        """4.14: control 1 asks for the exclusive lock, for up to so many ms; 0 gives it back."""
        if message.control == 0:
            return LOCKED if self._lock.give_back(both) else NOT_LOCKED
        if not await self._lock.free(both, message.parameter * 1e-3):
            return NOT_LOCKED
        self._lock.take(both)
        return LOCKED

    async def _message(self, reader: asyncio.StreamReader) -> Message:
        prologue, kind, control, parameter, length = HEADER.unpack(await self._exactly(reader, HEADER.size))
        if prologue != PROLOGUE:
            raise _Broken(Fatal.BAD_HEADER)
        if length > 2 * LARGEST:  # who announces more does not mean it
            raise _Broken(Fatal.BAD_HEADER)
        return Message(kind, control, parameter, await self._exactly(reader, length) if length else b"")

    async def _tell(self, writer: asyncio.StreamWriter, kind: Kind, control: int, parameter: int, payload: bytes = b"") -> None:
        await self._sent(writer, HEADER.pack(PROLOGUE, kind, control, parameter, len(payload)) + payload)
