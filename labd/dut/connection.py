"""A TCP connection to a board, as something that carries bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from labd.deadline import deadline
from labd.dut.errors import NoAgent, PortFailure

CONNECT_S = 5.0
CLOSE_S = 1.0


class Connection(asyncio.Protocol):
    """A Carrier. No keep-alive probes: each would wake the board in the middle of a measurement."""

    def __init__(self, host: str, port: int, *, on_data: Callable[[bytes, int], None], on_gone: Callable[[str], None]) -> None:
        self._host, self._port = host, port
        self._on_data, self._on_gone = on_data, on_gone
        self._transport: asyncio.Transport | None = None
        self._closing = False
        self._lost = asyncio.Event()

    async def __aenter__(self) -> Connection:
        """Raises NoAgent."""
        try:
            async with deadline(CONNECT_S):
                self._transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, self._host, self._port)
        except TimeoutError:
            raise self._none(f"nothing answers within {CONNECT_S:g} s; is the board on, and in this network?") from None
        except OSError as error:
            raise self._none(_why(error)) from error
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing = True
        if self._transport is None:
            return
        self._transport.close()
        with suppress(TimeoutError):
            async with deadline(CLOSE_S):
                await self._lost.wait()
        self._transport.abort()

    async def write(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            raise PortFailure(f"{self._host}:{self._port}: the connection is closed")
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._on_data(data, time.monotonic_ns())

    def connection_lost(self, error: Exception | None) -> None:
        self._lost.set()
        if not self._closing:
            self._on_gone("the connection was closed" if error is None else _why(error))

    def _none(self, why: str) -> NoAgent:
        return NoAgent(f"no agent at {self._host}:{self._port}: {why}")


def _why(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there; start it with --listen, at an address that this machine can reach"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
