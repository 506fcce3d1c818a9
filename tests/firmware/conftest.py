"""The firmware compiled with cc, and running on a fake board."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.firmware.fake_board import FakeBoard

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
FLAGS = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"]
SANITIZE = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

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


def start(image: Path) -> Running:
    """Power on: the image runs with its descriptor 3 on the fake board."""
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    fd = theirs.fileno()
    command = [sys.executable, "-S", "-c", ON_DESCRIPTOR_3, str(fd), str(image)]
    # The address sanitizer's leak check needs ptrace, which containers forbid; there is no heap to leak.
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    process = subprocess.Popen(command, pass_fds=[fd], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    theirs.close()
    return Running(process, FakeBoard(ours))


def stop(running: Running) -> tuple[int, str]:
    """Power off: exit status and what the process said."""
    running.board.wire.close()
    try:
        _, words = running.process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        running.process.kill()
        _, words = running.process.communicate(timeout=60)
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
