"""A raw TCP socket (VISA `SOCKET`): messages end with a line feed, and there is nothing beside them."""

from __future__ import annotations

import asyncio

from labd_virtual.scpi_message import message_end
from labd_virtual.wire import Server


class SocketServer(Server):
    """Several sessions at once, none waiting for another."""

    @property
    def resource(self) -> str:
        return f"TCPIP::127.0.0.1::{self.port}::SOCKET"

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._admitted() as session:
            pending = bytearray()
            while data := await self._received(reader):
                pending += data
                while (end := message_end(pending)) is not None:
                    message = pending[:end].decode("latin-1")
                    del pending[:end]
                    if (reply := await self._executed(session, message)) is not None:
                        await self._sent(writer, reply)
            if b"?" in pending:
                self._device.unterminated()

    async def _received(self, reader: asyncio.StreamReader) -> bytes:
        data = await reader.read(65536)
        await self._carries.wait()
        return data
