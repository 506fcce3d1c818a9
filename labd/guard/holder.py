"""A process that holds an instrument's link, told from a later one with the same number, and how it is ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labd.deadline import deadline

TERM_S = 0.3  # a hung process does not act on SIGTERM; one that can still end by itself begins to within this
KILL_S = 2.0


@dataclass(frozen=True, slots=True)
class Holder:
    """started: field 22 of /proc/PID/stat [proc(5)], clock ticks since boot; a reused pid has another."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Holder | None:
        """None when there is no such process (any more), or only its zombie."""
        started = _started(pid)
        return None if started is None else cls(pid, started)

    def alive(self) -> bool:
        return _started(self.pid) == self.started

    async def end(self) -> bool:
        """SIGTERM, then SIGKILL. True when the process is gone. Never touches another process that has got its number."""
        if self.pid == os.getpid() or sys.platform != "linux":
            return False
        with _pidfd(self.pid) as descriptor:
            if descriptor is None or not self.alive():  # after the descriptor was taken: what it names can no longer change
                return True
            for number, wait_s in ((signal.SIGTERM, TERM_S), (signal.SIGKILL, KILL_S)):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    signal.pidfd_send_signal(descriptor, number)
                if await _ended(descriptor, wait_s):
                    return True
        return False


@contextmanager
def _pidfd(pid: int) -> Iterator[int | None]:
    if sys.platform != "linux":
        yield None
        return
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


async def _ended(descriptor: int, within_s: float) -> bool:
    """A pidfd becomes readable when its process ends [pidfd_open(2)]."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        async with deadline(within_s):
            await ended.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
    return True


def _started(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()  # the name before it may hold anything, brackets too
    return None if state in "ZX" else int(fields[18])
