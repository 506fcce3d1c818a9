"""What the device does on its own: idle, periodic and armed inferences, op by op."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest

from tests.firmware.fake_board import (
    BUSY_POLL,
    CLOCK_GATED,
    EVENT_TIMER,
    EVENT_TRIG,
    EVENT_UART,
    IDLE,
    INFER,
    LOAD,
    NO_TIMEOUT,
    NOW,
    OSCILLATOR_START_NS,
    SLEEP,
    SLEEP_MODEL_OFF,
    SLEEP_RETAINED,
    SPEND,
    TAIL,
    TIMER_AT,
    UART_FLUSH,
    UART_TX,
    WAIT,
    WAKE,
    WFI,
    FakeBoard,
    Op,
)

pytestmark = pytest.mark.compiler

RESTS = [
    ("always_on busy_poll", BUSY_POLL, IDLE),
    ("always_on wfi", WFI, IDLE),
    ("always_on clock_gated", CLOCK_GATED, IDLE),
    ("event_sleep", SLEEP_RETAINED, SLEEP),
    ("event_reload", SLEEP_MODEL_OFF, SLEEP),
]
MODES = [mode for mode, _, _ in RESTS]
EVENT_MODES = ["event_sleep", "event_reload"]


@dataclass(frozen=True, slots=True)
class Lap:
    k: int
    event: int
    awake: int
    ready: int
    start: int
    end: int


def laps(board: FakeBoard) -> list[Lap]:
    return [Lap(*(int(part) for part in line.removeprefix("m-phase-[").removesuffix("]").split(","))) for line in board.lines("laps%")]


def program(board: FakeBoard, text: str) -> tuple[list[str], list[Op]]:
    """Reply lines, and the requests between the start line's flush and the text of the done line."""
    before = len(board.ops)
    lines = board.lines(text)
    ops = board.ops[before:]
    start = next(number for number, op in enumerate(ops) if op.op == UART_FLUSH)
    done = next(number for number, op in enumerate(ops) if op.op == UART_TX and b"-done" in op.payload)
    inside = ops[start + 1 : done]
    assert not [op for op in inside if op.op in {UART_TX, UART_FLUSH}], "output inside a program"
    return lines, inside


def story(ops: list[Op]) -> list[tuple[str, int]]:
    """Phases in order, runs of one phase as one, with the rest state where it waited."""
    told: list[tuple[str, int]] = []
    for op in ops:
        if op.op in {SPEND, WAIT}:
            step = ("spend" if op.op == SPEND else f"wait{op.a}", op.phase)
            if not told or told[-1] != step:
                told.append(step)
    return told


@pytest.mark.parametrize(("mode", "state", "phase"), RESTS)
def test_idle_rests_in_the_state_of_the_mode_deaf_to_pin_and_uart(performance: FakeBoard, mode: str, state: int, phase: int) -> None:
    performance.command(f"mode {mode}%")
    performance.triggers_ns = [performance.t_ns + 2_000_000]
    performance.bytes_ns = [(performance.t_ns + 3_000_000, ord("x"))]
    lines, ops = program(performance, "idle 250%")
    assert lines == ["m-idle-start", "m-idle-done"]
    (wait,) = [op for op in ops if op.op == WAIT]
    (timer,) = [op for op in ops if op.op == TIMER_AT]
    assert (wait.a, wait.phase, wait.wanted) == (state, phase, EVENT_TIMER)
    assert (timer.a, timer.c) == (0, 250_000)
    assert [op.phase for op in ops if op.op == SPEND] == ([WAKE] if phase == SLEEP else [])


def test_idle_takes_the_longest_time_a_timer_can_hold(performance: FakeBoard) -> None:
    performance.command("mode event_sleep%")
    before = performance.t_ns
    assert performance.lines("idle 4294967%") == ["m-idle-start", "m-idle-done"]
    assert performance.t_ns - before >= 4_294_967_000_000


@pytest.mark.parametrize("mode", MODES)
def test_periodic_inferences_start_a_whole_number_of_periods_after_the_start_line(performance: FakeBoard, mode: str) -> None:
    performance.command(f"mode {mode}%")
    lines, ops = program(performance, "periodic 40 50001%")
    assert lines == ["m-periodic-start-40", "m-periodic-done-40-missed-0"]
    timers = [op for op in ops if op.op == TIMER_AT]
    assert [(op.a, op.c) for op in timers] == [(0, 50_001)] + [(1, 50_001)] * 40
    served = laps(performance)
    first_us = timers[0].t_ns / 1000 + 50_001
    for lap in served:
        assert abs(lap.event - (first_us + lap.k * 50_001)) <= 1, "the deadlines drift"
        assert lap.awake - lap.event <= OSCILLATOR_START_NS // 1000 + 1
    (done,) = [op for op in performance.of(UART_TX) if b"m-periodic-done" in op.payload]
    assert done.t_ns >= timers[0].t_ns + 41 * 50_001_000, "the last period is cut short"


def test_always_on_periodic_only_waits_and_infers(performance: FakeBoard) -> None:
    performance.command("mode always_on busy_poll%")
    _, ops = program(performance, "periodic 2 40000%")
    assert story(ops) == [("wait0", IDLE), ("spend", INFER)] * 2 + [("wait0", IDLE)]


def test_an_event_sleep_event_is_sleep_wake_infer_tail(performance: FakeBoard) -> None:
    performance.command("mode event_sleep%")
    _, ops = program(performance, "periodic 2 40000%")
    event = [("wait3", SLEEP), ("spend", WAKE), ("spend", INFER), ("wait1", TAIL)]
    assert story(ops) == [*event, *event, ("wait3", SLEEP), ("spend", WAKE)]
    assert [op.c for op in ops if op.op == SPEND and op.phase == WAKE] == [64_000, 32_000] * 2 + [64_000]
    assert [(op.wanted, op.c) for op in ops if op.op == WAIT and op.phase == TAIL] == [(EVENT_TIMER, 5_000)] * 2


def test_an_event_reload_event_loads_between_wake_and_infer(performance: FakeBoard) -> None:
    performance.command("mode event_reload%")
    _, ops = program(performance, "periodic 2 40000%")
    event = [("wait4", SLEEP), ("spend", WAKE), ("spend", LOAD), ("spend", WAKE), ("spend", INFER), ("wait1", TAIL)]
    assert story(ops) == [*event, *event, ("wait4", SLEEP), ("spend", WAKE)]


@pytest.mark.parametrize("workload", ["dnn", "snn"])
def test_a_reloaded_model_infers_the_same(performance: FakeBoard, workload: str) -> None:
    performance.command(f"workload {workload} 20 9%")
    performance.command("infer 1 0%")
    resident = performance.lines("checksum%"), performance.lines("results%")
    performance.command("mode event_reload%")
    performance.command("idle 5%")
    performance.command("periodic 2 80000%")
    assert (performance.lines("checksum%"), performance.lines("results%")) == resident
    before = len(performance.ops)
    performance.command("infer 1 0%")
    assert (performance.lines("checksum%"), performance.lines("results%")) == resident
    assert performance.of(SPEND, before)[0].phase == LOAD


def test_event_sleep_keeps_the_model(performance: FakeBoard) -> None:
    performance.command("mode event_sleep%")
    before = len(performance.ops)
    performance.command("periodic 2 40000%")
    assert LOAD not in {op.phase for op in performance.of(SPEND, before)}


@pytest.mark.parametrize("mode", MODES)
def test_laps_tell_the_order_of_an_event(performance: FakeBoard, mode: str) -> None:
    performance.command(f"mode {mode}%")
    performance.command("periodic 3 40000%")
    for lap in laps(performance):
        assert lap.event <= lap.awake <= lap.ready <= lap.start < lap.end
        if mode in EVENT_MODES:
            assert lap.awake - lap.event == pytest.approx(OSCILLATOR_START_NS / 1000, abs=1)
            assert lap.start - lap.ready == pytest.approx(500, abs=1)
            assert lap.ready - lap.awake == pytest.approx(1_000 + (764 if mode == "event_reload" else 0), abs=1)
        else:
            assert lap.ready == lap.awake == lap.start


@pytest.mark.parametrize("mode", MODES)
def test_a_deadline_missed_while_busy_is_counted_and_served_at_once(performance: FakeBoard, mode: str) -> None:
    performance.command(f"mode {mode}%")
    performance.command("stat clear%")
    lines, ops = program(performance, "periodic 6 9000%")
    assert lines == ["m-periodic-start-6", "m-periodic-done-6-missed-5"]
    assert ",missed=5," in performance.lines("stat%")[0]
    served = laps(performance)
    assert [b.event - a.event for a, b in pairwise(served)] == [9_000] * 5
    for before, after in pairwise(served):
        assert after.awake - before.end <= 1
    assert len([op for op in ops if op.op == WAIT and op.phase == SLEEP]) <= 2


@pytest.mark.parametrize("mode", EVENT_MODES)
def test_a_deadline_within_the_tail_is_a_follow_up_and_not_missed(performance: FakeBoard, mode: str) -> None:
    performance.command(f"mode {mode}%")
    performance.command("workload dnn 10 1%")
    lines, ops = program(performance, "periodic 3 18500%")
    assert lines[-1] == "m-periodic-done-3-missed-0"
    assert len([op for op in ops if op.op == WAIT and op.phase == SLEEP]) == 1
    assert len([op for op in ops if op.op == SPEND and op.phase == LOAD]) == (1 if mode == "event_reload" else 0)
    second = laps(performance)[1]
    assert second.awake == second.event


def test_the_uart_is_not_heard_inside_a_program(performance: FakeBoard) -> None:
    performance.bytes_ns = [(performance.t_ns + 30_000_000, ord(character)) for character in "name%"]
    reply = performance.command("periodic 2 40000%")
    assert reply.index("m-periodic-done-2-missed-0") < reply.index("m-name-dut-[labd]")


@pytest.mark.parametrize("mode", MODES)
def test_a_pin_edge_starts_an_inference(performance: FakeBoard, mode: str) -> None:
    performance.command(f"mode {mode}%")
    edges = [performance.t_ns + ms * 1_000_000 for ms in (50, 130, 200)]
    performance.triggers_ns = list(edges)
    lines, ops = program(performance, "arm 3 100%")
    assert lines == ["m-arm-start-3", "m-arm-done-3"]
    oscillator_us = OSCILLATOR_START_NS // 1000 if mode in EVENT_MODES else 0
    for lap, edge_ns in zip(laps(performance), edges, strict=True):
        assert lap.event == lap.awake
        assert lap.awake == pytest.approx(edge_ns / 1000 + oscillator_us, abs=1)
    rests = [op for op in ops if op.op == WAIT and op.phase != TAIL]
    assert {(op.wanted, op.c) for op in rests} == {(EVENT_TRIG, 100_000)}


def test_the_tail_follows_the_last_armed_inference_too(performance: FakeBoard) -> None:
    performance.command("mode event_sleep%")
    performance.triggers_ns = [performance.t_ns + 50_000_000]
    _, ops = program(performance, "arm 1 100 pin%")
    assert story(ops) == [("wait3", SLEEP), ("spend", WAKE), ("spend", INFER), ("wait1", TAIL)]
    tail = ops[-1]
    assert (tail.op, tail.wanted, tail.c) == (WAIT, 0, 5_000)


@pytest.mark.parametrize("mode", MODES)
def test_an_event_that_does_not_come_ends_the_arming_with_the_number_served(performance: FakeBoard, mode: str) -> None:
    performance.command(f"mode {mode}%")
    performance.triggers_ns = [performance.t_ns + 20_000_000]
    assert performance.lines("arm 5 60%") == ["m-arm-start-5", "m-arm-done-1"]
    assert performance.lines("arm 5 60%") == ["m-arm-start-5", "m-arm-done-0"]


@pytest.mark.parametrize("mode", MODES)
def test_a_uart_byte_starts_an_inference_and_is_no_command(performance: FakeBoard, mode: str) -> None:
    performance.command(f"mode {mode}%")
    performance.bytes_ns = [(performance.t_ns + ms * 1_000_000, ord("n")) for ms in (40, 120)]
    lines, ops = program(performance, "arm 2 100 uart%")
    assert lines == ["m-arm-start-2", "m-arm-done-2"]
    assert {op.wanted for op in ops if op.op == WAIT and op.c == 100_000} == {EVENT_UART}
    assert performance.lines("name%") == ["m-name-dut-[labd]"]


def test_a_line_end_after_the_arm_command_is_no_trigger(performance: FakeBoard) -> None:
    assert performance.lines("arm 2 100 uart%\r\n") == ["m-arm-start-2", "m-arm-done-0"]


def test_a_trigger_in_the_tail_is_served_without_sleep(performance: FakeBoard) -> None:
    performance.command("mode event_sleep%")
    start = performance.t_ns + 20_000_000
    performance.triggers_ns = [start, start + 18_500_000]
    _, ops = program(performance, "arm 2 100%")
    assert len([op for op in ops if op.op == WAIT and op.a == SLEEP_RETAINED]) == 1


def test_sleep_is_counted_as_wakes(performance: FakeBoard) -> None:
    performance.command("stat clear%")
    performance.command("periodic 2 40000%")
    assert ",wake=0," in performance.lines("stat%")[0]
    performance.command("mode event_sleep%")
    performance.command("periodic 2 40000%")
    assert ",wake=3," in performance.lines("stat%")[0]


def test_a_program_waits_for_ever_only_for_its_own_timer(performance: FakeBoard) -> None:
    performance.command("mode event_sleep%")
    _, ops = program(performance, "periodic 2 40000%")
    assert all(op.wanted == EVENT_TIMER for op in ops if op.op == WAIT and op.c == NO_TIMEOUT)
    assert [op for op in ops if op.op == NOW]
