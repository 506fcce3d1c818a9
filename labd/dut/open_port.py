"""An open serial port and its two threads: one hands what comes to the event loop, the other writes.

How an event loop waits for a port differs from system to system (that of Windows cannot); a thread that waits does not.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Protocol

import serial

from labd.deadline import deadline
from labd.dut.errors import PortFailure
from labd.dut.port import PortSettings, open_port
from labd.stream.session import InstrumentSession, SessionAbandoned, SessionStuck

LOOKS_UP_S = 1.0  # a thread that nobody can wake sees by then that it is to end
TAKEN_S = 10.0  # for a device to take what is written, where the caller has no shorter deadline
CHUNK = 1 << 16


class Waiting(Protocol):
    """How two threads wait for a port. `cancel` ends both waits, for good."""

    def read(self) -> bytes:
        """What came; empty when nothing has. Raises OSError, SerialException."""

    def write(self, data: bytes) -> None:
        """Returns when the system has taken all of it, or after `cancel`. Raises OSError, SerialException."""

    def cancel(self) -> None: ...

    def close(self) -> None: ...


class _ByDescriptor:
    """POSIX: each thread waits for its direction and for a pipe that wakes both. pyserial's own write tries again without waiting."""

    def __init__(self, port: serial.Serial) -> None:
        self._port = port
        self._fd = port.fileno()
        self._wake, self._waker = os.pipe()
        self._readable, self._writable = selectors.DefaultSelector(), selectors.DefaultSelector()
        for selector, event in ((self._readable, selectors.EVENT_READ), (self._writable, selectors.EVENT_WRITE)):
            selector.register(self._fd, event)
            selector.register(self._wake, selectors.EVENT_READ)

    def read(self) -> bytes:
        if not self._ready(self._readable):
            return b""
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return b""
        if not data:
            raise OSError("end of file")
        return data

    def write(self, data: bytes) -> None:
        while data and self._ready(self._writable):
            with suppress(BlockingIOError):
                data = data[os.write(self._fd, data) :]

    def cancel(self) -> None:
        os.write(self._waker, b"x")  # nobody reads it: it wakes for good

    def close(self) -> None:
        for end in (self._readable, self._writable, self._port):
            end.close()
        os.close(self._wake)
        os.close(self._waker)

    def _ready(self, selector: selectors.BaseSelector) -> bool:
        """Waits. False after `cancel`."""
        return all(key.fd == self._fd for key, _ in selector.select())


class _ByPyserial:
    """Windows: pyserial's own waits, which it can cancel there."""

    def __init__(self, port: serial.Serial) -> None:
        self._port = port

    def read(self) -> bytes:
        return bytes(self._port.read(max(1, self._port.in_waiting)))

    def write(self, data: bytes) -> None:
        self._port.write(data)

    def cancel(self) -> None:
        self._port.cancel_write()
        self._port.cancel_read()

    def close(self) -> None:
        self._port.close()


class OpenPort:
    """Async context manager. on_data: told in the event loop what came, and when it was there (monotonic ns). on_gone: told once, why.

    serial: the port itself, for its modem lines."""

    serial: serial.Serial

    def __init__(self, settings: PortSettings, *, on_data: Callable[[bytes, int], None], on_gone: Callable[[str], None]) -> None:
        self._name = settings.port
        self._settings = settings
        self._on_data = on_data
        self._on_gone = on_gone
        self._closing = False
        self._ended = asyncio.Event()
        self._writing = InstrumentSession(f"DUT at {settings.port}")

    async def __aenter__(self) -> OpenPort:
        """Raises PortFailure."""
        self._loop = asyncio.get_running_loop()
        port = open_port(self._settings, read_s=LOOKS_UP_S)
        self.serial = port
        self._port: Waiting = _ByPyserial(port) if sys.platform == "win32" else _ByDescriptor(port)
        await self._writing.__aenter__()
        threading.Thread(target=self._read, name=f"reads {self._name}", daemon=True).start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing = True
        self._port.cancel()
        try:
            await self._writing.close()
            with suppress(TimeoutError):  # a thread that hangs in the system's driver is left there
                async with deadline(2 * LOOKS_UP_S):
                    await self._ended.wait()
        finally:
            self._writing.abandon()
            self._port.close()

    async def write(self, data: bytes) -> None:
        """Returns when the system has taken all of it. Raises PortFailure."""
        try:
            await self._writing.call(self._port.write, data, deadline_s=TAKEN_S)
        except (serial.SerialException, OSError) as error:
            raise PortFailure(f"{self._name}: cannot be written: {_one_line(error)}") from error
        except SessionAbandoned as error:
            raise PortFailure(f"{self._name}: the link is closed") from error
        except SessionStuck as error:
            raise PortFailure(f"{self._name}: the device takes no bytes: {error}") from error

    def _read(self) -> None:
        """The reader's thread. A port that is gone is told; one that is being closed is not."""
        try:
            while not self._closing:
                if data := self._port.read():
                    self._tell(self._on_data, data, time.monotonic_ns())
        except Exception as error:  # noqa: BLE001  the thread's edge: a link that hears nothing any more has to know it
            if not self._closing:
                self._tell(self._on_gone, _one_line(error))
        finally:
            self._tell(self._ended.set)

    def _tell(self, callback: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # the loop has ended without closing the port
            self._loop.call_soon_threadsafe(callback, *args)


def _one_line(error: Exception) -> str:
    return " ".join((getattr(error, "strerror", None) or str(error)).split()) or type(error).__name__
