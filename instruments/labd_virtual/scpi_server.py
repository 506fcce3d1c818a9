"""Serves an interpreter on a raw TCP socket: LF-terminated messages, several sessions at once, none waiting for another."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal

from labd_virtual.scpi_message import message_end

Execute = Callable[[str], Awaitable[bytes | None]]
Clients = Literal["many", "one", "one_refusing"]


class _Session:
    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task
        self.answering = asyncio.Event()
        self.answering.set()


class ScpiServer:
    """`start` before use, `close` after it. on_sessions: told how many sessions are open whenever that changes.

    unterminated: called when a session ends in the middle of a query (the instrument's -420). clients: `one` serves a second session
    when the first has ended, `one_refusing` closes it at once.
    """

    def __init__(
        self, execute: Execute, *, unterminated: Callable[[], None], on_sessions: Callable[[int], None], clients: Clients = "many"
    ) -> None:
        self._execute = execute
        self._unterminated = unterminated
        self._on_sessions = on_sessions
        self._clients = clients
        self._turn: AbstractAsyncContextManager[object] = contextlib.nullcontext() if clients == "many" else asyncio.Lock()
        self._carries = asyncio.Event()
        self._carries.set()
        self._sessions: set[_Session] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen on a free loopback port and return it."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Stop listening and end every session."""
        if self._server is not None:
            self._server.close()
        tasks = [session.task for session in self._sessions]
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

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._clients == "one_refusing" and self._sessions:
            writer.close()
            return
        session = _Session(task)
        self._sessions.add(session)
        self._on_sessions(len(self._sessions))
        link: socket.socket = writer.get_extra_info("socket")
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            async with self._turn:
                await self._converse(session, reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client went away, or the server is closing: either ends this session and nothing else
        finally:
            self._sessions.discard(session)
            self._on_sessions(len(self._sessions))
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _converse(self, session: _Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pending = bytearray()
        while data := await self._received(reader):
            pending += data
            while (end := message_end(pending)) is not None:
                message = pending[:end].decode("latin-1")
                del pending[:end]
                await session.answering.wait()
                reply = await self._execute(message)
                await session.answering.wait()
                if reply is not None:
                    await self._carries.wait()
                    writer.write(reply)
                    await writer.drain()
        if b"?" in pending:
            self._unterminated()

    async def _received(self, reader: asyncio.StreamReader) -> bytes:
        data = await reader.read(65536)
        await self._carries.wait()
        return data
