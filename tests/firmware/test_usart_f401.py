"""The receiver of the Nucleo-F401RE's port on registers that behave like the chip's: QEMU's USART knows no overrun."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest

from tests.firmware.conftest import FIRMWARE, FLAGS

pytestmark = pytest.mark.compiler

USART2 = 38
REGISTERS = """
#include <stdint.h>
volatile uint32_t *register_at(uint32_t address);
#define REGISTER(address) (*register_at(address))
"""


@pytest.fixture
def chip(cc: str, tmp_path: Path) -> ctypes.CDLL:
    """Fresh: each test has a library of its own."""
    library = tmp_path / "usart_f401.so"
    sources = [FIRMWARE / "boards/nucleo-f401re/board.c", Path(__file__).with_name("usart_f401.c")]
    before = tmp_path / "registers.h"
    before.write_text(REGISTERS)
    flags = [*FLAGS, "-shared", "-fPIC", "-DBOARD_CLOCK_HZ=84000000u", "-include", str(before)]
    folders = ["-I", str(FIRMWARE / "core"), "-I", str(FIRMWARE / "boards/cortex_m")]
    subprocess.run([cc, *flags, *folders, *map(str, sources), "-o", str(library)], check=True, timeout=60)
    loaded = ctypes.CDLL(str(library))
    loaded.interrupts.restype = ctypes.c_bool
    return loaded


def count(chip: ctypes.CDLL, name: str) -> int:
    return ctypes.c_uint32.in_dll(chip, name).value


def serve(chip: ctypes.CDLL) -> None:
    """As the core does: the interrupt again, as long as it stands."""
    for _ in range(5):
        if not chip.interrupts():
            return
        chip.board_interrupt(USART2)
    pytest.fail("the interrupt comes again and again: the core does nothing else any more")


def test_bytes_are_taken(chip: ctypes.CDLL) -> None:
    for byte in b"name%":
        chip.byte_comes(byte)
        serve(chip)
    assert (count(chip, "bytes_taken"), count(chip, "bytes_lost")) == (5, 0)


def test_an_overrun_between_the_look_at_the_status_and_the_data_is_counted_and_ended(chip: ctypes.CDLL) -> None:
    chip.byte_comes(ord("a"))
    chip.byte_comes_after_the_look(ord("b"))
    serve(chip)
    assert (count(chip, "bytes_taken"), count(chip, "bytes_lost")) == (1, 1)
    chip.byte_comes(ord("c"))
    serve(chip)
    assert (count(chip, "bytes_taken"), count(chip, "bytes_lost")) == (2, 1)


def test_a_core_without_room_is_not_interrupted_until_it_has_some(chip: ctypes.CDLL) -> None:
    room = ctypes.c_bool.in_dll(chip, "has_room")
    room.value = False
    chip.byte_comes(ord("a"))
    chip.byte_comes(ord("b"))
    serve(chip)
    room.value = True
    chip.board_receive()
    assert (count(chip, "bytes_taken"), count(chip, "bytes_lost")) == (1, 1)
    chip.byte_comes(ord("c"))
    serve(chip)
    assert count(chip, "bytes_taken") == 2
