"""Text marks: instants on the device's own counter, placed on the sample axis inside the bursts they belong to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd.segment.bursts import Bursts
from labd.segment.edges import EdgeSeries, FloatArray
from labd.segment.errors import MissingEvents, NoMarks
from labd.segment.marks import Marks

_WRAP_US = 2.0**32


@dataclass(frozen=True, slots=True)
class ClockFit:
    """x = offset + slope * (counter - first) in records and counter ticks; u_x: standard uncertainty of a placed instant, records;
    u_slope: of the slope, relative."""

    offset: float
    slope: float
    first: float
    u_x: float
    u_slope: float

    def place(self, counter: FloatArray) -> EdgeSeries:
        return EdgeSeries(self.offset + self.slope * (counter - self.first), np.full(len(counter), self.u_x))


def unwrap(counter_us: NDArray[np.float64]) -> FloatArray:
    """Undo the wrap of a 32-bit microsecond counter (every 71.6 min)."""
    return np.unwrap(counter_us, period=_WRAP_US, axis=0)


def fit_clock(x: FloatArray, counter: FloatArray, *, u_x: float) -> ClockFit:
    """Least-squares line of sample-axis positions over counter values (both float64 [n], n >= 2).

    u_x: systematic part of the position of one edge, which no averaging removes.
    """
    first = float(counter[0])
    t = counter - first
    spread = float(np.sum((t - t.mean()) ** 2))
    if len(x) < 2 or spread == 0:
        raise NoMarks("one instant on the device's counter places nothing: two or more events are needed")
    slope = float(np.sum((t - t.mean()) * x)) / spread
    offset = float(x.mean() - slope * t.mean())
    rest = x - offset - slope * t
    scatter = float(np.sqrt(np.sum(rest**2) / max(1, len(x) - 2)))
    scatter = max(scatter, u_x) if len(x) < 4 else scatter
    return ClockFit(offset, slope, first, float(np.hypot(scatter / np.sqrt(len(x)), u_x)), scatter / np.sqrt(spread) / abs(slope))


def place_laps(bursts: Bursts, laps: NDArray[np.float64], *, always_on: bool) -> tuple[Marks, ClockFit]:
    """Marks from `laps` (float64 [n, 5]: event, awake, ready, start, end in counter microseconds, NaN where unknown).

    In always_on a burst is the inference: its edges carry start and end. Otherwise the burst rises when the device's timer expires, so
    `event` lies at the rise. Raises MissingEvents when bursts and laps differ in number, NoMarks when nothing ties them together.
    """
    if len(bursts) != len(laps):
        raise MissingEvents(f"missing events: {len(bursts)} bursts for {len(laps)} laps of the device")
    if not len(laps):
        raise NoMarks("neither laps nor bursts")
    counter = unwrap_rows(laps)
    u_x = float(bursts.rise.u[0])
    if always_on:
        fit = fit_clock(np.concatenate((bursts.rise.x, bursts.fall.x)), np.concatenate((counter[:, 3], counter[:, 4])), u_x=u_x)
    elif np.isnan(counter[:, 0]).any():
        raise NoMarks("the device does not tell when its events were due: the whole burst only")
    else:
        fit = fit_clock(bursts.rise.x, counter[:, 0], u_x=u_x)
    awake, ready, start, end = (fit.place(counter[:, k]) for k in range(1, 5))
    known = not np.isnan(counter[:, 1:3]).any() and not always_on
    return Marks(start, end, awake if known else None, ready if known else None), fit


def unwrap_rows(laps: NDArray[np.float64]) -> FloatArray:
    """`unwrap` over all instants of all laps in time order; NaN stays NaN."""
    flat = laps.ravel().astype(np.float64)
    known = ~np.isnan(flat)
    flat[known] = unwrap(flat[known])
    return flat.reshape(laps.shape)
