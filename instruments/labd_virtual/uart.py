"""The serial line between host and board: a pseudo-terminal on the host's side, bytes at the wire's pace in board time on the other."""

from __future__ import annotations

import asyncio
import os
import tty
from collections import deque
from collections.abc import Callable

from labd_virtual.clock import BoardClock, Timer, Urgency
from labd_virtual.spec import UartSpec

_BITS_PER_BYTE = 10  # 8N1
_UNREAD_LIMIT = 65536  # what a host that does not read can make us keep; the oldest is lost first


class Uart:
    """on_byte gets each byte at the end of its stop bit; on_lines is called when the host begins or ends driving its transmit line,
    on_sending when the board begins or ends sending."""

    def __init__(self, clock: BoardClock, spec: UartSpec) -> None:
        self._clock = clock
        self._spec = spec
        self._byte_ns = _BITS_PER_BYTE * 1e9 / spec.baud
        self._incoming: deque[int] = deque()
        self._incoming_free_ns = 0.0
        self._outgoing: deque[tuple[float, bytes]] = deque()  # start on the wire, payload
        self._outgoing_free_ns = 0.0
        self._outgoing_timer: Timer | None = None
        self._unread = bytearray()
        self.driven = spec.driven
        self.on_byte: Callable[[int], None] = lambda _byte: None
        self.on_lines: Callable[[], None] = lambda: None
        self.on_sending: Callable[[], None] = lambda: None
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._master)
        loop.remove_writer(self._master)
        os.close(self._master)
        os.close(self._slave)

    def line_v(self) -> float:
        """What the host drives into the board's receive pin (0: nothing)."""
        return self._spec.io_level_v if self.driven or self._incoming else 0.0

    @property
    def sending(self) -> bool:
        """Whether the board sends."""
        return self._outgoing_timer is not None

    def set_driven(self, *, driven: bool) -> None:
        self.driven = driven
        self.on_lines()

    def send(self, payload: bytes) -> None:
        """The board queues bytes."""
        if not payload:
            return
        start = max(float(self._clock.now_ns()), self._outgoing_free_ns)
        self._outgoing_free_ns = start + len(payload) * self._byte_ns
        self._outgoing.append((start, payload))
        if self._outgoing_timer is None:
            self._plan_outgoing()
            self.on_sending()

    def sent_at_ns(self) -> int:
        """When the last queued byte has left (may be past)."""
        return round(self._outgoing_free_ns)

    def power_lost(self) -> None:
        """The board stops in the middle of a byte."""
        now = self._clock.now_ns()
        for start, payload in self._outgoing:
            self._to_host(payload[: max(0, int((now - start) / self._byte_ns))])
        self._outgoing.clear()
        self._outgoing_free_ns = 0.0
        if self._outgoing_timer is not None:
            self._outgoing_timer.cancel()
            self._outgoing_timer = None

    def _plan_outgoing(self) -> None:
        start, payload = self._outgoing[0]
        end = round(start + len(payload) * self._byte_ns)
        self._outgoing_timer = self._clock.call_at(end, self._outgoing_done, urgency=Urgency.ACTIVE)

    def _outgoing_done(self) -> None:
        self._outgoing_timer = None
        _, payload = self._outgoing.popleft()
        self._to_host(payload)
        if self._outgoing:
            self._plan_outgoing()
        else:
            self.on_sending()

    def _to_host(self, payload: bytes) -> None:
        self._unread += payload
        self._write()

    def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._unread:
                del self._unread[: os.write(self._master, self._unread)]
            loop.remove_writer(self._master)
        except BlockingIOError:
            del self._unread[:-_UNREAD_LIMIT]
            loop.add_writer(self._master, self._write)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 4096)
        except (BlockingIOError, OSError):
            return
        self._clock.touch()
        was_idle = not self._incoming
        self._incoming.extend(data)
        if was_idle and self._incoming:
            self._incoming_free_ns = max(float(self._clock.now_ns()), self._incoming_free_ns)
            self.on_lines()
            self._plan_incoming()

    def _plan_incoming(self) -> None:
        self._incoming_free_ns += self._byte_ns
        self._clock.call_at(round(self._incoming_free_ns), self._incoming_done, urgency=Urgency.ACTIVE)

    def _incoming_done(self) -> None:
        byte = self._incoming.popleft()
        if self._incoming:
            self._plan_incoming()
        else:
            self.on_lines()
        self.on_byte(byte)
