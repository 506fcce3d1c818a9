"""The images of real cores: what they show, what their programs do in real time, how many instructions an inference takes."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labd_virtual.firmware_build import recipe
from labd_virtual.firmware_images import heap_symbols, sizes
from labd_virtual.load import Phase, State
from labd_virtual.qemu_machine import LM3S6965EVB, Machine
from tests.firmware.conftest import Image
from tests.firmware.emulated import COUNTED, FIRMWARE, Emulated, laps, running
from tests.firmware.test_extension_commands import stat

pytestmark = [pytest.mark.compiler, pytest.mark.emulator]

RATE_PPM = 20
NS_AN_INSTRUCTION = 64
MARK_LINE = 6


# --- what is built


def test_what_uses_a_heap_is_found(image: Image, tmp_path: Path) -> None:
    source = tmp_path / "greedy.c"
    source.write_text("#include <stdlib.h>\nvoid *_sbrk(int n) { return (void *)n; }\nint main(void) { return malloc(4) != 0; }\n")
    made = recipe(FIRMWARE, energy_mode=False, target=image.machine.name)
    command = [made.compiler, "-mthumb", *(f for f in made.flags if f.startswith("-mcpu")), "--specs=nano.specs", "-nostartfiles"]
    subprocess.run([*command, "-Wl,-emain", str(source), "-o", str(tmp_path / "greedy.elf")], check=True, timeout=60)
    assert "malloc" in heap_symbols(tmp_path / "greedy.elf")


def test_the_build_command_prints_the_sizes_of_every_image(image: Image, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "labd_virtual.firmware_images", "--source", str(FIRMWARE), "--out", str(tmp_path), image.machine.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    found = sizes(image.path)
    heading, performance, energy = (line.split() for line in done.stdout.splitlines())
    assert heading == ["image", "flash", "RAM", "bytes"]
    assert performance == [f"{image.machine.name}-performance", str(found.flash), str(found.ram)]
    assert energy[0] == f"{image.machine.name}-energy"
    assert (tmp_path / f"{image.machine.name}-energy.elf").exists()


def test_a_board_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "labd_virtual.firmware_images", "--source", str(FIRMWARE), "--out", str(tmp_path), "nucleo-9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "no firmware for 'nucleo-9'" in done.stderr
    assert LM3S6965EVB.name in done.stderr


# --- programs


@pytest.mark.parametrize("mode", ["always_on", "always_on busy_poll", "event_sleep", "event_reload"])
def test_periodic_inferences_follow_the_core_s_own_timer(image: Image, mode: str) -> None:
    with running(image.machine, image.path, image.wires, extra=COUNTED) as counted:
        counted.command(f"mode {mode}%")
        assert counted.lines("periodic 3 400000%") == ["m-periodic-start-3", "m-periodic-done-3-missed-0"]
        served = laps(counted)
        wakes = stat(counted)["wake"]
    assert {b[1] - a[1] for a, b in itertools.pairwise(served)} == {400_000}
    for _, event, awake, ready, start, end in served:
        assert event <= awake <= ready <= start < end
        if mode.startswith("event"):
            assert start - ready >= 600  # 32 000 cycles, at 50 MHz or less
    assert wakes == (4 if mode.startswith("event") else 0)


def test_nothing_an_event_does_moves_the_next_one(image: Image) -> None:
    """A core that polls, in guest time: how late it sees its timer is a matter of instructions."""
    with running(image.machine, image.path, image.wires, extra=COUNTED) as counted:
        counted.command("mode always_on busy_poll%")
        assert counted.lines("periodic 8 200000%")[-1] == "m-periodic-done-8-missed-0"
        late_us = [awake - event for _, event, awake, *_ in laps(counted)]
    assert min(late_us) >= 0
    assert max(late_us) < 20
    assert max(late_us) - min(late_us) < 10


def test_sleep_without_its_model_s_ram_loses_the_model_and_event_reload_loads_it_again(emulated: Emulated) -> None:
    emulated.command("infer 1 0%")
    resident = emulated.lines("checksum%"), emulated.lines("results%")
    emulated.command("mode event_reload%")
    emulated.command("idle 5%")
    emulated.command("periodic 2 60000%")
    assert (emulated.lines("checksum%"), emulated.lines("results%")) == resident


@pytest.mark.parametrize(
    ("mode", "rest"),
    [("always_on", State.WFI), ("event_sleep", State.SLEEP_RETAINED), ("event_reload", State.SLEEP_MODEL_OFF)],
)
def test_an_edge_of_the_trigger_starts_an_inference(emulated: Emulated, mode: str, rest: State) -> None:
    emulated.command(f"mode {mode}%")
    before = len(emulated.sent)
    emulated.uart.sendall(b"arm 2 60000%")
    emulated.until_said("m-arm-start-2\r\n")
    for _ in range(2):
        emulated.until_rests(rest)
        before_it = len(emulated.shown)
        emulated.trig()
        emulated.until_runs(before_it)
    assert "m-arm-done-2" in emulated.until_ready(before)
    assert stat(emulated)["infer"] == 2


def test_a_trigger_nobody_waits_for_is_forgotten(emulated: Emulated) -> None:
    emulated.trig()
    assert emulated.lines("name%") == ["m-name-dut-[labd]"]
    assert emulated.lines("arm 1 50%") == ["m-arm-start-1", "m-arm-done-0"]


def test_a_byte_starts_an_inference_and_is_no_command(emulated: Emulated) -> None:
    emulated.command("mode event_sleep%")
    before = len(emulated.sent)
    emulated.uart.sendall(b"arm 1 60000 uart%")
    emulated.until_rests(State.SLEEP_RETAINED)
    emulated.uart.sendall(b"x")
    assert "m-arm-done-1" in emulated.until_ready(before)
    assert emulated.lines("name%") == ["m-name-dut-[labd]"]


def test_a_core_that_sleeps_does_not_hear_its_uart(emulated: Emulated) -> None:
    emulated.command("mode event_sleep%")
    before = len(emulated.sent)
    emulated.uart.sendall(b"idle 1000%")
    emulated.until_rests(State.SLEEP_RETAINED)
    emulated.uart.sendall(b"bogus%")
    assert "m-idle-done" in emulated.until_ready(before)
    emulated.uart.sendall(b"name%")
    emulated.until_said("m-name-dut-[labd]")
    assert b"bogus" not in emulated.sent


def test_no_command_is_lost_of_thousands(emulated: Emulated) -> None:
    """An interrupt that is acknowledged after the bytes were taken loses one now and then, and the line with it."""
    for _ in range(30):  # of 500 bytes each, at once: an emulated line has no pace
        assert emulated.command("name%" * 100).count("m-name-dut-[labd]\r\nm-ready\r\n") == 100


def test_what_it_shows_is_what_it_does(emulated: Emulated) -> None:
    emulated.command("mode event_reload%")
    emulated.command("marks gate%")
    before = len(emulated.showed())
    emulated.command("periodic 1 1000000%")  # longer than any stall of this machine, or there is no rest behind the event
    done = [(shown.state, shown.phase, shown.mark) for shown in emulated.showed(before)]
    asleep = (State.SLEEP_MODEL_OFF, Phase.SLEEP, 0)
    first = done.index(asleep)
    event = done[first : done.index(asleep, first + 1)]
    assert event == [
        asleep,
        (State.RUNNING, Phase.WAKE, 0),
        (State.RUNNING, Phase.LOAD, 0),
        (State.RUNNING, Phase.LOAD, 1),  # the pin first, then the phase: no time lies between them
        (State.RUNNING, Phase.INFER, 1),
        (State.RUNNING, Phase.INFER, 0),
        (State.WFI, Phase.TAIL, 0),
        (State.RUNNING, Phase.TAIL, 0),
    ]


# --- pins of the board that has some, seen and driven through qtest


class Pins:
    """The port that shows, intercepted."""

    def __init__(self, emulated: Emulated) -> None:
        self._qtest = emulated.qtest.makefile("rwb")
        self._qtest.write(b"irq_intercept_out %s\n" % emulated.wires.shown.encode())
        self._qtest.flush()
        assert self._qtest.readline() == b"OK\n"

    def edges(self, line: int, count: int) -> list[str]:
        """The next ones of one line."""
        found: list[str] = []
        while len(found) < count:
            words = self._qtest.readline().decode().split()
            if words[0] == "IRQ" and int(words[2]) == line:
                found.append(words[1])
        return found


@pytest.fixture
def m3(board_images: Callable[[Machine], Image]) -> Iterator[Emulated]:
    """The board with real pins, booted."""
    image = board_images(LM3S6965EVB)
    with running(image.machine, image.path, image.wires) as found:
        yield found


def test_the_marker_pin_answers_the_trigger_pin(m3: Emulated) -> None:
    pins = Pins(m3)
    m3.command("marks phases%")
    m3.command("mode event_sleep%")
    m3.uart.sendall(b"arm 3 60000%")
    for _ in range(3):
        m3.until_rests(State.SLEEP_RETAINED)
        m3.trig()
        assert pins.edges(MARK_LINE, 4) == ["raise", "lower", "raise", "lower"]


def test_it_is_the_rising_edge_that_triggers(m3: Emulated) -> None:
    m3.command("mode event_sleep%")
    before = len(m3.sent)
    m3.uart.sendall(b"arm 1 60000%")
    m3.until_rests(State.SLEEP_RETAINED)
    m3.qtest.sendall(m3.wires.rise)
    assert "m-arm-done-1" in m3.until_ready(before)
    before = len(m3.sent)
    m3.uart.sendall(b"arm 1 300%")
    m3.until_rests(State.SLEEP_RETAINED)
    m3.qtest.sendall(m3.wires.fall)
    assert "m-arm-done-0" in m3.until_ready(before)


def test_the_marker_is_high_exactly_during_each_inference(m3: Emulated) -> None:
    pins = Pins(m3)
    m3.command("marks gate%")
    m3.command("infer 3 2%")
    assert pins.edges(MARK_LINE, 6) == ["raise", "lower"] * 3


# --- instructions


@pytest.mark.parametrize("workload", ["dnn 10 1", "snn 10 1"])
def test_the_instructions_of_an_inference_repeat(image: Image, workload: str) -> None:
    counts = []
    for _boot in range(2):
        with running(image.machine, image.path, image.wires, extra=COUNTED) as counted:
            counted.command(f"workload {workload}%")
            for _batch in range(3):
                counted.command("infer 10 1%")
                served = laps(counted)
                counts.append((served[-1][5] - served[0][4]) * 1000 / NS_AN_INSTRUCTION / len(served))
    print(f"{image.machine.name}, {workload}: {counts[0]:.0f} instructions an inference")  # noqa: T201 - shown by pytest -s
    assert (max(counts) - min(counts)) / min(counts) < RATE_PPM * 1e-6, counts
    assert 1e4 < min(counts) < 1e7
