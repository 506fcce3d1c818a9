"""The MARK pin in its four styles."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.firmware.fake_board import INFER, LOAD, SPEND, UART_TX, FakeBoard

pytestmark = pytest.mark.compiler

PULSE_HOLD_NS = 20_000
APART_NS = 60_000


def inference_windows(board: FakeBoard, since: int) -> list[tuple[int, int]]:
    """(start, end) of each run of SPEND in phase infer."""
    windows: list[tuple[int, int]] = []
    running = False
    for op, following in pairwise(board.ops[since:]):
        infers = op.op == SPEND and op.phase == INFER
        if infers and running:
            windows[-1] = (windows[-1][0], following.t_ns)
        elif infers:
            windows.append((op.t_ns, following.t_ns))
        running = infers
    return windows


def run(board: FakeBoard, *commands: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Edges and inference windows of the last command."""
    for command in commands[:-1]:
        board.command(command)
    before = len(board.ops)
    board.command(commands[-1])
    return board.edges(before), inference_windows(board, before)


@pytest.mark.parametrize("style", ["gate", "phases"])
@pytest.mark.parametrize("command", ["infer 3 0%", "periodic 3 40000%"])
def test_a_gate_is_high_exactly_during_each_inference(performance: FakeBoard, style: str, command: str) -> None:
    edges, windows = run(performance, f"marks {style}%", command)
    assert len(windows) == 3
    assert edges == [edge for start, end in windows for edge in ((start, 1), (end, 0))]


@pytest.mark.parametrize("mode", ["event_sleep", "event_reload"])
def test_a_gate_stays_low_while_waking_and_loading(performance: FakeBoard, mode: str) -> None:
    edges, windows = run(performance, "marks gate%", f"mode {mode}%", "periodic 3 50000%")
    assert edges == [edge for start, end in windows for edge in ((start, 1), (end, 0))]


@pytest.mark.parametrize("mode", ["event_sleep", "event_reload"])
def test_phases_are_four_edges_an_event(performance: FakeBoard, mode: str) -> None:
    edges, windows = run(performance, "marks phases%", f"mode {mode}%", "periodic 3 50000%")
    assert [level for _, level in edges] == [1, 0, 1, 0] * 3
    laps = [[int(part) for part in line[9:-1].split(",")] for line in performance.lines("laps%")]
    for lap, four, window in zip(laps, zip(*[iter(edges)] * 4, strict=True), windows, strict=True):
        assert [t_ns // 1000 for t_ns, _ in four] == lap[2:]
        assert (four[2][0], four[3][0]) == window


def test_ready_comes_after_the_load(performance: FakeBoard) -> None:
    edges, _ = run(performance, "marks phases%", "mode event_reload%", "periodic 1 50000%")
    load = next(op for op in performance.ops[::-1] if op.op == SPEND and op.phase == LOAD)
    assert edges[0][0] < load.t_ns < edges[1][0]


def test_a_follow_up_in_the_tail_has_four_distinct_edges_as_well(performance: FakeBoard) -> None:
    edges, _ = run(performance, "marks phases%", "mode event_sleep%", "periodic 2 18500%")
    assert [level for _, level in edges] == [1, 0, 1, 0] * 2
    assert all(b - a >= APART_NS for (a, _), (b, _) in pairwise(edges))


@pytest.mark.parametrize("apart_us", [0, 60, 500])
def test_the_first_pulse_of_phases_is_as_wide_as_was_asked_and_the_lap_has_ready_itself(performance: FakeBoard, apart_us: int) -> None:
    """A follow-up in the tail: neither clocks nor parameters come between its first two edges."""
    edges, _ = run(performance, f"marks phases {apart_us}%", "mode event_sleep%", "periodic 2 18500%")
    awake, ready = edges[4][0], edges[5][0]
    assert apart_us * 1000 <= ready - awake <= apart_us * 1000 + PULSE_HOLD_NS / 4
    *_, lap = performance.lines("laps%")
    told = [int(part) for part in lap[9:-1].split(",")]
    assert told[3] == told[2]


def test_a_wake_up_that_is_wide_enough_has_nothing_added(performance: FakeBoard) -> None:
    lasted = []
    for apart_us in (0, 900):
        edges, _ = run(performance, f"marks phases {apart_us}%", "mode event_sleep%", "periodic 2 50000%")
        lasted.append([b - a for (a, _), (b, _) in pairwise(edges)][::4])
    assert lasted[0] == lasted[1]


@pytest.mark.parametrize("words", ["phases x", "phases 10001", "phases -1"])
def test_a_width_that_cannot_be_is_refused_and_changes_nothing(performance: FakeBoard, words: str) -> None:
    performance.command("name%")
    before = len(performance.ops)
    assert performance.lines(f"marks {words}%") == ["e-[Marks must be apart 0..10000 us]"]
    assert performance.edges(before) == []


@pytest.mark.parametrize("mode", ["always_on", "event_sleep", "event_reload"])
def test_pulses_frame_each_inference_of_a_program_outside_its_window(performance: FakeBoard, mode: str) -> None:
    edges, windows = run(performance, "marks pulses%", f"mode {mode}%", "periodic 3 50000%")
    assert [level for _, level in edges] == [0, 1] * 6
    for four, (start, end) in zip(zip(*[iter(edges)] * 4, strict=True), windows, strict=True):
        first_fall, first_rise, second_fall, second_rise = (t_ns for t_ns, _ in four)
        assert first_rise - first_fall == second_rise - second_fall == PULSE_HOLD_NS
        assert (first_rise, second_fall) == (start, end)


def test_pulses_frame_a_whole_infer_window(performance: FakeBoard) -> None:
    edges, windows = run(performance, "marks pulses%", "infer 3 2%")
    assert [level for _, level in edges] == [0, 1, 0, 1]
    assert edges[1][0] == windows[-3][0]
    assert edges[2][0] == windows[-1][1]


def test_the_performance_build_takes_its_laps_inside_the_pulses(performance: FakeBoard) -> None:
    performance.command("marks pulses%")
    before = len(performance.ops)
    lines = performance.lines("infer 1 0%")
    first, second = (int(line.removeprefix("m-lap-us-")) for line in lines if line.startswith("m-lap-us-"))
    edges = performance.edges(before)
    assert (first, second) == (edges[1][0] // 1000, edges[2][0] // 1000)


@pytest.mark.parametrize("command", ["infer 2 0%", "periodic 2 40000%", "timestamp%"])
def test_off_has_no_edges(energy: FakeBoard, command: str) -> None:
    edges, _ = run(energy, "marks off%", command)
    assert edges == []


def test_each_style_has_its_idle_level(energy: FakeBoard) -> None:
    levels = []
    for style in ["off", "pulses", "gate", "pulses", "phases", "pulses"]:
        energy.command(f"marks {style}%")
        levels.append(energy.edges()[-1][1])
    assert levels == [0, 1, 0, 1, 0, 1]


def test_a_gate_in_the_energy_build_leaves_the_timestamp_command_silent(energy: FakeBoard) -> None:
    edges, _ = run(energy, "marks gate%", "timestamp%")
    assert edges == []


@pytest.mark.parametrize("style", ["off", "pulses", "gate", "phases"])
def test_the_style_does_not_change_the_work_of_an_event(performance: FakeBoard, style: str) -> None:
    def work(chosen: str) -> int:
        performance.command(f"marks {chosen}%")
        before = len(performance.ops)
        performance.command("periodic 2 50000%")
        held = 2 * 2 * 1280 if chosen == "pulses" else 0
        return sum(op.c for op in performance.of(SPEND, before)) - held

    performance.command("mode event_reload%")
    assert work(style) == work("off")


def test_no_text_leaves_between_the_edges_of_a_program(energy: FakeBoard) -> None:
    edges, _ = run(energy, "marks gate%", "periodic 5 40000%")
    assert not [op for op in energy.of(UART_TX) if edges[0][0] <= op.t_ns <= edges[-1][0]]
