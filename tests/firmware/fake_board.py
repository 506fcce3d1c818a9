"""A fake board: serves the requests that the firmware makes on its descriptor 3, in instant time, and records them."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field

SPEND, WAIT, PIN, UART_TX, UART_RX, NOW, UART_FLUSH, TIMER_AT, OPERATE, CLOCK = range(1, 11)
EVENT_UART, EVENT_TRIG, EVENT_TIMER = 1, 2, 4
BUSY_POLL, WFI, CLOCK_GATED, SLEEP_RETAINED, SLEEP_MODEL_OFF = range(5)
SLEEP, WAKE, LOAD, INFER, TAIL, IDLE = 2, 3, 4, 5, 6, 7
NO_TIMEOUT = 0xFFFFFFFF
CLOCK_HZ = 64_000_000
OSCILLATOR_START_NS = 300_000
BYTE_NS = 86_806
IN_NS = 0x80


@dataclass(frozen=True, slots=True)
class Op:
    """One request of the firmware and the time it was served at (WAIT: when it was asked)."""

    t_ns: int
    op: int
    a: int
    b: int
    c: int
    payload: bytes = b""

    @property
    def phase(self) -> int:
        """Of a SPEND or a WAIT."""
        return self.a if self.op == SPEND else self.b >> 8

    @property
    def state(self) -> int:
        """Of a WAIT."""
        return self.a & ~IN_NS

    @property
    def wanted(self) -> int:
        return self.b & 0xFF


@dataclass(slots=True)
class FakeBoard:
    """Serves the firmware's requests in instant time; stops when the firmware waits for something that only the test can cause."""

    wire: socket.socket
    clock_hz: int = CLOCK_HZ
    t_ns: int = 0
    ops: list[Op] = field(default_factory=list)
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    triggers_ns: list[int] = field(default_factory=list)
    bytes_ns: list[tuple[int, int]] = field(default_factory=list)
    engine: frozenset[int] = frozenset()  # operations that it does in the core's place, in no time
    timer_ns: int | None = None
    expired_ns: int = 0
    blocked: Op | None = None
    stray_trigger: bool = False  # an edge that nobody asked for comes with the end of the next wait

    def run(self) -> None:
        """Until the firmware waits for ever. Raises EOFError when it has ended, TimeoutError when it hangs."""
        while True:
            if self.blocked is None:
                self._take()
            elif not self._end_wait(self.blocked):
                return

    def command(self, text: str) -> str:
        """Send bytes, run until the firmware waits again, return what it sent meanwhile."""
        before = len(self.sent)
        self.received += text.encode()
        self.run()
        return self.sent[before:].decode()

    def lines(self, text: str) -> list[str]:
        """The reply's lines without the closing m-ready; fails unless the reply ends in exactly that line."""
        reply = self.command(text)
        assert reply.endswith("m-ready\r\n"), reply
        return reply.removesuffix("m-ready\r\n").splitlines()

    def edges(self, since: int = 0) -> list[tuple[int, int]]:
        """(t_ns, level) of the mark pin's changes from request number `since` on; a level set again is no edge."""
        edges: list[tuple[int, int]] = []
        level = None
        for number, op in enumerate(self.ops):
            if op.op == PIN:
                if number >= since and op.b != level:
                    edges.append((op.t_ns, op.b))
                level = op.b
        return edges

    def of(self, code: int, since: int = 0) -> list[Op]:
        return [op for op in self.ops[since:] if op.op == code]

    def _take(self) -> None:
        head = self._read(8)
        op, a, b, c = struct.unpack("<BBHI", head)
        payload = self._read(b) if op == UART_TX else b""
        request = Op(self.t_ns, op, a, b, c, payload)
        self.ops.append(request)
        if op == WAIT:
            self.blocked = request
            return
        value, payload = self._serve(request)
        self._reply(0, payload, value=value or None)

    def _serve(self, op: Op) -> tuple[int, bytes]:
        match op.op:
            case 1:
                self._pass_to(self.t_ns + round(op.c * 1e9 / self.clock_hz))
            case 3:
                assert op.a == 0
                assert op.b in {0, 1}
            case 4:
                self.sent += op.payload
            case 5:
                taken = bytes(self.received[: op.c])
                del self.received[: op.c]
                return 0, taken
            case 6:
                pass
            case 7:
                self._pass_to(self.t_ns + BYTE_NS)
            case 8:
                base = self.expired_ns if op.a & 1 else self.t_ns
                delay_ns = signed_48(op.b << 32 | op.c) if op.a & IN_NS else op.c * 1000
                self.timer_ns = base + delay_ns if delay_ns else None
            case 9:
                return int(op.a >> 4 in self.engine), b""  # else the core charges what it has done
            case 10:
                if op.c > CLOCK_HZ:
                    return 0, b""
                self.clock_hz = op.c
                return 1, b""
            case _:
                raise AssertionError(f"unknown request {op}")
        return 0, b""

    def _pass_to(self, t_ns: int) -> None:
        self.t_ns = max(self.t_ns, t_ns)
        while self.bytes_ns and self.bytes_ns[0][0] <= self.t_ns:
            self.received.append(self.bytes_ns.pop(0)[1])

    def _end_wait(self, op: Op) -> bool:
        instants: list[tuple[int, int]] = []
        if op.wanted & EVENT_UART and (self.received or self.bytes_ns):
            instants.append((self.t_ns if self.received else self.bytes_ns[0][0], EVENT_UART))
        if op.wanted & EVENT_TRIG and self.triggers_ns:
            instants.append((self.triggers_ns[0], EVENT_TRIG))
        if op.wanted & EVENT_TIMER and self.timer_ns is not None:
            instants.append((self.timer_ns, EVENT_TIMER))
        if op.c != NO_TIMEOUT:
            instants.append((op.t_ns + op.c * (1 if op.a & IN_NS else 1000), 0))
        if not instants:
            return False
        t_ns, event = min(instants)
        if event == EVENT_TRIG:
            self.triggers_ns.pop(0)
        elif event == EVENT_TIMER:
            self.expired_ns, self.timer_ns = t_ns, None
        slept = op.state in {SLEEP_RETAINED, SLEEP_MODEL_OFF}
        before = bytes(self.received)
        self._pass_to(max(t_ns, self.t_ns) + (OSCILLATOR_START_NS if slept else 0))
        if slept:
            self.received[:] = before  # the UART has no clock: what comes until code runs is lost, the byte that wakes included
        self.blocked = None
        stray = EVENT_TRIG if self.stray_trigger else 0
        self.stray_trigger = False
        self._reply(event | stray, b"", value=self.t_ns - t_ns)
        return True

    def _reply(self, events: int, payload: bytes, *, value: int | None = None) -> None:
        self.wire.sendall(struct.pack("<QII", self.t_ns, events, len(payload) if value is None else value) + payload)

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.wire.recv(count - len(data))
            if not part:
                raise EOFError("the firmware ended")
            data += part
        return data


def signed_48(bits: int) -> int:
    return bits - (1 << 48) if bits >> 47 else bits
