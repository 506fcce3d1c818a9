"""`python -m labd.trigger DESCRIPTOR`: fires at planned instants, as near to them as the system lets it; ends with its parent.

Jobs come by the socket, JSON behind its length in four bytes; length 0 calls off the job under way. Answers go back a line each: first
what the system granted, then per instant `fired K BEGAN DONE`, `skipped K NOW NOW`, `not_taken K BEGAN DONE` (ns of CLOCK_MONOTONIC) or
`failed K ERRNO 0`, and `end`. Imports little, so that little can hold it up. Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import gc
import json
import os
import select
import socket
import struct
import sys
import termios
import time
from collections.abc import Callable
from typing import Any

PRIORITY = 49  # just below the kernel's threaded interrupts, which carry what is fired
COARSE_NS = 2_000_000  # until then the parent is listened to
SPIN_NS = 300_000  # more than what a wake-up from sleep is late by, of a process that is not real-time too
FLUSH_NS = 500_000  # nothing is reported in so short a time before an instant
MCL_CURRENT, MCL_FUTURE = 1, 2  # <sys/mman.h>
PR_SET_TIMERSLACK = 29  # prctl(2)
# <linux/gpio.h>: _IOWR(0xB4, 0x0F, struct gpio_v2_line_values { __u64 bits; __u64 mask; })
GPIO_V2_LINE_SET_VALUES = 0xC010B40F
LINES = {"rts": termios.TIOCM_RTS, "dtr": termios.TIOCM_DTR}


def footing() -> dict[str, object]:
    """Take what the system gives, say what it refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    real_time, scheduler = True, f"SCHED_FIFO {PRIORITY}"
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError as error:
        real_time, scheduler = False, f"SCHED_OTHER (SCHED_FIFO refused: {error.strerror}; needs CAP_SYS_NICE or RLIMIT_RTPRIO)"
    memory = "memory locked"
    if libc.mlockall(MCL_CURRENT | MCL_FUTURE):
        memory = f"memory not locked (refused: {os.strerror(ctypes.get_errno())}; needs CAP_IPC_LOCK or RLIMIT_MEMLOCK)"
    timer = "timer slack 1 ns"
    if libc.prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(1), 0, 0, 0):
        timer = f"timer slack as it was (refused: {os.strerror(ctypes.get_errno())})"
    return {"real_time": real_time, "scheduler": scheduler, "memory": memory, "timer": timer}


class Parent:
    """The other end of the socket. Telling it never holds up what is timed: what the socket does not take waits for a better moment."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._waiting = bytearray()
        self._said = select.poll()
        self._said.register(connection, select.POLLIN)

    def tell(self, line: str) -> None:
        self._waiting += line.encode() + b"\n"

    def flush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            del self._waiting[: self._connection.send(self._waiting, socket.MSG_DONTWAIT)]

    def flush_all(self) -> None:
        self._connection.sendall(self._waiting)
        self._waiting.clear()

    def called(self, within_ns: int = 0) -> bool:
        """Whether it has said something, or is gone."""
        return bool(self._said.poll(max(0, within_ns) // 1_000_000))

    def job(self) -> bytes:
        """The next one; empty once the parent is gone."""
        while head := self._exactly(4):
            if length := int.from_bytes(head, "big"):
                return self._exactly(length)
        return b""

    def _exactly(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            part = self._connection.recv(length - len(data))
            if not part:
                return b""
            data += part
        return bytes(data)


def writer(target: dict[str, Any]) -> tuple[Callable[[], None], Callable[[], None] | None]:
    """What fires, and what ends a pulse. Both raise OSError."""
    descriptor = int(target["descriptor"])
    if target["kind"] == "bytes":
        data = bytes.fromhex(target["data"])
        os.set_blocking(descriptor, False)

        def write() -> None:
            if os.write(descriptor, data) < len(data):
                raise OSError(errno.EMSGSIZE, "taken in part")

        return write, None
    if target["kind"] == "modem":
        bits = struct.pack("I", LINES[target["line"]])
        on, off = (termios.TIOCMBIS, termios.TIOCMBIC) if target["asserted"] else (termios.TIOCMBIC, termios.TIOCMBIS)
        return lambda: _control(descriptor, on, bits), lambda: _control(descriptor, off, bits)
    mask = 1 << int(target["bit"])
    active, inactive = struct.pack("QQ", mask, mask), struct.pack("QQ", 0, mask)
    return lambda: _control(descriptor, GPIO_V2_LINE_SET_VALUES, active), lambda: _control(descriptor, GPIO_V2_LINE_SET_VALUES, inactive)


def _control(descriptor: int, request: int, argument: bytes) -> None:
    fcntl.ioctl(descriptor, request, argument)


def until(at_ns: int, spin_ns: int = SPIN_NS) -> int:
    """Sleep [clock_nanosleep, to an absolute time], then spin. Returns what the clock showed at or after at_ns."""
    now = time.monotonic_ns
    if (left_ns := at_ns - spin_ns - now()) > 0:
        time.sleep(left_ns * 1e-9)
    while (t_ns := now()) < at_ns:
        pass
    return t_ns


def fire(job: dict[str, Any], parent: Parent) -> None:
    """One job: its instants in order, until the last, a device that fails, or a word of the parent."""
    on, off = writer(job["target"])
    pulse_ns = int(job["target"].get("pulse_ns", 0))
    instants: list[int] = job["at_ns"]
    for k, at_ns in enumerate(instants):
        following_ns = instants[k + 1] if k + 1 < len(instants) else None
        began_ns = time.monotonic_ns()
        if following_ns is not None and began_ns >= following_ns:
            parent.tell(f"skipped {k} {began_ns} {began_ns}")
            if parent.called():
                return
            continue
        if at_ns - began_ns > FLUSH_NS:
            parent.flush()
        if parent.called(at_ns - COARSE_NS - time.monotonic_ns()):
            return
        began_ns = until(at_ns)
        try:
            on()
            done_ns = time.monotonic_ns()
            if off is not None:
                until(done_ns + pulse_ns, min(SPIN_NS, pulse_ns))
                off()
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.EMSGSIZE}:
                parent.tell(f"failed {k} {error.errno} 0")
                return
            parent.tell(f"not_taken {k} {began_ns} {time.monotonic_ns()}")
            continue
        parent.tell(f"fired {k} {began_ns} {done_ns}")


def main() -> int:
    parent = Parent(socket.socket(fileno=int(sys.argv[1])))
    parent.tell(json.dumps(footing()))
    gc.collect()
    gc.freeze()
    gc.disable()  # when it looks nobody can say, and it would find nothing
    try:
        parent.flush_all()
        while job := parent.job():
            fire(json.loads(job), parent)
            parent.tell("end")
            parent.flush_all()
    except (BrokenPipeError, ConnectionResetError):  # the parent is gone
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
