"""The images of boards people own: each builds without a warning and without a heap; one runs on the emulated chip nearest to its own."""

from __future__ import annotations

import ctypes
import shutil
import struct
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd_virtual.firmware_build import boards, recipe
from labd_virtual.firmware_images import heap_symbols, sizes
from labd_virtual.qemu import QEMU
from labd_virtual.qemu_machine import Machine, Wiring
from tests.firmware.conftest import FLAGS
from tests.firmware.emulated import FIRMWARE, Emulated, built, laps, running, wires_of
from tests.firmware.test_builds import STRICT
from tests.firmware.test_workloads import REFERENCES, generated_input, outcome

pytestmark = [pytest.mark.compiler, pytest.mark.emulator]

BOARDS = boards(FIRMWARE)
FLASH_LIMIT, RAM_LIMIT = 64 * 1024, 32 * 1024


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where images are built to."""
    return tmp_path_factory.mktemp("images")


@pytest.mark.parametrize("energy_mode", [False, True], ids=["performance", "energy"])
@pytest.mark.parametrize("board", BOARDS)
def test_an_image_has_no_heap_and_fits_a_small_chip(cache: Path, board: str, energy_mode: bool) -> None:
    image = built(board, cache, energy_mode=energy_mode)
    found = sizes(image)
    assert heap_symbols(image) == []
    assert 4096 < found.flash < FLASH_LIMIT
    assert 16 * 1024 < found.ram < RAM_LIMIT


@pytest.mark.parametrize("board", BOARDS)
def test_the_ports_compile_under_the_strictest_warnings(cache: Path, tmp_path: Path, board: str) -> None:
    built(board, cache)
    made = recipe(FIRMWARE, energy_mode=True, target=board)
    includes = [part for folder in made.includes for part in ("-I", str(folder))]
    for source in made.sources:
        if source.suffix == ".c" and "boards" in source.parts:
            command = [made.compiler, *made.flags, *STRICT, *includes, "-c", str(source), "-o", str(tmp_path / "object.o")]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
            assert done.returncode == 0, done.stderr


IN_FLASH = {board: table for board in BOARDS if "rom" in (table := tomllib.loads((FIRMWARE / "boards" / board / "board.toml").read_text()))}


@pytest.mark.parametrize("board", IN_FLASH)
def test_an_image_begins_with_its_stack_and_its_reset_vector(cache: Path, tmp_path: Path, board: str) -> None:
    """ARMv7-M Architecture Reference Manual, B1.5.3: word 0 is where the stack begins, word 1 the reset vector, odd for Thumb."""
    subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", str(built(board, cache)), str(tmp_path / "image.bin")], check=True, timeout=60)
    stack, reset = struct.unpack("<II", (tmp_path / "image.bin").read_bytes()[:8])
    rom, ram = IN_FLASH[board]["rom"], IN_FLASH[board]["ram"]
    assert stack == ram["origin"] + 1024 * int(ram["length"].removesuffix("K"))
    assert reset % 2 == 1
    assert rom["origin"] < reset < rom["origin"] + FLASH_LIMIT


def line_10(at: Mapping[int, str]) -> Wiring:
    """TRIG at the interrupt controller's input: QEMU leaves the chip's ports out."""
    rise, fall = (f"set_irq_in {at[0]} unnamed-gpio-in 10 {level}\n".encode() for level in (1, 0))
    return Wiring(rise, fall, "", lambda: lambda _event, _text: None)


# STM32F405: the F401's registers, its USART2 the second of the machine. Its timer runs some 12 times too fast.
NUCLEO = Machine("netduinoplus2", "stm32f4xx_exti_set_irq", "stm32f4xx-exti", "", line_10, uart=1)


@pytest.fixture
def nucleo(cache: Path) -> Iterator[Emulated]:
    """Booted."""
    if shutil.which(QEMU) is None:
        pytest.skip(f"no {QEMU}: install qemu-system-arm")
    image = built("nucleo-f401re", cache)
    with running(NUCLEO, image, wires_of(NUCLEO)) as found:
        yield found


@pytest.mark.parametrize("workload", ["dnn", "snn"])
def test_the_nucleo_s_image_gives_the_bits_of_the_reference(nucleo: Emulated, workload: str) -> None:
    for activity, seed in [(10, 1), (50, 4), (100, 0xFFFFFFFF)]:
        nucleo.command(f"workload {workload} {activity} {seed}%")
        total, points, work = REFERENCES[workload](generated_input(activity, seed))
        assert outcome(nucleo) == (total, points.tolist(), work), (activity, seed)


def test_the_nucleo_s_image_loses_no_command(nucleo: Emulated) -> None:
    for _ in range(10):
        assert nucleo.command("name%" * 100).count("m-name-dut-[labd]\r\nm-ready\r\n") == 100


def test_the_nucleo_s_image_is_woken_by_its_timer_and_its_trigger(nucleo: Emulated) -> None:
    nucleo.command("mode event_sleep%")
    nucleo.command("periodic 2 2000000%")
    (_, first, *_), (_, second, *_) = laps(nucleo)
    assert second - first == 2_000_000
    before = len(nucleo.sent)
    nucleo.uart.sendall(b"arm 1 600000%")
    nucleo.until_said("m-arm-start-1\r\n")
    while not nucleo.answers_within(0.2):
        nucleo.trig()
    assert "m-arm-done-1" in nucleo.until_ready(before)


# --- what a counter missed in sleep


class SlowClock(ctypes.Structure):
    _fields_ = (("numerator", ctypes.c_uint32), ("denominator", ctypes.c_uint32), ("left", ctypes.c_uint32))


@pytest.fixture(scope="module")
def missed(cc: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    library = tmp_path_factory.mktemp("slow-clock") / "slow_clock.so"
    command = [cc, *FLAGS, "-shared", "-fPIC", str(FIRMWARE / "boards/cortex_m/slow_clock.c"), "-o", str(library)]
    subprocess.run(command, check=True, timeout=60)
    function = ctypes.CDLL(str(library)).slow_clock_missed
    function.restype = ctypes.c_uint32
    function.argtypes = (ctypes.POINTER(SlowClock), ctypes.c_uint32, ctypes.c_uint32)
    return function


RATIOS = st.sampled_from([Fraction(64_000_000, 32_768), Fraction(16_000_000, 32_768)])


@given(RATIOS, st.lists(st.integers(0, 32_768 * 60), min_size=1, max_size=50))
def test_however_many_sleeps_no_part_of_a_tick_is_lost(missed: Any, ratio: Fraction, sleeps: list[int]) -> None:
    clock = SlowClock(ratio.numerator, ratio.denominator, 0)
    counted = sum(missed(ctypes.byref(clock), slow, 0) for slow in sleeps)
    assert counted == sum(sleeps) * ratio // 1


@given(RATIOS, st.integers(0, 32_768 * 60), st.integers(0, 2**32 - 1))
def test_what_the_counter_counted_itself_is_not_counted_twice_and_time_never_goes_back(
    missed: Any, ratio: Fraction, slow: int, fast: int
) -> None:
    clock = SlowClock(ratio.numerator, ratio.denominator, 0)
    assert missed(ctypes.byref(clock), slow, fast) == max(0, slow * ratio // 1 - fast)
