"""Phases while a board is measured: what each style of marks tells of them, and what it does not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.live.phases import MOST, PhaseTrack, cycle_of
from labd.records import MarkStyle, Mode
from labd.stream.feed import FeedBlock
from labd_instruments.block import Block, BlockFlag

DT_NS = 1000
HIGH_V = 3.0
EVENT = (0, 0, 1, 1, 0, 1, 1, 1, 0, 0)  # asleep, code runs, ready, infers, tail and asleep again


def block(
    levels: Sequence[int], *, first: int = 0, stretch: int = 0, trigger: bool = False, flags: BlockFlag = BlockFlag.NONE
) -> FeedBlock:
    marker = np.asarray(levels, np.float32) * HIGH_V + 0.01
    values = np.ones(len(marker), np.float32)
    made = Block(first, first * DT_NS, DT_NS, values, values, marker, flags=flags)
    return FeedBlock(made, stretch, first, trigger, t_ns=0)


def told(marks: MarkStyle, mode: Mode, *blocks: FeedBlock) -> list[tuple[str, int, int | None, int]]:
    """Phases with their first and stop sample."""
    track = PhaseTrack(cycle_of(marks, mode))
    for one in blocks:
        track.add(one)
    return [(one.phase, one.start_ns // DT_NS, None if one.end_ns is None else one.end_ns // DT_NS, one.stretch) for one in track.taken()]


@pytest.mark.parametrize(("marks", "mode"), [(MarkStyle.GATE, Mode.EVENT_SLEEP), (MarkStyle.PHASES, Mode.ALWAYS_ON)])
def test_a_gate_is_high_during_each_inference(marks: MarkStyle, mode: Mode) -> None:
    assert told(marks, mode, block([0, 1, 1, 0, 0, 1, 0])) == [("infer", 1, 3, 0), ("infer", 5, 6, 0)]


@pytest.mark.parametrize("mode", [Mode.EVENT_SLEEP, Mode.EVENT_RELOAD, Mode.EVENT_GATED])
def test_four_edges_bound_load_wake_and_inference(mode: Mode) -> None:
    event = [("load", 2, 4, 0), ("wake", 4, 5, 0), ("infer", 5, 8, 0)]
    again = [(phase, start + 10, stop + 10, 0) for phase, start, stop, _ in event]
    assert told(MarkStyle.PHASES, mode, block(EVENT * 2)) == event + again


@pytest.mark.parametrize("marks", [MarkStyle.PULSES, MarkStyle.TEXT])
def test_what_is_away_from_rest_for_an_unknown_reason_is_called_marker(marks: MarkStyle) -> None:
    rest = int(marks is MarkStyle.PULSES)
    assert told(marks, Mode.ALWAYS_ON, block([rest, rest, 1 - rest, rest])) == [("marker", 2, 3, 0)]


def test_each_trigger_begins_a_cycle_of_its_own() -> None:
    cut = EVENT[:6]  # the record ends inside the inference
    found = told(MarkStyle.PHASES, Mode.EVENT_SLEEP, block(cut, trigger=True), block(EVENT, stretch=1, trigger=True))
    assert [(phase, stretch) for phase, _, _, stretch in found] == [("load", 0), ("wake", 0), ("load", 1), ("wake", 1), ("infer", 1)]


@pytest.mark.parametrize(
    "second",
    [block(EVENT, stretch=1), block(EVENT, stretch=1, trigger=True, flags=BlockFlag.GAP_BEFORE), block(EVENT, first=5000)],
    ids=["gap", "gap in a triggered stretch", "blocks the view missed"],
)
def test_after_samples_that_nobody_saw_four_edges_are_not_counted_any_more(second: FeedBlock) -> None:
    found = told(MarkStyle.PHASES, Mode.EVENT_SLEEP, block(EVENT), second)
    assert [phase for phase, *_ in found[3:]] == ["marker", "marker"]


def test_a_gate_is_known_by_its_level_whatever_was_missed() -> None:
    found = told(MarkStyle.GATE, Mode.ALWAYS_ON, block([0, 1, 1]), block([1, 0, 1, 0], stretch=1))
    assert found == [("infer", 2, 3, 1)]


def test_a_record_that_begins_inside_an_event_names_none() -> None:
    assert [phase for phase, *_ in told(MarkStyle.PHASES, Mode.EVENT_SLEEP, block([1, 0, 1, 0]))] == ["marker"]


def test_a_phase_is_told_while_it_lasts_and_again_when_it_has_ended() -> None:
    track = PhaseTrack(cycle_of(MarkStyle.GATE, Mode.ALWAYS_ON))
    track.add(block([0, 1, 1]))
    (lasting,) = track.taken()
    track.add(block([1, 0], first=3))
    (ended,) = track.taken()
    assert (lasting.start_ns, lasting.end_ns) == (DT_NS, None)
    assert (ended.start_ns, ended.end_ns) == (DT_NS, 4 * DT_NS)
    assert track.taken() == []


def test_a_marker_that_never_moves_is_in_no_phase() -> None:
    assert told(MarkStyle.GATE, Mode.ALWAYS_ON, block([1] * 50), block([1] * 50, first=50)) == []


@given(st.lists(st.integers(0, 1), min_size=1, max_size=60), st.lists(st.integers(1, 20), min_size=60, max_size=60))
def test_phases_are_the_same_however_the_blocks_fall(levels: list[int], lengths: list[int]) -> None:
    levels = [0, 1, 0, *levels]  # the threshold is known from here on
    parts, at = [], 3
    for length in lengths:
        if at < len(levels):
            parts.append(block(levels[at : at + length], first=at))
            at += length
    whole = told(MarkStyle.GATE, Mode.ALWAYS_ON, block(levels))
    assert told(MarkStyle.GATE, Mode.ALWAYS_ON, block(levels[:3]), *parts) == whole


def test_edges_beyond_number_are_counted_though_not_told() -> None:
    found = told(MarkStyle.PHASES, Mode.EVENT_SLEEP, block(EVENT * MOST), block(EVENT, first=len(EVENT) * MOST))
    assert len(found) < MOST + 3
    assert [phase for phase, *_ in found[-3:]] == ["load", "wake", "infer"]
