"""What every network interface of a virtual instrument shares: sessions, how many of them it serves, hanging, and a cut network.

`wire_socket`, `wire_hislip` and `wire_vxi11` build on it; each takes whole program messages to the same interpreter.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Clients = Literal["many", "one", "one_refusing"]
Interface = Literal["socket", "hislip", "vxi11"]
T = TypeVar("T")
MESSAGE_AVAILABLE = 16  # of the status byte (IEEE 488.2 11.2.1.2): an answer has not been fetched


@dataclass(frozen=True, slots=True)
class Device:
    """The instrument behind an interface.

    execute: one program message, its response with the line feed or None. unterminated, interrupted: a query that the client did not
    finish, or whose answer it did not fetch (-420, -410). status: the status byte, without the bit for an answer that waits. trigger: a
    device trigger. sessions: told how many are open whenever that changes.
    """

    execute: Callable[[str], Awaitable[bytes | None]]
    unterminated: Callable[[], None]
    interrupted: Callable[[], None]
    status: Callable[[], int]
    trigger: Callable[[], None]
    sessions: Callable[[int], None]


class Refused(Exception):
    """An instrument that serves one client does not take another."""


class Session:
    """One client. answering: cleared while the instrument hangs for it."""

    def __init__(self) -> None:
        self.answering = asyncio.Event()
        self.answering.set()


class Lock:
    """The instrument's exclusive lock, which one session (or link) holds at a time."""

    def __init__(self) -> None:
        self.holder: object = None
        self._given_back = asyncio.Event()

    async def free(self, who: object, within_s: float | None = None) -> bool:
        """Nobody else holds it, or gives it back in time; None waits for ever."""
        try:
            async with asyncio.timeout(within_s):
                while self.holder not in (None, who):
                    self._given_back.clear()
                    await self._given_back.wait()
        except TimeoutError:
            return False
        return True

    def take(self, who: object) -> None:
        """Only when it is free."""
        self.holder = who

    def give_back(self, who: object) -> bool:
        """False where somebody else holds it, or nobody."""
        if self.holder is not who:
            return False
        self.holder = None
        self._given_back.set()
        return True


class Server:
    """`start` before use, `close` after it. clients: `one` serves a second session when the first has ended, `one_refusing` ends it at
    once. A subclass says how a connection is talked to (`_converse`) and how VISA names it (`resource`)."""

    def __init__(self, device: Device, *, clients: Clients = "many") -> None:
        self._device = device
        self._clients = clients
        self._turn: AbstractAsyncContextManager[object] = contextlib.nullcontext() if clients == "many" else asyncio.Lock()
        self._carries = asyncio.Event()
        self._carries.set()
        self._sessions: set[Session] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lock = Lock()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def resource(self) -> str:
        """The VISA resource name."""
        raise NotImplementedError

    async def start(self) -> int:
        """Listen on a free loopback port and return it."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    async def close(self) -> None:
        """Stop listening and end every session."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def hang(self, on: bool) -> None:  # noqa: FBT001 - reads as `hang(True)` on the persona protocol
        """Sessions that exist now stop executing and answering until `hang(False)`; new ones work."""
        for session in self._sessions:
            if on:
                session.answering.clear()
            else:
                session.answering.set()

    def cut(self, on: bool) -> None:  # noqa: FBT001 - reads as `cut(True)` on the persona protocol
        """Nothing passes in either direction, the end of a session neither, until `cut(False)`; then what was sent arrives."""
        if on:
            self._carries.clear()
        else:
            self._carries.set()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection to its end. Raises ConnectionError, asyncio.IncompleteReadError where the client goes, Refused."""
        raise NotImplementedError

    @contextlib.asynccontextmanager
    async def _admitted(self) -> AsyncIterator[Session]:
        """A session is open inside. Raises Refused."""
        if self._clients == "one_refusing" and self._sessions:
            raise Refused
        session = Session()
        self._sessions.add(session)
        self._device.sessions(len(self._sessions))
        try:
            async with self._turn:
                yield session
        finally:
            self._sessions.discard(session)
            self._device.sessions(len(self._sessions))

    def _began(self, work: Coroutine[object, object, T], name: str) -> asyncio.Task[T]:
        """A task that ends with the server at the latest; who begins it ends it with the session."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _executed(self, session: Session, message: str) -> bytes | None:
        """Neither executes nor answers while the instrument hangs."""
        await session.answering.wait()
        reply = await self._device.execute(message)
        await session.answering.wait()
        return reply

    async def _sent(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        await self._carries.wait()
        writer.write(data)
        await writer.drain()

    async def _exactly(self, reader: asyncio.StreamReader, count: int) -> bytes:
        data = await reader.readexactly(count)
        await self._carries.wait()
        return data

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        link: socket.socket = writer.get_extra_info("socket")
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, Refused):
            pass  # the client went away or is not taken, or the server is closing: either ends this connection and nothing else
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()
