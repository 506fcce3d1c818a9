"""A DUT on a real pseudo-terminal behind a line that may be bad: stock firmware, or a program that speaks on its standard streams."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import tty
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from labd.dut.protocol import COMMAND_MAX
from tests.dut.stock_firmware import StockFirmware
from tests.dut.wrong_baud import resampled

ROOT = Path(__file__).parents[2]
OVER_STDIO = (sys.executable, "-m", "tests.dut.stock_dut")
RAW = 4096


class Speaks(Protocol):
    """What a DUT is here: bytes in, bytes out."""

    def boot(self) -> bytes: ...

    def feed(self, data: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Fault:
    """What the line does to one byte. flip: which bits of it."""

    kind: Literal["drop", "repeat", "flip"]
    flip: int = 0x10

    def __call__(self, byte: int) -> bytes:
        return {"drop": b"", "repeat": bytes([byte, byte]), "flip": bytes([byte ^ self.flip])}[self.kind]


@dataclass(slots=True)
class Wire:
    """One direction of a line. faults: by number of the byte, counted from when they were set. bauds: sender's and receiver's, where
    they differ."""

    faults: dict[int, Fault] = field(default_factory=dict)
    bauds: tuple[int, int] | None = None
    _passed: int = 0

    def set(self, faults: dict[int, Fault]) -> None:
        self.faults, self._passed = faults, 0

    def carry(self, data: bytes) -> bytes:
        if self.bauds is not None:
            return resampled(data, *self.bauds)
        first, self._passed = self._passed, self._passed + len(data)
        if not self.faults:
            return data
        return b"".join(self.faults[first + k](byte) if first + k in self.faults else bytes([byte]) for k, byte in enumerate(data))


class StockDut:
    """Context manager. `port` is what a link opens, `raw` all bytes the host has sent. boots: prints the banner when it is entered."""

    def __init__(self, firmware: Speaks | None = None, *, program: Sequence[str] = (), boots: bool = True) -> None:
        self.firmware = StockFirmware() if firmware is None and not program else firmware
        self.to_dut, self.to_host = Wire(), Wire()
        self.raw = bytearray()
        self._lock = threading.Lock()
        self._got = threading.Condition()
        self._boots = boots
        self._broken: Exception | None = None  # the double itself, not the DUT that it plays
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._master, self._slave = _terminal()
        self.port = os.ttyname(self._slave)
        self._peer = -1
        self._wake_r, self._wake_w = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="stock dut", daemon=True)

    def __enter__(self) -> StockDut:
        if self._program:
            self._start_program()
        elif self.firmware is not None:
            banner = self.firmware.boot()
            if self._boots:
                self.say(banner)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._wake_w, b"x")
        self._thread.join(20)
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
        for fd in (self._master, self._slave, self._peer, self._wake_r, self._wake_w):
            if fd >= 0:
                os.close(fd)
        if self._broken is not None:
            raise self._broken

    def say(self, data: bytes) -> None:
        """Output nobody asked for, or noise."""
        with self._lock:
            _write(self._master, self.to_host.carry(data))

    def reboot(self) -> None:
        assert self.firmware is not None
        self.say(self.firmware.boot())

    @property
    def dead(self) -> bool:
        """What no host can change, of the DUT, of one behind a board, or of a program."""
        if self._process is not None:
            return self._process.poll() is not None
        inner = getattr(self.firmware, "dut", self.firmware)
        return isinstance(inner, StockFirmware) and bool(inner.dead)

    @property
    def heard(self) -> list[str]:
        """The commands that the host has sent."""
        return [command.decode("latin-1") for command in bytes(self.raw).split(b"%")[:-1]]

    def wait_raw(self, count: int, timeout_s: float = 30.0) -> bool:
        """Until so many bytes have come from the host."""
        with self._got:
            return self._got.wait_for(lambda: len(self.raw) >= count, timeout_s)

    def _start_program(self) -> None:
        self._peer, theirs = _terminal()
        self._process = subprocess.Popen(list(self._program), stdin=theirs, stdout=theirs, cwd=ROOT)
        os.close(theirs)

    def _serve(self) -> None:
        sources = [fd for fd in (self._master, self._peer, self._wake_r) if fd >= 0]
        while True:
            ready, _, _ = select.select(sources, [], [])
            if self._wake_r in ready:
                return
            try:
                if self._master in ready:
                    self._from_host(os.read(self._master, RAW))
                if self._peer in ready:
                    self.say(os.read(self._peer, RAW))
            except OSError:  # the program has ended: a DUT that says nothing
                sources.remove(self._peer)

    def _from_host(self, data: bytes) -> None:
        with self._got:
            self.raw += data
            self._got.notify_all()
        carried = self.to_dut.carry(data)
        if self._peer >= 0:
            _write(self._peer, carried)
        elif self.firmware is not None:
            self._answer(self.firmware, carried)

    def _answer(self, firmware: Speaks, data: bytes) -> None:
        try:
            said = firmware.feed(data)
        except Exception as error:
            self._broken = error
            raise
        self.say(said)


def misuse(raw: bytes) -> list[str]:
    """What of a host's bytes kills or confuses stock firmware; a command that has not ended yet is not judged."""
    found = []
    for command in raw.split(b"%")[:-1]:
        shown = repr(command[:24])
        if not command.strip(b" "):
            found.append(f"blank command {shown}")
        if len(command) > COMMAND_MAX:
            found.append(f"{len(command)} characters in {shown}")
        if any(not 0x20 <= byte <= 0x7E for byte in command):
            found.append(f"bytes that are no text in {shown}")
        if command.startswith(b"infer ") and len(command.split()) != 3:
            found.append(f"a default number of warm-ups in {shown}")
    return found


def _terminal() -> tuple[int, int]:
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    return master, slave


def _write(fd: int, data: bytes) -> None:
    """All of it; what nobody reads for a while is lost, as on a real line."""
    while data:
        with suppress(BlockingIOError):
            data = data[os.write(fd, data) :]
        if data and not select.select([], [fd], [], 2)[1]:
            return


def main() -> None:
    """The double as a program on its standard input and output, as a POSIX build of the reference is."""
    firmware = StockFirmware()
    os.write(1, firmware.boot())
    while data := os.read(0, RAW):
        os.write(1, firmware.feed(data))


if __name__ == "__main__":
    main()
