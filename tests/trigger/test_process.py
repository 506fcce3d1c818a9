"""The process that fires: real pseudo-terminals and TCP connections, instants planned and kept, called off, and gone with its parent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from labd.trigger.firing import Bytes, GpioPulse, Missed, ModemPulse, Target
from labd.trigger.process import TriggerFailure, trigger

ROOT = Path(__file__).parents[2]
MS = 1_000_000
FAR_NS = 600_000 * MS
PATIENCE_S = 60.0
# what a process without rights has, whoever runs the tests: capabilities leave the bounding set, limits are zero
WITHOUT_RIGHTS = """
import asyncio, ctypes, dataclasses, json, resource
CAP_IPC_LOCK, CAP_SYS_NICE, PR_CAPBSET_DROP = 14, 23, 24
for capability in (CAP_IPC_LOCK, CAP_SYS_NICE):
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
for limit in (resource.RLIMIT_RTPRIO, resource.RLIMIT_MEMLOCK):
    resource.setrlimit(limit, (0, 0))
from labd.trigger.firing import Bytes
from labd.trigger.process import trigger
async def main():
    import os
    reader, writer = os.pipe()
    async with trigger(writer) as process:
        firings = await process.fire(Bytes(writer, b"x"), [1_000_000, 2_000_000], late_ns=60_000_000_000)
    print(json.dumps([dataclasses.asdict(process.footing), len(os.read(reader, 9)), [f.missed for f in firings]]))
asyncio.run(main())
"""
FIRES_LATER = """
import asyncio, socket, sys
from labd.trigger.firing import Bytes
from labd.trigger.process import trigger
async def main():
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    async with trigger(connection.fileno()) as process:
        print("armed", flush=True)
        await process.fire(Bytes(connection.fileno(), b"x"), [600_000_000_000])
asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Pty:
    master: int
    slave: int

    def heard(self, count: int) -> bytes:
        """At least so many bytes; fewer only where no more come for a long time."""
        data = b""
        while len(data) < count and select.select([self.master], [], [], PATIENCE_S)[0]:
            data += os.read(self.master, 4096)
        return data

    def silent(self) -> bool:
        return not select.select([self.master], [], [], 0)[0]


@pytest.fixture
def pty() -> Iterator[Pty]:
    master, slave = os.openpty()
    tty.setraw(slave, termios.TCSANOW)
    yield Pty(master, slave)
    for end in (master, slave):
        with contextlib.suppress(OSError):
            os.close(end)


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        theirs, _ = server.accept()
        theirs.settimeout(PATIENCE_S)
        with theirs:
            yield ours, theirs


async def test_a_serial_port_gets_its_byte_at_each_instant_and_never_before(pty: Pty) -> None:
    async with trigger(pty.slave) as process:
        start_ns = time.monotonic_ns() + 50 * MS
        firings = await process.fire(Bytes(pty.slave, b"\n"), [0, 5 * MS, 11 * MS], start_ns=start_ns, late_ns=FAR_NS)
    assert pty.heard(3) == b"\n\n\n"
    assert [firing.planned_ns - start_ns for firing in firings] == [0, 5 * MS, 11 * MS]
    assert all(firing.planned_ns <= firing.began_ns <= firing.done_ns for firing in firings)
    assert [firing.missed for firing in firings] == [None, None, None]


async def test_a_connection_gets_its_bytes(connection: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = connection
    async with trigger(ours.fileno()) as process:
        firings = await process.fire(Bytes(ours.fileno(), b"go"), [MS, 2 * MS], late_ns=FAR_NS)
    assert len(firings) == 2
    assert theirs.recv(4, socket.MSG_WAITALL) == b"gogo"


async def test_one_process_does_job_after_job(pty: Pty) -> None:
    async with trigger(pty.slave) as process:
        for byte in (b"a", b"b", b"c"):
            await process.fire(Bytes(pty.slave, byte), [0])
    assert pty.heard(3) == b"abc"


async def test_what_is_called_off_is_not_fired_and_the_process_goes_on(pty: Pty) -> None:
    async with trigger(pty.slave) as process:
        firing = asyncio.create_task(process.fire(Bytes(pty.slave, b"x"), [MS, FAR_NS]))
        assert await asyncio.to_thread(pty.heard, 1) == b"x"
        firing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await firing
        assert pty.silent()
        await process.fire(Bytes(pty.slave, b"y"), [0])
        assert pty.heard(1) == b"y"


async def test_an_instant_whose_successor_is_due_is_skipped_and_a_late_one_is_counted(pty: Pty) -> None:
    async with trigger(pty.slave) as process:
        an_hour_ago_ns = time.monotonic_ns() - 3600 * 1000 * MS
        firings = await process.fire(Bytes(pty.slave, b"x"), [0, MS, 2 * MS], start_ns=an_hour_ago_ns)
    assert [firing.missed for firing in firings] == [Missed.SKIPPED, Missed.SKIPPED, Missed.LATE]
    assert pty.heard(1) == b"x"
    assert pty.silent()


@pytest.fixture
def full() -> Iterator[tuple[int, int]]:
    """A pipe that takes no more: what is read from, what is written to."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(1 << 16))
    yield reader, writer
    os.close(reader)
    os.close(writer)


async def test_bytes_that_a_device_does_not_take_are_counted(full: tuple[int, int]) -> None:
    _, writer = full
    async with trigger(writer) as process:
        firings = await process.fire(Bytes(writer, b"go"), [0, MS], late_ns=FAR_NS)
    assert [(firing.missed, firing.fired) for firing in firings] == [(Missed.NOT_TAKEN, False)] * 2


async def test_bytes_that_are_taken_in_part_are_not_taken(full: tuple[int, int]) -> None:
    reader, writer = full
    os.read(reader, 4096)
    async with trigger(writer) as process:
        (firing,) = await process.fire(Bytes(writer, bytes(8192)), [0], late_ns=FAR_NS)
    assert firing.missed is Missed.NOT_TAKEN


async def test_a_port_that_is_gone_is_an_error_by_name(pty: Pty) -> None:
    async with trigger(pty.slave) as process:
        os.close(pty.master)
        with pytest.raises(TriggerFailure, match=r"trigger 1 of 2 could not be fired on the port or connection: Input/output error"):
            await process.fire(Bytes(pty.slave, b"x"), [0, MS])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (lambda fd: ModemPulse(fd, "rts", MS), "the port's RTS line: it has no modem lines .a pseudo-terminal has none"),
        (lambda fd: GpioPulse(fd, 0, MS), "the GPIO line: Inappropriate ioctl"),
    ],
)
async def test_a_line_that_is_none_is_an_error_by_name(pty: Pty, line: object, says: str) -> None:
    assert callable(line)
    target: Target = line(pty.slave)
    async with trigger(pty.slave) as process:
        with pytest.raises(TriggerFailure, match=says):
            await process.fire(target, [0])


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (Bytes(0, b""), "at least one byte"),
        (ModemPulse(0, "cts", MS), 'has the outputs "rts" and "dtr", got "cts"'),
        (GpioPulse(0, 0, 11 * MS), "at most 10 ms, got 11 ms"),
        (GpioPulse(0, 0, 0), "more than 0"),
    ],
)
async def test_what_nobody_can_fire_is_refused(target: Target, says: str) -> None:
    async with trigger() as process:
        with pytest.raises(TriggerFailure, match=says):
            await process.fire(target, [0])


async def test_a_process_that_dies_is_an_error_and_not_silence(pty: Pty) -> None:
    before = set(psutil.Process().children())
    async with trigger(pty.slave) as process:
        (child,) = set(psutil.Process().children()) - before
        firing = asyncio.create_task(process.fire(Bytes(pty.slave, b"x"), [MS, FAR_NS]))
        assert await asyncio.to_thread(pty.heard, 1) == b"x"
        child.kill()
        with pytest.raises(TriggerFailure, match="ended in the middle of its work"):
            await firing


def test_it_dies_with_its_parent_and_fires_no_more() -> None:
    """Both hold the connection: its other end sees the end of it only when both are gone."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-c", FIRES_LATER, str(server.getsockname()[1])]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
            theirs, _ = server.accept()
            with theirs:
                theirs.settimeout(PATIENCE_S)
                assert parent.stdout is not None
                assert parent.stdout.readline() == "armed\n"
                parent.send_signal(signal.SIGKILL)
                assert theirs.recv(1) == b""


def test_without_rights_it_fires_all_the_same_and_says_what_was_refused() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_RIGHTS], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert ended.returncode == 0, ended.stderr
    footing, heard, missed = json.loads(ended.stdout)
    assert footing["real_time"] is False
    assert "SCHED_FIFO refused" in footing["scheduler"]
    assert "CAP_SYS_NICE or RLIMIT_RTPRIO" in footing["scheduler"]
    assert "memory not locked (refused" in footing["memory"]
    assert footing["timer"] == "timer slack 1 ns"
    assert heard == 2
    assert missed == [None, None]
