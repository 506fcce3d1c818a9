"""labd's own settings, counters and their replies."""

from __future__ import annotations

import pytest

from tests.firmware.conftest import Dut
from tests.firmware.fake_board import BUSY_POLL, CLOCK_GATED, IDLE, LOAD, NO_TIMEOUT, SPEND, WFI, FakeBoard

pytestmark = pytest.mark.compiler

DNN_BYTES = 2496 + 4 * 140
SNN_BYTES = 20 * 128 + 128 * 64 + 64 * 12
CYCLES_PER_LOADED_WORD = 64


def stat(board: Dut, command: str = "stat%") -> dict[str, int]:
    (line,) = board.lines(command)
    assert line.startswith("m-stat-[")
    assert line.endswith("]")
    return {name: int(value) for name, value in (part.split("=") for part in line[8:-1].split(","))}


def test_the_version_tells_labd_from_stock_firmware(dut: Dut) -> None:
    assert dut.command("ver%") == "m-ver-[labd 1]\r\nm-ready\r\n"


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("mode event_sleep%", "m-mode-[event_sleep]"),
        ("mode event_reload%", "m-mode-[event_reload]"),
        ("mode always_on%", "m-mode-[always_on wfi]"),
        ("mode always_on busy_poll%", "m-mode-[always_on busy_poll]"),
        ("mode always_on wfi%", "m-mode-[always_on wfi]"),
        ("mode always_on clock_gated%", "m-mode-[always_on clock_gated]"),
        ("mode%", "e-[Unknown mode: ]"),
        ("mode event_gated%", "e-[Unknown mode: event_gated]"),
        ("mode always_on deep%", "e-[Unknown mode: deep]"),
        ("mode event_sleep wfi%", "e-[Unknown mode: wfi]"),
        ("workload dnn 10 1%", "m-workload-[dnn 10 1]"),
        ("workload snn 0 4294967295%", "m-workload-[snn 0 4294967295]"),
        ("workload cnn 10 1%", "e-[Unknown workload: cnn]"),
        ("workload%", "e-[Unknown workload: ]"),
        ("workload snn%", "e-[Workload activity must be 0..100]"),
        ("workload snn 101 1%", "e-[Workload activity must be 0..100]"),
        ("workload snn 1e1 1%", "e-[Workload activity must be 0..100]"),
        ("workload snn -1 1%", "e-[Workload activity must be 0..100]"),
        ("workload snn 10%", "e-[Workload seed must be 0..4294967295]"),
        ("workload snn 10 4294967296%", "e-[Workload seed must be 0..4294967295]"),
        ("marks off%", "m-marks-[off]"),
        ("marks pulses%", "m-marks-[pulses]"),
        ("marks gate%", "m-marks-[gate]"),
        ("marks phases%", "m-marks-[phases]"),
        ("marks loud%", "e-[Unknown marks: loud]"),
        ("marks%", "e-[Unknown marks: ]"),
        ("clock 16000000%", "m-clock-[16000000]"),
        ("clock 64000001%", "e-[No such clock: 64000001]"),
        ("clock%", "e-[Clock must be 1..4294967295 Hz]"),
        ("clock 0%", "e-[Clock must be 1..4294967295 Hz]"),
        ("clock 16M%", "e-[Clock must be 1..4294967295 Hz]"),
        ("stat reset%", "e-[Unknown stat: reset]"),
        ("idle%", "e-[Idle time must be 1..4294967 ms]"),
        ("idle 0%", "e-[Idle time must be 1..4294967 ms]"),
        ("idle 4294968%", "e-[Idle time must be 1..4294967 ms]"),
        ("periodic%", "e-[Periodic count must be >0]"),
        ("periodic 0 1000%", "e-[Periodic count must be >0]"),
        ("periodic 1%", "e-[Periodic period must be >0 us]"),
        ("periodic 1 0%", "e-[Periodic period must be >0 us]"),
        ("periodic 1 4294967295%", "e-[Periodic period must be >0 us]"),
        ("arm%", "e-[Arm count must be >0]"),
        ("arm 1%", "e-[Arm time-out must be 1..4294967 ms]"),
        ("arm 1 0%", "e-[Arm time-out must be 1..4294967 ms]"),
        ("arm 1 10 button%", "e-[Unknown trigger: button]"),
        ("laps%", None),
        ("checksum%", "m-checksum-[00000000]"),
    ],
)
def test_a_setting_is_echoed_or_refused_by_name(performance: FakeBoard, text: str, reply: str | None) -> None:
    assert performance.command(text) == (f"{reply}\r\n" if reply else "") + "m-ready\r\n"


def test_a_refused_mode_changes_nothing(performance: FakeBoard) -> None:
    performance.command("mode always_on busy_poll%")
    performance.command("mode always_on deep%")
    performance.command("mode sleepy%")
    assert performance.blocked is not None
    assert performance.blocked.a == BUSY_POLL


@pytest.mark.parametrize(
    ("mode", "state"),
    [
        ("always_on busy_poll", BUSY_POLL),
        ("always_on", WFI),
        ("always_on clock_gated", CLOCK_GATED),
        ("event_sleep", WFI),
        ("event_reload", WFI),
    ],
)
def test_between_commands_the_uart_keeps_working(performance: FakeBoard, mode: str, state: int) -> None:
    performance.command(f"mode {mode}%")
    wait = performance.blocked
    assert wait is not None
    assert (wait.a, wait.wanted, wait.phase, wait.c) == (state, 1, IDLE, NO_TIMEOUT)


@pytest.mark.parametrize(("workload", "size"), [("dnn", DNN_BYTES), ("snn", SNN_BYTES)])
def test_choosing_a_workload_loads_its_parameters_once(performance: FakeBoard, workload: str, size: int) -> None:
    before = len(performance.ops)
    performance.command(f"workload {workload} 10 1%")
    performance.command("infer 1 0%")
    loads = [op.c for op in performance.of(SPEND, before) if op.phase == LOAD]
    assert loads == [size // 4 * CYCLES_PER_LOADED_WORD]


def test_counters_count_work_until_they_are_read_and_cleared(dut: Dut) -> None:
    assert set(stat(dut).values()) == {0, 1}
    dut.command("infer 2 1%")
    counted = stat(dut, "stat clear%")
    assert (counted["infer"], counted["mac"], counted["synop"]) == (3, 3 * 131_600, 0)
    cleared = stat(dut)
    assert cleared == dict.fromkeys(counted, 0) | {"boot": 1}


def test_the_cycle_counter_is_the_sum_of_what_the_board_was_charged(performance: FakeBoard) -> None:
    performance.command("stat clear%")
    performance.command("mode event_reload%")
    performance.command("workload snn 30 5%")
    before = len(performance.ops)
    performance.command("stat clear%")
    performance.command("periodic 3 60000%")
    assert stat(performance)["cycles"] == sum(op.c for op in performance.of(SPEND, before))


@pytest.mark.parametrize(
    ("workload", "shortest_ms", "longest_ms"),
    [("dnn 10 1", 10, 16), ("snn 10 1", 5, 9), ("snn 10 2", 5, 9), ("snn 10 3", 5, 9), ("snn 0 1", 0, 0.5)],
)
def test_an_inference_takes_the_time_the_cost_model_promises(
    performance: FakeBoard, workload: str, shortest_ms: float, longest_ms: float
) -> None:
    performance.command(f"workload {workload}%")
    before = len(performance.ops)
    performance.command("infer 1 0%")
    spends = performance.of(SPEND, before)
    assert len(spends) <= 8
    assert all(0 < op.b <= 100 for op in spends)
    assert shortest_ms <= sum(op.c for op in spends) / 64e3 <= longest_ms


def test_layers_of_different_kind_draw_different_power(performance: FakeBoard) -> None:
    before = len(performance.ops)
    performance.command("infer 1 0%")
    assert len({op.b for op in performance.of(SPEND, before)}) >= 3


def test_laps_keep_the_last_256_inferences(dut: Dut) -> None:
    dut.command("workload snn 0 1%")
    dut.command("infer 260 0%")
    laps = dut.lines("laps%")
    assert len(laps) == 256
    assert laps[0].startswith("m-phase-[4,")
    assert laps[-1].startswith("m-phase-[259,")


def test_laps_of_the_infer_command_leave_out_warm_ups_and_restart(performance: FakeBoard) -> None:
    performance.command("infer 3 2%")
    performance.command("infer 2 2%")
    laps = [[int(part) for part in line[9:-1].split(",")] for line in performance.lines("laps%")]
    assert [lap[0] for lap in laps] == [0, 1]
    for _, event, awake, ready, start, end in laps:
        assert event == awake == ready == start < end
    assert laps[1][1] == laps[0][5]


def test_laps_do_not_wrap_when_the_text_counter_does(performance: FakeBoard) -> None:
    performance.t_ns = (2**32 - 5) * 1000
    performance.command("infer 1 0%")
    (lap,) = performance.lines("laps%")
    assert int(lap[9:-1].split(",")[5]) > 2**32
