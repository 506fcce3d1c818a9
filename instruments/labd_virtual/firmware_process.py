"""The firmware as a child process and the packets it speaks on descriptor 3 (docs/decisions/0002-firmware-hal.md)."""

from __future__ import annotations

import asyncio
import enum
import fcntl
import os
import select
import signal
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_REQUEST = struct.Struct("<BBHI")
_REPLY = struct.Struct("<QII")
_DESCRIPTOR = 3
_WORDS = 65536  # what a pipe holds


class Op(enum.IntEnum):
    """Requests of the firmware."""

    SPEND = 1
    WAIT = 2
    PIN = 3
    UART_TX = 4
    UART_RX = 5
    NOW = 6
    UART_FLUSH = 7
    TIMER_AT = 8
    OPERATE = 9
    CLOCK = 10


@dataclass(frozen=True, slots=True)
class Request:
    op: Op
    a: int
    b: int
    c: int
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    t_ns: int
    events: int = 0
    value: int = 0
    payload: bytes = b""


class Firmware(Protocol):
    """What runs on the board: started at power-on, killed at power-off; one request, one reply."""

    def start(self, on_request: Callable[[Request], None], on_end: Callable[[str], None]) -> None:
        """on_end is called with the reason when it ends by itself."""

    def reply(self, reply: Reply) -> None: ...

    def kill(self) -> None: ...


class FirmwareProcess:
    """The compiled firmware, or an emulator that runs it. stuck_s: host time after which one that computes without asking anything counts
    as stuck."""

    def __init__(self, executable: Path, *arguments: str, stuck_s: float = 20.0) -> None:
        self._executable = executable
        self._arguments = arguments
        self._stuck_s = stuck_s
        self._pid = 0
        self._words = -1
        self._wire: socket.socket | None = None
        self._received = bytearray()
        self._replies = 0
        self._computing = False
        self._suspect = -1
        self._watch: asyncio.TimerHandle | None = None

    def start(self, on_request: Callable[[Request], None], on_end: Callable[[str], None]) -> None:
        self._on_request, self._on_end = on_request, on_end
        ours, theirs = socket.socketpair()
        # Never 3 itself: a duplicate onto the same number would keep its close-on-exec flag.
        inherited = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD_CLOEXEC, 10)
        theirs.close()
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._words, words = os.pipe()
        try:
            self._pid = os.posix_spawn(
                self._executable,
                [self._executable.name, *self._arguments],
                {},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, null, 0),
                    (os.POSIX_SPAWN_DUP2, words, 2),
                    (os.POSIX_SPAWN_DUP2, 2, 1),
                    (os.POSIX_SPAWN_DUP2, inherited, _DESCRIPTOR),
                ],
                setsigmask=[],
                setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE],
            )
        finally:
            os.close(inherited)
            os.close(null)
            os.close(words)
        ours.setblocking(False)
        self._wire, self._received, self._computing = ours, bytearray(), True
        loop = asyncio.get_running_loop()
        loop.add_reader(ours, self._read)
        self._watch = loop.call_later(self._stuck_s, self._check_stuck)

    def reply(self, reply: Reply) -> None:
        if self._wire is None:
            return
        self._replies += 1
        self._computing = True
        try:
            self._wire.send(_REPLY.pack(reply.t_ns, reply.events, reply.value) + reply.payload)
        except (BrokenPipeError, ConnectionResetError):
            self._ended("ended")
        except BlockingIOError:
            self._ended("does not read its replies")

    def kill(self) -> None:
        if self._wire is None:
            return
        if self._watch is not None:
            self._watch.cancel()
        asyncio.get_running_loop().remove_reader(self._wire)
        self._wire.close()
        os.close(self._words)
        self._wire = None
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def _read(self) -> None:
        assert self._wire is not None
        try:
            data = self._wire.recv(65536)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self._ended("ended")
            return
        self._received += data
        self._computing = False
        request = self._parse()
        if request is not None:
            self._on_request(request)

    def _parse(self) -> Request | None:
        if len(self._received) < _REQUEST.size:
            return None
        op, a, b, c = _REQUEST.unpack_from(self._received)
        length = _REQUEST.size + (b if op == Op.UART_TX else 0)
        if len(self._received) < length:
            return None
        payload = bytes(self._received[_REQUEST.size : length])
        del self._received[:length]
        if op not in Op.__members__.values() or self._received:
            self._ended(f"sent request {op}, or another one before its reply")
            return None
        return Request(Op(op), a, b, c, payload)

    def _check_stuck(self) -> None:
        """Computing since the same reply as at the last look: for at least stuck_s."""
        if self._wire is None:
            return
        if self._computing and self._suspect == self._replies:
            self._ended(f"has computed for {self._stuck_s:g} s without asking for anything")
            return
        self._suspect = self._replies if self._computing else -1
        self._watch = asyncio.get_running_loop().call_later(self._stuck_s, self._check_stuck)

    def _ended(self, reason: str) -> None:
        last = self._last_words()
        self.kill()
        self._on_end(f"the firmware {reason}{last and f': {last}'}")

    def _last_words(self) -> str:
        """The last line it wrote where a program complains."""
        if not select.select([self._words], [], [], 0)[0]:
            return ""
        lines = os.read(self._words, _WORDS).decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
