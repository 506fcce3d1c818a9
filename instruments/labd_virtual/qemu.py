"""An emulated board: QEMU as a child process that runs in its own time, with its UART, its trigger line and its trace."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labd_virtual.firmware_build import FirmwareError
from labd_virtual.followed import Follower
from labd_virtual.qemu_machine import Descriptors, Machine, Trace, Wiring, command, monitor_command

QEMU = "qemu-system-arm"
_ASK_S = 20.0
_DEPTH = 4  # of the objects looked through: /machine/iotkit/cluster0/armv7m0


async def emulated(machine: Machine, image: Path) -> QemuDevice:
    """The machine with an image, not yet started. Raises FirmwareError where there is no QEMU, or one that is put together differently."""
    qemu = shutil.which(QEMU)
    if qemu is None:
        raise FirmwareError(f"no {QEMU}: it runs the image of {machine.name}; install it (Debian: apt-get install qemu-system-arm)")
    return QemuDevice(_apart(command(qemu, machine, image, Descriptors())), await wiring(qemu, machine))


class QemuDevice:
    """`followed.Live`. What its image shows comes stamped by QEMU, so it does not matter how late it is read."""

    def __init__(self, arguments: Sequence[str], wires: Wiring) -> None:
        self._arguments, self._wires = arguments, wires
        self._process: _Process | None = None
        self._level = 0

    def start(self, follower: Follower) -> None:
        try:
            self._process = _Process(self._arguments, follower, Trace(self._wires.reader()))
        except OSError as error:
            follower.ended(f"the emulator does not start: {error.strerror}")
            return
        if self._level:
            self._process.lines(self._wires.rise)

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def trig(self, level: int) -> None:
        self._level = level
        if self._process is not None:
            self._process.lines(self._wires.rise if level else self._wires.fall)

    def receives(self, payload: bytes) -> None:
        if self._process is not None:
            self._process.uart(payload)


class _Process:
    """One run from power-on to power-off."""

    def __init__(self, arguments: Sequence[str], follower: Follower, trace: Trace) -> None:
        self._follower, self._trace = follower, trace
        self._uart, uart = socket.socketpair()
        self._lines, lines = socket.socketpair()
        self._log, log = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._words, words = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(log, True)
        self._pid = _spawn(arguments, [uart.detach(), lines.detach(), log], words)
        self._loop = asyncio.get_running_loop()
        for end in (self._uart, self._lines):
            end.setblocking(False)
        self._loop.add_reader(self._log, self._read_log)
        self._loop.add_reader(self._uart, self._read_uart)
        self._loop.add_reader(self._lines, self._read_lines)

    def uart(self, payload: bytes) -> None:
        """An image that takes nothing for 200 kB loses what comes then, as a UART does."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            self._uart.send(payload)

    def lines(self, commands: bytes) -> None:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            self._lines.send(commands)

    def kill(self) -> None:
        for end in (self._log, self._uart, self._lines):
            self._loop.remove_reader(end)
        self._uart.close()
        self._lines.close()
        os.close(self._log)
        os.close(self._words)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def _read_log(self) -> None:
        data = os.read(self._log, 65536)
        if not data:  # it ended, and a pipe at its end is ready for ever
            self._loop.remove_reader(self._log)
        real_to_monotonic = time.monotonic_ns() - time.time_ns()
        for store in self._trace.feed(data):
            self._follower.shows(store.shown, store.real_ns + real_to_monotonic)

    def _read_uart(self) -> None:
        data = self._received(self._uart)
        if data:
            self._follower.sends(data)
        else:
            self._loop.remove_reader(self._uart)
            self._follower.ended(f"the emulator ended: {self._last_words()}")

    def _read_lines(self) -> None:
        """Answers to commands; nobody waits for one."""
        if not self._received(self._lines):
            self._loop.remove_reader(self._lines)

    def _received(self, end: socket.socket) -> bytes:
        try:
            return end.recv(65536)
        except ConnectionResetError:
            return b""

    def _last_words(self) -> str:
        try:
            lines = os.read(self._words, 65536).decode(errors="replace").strip().splitlines()
        except BlockingIOError:
            lines = []
        return lines[-1] if lines else "no reason given"


async def wiring(qemu: str, machine: Machine) -> Wiring:
    """Asks the machine itself where its lines are. Raises FirmwareError."""
    ours, theirs = socket.socketpair()
    null = asyncio.subprocess.DEVNULL
    arguments = _apart(monitor_command(qemu, machine, theirs.fileno()))
    process = await asyncio.create_subprocess_exec(*arguments, pass_fds=[theirs.fileno()], stdin=null, stdout=null, stderr=null)
    theirs.close()
    reader, writer = await asyncio.open_connection(sock=ours)
    monitor = _Monitor(reader, writer)
    try:
        async with asyncio.timeout(_ASK_S):
            await monitor.greet()
            return machine.wiring(await _places(monitor, machine))
    except (TimeoutError, OSError, ValueError) as error:
        raise FirmwareError(f"{qemu} does not tell how its machine {machine.name} is put together: {error!r}") from error
    except KeyError as error:
        raise FirmwareError(f"{qemu}: its machine {machine.name} has no {machine.kind} where the image expects one") from error
    finally:
        writer.close()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class _Monitor:
    """QEMU Machine Protocol (docs/interop/qmp-spec.rst): one JSON object a line; events come between answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def greet(self) -> None:
        json.loads(await self._reader.readline())
        await self.ask("qmp_capabilities")

    async def ask(self, execute: str, **arguments: object) -> Any:
        """Raises ValueError where it refuses, or has ended."""
        self._writer.write(json.dumps({"execute": execute, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = json.loads(await self._reader.readline())
            if "error" in answer:
                raise ValueError(answer["error"]["desc"])
            if "return" in answer:
                return answer["return"]


async def _places(monitor: _Monitor, machine: Machine) -> Mapping[int, str]:
    """QOM path of each object of the machine's kind, by the address of its registers."""
    found = {}
    for path in await _paths(monitor, "/machine", f"child<{machine.kind}>", _DEPTH):
        region = f"{path}/{machine.region}"
        address = await monitor.ask("qom-get", path=region, property="addr") if machine.region else 0
        found[int(address)] = path
    return found


async def _paths(monitor: _Monitor, top: str, kind: str, depth: int) -> list[str]:
    children = await monitor.ask("qom-list", path=top)
    found = [f"{top}/{child['name']}" for child in children if child["type"] == kind]
    if depth and not found:
        # Memory regions and interrupts are the many; they have no devices in them.
        inner = [f"{top}/{c['name']}" for c in children if c["type"].startswith("child<") and not c["type"].endswith(("region>", "irq>"))]
        found = [path for part in inner for path in await _paths(monitor, part, kind, depth - 1)]
    return found


def _apart(arguments: list[str]) -> list[str]:
    """QEMU does not end with who started it; util-linux's setpriv, where there is one, has the kernel see to that (but for a bench that is
    killed within the millisecond before setpriv has run)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *arguments] if setpriv else arguments


def _spawn(arguments: Sequence[str], inherited: Sequence[int], words: int) -> int:
    """Process with `inherited` as its `Descriptors` in their order and `words` as its standard error; closes them here. Raises OSError."""
    # Above where they go: a duplicate onto the same number would keep its close-on-exec flag.
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in inherited]
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    standard = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, words, 2)]
    try:
        return os.posix_spawn(
            arguments[0],
            list(arguments),
            os.environ,
            file_actions=[*standard, *((os.POSIX_SPAWN_DUP2, fd, Descriptors().uart + k) for k, fd in enumerate(high))],
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE],
        )
    finally:
        for fd in [*high, null, *inherited, words]:
            os.close(fd)
