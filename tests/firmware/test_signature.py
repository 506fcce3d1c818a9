"""The pattern that the firmware burns into its supply current, op by op, and the host's own idea of it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from labd.segment.signature import Signature
from tests.firmware.fake_board import BUSY_POLL, IDLE, PIN, TIMER_AT, UART_FLUSH, UART_TX, WAIT, WFI, FakeBoard, Op

pytestmark = pytest.mark.compiler


def burnt_chips(ops: list[Op], chip_us: int) -> list[int]:
    """1 for a busy chip, 0 for a quiet one, as the waits and the timer have it."""
    chips: list[int] = []
    timer_us = 0
    for op in ops:
        if op.op == TIMER_AT:
            timer_us = op.c
        elif op.op == WAIT:
            assert op.phase == IDLE
            assert timer_us % chip_us == 0
            chips += [{BUSY_POLL: 1, WFI: 0}[op.a]] * (timer_us // chip_us)
    return chips


def after_start_line(board: FakeBoard, command: str) -> tuple[list[str], list[Op]]:
    before = len(board.ops)
    lines = board.lines(command)
    ops = board.ops[before:]
    start = next(number for number, op in enumerate(ops) if op.op == UART_FLUSH)
    end = next(number for number, op in enumerate(ops) if op.op == UART_TX and op.payload.startswith(b"m-signature-["))
    return lines, ops[start + 1 : end]


@pytest.mark.parametrize("order", range(5, 11))
def test_the_firmware_burns_the_pattern_that_the_host_looks_for(performance: FakeBoard, order: int) -> None:
    seed = 2**order // 3
    _, ops = after_start_line(performance, f"signature 100 {order} {seed}%")
    chips = burnt_chips(ops, 100)
    assert chips[:4] == chips[-4:] == [0, 0, 0, 0]
    assert chips[4:-4] == Signature(100e-6, order, seed).chips.tolist()


@pytest.mark.parametrize("order", range(5, 11))
def test_each_pattern_is_one_period_of_a_maximal_length_sequence(order: int) -> None:
    signs = 2 * Signature(1e-3, order, 1).chips - 1
    around = np.fft.ifft(np.abs(np.fft.fft(signs)) ** 2).real
    assert around[0] == pytest.approx(2**order - 1)
    assert around[1:] == pytest.approx(np.full(2**order - 2, -1.0))


def test_the_reported_instants_are_the_first_chip_s_start_and_the_last_one_s_end(performance: FakeBoard) -> None:
    lines, ops = after_start_line(performance, "signature 250 6 9%")
    (found,) = [match for line in lines if (match := re.fullmatch(r"m-signature-\[(\d+),(\d+)\]", line))]
    first = next(op for op in ops if op.op == WAIT)
    last = [op for op in ops if op.op == WAIT][-1]
    assert int(found[1]) == first.t_ns // 1000 + 4 * 250
    assert int(found[2]) == int(found[1]) + 63 * 250
    assert last.t_ns // 1000 == int(found[2])


@pytest.mark.parametrize("mode", ["always_on busy_poll", "event_sleep", "event_reload"])
def test_a_bracketed_program_is_silent_and_its_marks_stand_still_in_the_pattern(performance: FakeBoard, mode: str) -> None:
    for command in (f"mode {mode}%", "marks gate%", "bracket 100 5 3%"):
        performance.command(command)
    lines, ops = after_start_line(performance, "periodic 3 60000%")
    assert [line.partition("[")[0] for line in lines] == [
        "m-periodic-start-3",
        "m-signature-",
        "m-signature-",
        "m-periodic-done-3-missed-0",
    ]
    assert not [op for op in ops if op.op in {UART_TX, UART_FLUSH}]
    assert len([op for op in ops if op.op == PIN]) == 6, "the gate of three inferences, and nothing of the pattern"
    pattern = [0] * 4 + Signature(100e-6, 5, 3).chips.tolist() + [0] * 4
    waits = 2 + 1 + int(np.count_nonzero(np.diff(Signature(100e-6, 5, 3).chips)))  # the quiet before and after, and the runs
    own = [op for op in ops if op.op in {TIMER_AT, WAIT}]
    assert burnt_chips(own[: 2 * waits], 100) == pattern
    assert burnt_chips(own[-2 * waits :], 100) == pattern


def test_an_arming_is_announced_after_its_first_pattern(performance: FakeBoard) -> None:
    performance.command("bracket 100 5 1%")
    performance.triggers_ns = [performance.t_ns + 30_000_000]
    before = len(performance.ops)
    lines = performance.lines("arm 1 100%")
    assert [line.partition("[")[0] for line in lines] == ["m-arm-start-1", "m-signature-", "m-signature-", "m-arm-done-1"]
    ops = performance.ops[before:]
    said = next(number for number, op in enumerate(ops) if op.op == UART_TX)
    assert sum(burnt_chips(ops[:said], 100)) == 16


def test_a_signature_counts_no_wake_and_no_inference(performance: FakeBoard) -> None:
    performance.command("mode event_sleep%")
    performance.command("stat clear%")
    performance.command("signature 100 7 1%")
    (stat,) = performance.lines("stat%")
    assert "infer=0," in stat
    assert "wake=0," in stat
