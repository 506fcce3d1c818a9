"""The firmware compiled with cc and running on a fake board, and compiled for real cores and running under QEMU."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from labd_virtual.firmware_build import FirmwareError, build
from labd_virtual.qemu_machine import LM3S6965EVB, MACHINES, MPS3_AN547, Machine, Wiring
from labd_virtual.rp2040 import RP2040, emulation
from tests.firmware.emulated import Emulated, image_of, running, wires_of
from tests.firmware.fake_board import CLOCK_HZ, FakeBoard

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
FLAGS = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"]
SANITIZE = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

RP2040_HZ = 125_000_000
# Of a build's variant and the file for its pin log.
Rp2040Command = Callable[[str, Path], tuple[str, ...]]

ON_DESCRIPTOR_3 = "import os, sys; os.dup2(int(sys.argv[1]), 3, inheritable=True); os.execv(sys.argv[2], sys.argv[2:])"


@pytest.fixture(scope="session")
def cc() -> str:
    """The C compiler."""
    found = shutil.which("cc")
    if found is None:
        pytest.skip("no C compiler: install gcc (the command cc)")
    return found


def compile_c(cc: str, folders: list[str], output: Path, *flags: str) -> Path:
    """Every C file of the firmware's folders into one program. Fails with the compiler's own words."""
    sources = [str(source) for folder in folders for source in sorted((FIRMWARE / folder).glob("*.c"))]
    command = [cc, *FLAGS, *flags, "-I", str(FIRMWARE / "core"), *sources, "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return output


@pytest.fixture(scope="session")
def images(cc: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The host build by variant, under sanitizers: what these tests run is also checked for undefined behaviour."""
    folder = tmp_path_factory.mktemp("firmware")
    return {
        name: compile_c(cc, ["core", "host"], folder / name, f"-DEE_CFG_ENERGY_MODE={mode}", *SANITIZE)
        for mode, name in enumerate(["performance", "energy"])
    }


@dataclass(slots=True)
class Running:
    process: subprocess.Popen[bytes]
    board: FakeBoard


def start(*program: str | Path, clock_hz: int = CLOCK_HZ) -> Running:
    """Power on: the program runs with its descriptor 3 on the fake board."""
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    fd = theirs.fileno()
    command = [sys.executable, "-S", "-c", ON_DESCRIPTOR_3, str(fd), *map(str, program)]
    # The address sanitizer's leak check needs ptrace, which containers forbid; there is no heap to leak.
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    process = subprocess.Popen(command, pass_fds=[fd], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    theirs.close()
    return Running(process, FakeBoard(ours, clock_hz))


def stop(running: Running) -> tuple[int, str]:
    """Power off: exit status and what the process said."""
    running.board.wire.close()
    try:
        _, words = running.process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        running.process.kill()
        _, words = running.process.communicate(timeout=240)
    return running.process.returncode, words.decode()


@pytest.fixture
def power_on(images: dict[str, Path]) -> Iterator[Callable[[str], FakeBoard]]:
    """Start a variant and give its board before any request is served; at the end each must end quietly when its supply goes."""
    running: list[Running] = []

    def power_on(variant: str) -> FakeBoard:
        running.append(start(images[variant]))
        return running[-1].board

    yield power_on
    assert [stop(one) for one in running] == [(0, "")] * len(running)


@pytest.fixture
def performance(power_on: Callable[[str], FakeBoard]) -> FakeBoard:
    """The performance build, booted."""
    board = power_on("performance")
    board.run()
    return board


@pytest.fixture
def energy(power_on: Callable[[str], FakeBoard]) -> FakeBoard:
    """The energy build, booted."""
    board = power_on("energy")
    board.run()
    return board


class Dut(Protocol):
    """What the protocol's tests need of a device, wherever it runs."""

    sent: bytearray

    def command(self, text: str) -> str: ...

    def lines(self, text: str) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Image:
    """Of one of QEMU's machines, and where that machine's lines are."""

    machine: Machine
    path: Path
    wires: Wiring


@pytest.fixture(scope="session")
def board_images(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Machine], Image]:
    """Each is built once."""
    cache = tmp_path_factory.mktemp("boards")
    made: dict[str, Image] = {}

    def image(machine: Machine) -> Image:
        if machine.name not in made:
            made[machine.name] = Image(machine, image_of(machine, cache), wires_of(machine))
        return made[machine.name]

    return image


@pytest.fixture(params=MACHINES, ids=lambda machine: machine.name)
def image(request: pytest.FixtureRequest, board_images: Callable[[Machine], Image]) -> Image:
    """Of every emulated board in turn."""
    return board_images(request.param)


@pytest.fixture
def emulated(image: Image) -> Iterator[Emulated]:
    """Every emulated board in turn, booted."""
    with running(image.machine, image.path, image.wires) as found:
        yield found


@pytest.fixture(scope="session")
def rp2040_command(tmp_path_factory: pytest.TempPathFactory) -> Rp2040Command:
    """The command that runs the RP2040 image of a variant and writes a pin log."""
    cache = tmp_path_factory.mktemp("rp2040")

    async def made(variant: str, pin_log: Path) -> tuple[str, ...]:
        image = await build(FIRMWARE, energy_mode=variant == "energy", target=RP2040, cache=cache)
        return await emulation(FIRMWARE, image, pin_log=str(pin_log), cache=cache)

    def command(variant: str, pin_log: Path) -> tuple[str, ...]:
        try:
            return asyncio.run(made(variant, pin_log))
        except FirmwareError as error:
            if str(error).startswith(("no C compiler", "no node")):
                pytest.skip(str(error))
            raise

    return command


@dataclass(frozen=True, slots=True)
class Chip:
    """An emulated RP2040 on a fake board, and where it writes its edges."""

    board: FakeBoard
    pin_log: Path

    def edges(self, pin: str) -> list[tuple[int, int]]:
        """(t_ns, level) of every edge it wrote."""
        rows = (line.split() for line in self.pin_log.read_text(encoding="utf-8").splitlines())
        return [(int(t_ns), int(level)) for t_ns, name, level in rows if name == pin]


@pytest.fixture
def power_on_rp2040(rp2040_command: Rp2040Command, tmp_path: Path) -> Iterator[Callable[[str], Chip]]:
    """Start a variant and give its board before any request is served; at the end each must end quietly when its supply goes."""
    running: list[Running] = []

    def power_on(variant: str) -> Chip:
        log = tmp_path / f"pins-{len(running)}.log"
        running.append(start(*rp2040_command(variant, log), clock_hz=RP2040_HZ))
        return Chip(running[-1].board, log)

    yield power_on
    assert [stop(one) for one in running] == [(0, "")] * len(running)


@pytest.fixture
def rp2040(power_on_rp2040: Callable[[str], Chip]) -> Chip:
    """The performance build on an emulated RP2040, booted."""
    chip = power_on_rp2040("performance")
    chip.board.run()
    return chip


@pytest.fixture(params=["host", RP2040, LM3S6965EVB, MPS3_AN547], ids=["host", RP2040, LM3S6965EVB.name, MPS3_AN547.name])
def dut(request: pytest.FixtureRequest, board_images: Callable[[Machine], Image]) -> Iterator[Dut]:
    """The performance build on this host and on every emulated board in turn, booted."""
    if request.param == "host":
        yield request.getfixturevalue("performance")
        return
    if request.param == RP2040:
        yield request.getfixturevalue("rp2040").board
        return
    image = board_images(request.param)
    with running(image.machine, image.path, image.wires) as found:
        yield found
