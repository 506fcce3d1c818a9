"""Events from the edges of a marker line, by the style in which the DUT shows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd.records import MarkStyle
from labd.segment.edges import EdgeSeries, LevelEdges, level_edges
from labd.segment.errors import MarkOutside, NoMarks, OddEdgeCount
from labd.segment.pulses import find_pulses, last_pairs


@dataclass(frozen=True, slots=True)
class Marks:
    """One entry an event, positions in records. start, end: of the inference. awake: code runs. ready: parameters resident.

    averaged: see LevelEdges. ignored: early pulses that belong to no event (MLPerf firmware emits one at boot).
    """

    start: EdgeSeries
    end: EdgeSeries
    awake: EdgeSeries | None = None
    ready: EdgeSeries | None = None
    averaged: bool = True
    ignored: int = 0

    def __len__(self) -> int:
        return len(self.start)


def marks_from_marker(
    marker: NDArray[np.float32],
    *,
    style: MarkStyle,
    high_v: float,
    four_edges: bool,
    expected: int = 0,
    breaks: NDArray[np.intp] | None = None,
) -> Marks:
    """Read `marker` (float32 [n], volt) as gates, phases (four edges an event where `four_edges`, else like gates) or MLPerf pulses.

    Raises OddEdgeCount, MarkOutside (the record begins or ends inside an event) and, for TEXT, NoMarks.
    """
    if style == MarkStyle.TEXT:
        raise NoMarks("text marks lie on the device's counter, not on the marker line")
    if style == MarkStyle.PULSES:
        return _pulses(marker, high_v, expected, breaks)
    edges = level_edges(marker, high_v=high_v, breaks=breaks)
    return _phases(edges) if style == MarkStyle.PHASES and four_edges else _gates(edges)


def _gates(found: LevelEdges) -> Marks:
    _check_alternation(found, 2)
    return Marks(found.edges.take(slice(0, None, 2)), found.edges.take(slice(1, None, 2)), averaged=found.averaged)


def _phases(found: LevelEdges) -> Marks:
    _check_alternation(found, 4)
    awake, ready, start, end = (found.edges.take(slice(k, None, 4)) for k in range(4))
    return Marks(start, end, awake, ready, averaged=found.averaged)


def _check_alternation(found: LevelEdges, per_event: int) -> None:
    count = len(found.edges)
    if count and not found.rising[0]:
        raise MarkOutside("the record begins while the marker is high: the first event started before it")
    if count % per_event:
        raise OddEdgeCount(f"the marker shows {count} edges, not a multiple of {per_event}")
    if not np.all(found.rising[::2]) or np.any(found.rising[1::2]):
        raise MarkOutside("the marker stays high from one stretch of the capture to the next")


def _pulses(marker: NDArray[np.float32], high_v: float, expected: int, breaks: NDArray[np.intp] | None) -> Marks:
    """The window starts at the end of the first pulse (the hold is busy waiting, not inference) and ends with the falling edge of the
    second; both MLPerf runners ignore spurious early pulses and so does this."""
    pulses = find_pulses(marker, high_v=high_v, breaks=breaks)
    falling, ignored = last_pairs(pulses.falling, expected)
    return Marks(pulses.rising.take(slice(ignored, None, 2)), falling.take(slice(1, None, 2)), ignored=ignored)
