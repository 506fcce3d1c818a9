"""The RP2040 image, cycle by cycle: what it tells the board, when its pins move, and that chip and board never drift apart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from labd_virtual.firmware_build import build
from labd_virtual.firmware_images import heap_symbols, sizes
from labd_virtual.rp2040_boot import checksum
from tests.firmware.conftest import FIRMWARE, RP2040_HZ, Chip, Rp2040Command, start, stop
from tests.firmware.fake_board import (
    BUSY_POLL,
    CLOCK_GATED,
    EVENT_TIMER,
    EVENT_TRIG,
    EVENT_UART,
    IDLE,
    INFER,
    LOAD,
    OSCILLATOR_START_NS,
    PIN,
    SLEEP,
    SLEEP_MODEL_OFF,
    SLEEP_RETAINED,
    SPEND,
    TAIL,
    UART_FLUSH,
    UART_TX,
    WAIT,
    WAKE,
    WFI,
    FakeBoard,
    Op,
)

pytestmark = pytest.mark.compiler

CYCLE_NS = 8
RAM_BYTES = 264 * 1024
READY_NS = 32_000 * CYCLE_NS
APART_NS = 60_000
RESTS = [
    ("always_on busy_poll", BUSY_POLL, IDLE),
    ("always_on wfi", WFI, IDLE),
    ("always_on clock_gated", CLOCK_GATED, IDLE),
    ("event_sleep", SLEEP_RETAINED, SLEEP),
    ("event_reload", SLEEP_MODEL_OFF, SLEEP),
]
MODES = [mode for mode, _, _ in RESTS]
EVENT_MODES = ["event_sleep", "event_reload"]


def program(board: FakeBoard, text: str) -> list[Op]:
    """What the device asked for between the start line and what it printed at the end."""
    before = len(board.ops)
    board.command(text)
    ops = board.ops[before:]
    flushed = next(k for k, op in enumerate(ops) if op.op == UART_FLUSH)
    printed = next(k for k, op in enumerate(ops) if k > flushed and op.op == UART_TX)
    return ops[flushed + 1 : printed]


def laps(board: FakeBoard) -> list[list[int]]:
    """[event, awake, ready, start, end] of each inference, us of the chip's timer."""
    return [[int(part) for part in line[9:-1].split(",")[1:]] for line in board.lines("laps%")]


def marks(ops: list[Op]) -> list[tuple[int, int]]:
    return [(op.t_ns, op.b) for op in ops if op.op == PIN]


def of_phase(ops: list[Op], code: int, phase: int) -> list[Op]:
    return [op for op in ops if op.op == code and op.phase & 7 == phase]


# --- what is built


def test_the_image_has_no_heap_and_leaves_most_of_the_sram(rp2040_command: Rp2040Command, tmp_path: Path) -> None:
    image = Path(rp2040_command("performance", tmp_path / "pins.log")[3])
    found = sizes(image)
    assert heap_symbols(image) == []
    assert 16 * 1024 < found.flash + found.ram < RAM_BYTES / 4


def test_a_pico_starts_from_flash_and_then_runs_the_same_program(rp2040: Chip, rp2040_command: Rp2040Command, tmp_path: Path) -> None:
    pico = asyncio.run(build(FIRMWARE, energy_mode=False, target="pico", cache=tmp_path))
    command = list(rp2040_command("performance", tmp_path / "pico.log"))
    command[3] = str(pico)
    running = start(*command, clock_hz=RP2040_HZ)
    running.board.run()
    told = []
    for board in (running.board, rp2040.board):
        board.command("marks gate%")
        edges = marks(program(board, "periodic 2 60000%"))
        told.append((board.lines("checksum%"), [b[0] - a[0] for a, b in pairwise(edges)][::2]))
    assert stop(running) == (0, "")
    assert told[0] == told[1]


def test_a_second_stage_with_a_wrong_sum_starts_nothing(rp2040_command: Rp2040Command, tmp_path: Path) -> None:
    pico = asyncio.run(build(FIRMWARE, energy_mode=False, target="pico", cache=tmp_path))
    image = bytearray(pico.read_bytes())
    image[image.index(b"\x00\x03\x1f\x00")] ^= 1  # of the flash controller's set-up
    (tmp_path / "spoilt.elf").write_bytes(image)
    command = list(rp2040_command("performance", tmp_path / "pins.log"))
    command[3] = str(tmp_path / "spoilt.elf")
    assert stop(start(*command, clock_hz=RP2040_HZ)) == (
        1,
        "rp2040 emulator: the boot ROM finds no second stage with a right sum in flash\n",
    )


def test_the_sum_is_that_of_the_data_sheet() -> None:
    """The check value of CRC-32/MPEG-2 in Greg Cook's catalogue of parametrised CRC algorithms."""
    assert checksum(b"123456789") == 0x0376E6E7


# --- rest


@pytest.mark.parametrize(("mode", "state", "phase"), RESTS)
def test_every_mode_rests_in_its_state_for_the_time_asked_to_the_cycle(rp2040: Chip, mode: str, state: int, phase: int) -> None:
    rp2040.board.command(f"mode {mode}%")
    (wait,) = [op for op in program(rp2040.board, "idle 20%") if op.op == WAIT]
    assert (wait.state, wait.phase & 7, wait.wanted) == (state, phase, EVENT_TIMER)
    assert rp2040.board.expired_ns % 1000 == rp2040.edges("BOOT")[0][0] % 1000  # a whole microsecond of the chip's own timer
    assert 20_000_000 - 50_000 < rp2040.board.expired_ns - wait.t_ns < 20_000_000


@pytest.mark.parametrize("mode", MODES)
def test_a_trigger_starts_an_inference_after_the_oscillator_and_nearly_the_same_cycles_every_time(rp2040: Chip, mode: str) -> None:
    board = rp2040.board
    board.command(f"mode {mode}%")
    board.command("marks phases%")
    edges = [board.t_ns + ms * 1_000_000 for ms in (50, 130, 210)]
    board.triggers_ns = list(edges)
    rises = [t_ns for t_ns, level in marks(program(board, "arm 3 100%")) if level]
    slept = mode in EVENT_MODES
    first = rises[:: 2 if slept else 1]
    latencies = [rise - edge for rise, edge in zip(first, edges, strict=True)]
    started_ns = OSCILLATOR_START_NS if slept else 0
    assert max(latencies) - min(latencies) < 1_000  # a division of 64 bits takes as long as its numbers are
    assert started_ns < min(latencies) < started_ns + 20_000
    assert [t_ns for t_ns, _ in rp2040.edges("TRIG")] == edges


@pytest.mark.parametrize("mode", MODES)
def test_a_byte_wakes_even_where_the_uart_has_no_clock_and_is_no_command(rp2040: Chip, mode: str) -> None:
    board = rp2040.board
    board.command(f"mode {mode}%")
    board.bytes_ns = [(board.t_ns + ms * 1_000_000, ord("n")) for ms in (40, 120)]
    ops = program(board, "arm 2 100 uart%")
    assert len(laps(board)) == 2
    assert {op.wanted for op in ops if op.op == WAIT and op.phase & 7 != TAIL} == {EVENT_UART}
    assert board.lines("name%") == ["m-name-dut-[labd]"]


@pytest.mark.parametrize("mode", MODES)
def test_an_event_that_does_not_come_ends_the_arming_when_its_time_is_over(rp2040: Chip, mode: str) -> None:
    board = rp2040.board
    board.command(f"mode {mode}%")
    board.triggers_ns = [board.t_ns + 20_000_000]
    assert board.lines("arm 5 60%") == ["m-arm-start-5", "m-arm-done-1"]
    before = board.t_ns
    assert board.lines("arm 5 60%") == ["m-arm-start-5", "m-arm-done-0"]
    assert board.t_ns - before > 60_000_000


def test_a_trigger_that_comes_while_it_is_busy_is_served_next(rp2040: Chip) -> None:
    board = rp2040.board
    board.command("mode event_sleep%")
    start = board.t_ns + 20_000_000
    board.triggers_ns = [start, start + 10_000_000]
    ops = program(board, "arm 2 100%")
    assert len(laps(board)) == 2
    assert len(of_phase(ops, WAIT, SLEEP)) == 1
    assert {op.wanted for op in ops if op.op == WAIT and op.wanted} == {EVENT_TRIG}


@pytest.mark.parametrize("mode", MODES)
def test_a_trigger_from_before_the_arming_starts_nothing(rp2040: Chip, mode: str) -> None:
    board = rp2040.board
    board.command(f"mode {mode}%")
    board.stray_trigger = True  # while the command comes: an earlier rest ends with a look of its own
    assert board.lines("arm 1 50%") == ["m-arm-start-1", "m-arm-done-0"]
    assert rp2040.edges("TRIG")
    board.triggers_ns = [board.t_ns + 20_000_000]
    assert board.lines("arm 1 50%") == ["m-arm-start-1", "m-arm-done-1"]


@pytest.mark.parametrize("mode", EVENT_MODES)
def test_the_byte_that_wakes_counts_once_though_the_uart_hears_it_out(rp2040: Chip, mode: str) -> None:
    board = rp2040.board
    board.command(f"mode {mode}%")
    edge_ns = board.t_ns + 40_000_000
    # Its first edge, which wakes, and its end, which comes when the clocks are back.
    board.bytes_ns = [(edge_ns, ord("n")), (edge_ns + OSCILLATOR_START_NS + 82_000, ord("n"))]
    assert board.lines("arm 2 100 uart%") == ["m-arm-start-2", "m-arm-done-1"]
    board.bytes_ns = [(board.t_ns + ms * 1_000_000, ord("n")) for ms in (40, 120)]
    assert board.lines("arm 2 100 uart%") == ["m-arm-start-2", "m-arm-done-2"]


# --- work


def test_work_is_told_by_what_it_was(rp2040: Chip) -> None:
    rp2040.board.command("mode event_reload%")
    ops = program(rp2040.board, "periodic 1 60000%")
    spent = {phase: sum(op.c for op in of_phase(ops, SPEND, phase)) for phase in (WAKE, LOAD, INFER)}
    assert 32_000 <= spent[WAKE] < 32_000 + 6_000  # after ready alone
    assert 50_000 < spent[LOAD] < 250_000
    assert 1_900_000 < spent[INFER] < 2_300_000
    assert len({op.b for op in of_phase(ops, SPEND, INFER)}) >= 3  # layers of different kind draw different power


@pytest.mark.parametrize("workload", ["dnn 10 1", "snn 30 2"])
def test_an_inference_takes_the_same_cycles_every_time(rp2040: Chip, workload: str) -> None:
    board = rp2040.board
    board.command(f"workload {workload}%")
    board.command("marks gate%")
    edges = marks(program(board, "periodic 4 60000%"))
    took = {fall - rise for (rise, _), (fall, _) in zip(edges[::2], edges[1::2], strict=True)}
    assert len(took) == 1


@pytest.mark.parametrize("mode", EVENT_MODES)
def test_phases_are_four_edges_an_event_that_an_instrument_can_tell_apart(rp2040: Chip, mode: str) -> None:
    board = rp2040.board
    board.command(f"mode {mode}%")
    board.command("marks phases%")
    edges = marks(program(board, "periodic 3 60000%"))
    assert [level for _, level in edges] == [1, 0, 1, 0] * 3
    for lap, (awake, ready, begin, end) in zip(laps(board), zip(*(edges[k::4] for k in range(4)), strict=True), strict=True):
        loads = mode == "event_reload"
        assert (ready[0] - awake[0] > 400_000) if loads else (APART_NS <= ready[0] - awake[0] < APART_NS + 10_000)
        assert READY_NS <= begin[0] - ready[0] < READY_NS + 20_000
        boot_ns = rp2040.edges("BOOT")[0][0]
        for edge, told_us in zip((awake, ready, begin, end), lap[1:], strict=True):
            held_us = APART_NS / 1000 if edge is ready and not loads else 0.0  # of the pulse, which the lap leaves out
            assert -20 < (edge[0] - boot_ns) / 1000 - told_us < 20 + held_us
        assert lap[2] - lap[1] > 400 if loads else lap[2] - lap[1] < 20


def test_pulses_are_held_for_20_us(power_on_rp2040: Callable[[str], Chip]) -> None:
    chip = power_on_rp2040("energy")
    chip.board.run()
    edges = marks(program(chip.board, "infer 2 1%"))
    assert [level for _, level in edges] == [0, 1, 0, 1]
    held = [rise - fall for (fall, _), (rise, _) in zip(edges[::2], edges[1::2], strict=True)]
    assert all(20_000 <= ns < 20_600 for ns in held), held


@pytest.mark.parametrize("workload", ["dnn", "snn"])
def test_memory_that_was_off_is_loaded_again(rp2040: Chip, workload: str) -> None:
    board = rp2040.board
    board.command(f"workload {workload} 10 1%")
    board.command("infer 1 0%")
    before = board.lines("checksum%")
    board.command("mode event_reload%")
    board.command("periodic 2 60000%")
    assert board.lines("checksum%") == before


# --- the timer


@pytest.mark.parametrize("mode", MODES)
def test_events_lie_whole_periods_apart_on_the_chip_s_timer(rp2040: Chip, mode: str) -> None:
    board = rp2040.board
    board.command(f"mode {mode}%")
    board.command("periodic 5 50000%")
    assert {b[0] - a[0] for a, b in pairwise(laps(board))} == {50_000}


@pytest.mark.parametrize("mode", MODES)
def test_deadlines_missed_while_busy_are_counted_and_served_at_once(rp2040: Chip, mode: str) -> None:
    """A period of a quarter of an inference: timers are then set when they should have expired long ago."""
    board = rp2040.board
    board.command(f"mode {mode}%")
    lines = board.lines("periodic 6 4000%")
    assert lines == ["m-periodic-start-6", "m-periodic-done-6-missed-5"]
    served = laps(board)
    assert {b[0] - a[0] for a, b in pairwise(served)} == {4_000}
    assert all(after[1] - before[4] < 100 for before, after in pairwise(served))


@pytest.mark.parametrize("chip_us", [20, 100])
def test_a_signature_is_burnt_as_on_the_host_and_ends_on_the_timer_s_microsecond(
    rp2040: Chip, performance: FakeBoard, chip_us: int
) -> None:
    burnt = []
    for board in (rp2040.board, performance):
        before = len(board.ops)
        begin, told = board.lines(f"signature {chip_us} 7 33%")
        assert begin == "m-signature-start"
        start_us, end_us = (int(part) for part in told[13:-1].split(","))
        assert end_us - start_us == 127 * chip_us
        states = [op.state for op in board.ops[before:] if op.op == WAIT and op.wanted == EVENT_TIMER]
        burnt.append(states)
        if board is rp2040.board:
            boot_ns = rp2040.edges("BOOT")[0][0]
            assert board.expired_ns == boot_ns + (end_us + 4 * chip_us) * 1000
    assert burnt[0] == burnt[1]
    assert {BUSY_POLL, WFI} == set(burnt[0])


# --- chip and board


def test_commands_that_come_before_the_banner_are_dropped(power_on_rp2040: Callable[[str], Chip]) -> None:
    board = power_on_rp2040("performance").board
    board.received += b"name%name%"
    board.run()
    assert board.sent.count(b"m-name-dut") == 0
    assert board.lines("name%") == ["m-name-dut-[labd]"]


def test_no_cycle_is_lost_and_every_edge_is_where_the_board_has_it(rp2040: Chip) -> None:
    """Hundreds of stretches of work and rest later the chip's own count of time is still the board's, to the nanosecond."""
    board = rp2040.board
    for command in ("marks phases%", "mode event_reload%", "periodic 12 60000%", "mode event_sleep%", "periodic 12 3000%", "infer 3 1%"):
        board.command(command)
    seen = [(op.t_ns, op.b) for op in board.of(PIN)]
    assert len(board.of(SPEND)) > 500
    assert len(seen) > 90
    assert rp2040.edges("MARK") == seen


def test_a_board_with_another_clock_is_found_at_once(rp2040_command: Rp2040Command, tmp_path: Path) -> None:
    running = start(*rp2040_command("performance", tmp_path / "pins.log"), clock_hz=RP2040_HZ * 10_001 // 10_000)
    with pytest.raises(EOFError):
        running.board.run()
    status, words = stop(running)
    assert status == 1
    assert "is the board's clock 125 MHz" in words


def test_what_is_not_an_image_is_refused(rp2040_command: Rp2040Command, tmp_path: Path) -> None:
    command = list(rp2040_command("performance", tmp_path / "pins.log"))
    command[3] = __file__
    running = start(*command, clock_hz=RP2040_HZ)
    status, words = stop(running)
    assert (status, words) == (1, "rp2040 emulator: the image is not an ELF file\n")
