"""A stand-in for the firmware process: a Python generator that yields requests and receives replies."""

from __future__ import annotations

from collections.abc import Callable, Generator

from labd_virtual.firmware_process import Op, Reply, Request
from labd_virtual.silicon import IN_NS

Script = Generator[Request, Reply, None]


def spend(phase: int, cycles: int, activity: int = 100) -> Request:
    return Request(Op.SPEND, phase, activity, cycles)


def operate(operation: int, bits: int, count: int, phase: int = 5) -> Request:
    return Request(Op.OPERATE, phase | operation << 4, bits, count)


def clock(hz: int) -> Request:
    return Request(Op.CLOCK, 0, 0, hz)


def wait(state: int, wanted: int, phase: int, timeout_us: int = 0xFFFFFFFF) -> Request:
    return Request(Op.WAIT, state, wanted | phase << 8, timeout_us)


def timer(us: int, *, from_last: bool = False) -> Request:
    return Request(Op.TIMER_AT, int(from_last), 0, us)


def wait_ns(state: int, wanted: int, phase: int, timeout_ns: int = 0xFFFFFFFF) -> Request:
    return Request(Op.WAIT, state | IN_NS, wanted | phase << 8, timeout_ns)


def timer_ns(ns: int) -> Request:
    bits = ns & (1 << 48) - 1
    return Request(Op.TIMER_AT, IN_NS, bits >> 32, bits & 0xFFFFFFFF)


def mark(level: int) -> Request:
    return Request(Op.PIN, 0, level, 0)


class ScriptedFirmware:
    """Answers at once in host time; when the script ends it rests in sleep for ever."""

    def __init__(self, script: Callable[[], Script]) -> None:
        self._make = script
        self.running = False
        self.replies: list[Reply] = []

    def start(self, on_request: Callable[[Request], None], on_end: Callable[[str], None]) -> None:
        self.on_end = on_end
        self._script, self._on_request, self.running = self._make(), on_request, True
        self._on_request(next(self._script))

    def reply(self, reply: Reply) -> None:
        self.replies.append(reply)
        if not self.running:
            return
        try:
            request = self._script.send(reply)
        except StopIteration:
            request = wait(3, 0, 2)
        self._on_request(request)

    def kill(self) -> None:
        self.running = False
