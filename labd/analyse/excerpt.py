"""One period of each mode out of the stored traces: power envelope, phases and marker line, for the annotated plot."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labd.analyse.wording import quantity_text
from labd.kpi.capture import CaptureResult
from labd.records import Mode, Phase, Role, Window
from labd.report.data import Excerpt, PhaseSpan
from labd.store.trace import Stretch, Trace
from labd_instruments.contract import Acquisition

POINTS = 2000
RATE_HZ = 10.0  # at which one period shows both rest and work
BEFORE = 0.22  # share of the period that is shown ahead of the event

UNSPLIT = "; the marker shows the inference only: the load of the model is part of what is drawn as wake"

Float = NDArray[np.float64]


def representative(results: Sequence[CaptureResult]) -> dict[Mode, CaptureResult]:
    """Of each mode the capture to show: whole periods at a rate near 10 /s, else one triggered event."""
    found: dict[Mode, CaptureResult] = {}
    for result in sorted((r for r in results if r.windows), key=_unlikeness):
        found.setdefault(result.point.mode, result)
    return {mode: found[mode] for mode in Mode if mode in found}


def _unlikeness(result: CaptureResult) -> tuple[bool, float, str]:
    rate = result.point.rate_hz
    return result.role is not Role.MEAN, abs(math.log(rate / RATE_HZ)) if rate > 0 else math.inf, result.key


def excerpt(result: CaptureResult, trace: Trace, *, marker_high_v: float, acquisition: Acquisition | None = None) -> Excerpt | None:
    """One period around an event in the middle of a capture; time 0 is where it begins. None where no sample of it is there."""
    event = _middle(result.windows)
    stretch = trace.stretches[event[0].stretch]
    dt_s, t0_s = stretch.dt_ns * 1e-9, stretch.t0_ns * 1e-9
    first, last = _records(event, rate_hz=result.point.rate_hz, stretch=stretch)
    low, mean, high, t = _envelope(stretch, slice(first, last), supply_v=result.point.supply_v)
    if not len(t):
        return None
    begin = t0_s + first * dt_s
    near = [w for w in result.windows if w.stretch == event[0].stretch]
    rest = Phase.SLEEP if result.point.mode.is_event else Phase.IDLE
    return Excerpt(
        mode=result.point.mode,
        point=result.point.key,
        capture=result.key,
        t_s=tuple(t.tolist()),
        low_w=tuple(low.tolist()),
        mean_w=tuple(mean.tolist()),
        high_w=tuple(high.tolist()),
        spans=spans(near, begin, begin + (last - first) * dt_s, rest=rest),
        marker=marker_changes(stretch, slice(first, last), marker_high_v),
        note=note(dt_s, acquisition) + (UNSPLIT if _unsplit(result) else ""),
    )


def _unsplit(result: CaptureResult) -> bool:
    return result.point.mode is Mode.EVENT_RELOAD and not any(w.phase is Phase.LOAD for w in result.windows)


def _middle(windows: Sequence[Window]) -> list[Window]:
    """The windows of the middle event, in time order."""
    events = sorted({w.event for w in windows})
    chosen = events[len(events) // 2]
    return sorted((w for w in windows if w.event == chosen), key=lambda w: w.start_s)


def _records(event: Sequence[Window], *, rate_hz: float, stretch: Stretch) -> tuple[int, int]:
    """First record of the period that holds the event, and the one after its last; the whole stretch where events are triggered."""
    if rate_hz <= 0:
        return 0, len(stretch)
    dt_s = stretch.dt_ns * 1e-9
    period = max(1 / rate_hz, event[-1].end_s - event[0].start_s)
    begin = event[0].start_s - BEFORE * (period - (event[-1].end_s - event[0].start_s)) - stretch.t0_ns * 1e-9
    first = min(max(round(begin / dt_s), 0), max(len(stretch) - 1, 0))
    return first, min(first + max(round(period / dt_s), 1), len(stretch))


def _envelope(stretch: Stretch, part: slice, *, supply_v: float) -> tuple[Float, Float, Float, Float]:
    """Lowest, mean and highest power of at most POINTS buckets, and the time of each bucket's middle from the start of the part."""
    assert stretch.current is not None  # the analysis refuses a trace without it
    current = stretch.current[part].astype(np.float64)
    voltage = stretch.voltage[part].astype(np.float64) if stretch.voltage is not None else np.full(len(current), supply_v)
    power = current * np.where(np.isfinite(voltage), voltage, supply_v)
    each = max(1, -(-len(power) // POINTS))
    starts = np.arange(0, len(power), each)
    valid = np.isfinite(power)
    count = np.add.reduceat(valid.astype(np.int64), starts)
    low = np.minimum.reduceat(np.where(valid, power, np.inf), starts)
    high = np.maximum.reduceat(np.where(valid, power, -np.inf), starts)
    mean = np.add.reduceat(np.where(valid, power, 0.0), starts) / np.maximum(count, 1)
    ends = np.minimum(starts + each, len(power))
    t = (starts + ends) / 2 * stretch.dt_ns * 1e-9
    kept = count > 0
    return low[kept], mean[kept], high[kept], t[kept]


def spans(windows: Sequence[Window], begin_s: float, end_s: float, *, rest: Phase) -> tuple[PhaseSpan, ...]:
    """The phases inside [begin_s, end_s) on an axis that starts at begin_s, the time between them as rest."""
    found: list[PhaseSpan] = []
    at = 0.0
    for window in sorted(windows, key=lambda w: w.start_s):
        start, stop = max(window.start_s - begin_s, at), min(window.end_s, end_s) - begin_s
        if stop <= start:
            continue
        if start > at:
            found.append(PhaseSpan(rest, at, start))
        found.append(PhaseSpan(window.phase, start, stop))
        at = stop
    if at < end_s - begin_s:
        found.append(PhaseSpan(rest, at, end_s - begin_s))
    return tuple(found)


def marker_changes(stretch: Stretch, part: slice, high_v: float) -> tuple[tuple[float, int], ...]:
    """(time, level) at the start of the part and at each change; empty where no marker was recorded."""
    if stretch.marker is None:
        return ()
    level = (stretch.marker[part] > high_v / 2).astype(np.int8)
    if not len(level):
        return ()
    at = np.concatenate(([0], np.flatnonzero(np.diff(level)) + 1))
    return tuple((float(k) * stretch.dt_ns * 1e-9, int(level[k])) for k in at.tolist())


def note(dt_s: float, acquisition: Acquisition | None) -> str:
    """How it was recorded."""
    text = f"record interval {quantity_text(dt_s, 's')}"
    if acquisition is None:
        return text
    return f"{text}, range {current_range(acquisition)}"


def current_range(acquisition: Acquisition) -> str:
    """`100 mA`, or `seamless 10 µA to 3 A`."""
    if not acquisition.seamless:
        return "not disclosed" if acquisition.current_range_a is None else quantity_text(acquisition.current_range_a, "A")
    ends = [quantity_text(scale, "A") for scale in (acquisition.ranges_a[0], acquisition.ranges_a[-1])] if acquisition.ranges_a else []
    return " ".join(["seamless", " to ".join(ends)]).strip()
