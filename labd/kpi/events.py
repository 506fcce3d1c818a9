"""The events of a capture on the sample axis: marks, bursts, or device counters placed inside bursts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labd.kpi.inputs import CaptureInput
from labd.kpi.trace import Trace
from labd.records import MarkStyle, Phase, Window
from labd.segment.bursts import Bursts, find_bursts, holding, quiet_level
from labd.segment.edges import EdgeSeries, FloatArray
from labd.segment.errors import ExtraEvents, MissingEvents, NoMarks, SegmentError, check_count
from labd.segment.laps import ClockFit, fit_clock, place_laps, unwrap_rows
from labd.segment.marks import Marks, marks_from_marker

_SMOOTH_S = 50e-6  # boxcar before the hysteresis where records are shorter


@dataclass(frozen=True, slots=True)
class Events:
    """One entry an event, positions in records. marks: None where only whole bursts are known. rise, fall: edges of its burst (in
    always_on with marks, the inference itself).

    burst: number of the burst that holds the event. lone: float64 [m, 2], bursts that no mark belongs to. clock: device counter against
    the sample axis. complete: as many events as were asked for. problems: what was wrong, one line each. pinned: the marks
    come from the marker line.
    """

    marks: Marks | None
    rise: EdgeSeries
    fall: EdgeSeries
    lone: FloatArray
    clock: ClockFit | None
    complete: bool
    problems: tuple[str, ...]
    pinned: bool = False

    def __len__(self) -> int:
        return len(self.rise)


def find_events(capture: CaptureInput, trace: Trace) -> Events:
    """Find the events by the capture's mark style. Never raises for what is wrong with the marks: `problems` says it."""
    problems: list[str] = []
    marks = _marks(capture, trace, problems)
    always_on = not capture.point.mode.is_event
    if marks is not None and len(marks) and always_on:
        empty = np.zeros((0, 2))
        return _counted(
            capture,
            Events(marks, marks.start, marks.end, empty, _clock(capture, marks), complete=True, problems=tuple(problems), pinned=True),
        )
    bursts = _bursts(capture, trace, marks)
    if marks is None or not len(marks):
        return _counted(capture, _from_bursts(capture, bursts, problems))
    return _counted(capture, _joined(capture, bursts, marks, problems))


def _marks(capture: CaptureInput, trace: Trace, problems: list[str]) -> Marks | None:
    if capture.mark_style == MarkStyle.TEXT:
        return None
    markers = [s.marker for s in capture.stretches if s.marker is not None]
    if len(markers) != len(capture.stretches):
        problems.append("the capture has no marker column: bursts only")
        return None
    try:
        return marks_from_marker(
            np.nan_to_num(np.concatenate(markers)),
            style=capture.mark_style,
            high_v=capture.marker_high_v,
            four_edges=capture.point.mode.is_event,
            expected=capture.expected_events,
            breaks=trace.bounds[1:-1].astype(np.intp),
        )
    except SegmentError as error:
        problems.append(str(error))
        return None


def _bursts(capture: CaptureInput, trace: Trace, marks: Marks | None) -> Bursts:
    active = None
    if marks is not None and len(marks):
        n = np.maximum(marks.end.x - marks.start.x, 1e-9)
        sums = trace.between(marks.start.x, np.maximum(marks.end.x, marks.start.x))
        active = float(np.median(sums[:, : trace.ranges].sum(axis=1) / n))
    return find_bursts(
        trace.power,
        tau_records=capture.meter.time_constant_s / trace.dt_s,
        smooth_records=max(1, round(_SMOOTH_S / trace.dt_s)),
        active_w=active,
        breaks=trace.bounds[1:-1].astype(np.intp),
        rests_in=_between_events(marks, trace),
    )


def _between_events(marks: Marks | None, trace: Trace) -> slice | None:
    """From the first mark to the last, where the device rests deeper there than before and after (a log that runs on while it is awake
    for its host); None where it does not."""
    if marks is None or len(marks) < 2 or len(trace.bounds) > 2:
        return None
    between = slice(int(marks.start.x[0]), int(marks.end.x[-1]) + 1)
    return between if quiet_level(trace.power[between])[0] < quiet_level(trace.power)[0] else None


def _from_bursts(capture: CaptureInput, bursts: Bursts, problems: list[str]) -> Events:
    """No marker: device counters inside the bursts, else the whole burst only."""
    always_on = not capture.point.mode.is_event
    marks, clock = None, None
    if capture.laps and len(capture.stretches) == 1:  # separate stretches share no axis with the device's counter
        try:
            marks, clock = place_laps(bursts, lap_array(capture), always_on=always_on)
        except SegmentError as error:
            problems.append(str(error))
    if marks is None and always_on and len(bursts):
        marks = Marks(bursts.rise, bursts.fall, averaged=False)  # idle, inference, idle: the burst is the inference
    if not len(bursts):
        problems.append("no burst of power rises above the quiet level")
    return Events(marks, bursts.rise, bursts.fall, np.zeros((0, 2)), clock, complete=True, problems=tuple(problems))


def _joined(capture: CaptureInput, bursts: Bursts, marks: Marks, problems: list[str]) -> Events:
    """Each event with the burst that holds it; events without a burst of their own are left out."""
    held = holding(bursts, marks.start.x)
    outside = held < 0
    counts = np.bincount(held[~outside], minlength=len(bursts))
    shared = ~outside & (counts[np.maximum(held, 0)] > 1)
    if outside.any():
        problems.append(f"{int(outside.sum())} marks lie outside every burst of power")
    if shared.any():
        problems.append(f"{int(shared.sum())} events share a burst with another: the DUT does not rest between them")
    good = np.flatnonzero(~outside & ~shared)
    lone = np.flatnonzero(counts == 0)
    between = lone[(lone > held.min()) & (lone < held.max())]  # before and after them the device talks to the host
    if len(between):
        problems.append(f"{len(between)} bursts without a mark")
    clock = _clock(capture, marks)
    kept = _take(marks, good)
    own = held[good]
    alone = np.stack((bursts.first[lone], bursts.stop[lone]), axis=1).astype(np.float64)
    return Events(
        kept,
        bursts.rise.take(own),
        bursts.fall.take(own),
        alone,
        clock,
        complete=len(good) == len(marks),
        problems=tuple(problems),
        pinned=True,
    )


def _take(marks: Marks, which: NDArray[np.intp]) -> Marks:
    awake, ready = (None if e is None else e.take(which) for e in (marks.awake, marks.ready))
    return Marks(marks.start.take(which), marks.end.take(which), awake, ready, averaged=marks.averaged, ignored=marks.ignored)


def lap_array(capture: CaptureInput) -> NDArray[np.float64]:
    """The device's counters, float64 [n, 5]."""
    rows = [(lap.event_us, lap.awake_us, lap.ready_us, lap.start_us, lap.end_us) for lap in capture.laps]
    return np.array(rows, dtype=np.float64).reshape(-1, 5)


def _clock(capture: CaptureInput, marks: Marks) -> ClockFit | None:
    """The device's counter against the sample axis, where both saw the same events of one stretch."""
    if len(capture.laps) != len(marks) or len(capture.stretches) != 1 or len(marks) < 3:
        return None
    try:
        return fit_clock(marks.start.x, unwrap_rows(lap_array(capture))[:, 3], u_x=float(marks.start.u.mean()))
    except NoMarks:
        return None


def _counted(capture: CaptureInput, events: Events) -> Events:
    try:
        check_count(len(events), capture.expected_events)
    except (MissingEvents, ExtraEvents) as error:
        return replace(events, complete=False, problems=(*events.problems, str(error)))
    return events


def windows(events: Events, trace: Trace, *, always_on: bool) -> tuple[Window, ...]:
    """The events as windows in seconds on their stretch's axis, for the store and the annotated trace."""
    rest = EdgeSeries(events.rise.x, events.rise.u)
    marks = events.marks
    if marks is None:
        return ()
    chain: list[tuple[Phase, EdgeSeries, EdgeSeries]] = [(Phase.INFER, marks.start, marks.end)]
    if not always_on:
        if marks.awake is not None and marks.ready is not None:
            chain = [
                (Phase.WAKE, rest, marks.awake),
                (Phase.LOAD, marks.awake, marks.ready),
                (Phase.WAKE, marks.ready, marks.start),
                *chain,
            ]
        else:
            chain = [(Phase.WAKE, rest, marks.start), *chain]
        chain.append((Phase.TAIL, marks.end, events.fall))
    out: list[Window] = []
    for phase, a, b in chain:
        stretch, start, end = trace.stretch_of(a.x), trace.seconds(a.x), trace.seconds(b.x)
        u_start, u_end = a.u * trace.dt_s, b.u * trace.dt_s
        out.extend(
            Window(phase, float(start[k]), float(end[k]), float(u_start[k]), float(u_end[k]), int(stretch[k]), k) for k in range(len(a))
        )
    return tuple(sorted(out, key=lambda w: (w.stretch, w.event, w.start_s)))
