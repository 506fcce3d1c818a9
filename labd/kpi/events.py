"""The events of a capture on the sample axis: marks, bursts, or device counters placed inside bursts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labd.kpi.inputs import CaptureInput
from labd.kpi.trace import Trace
from labd.records import MarkStyle, Phase, Window
from labd.segment.bracketed import Burnt, Recorded, find_pair, place_bracketed
from labd.segment.bursts import Bursts, find_bursts, holding, quiet_level
from labd.segment.clocks import ClockMap
from labd.segment.edges import EdgeSeries, FloatArray
from labd.segment.errors import ExtraEvents, MissingEvents, NoMarks, SegmentError, check_count
from labd.segment.laps import fit_clock, place_laps, unwrap_rows
from labd.segment.marks import Marks, marks_from_marker
from labd.segment.signature import Path

RATE_LIMIT = 0.05  # of a board's counter where nothing tells it: a low-frequency RC oscillator
BY_BURSTS = "laps placed by the bursts alone"
_SMOOTH_S = 50e-6  # boxcar before the hysteresis where records are shorter


TOO_LONG = "burst longer than the board's bound"
LONGER_THAN_BOUND = 1.2  # times the longest event that the board file tells: no event


@dataclass(frozen=True, slots=True)
class Events:
    """One entry an event, positions in records. marks: None where only whole bursts are known. rise, fall: edges of its burst (in
    always_on with marks, the inference itself).

    burst: number of the burst that holds the event. lone: float64 [m, 2], bursts that no mark belongs to. clock: device counter against
    the sample axis. complete: as many events as were asked for. problems: what was wrong, one line each. pinned: the marks
    come from the marker line. placing: how laps were placed where they do not, empty where there are none. displaced: records by which
    edges of bursts lie later than the signatures say, and its standard uncertainty.
    """

    marks: Marks | None
    rise: EdgeSeries
    fall: EdgeSeries
    lone: FloatArray
    clock: ClockMap | None
    complete: bool
    problems: tuple[str, ...]
    pinned: bool = False
    placing: str = ""
    displaced: tuple[float, float] | None = None

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
    bursts = bursts_of(capture, trace, marks)
    if marks is None or not len(marks):
        return _counted(capture, _from_bursts(capture, trace, bursts, problems))
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


def bursts_of(capture: CaptureInput, trace: Trace, marks: Marks | None) -> Bursts:
    """All bursts of power; `marks` tell the level inside them."""
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
    (deepest, _), (every, noise) = quiet_level(trace.power[between]), quiet_level(trace.power)
    return between if deepest < every - noise else None


def _from_bursts(capture: CaptureInput, trace: Trace, bursts: Bursts, problems: list[str]) -> Events:
    """No marker: device counters inside the bursts, else the whole burst only."""
    always_on = not capture.point.mode.is_event
    if capture.burnt is not None and capture.laps and len(capture.stretches) == 1:
        try:
            return _bracketed(capture, capture.burnt, trace, bursts, problems)
        except SegmentError as error:
            problems.append(f"{error}; the laps are placed by the bursts alone")
    marks, clock = None, None
    every, own = bursts, _of_laps(capture, trace, bursts)
    bursts, other = every.take(own), every.take(~own)
    if capture.laps and len(capture.stretches) == 1:  # separate stretches share no axis with the device's counter
        try:
            u_tau = capture.meter.u_time_constant_s / trace.dt_s
            marks, clock = place_laps(bursts, lap_array(capture), always_on=always_on, u_tau_records=u_tau)
        except SegmentError as error:
            problems.append(str(error))
    if marks is None and always_on and len(bursts):
        marks = Marks(bursts.rise, bursts.fall, averaged=False)  # idle, inference, idle: the burst is the inference
    if not len(bursts):
        problems.append("no burst of power rises above the quiet level")
    alone = np.stack((other.first, other.stop), axis=1).astype(np.float64)
    placing = "" if clock is None else BY_BURSTS
    return Events(marks, bursts.rise, bursts.fall, alone, clock, complete=True, problems=tuple(problems), placing=placing)


def _bracketed(capture: CaptureInput, burnt: Burnt, trace: Trace, bursts: Bursts, problems: list[str]) -> Events:
    """Laps placed by the signatures; each event with the burst that holds its inference. Raises SegmentError."""
    meter, always_on = capture.meter, not capture.point.mode.is_event
    limit = RATE_LIMIT if capture.device_clock is None else capture.device_clock
    path = Path(meter.time_constant_s, meter.u_time_constant_s)
    pair = find_pair(trace.power, burnt, dt_s=trace.dt_s, path=path, rate_limit=limit)
    bursts = pair.sharpened(trace.power, bursts, tau_records=meter.time_constant_s / trace.dt_s)
    laps = unwrap_rows(lap_array(capture))
    record = Recorded(trace.power, trace.dt_s, meter.time_constant_s)
    placed = place_bracketed(pair, record, bursts, laps, always_on=always_on)
    awake, ready, start, end = placed.instants[1:]
    marks = Marks(start, end) if always_on else Marks(start, end, awake, ready)
    u_s = float(np.median(start.u)) * trace.dt_s
    placing = f"laps placed by the {placed.method}, u = {u_s * 1e6:.2g} us"
    found = _joined(capture, bursts, marks, problems, middles=True)
    line = placed.timeline
    displaced = line.displaced if line is not None and len(line.ties) else None
    return replace(found, clock=placed.clock, pinned=False, placing=placing, displaced=displaced)


def _of_laps(capture: CaptureInput, trace: Trace, bursts: Bursts) -> NDArray[np.bool_]:
    """Which bursts are the device's laps. A log goes on while the device is awake for its host, before and after a program: such a burst is
    longer than any event, or cut off by an end of the record. All of them where that does not leave one a lap."""
    every = np.ones(len(bursts), dtype=np.bool_)
    if not capture.laps or not capture.burst_bound_s or len(bursts) <= len(capture.laps):
        return every
    lasts_s = (bursts.fall.x - bursts.rise.x) * trace.dt_s
    whole = (bursts.first > 0) & (bursts.stop < trace.records)
    own: NDArray[np.bool_] = whole & (lasts_s <= LONGER_THAN_BOUND * capture.burst_bound_s)
    return own if int(own.sum()) == len(capture.laps) else every


def _joined(capture: CaptureInput, bursts: Bursts, marks: Marks, problems: list[str], *, middles: bool = False) -> Events:
    """Each event with the burst that holds it; events without a burst of their own are left out. middles: of its inference, where the burst
    may be the inference and its start lie a little ahead of it."""
    held = holding(bursts, (marks.start.x + marks.end.x) / 2 if middles else marks.start.x)
    outside = held < 0
    counts = np.bincount(held[~outside], minlength=len(bursts))
    shared = ~outside & (counts[np.maximum(held, 0)] > 1)
    if outside.any():
        problems.append(f"{int(outside.sum())} marks lie outside every burst of power")
    if shared.any():
        problems.append(f"{int(shared.sum())} events share a burst with another: the DUT does not rest between them")
    good = np.flatnonzero(~outside & ~shared)
    lone = np.flatnonzero(counts == 0)
    first, last = held[~outside].min(initial=len(bursts)), held[~outside].max(initial=-1)
    between = lone[(lone > first) & (lone < last)]  # before and after them the device talks to the host
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


def _clock(capture: CaptureInput, marks: Marks) -> ClockMap | None:
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


def windows(events: Events, trace: Trace, *, always_on: bool, u_tau_s: float) -> tuple[Window, ...]:
    """The events as windows in seconds on their stretch's axis, for the store and the annotated trace. u_tau_s: standard uncertainty of the
    supply path's time constant, by which every edge of a burst may be displaced."""
    rise, fall = (EdgeSeries(edge.x, np.hypot(edge.u, u_tau_s / trace.dt_s)) for edge in (events.rise, events.fall))
    marks = events.marks
    if marks is None:
        return ()
    chain: list[tuple[Phase, EdgeSeries, EdgeSeries]] = [(Phase.INFER, marks.start, marks.end)]
    if not always_on:
        if marks.awake is not None and marks.ready is not None:
            chain = [
                (Phase.WAKE, rise, marks.awake),
                (Phase.LOAD, marks.awake, marks.ready),
                (Phase.WAKE, marks.ready, marks.start),
                *chain,
            ]
        else:
            chain = [(Phase.WAKE, rise, marks.start), *chain]
        chain.append((Phase.TAIL, marks.end, fall))
    out: list[Window] = []
    for phase, a, b in chain:
        stretch, start, end = trace.stretch_of(a.x), trace.seconds(a.x), trace.seconds(b.x)
        u_start, u_end = a.u * trace.dt_s, b.u * trace.dt_s
        out.extend(
            Window(phase, float(start[k]), float(end[k]), float(u_start[k]), float(u_end[k]), int(stretch[k]), k) for k in range(len(a))
        )
    return tuple(sorted(out, key=lambda w: (w.stretch, w.event, w.start_s)))
