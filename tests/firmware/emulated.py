"""An image under QEMU, met through its UART and its pins like a board on a bench: no bench, no supply, no clock of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from labd_virtual.firmware_build import FirmwareError, build
from labd_virtual.followed import Shown
from labd_virtual.load import Phase, State
from labd_virtual.qemu import QEMU, wiring
from labd_virtual.qemu_machine import Descriptors, Machine, Trace, Wiring, command

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
READY = "m-ready\r\n"
PATIENCE_S = 60.0
# An instruction takes 64 ns of the guest's time, whatever it is; a guest that rests lets host time pass.
COUNTED = ("-icount", "shift=6,sleep=on")


@dataclass(slots=True)
class Emulated:
    """A running image. sent: all it ever sent. shown: all it ever showed."""

    uart: socket.socket
    qtest: socket.socket
    log: int
    wires: Wiring
    trace: Trace
    sent: bytearray = field(default_factory=bytearray)
    shown: list[Shown] = field(default_factory=list)

    def command(self, text: str) -> str:
        """Send bytes, return what came until every command among them was answered."""
        before = len(self.sent)
        self.uart.sendall(text.encode())
        return self.until_ready(before, sum(bool(part.strip(" \r\n\0")) for part in text.split("%")[:-1]))

    def lines(self, text: str) -> list[str]:
        """The reply's lines without the closing m-ready."""
        reply = self.command(text)
        assert reply.endswith(READY), reply
        return reply.removesuffix(READY).splitlines()

    def until_ready(self, since: int, times: int = 1) -> str:
        """What it sent from byte `since` until it was ready so many times."""
        while self.sent.count(READY.encode(), since) < times:
            self._receive()
        return self.sent[since:].decode()

    def until_said(self, text: str) -> None:
        while text.encode() not in self.sent:
            self._receive()

    def until_rests(self, state: State) -> None:
        """It rests in this state now, and not in the tail of an event."""
        self._look()
        while self.shown[-1].state is not state or self.shown[-1].phase is Phase.TAIL:
            self._receive()

    def until_runs(self, since: int) -> None:
        """It has run code after the `since`th of what it showed."""
        while not any(shown.state is State.RUNNING for shown in self.shown[since:]):
            self._receive()

    def showed(self, since: int = 0) -> list[Shown]:
        """What it showed from the `since`th on until now; all that came before what it has said."""
        self._look()
        return self.shown[since:]

    def trig(self) -> None:
        """A pulse."""
        self.qtest.sendall(self.wires.rise + self.wires.fall)

    def answers_within(self, seconds: float) -> bool:
        """Whether something comes over the UART."""
        return bool(select.select([self.uart.fileno()], [], [], seconds)[0])

    def _receive(self) -> None:
        ready, _, _ = select.select([self.uart.fileno(), self.log], [], [], PATIENCE_S)
        assert ready, f"nothing came after {bytes(self.sent)!r}"
        if self.log in ready:
            self._read_log()
        if self.uart.fileno() in ready:
            data = self.uart.recv(65536)
            assert data, f"the emulator ended after {bytes(self.sent)!r}"
            self.sent += data

    def _look(self) -> None:
        """Read what is in the log already."""
        while self.log in select.select([self.log], [], [], 0)[0]:
            self._read_log()

    def _read_log(self) -> None:
        data = os.read(self.log, 65536)
        assert data, "the emulator closed its log"
        self.shown += [store.shown for store in self.trace.feed(data)]


def image_of(machine: Machine, cache: Path) -> Path:
    """Skips where a Debian package is missing."""
    if shutil.which(QEMU) is None:
        pytest.skip(f"no {QEMU}: install qemu-system-arm")
    return built(machine.name, cache)


def built(target: str, cache: Path, *, energy_mode: bool = False) -> Path:
    """The image of a board. Skips where its compiler is missing."""
    try:
        return asyncio.run(build(FIRMWARE, energy_mode=energy_mode, target=target, cache=cache))
    except FirmwareError as error:
        if "no C compiler" in str(error):
            pytest.skip(str(error))
        raise


def wires_of(machine: Machine) -> Wiring:
    return asyncio.run(wiring(qemu(), machine))


def qemu() -> str:
    found = shutil.which(QEMU)
    assert found is not None
    return found


@contextlib.contextmanager
def running(machine: Machine, image: Path, wires: Wiring, *, extra: Sequence[str] = ()) -> Iterator[Emulated]:
    """Booted. At the end it must still run."""
    (uart, uart_there), (qtest, qtest_there) = socket.socketpair(), socket.socketpair()
    log, log_there = os.pipe()
    inherited = (uart_there.fileno(), qtest_there.fileno(), log_there)
    process = subprocess.Popen(
        command(qemu(), machine, image, Descriptors(*inherited), extra=extra),
        pass_fds=inherited,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    uart_there.close()
    qtest_there.close()
    os.close(log_there)
    with uart, qtest, os.fdopen(log, "rb"):
        qtest.settimeout(PATIENCE_S)
        emulated = Emulated(uart, qtest, log, wires, Trace(wires.reader()))
        try:
            emulated.until_ready(0)
            yield emulated
            assert process.poll() is None
        finally:
            process.kill()
            process.communicate()


def laps(emulated: Emulated) -> list[list[int]]:
    """[index, event, awake, ready, start, end] of each inference, us."""
    return [[int(word) for word in re.findall(r"\d+", line)] for line in emulated.lines("laps%")]
