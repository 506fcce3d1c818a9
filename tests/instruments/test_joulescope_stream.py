"""Pieces of a Joulescope's signals on one axis. The current's values are their own sample ids, so that any shift or gap shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd_instruments.drivers._joulescope_stream import IDS_HZ, Stretch, Timeline
from labd_instruments.errors import ReplyError


def piece(begin: int, count: int, *, step: int = 2, data: Any = None, rate: int = IDS_HZ) -> dict[str, Any]:
    ids = (begin + step * np.arange(count)).astype(np.float32) if data is None else data
    return {"sample_id": begin, "decimate_factor": step, "sample_rate": rate, "data": ids}


def taken(timeline: Timeline) -> list[Stretch]:
    return list(iter(timeline.take, None))


def both(timeline: Timeline, begin: int, count: int) -> None:
    for name in ("i", "v"):
        timeline.tracks[name].add(piece(begin, count))


def test_a_sample_is_the_mean_of_the_values_of_its_time() -> None:
    timeline = Timeline(20, 2, with_range=False, with_input=False)
    both(timeline, 100, 25)
    (stretch,) = taken(timeline)
    assert stretch.current.tolist() == [109.0, 129.0], "means of 100, 102 .. 118 and 120 .. 138; the rest waits"
    both(timeline, 150, 5)
    (stretch,) = taken(timeline)
    assert (stretch.seq, stretch.current.tolist(), stretch.peak_a) == (2, [149.0], 158.0)


def test_the_first_sample_is_the_first_of_which_every_signal_is_there() -> None:
    timeline = Timeline(4, 2, with_range=False, with_input=True)
    timeline.tracks["i"].add(piece(100, 30))
    timeline.tracks["v"].add(piece(112, 30))
    assert taken(timeline) == []
    timeline.tracks["g"].add(piece(104, 4, step=1, data=np.array([0, 0b11110000, 0xFF, 0xFF], np.uint8)))
    (stretch,) = taken(timeline)
    assert stretch.current.tolist() == [113.0, 117.0, 121.0, 125.0, 129.0, 133.0]
    assert stretch.voltage.tolist() == stretch.current.tolist()
    assert stretch.level is not None
    assert stretch.last is not None
    assert stretch.level.tolist() == [0.0, 1.0, 1.0, 1.0, 1.0, 1.0], "ids 112 to 115 are low, what follows is high"
    assert stretch.last.tolist() == [0, 1, 1, 1, 1, 1]


def test_ids_that_jump_are_a_loss_of_whole_samples() -> None:
    timeline = Timeline(10, 2, with_range=False, with_input=False)
    both(timeline, 0, 12)
    both(timeline, 36, 12)
    first, second = taken(timeline)
    assert (first.seq, first.lost, first.current.tolist()) == (0, 0, [4.0, 14.0])
    assert (second.seq, second.lost, second.current.tolist()) == (4, 2, [44.0, 54.0])


def test_a_loss_of_one_signal_is_one_of_all() -> None:
    timeline = Timeline(10, 2, with_range=False, with_input=False)
    timeline.tracks["i"].add(piece(0, 30))
    timeline.tracks["v"].add(piece(0, 5))
    timeline.tracks["v"].add(piece(20, 20))
    first, second = taken(timeline)
    assert (first.current.tolist(), first.voltage.tolist()) == ([4.0], [4.0])
    assert (second.seq, second.lost) == (2, 1)
    assert second.current.tolist() == second.voltage.tolist() == [24.0, 34.0, 44.0, 54.0]


def test_what_the_package_filled_in_is_a_loss() -> None:
    timeline = Timeline(10, 2, with_range=True, with_input=False)
    data = (2.0 * np.arange(30)).astype(np.float32)
    data[7:9] = np.nan
    timeline.tracks["i"].add(piece(0, 30, data=data))
    timeline.tracks["v"].add(piece(0, 30))
    ranges = np.full(60, 3, np.uint8)
    ranges[14:18] = 8
    timeline.tracks["r"].add(piece(0, 60, step=1, data=ranges))
    first, second = taken(timeline)
    assert (first.current.tolist(), second.seq, second.lost) == ([4.0], 2, 1)
    assert first.ranges == second.ranges == (3.0, 3.0), "the code of what was lost is no range"


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (piece(8, 5), "came already"),
        (piece(10, 5, step=4), "a step of 4"),
        (piece(10, 5, rate=1_000_000), "ids at 1000000 Hz"),
    ],
)
def test_a_piece_that_cannot_be_is_refused(bad: dict[str, Any], says: str) -> None:
    timeline = Timeline(10, 2, with_range=False, with_input=False)
    timeline.tracks["i"].add(piece(0, 5))
    with pytest.raises(ReplyError, match=says):
        timeline.tracks["i"].add(bad)


def test_signals_between_each_other_are_refused() -> None:
    timeline = Timeline(10, 2, with_range=False, with_input=False)
    timeline.tracks["i"].add(piece(0, 20))
    timeline.tracks["v"].add(piece(1, 20))
    with pytest.raises(ReplyError, match="are not those of the current"):
        timeline.take()


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=12), st.integers(1, 7))
def test_however_it_is_cut_every_sample_has_its_place(pieces: list[tuple[int, bool]], each: int) -> None:
    """Current and voltage in pieces of their own, some of which are lost: what comes out is where it belongs, and counted."""
    timeline = Timeline(2 * each, 2, with_range=False, with_input=False)
    whole = sum(count for count, _ in pieces)
    timeline.tracks["v"].add(piece(0, whole))
    at = 0
    for count, lost in pieces:
        if not lost:
            timeline.tracks["i"].add(piece(2 * at, count))
        at += count
    origin = next((2 * sum(c for c, _ in pieces[:k]) for k, (_, lost) in enumerate(pieces) if not lost), 0)
    seq = 0
    for stretch in taken(timeline):
        assert stretch.seq == seq + stretch.lost
        begins = origin + 2 * each * (stretch.seq + np.arange(len(stretch.current)))
        assert stretch.current == pytest.approx(begins + each - 1)
        assert stretch.voltage == pytest.approx(stretch.current)
        seq = stretch.seq + len(stretch.current)
