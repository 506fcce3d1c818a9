"""Text marks: instants on the device's own counter, placed on the sample axis inside the bursts they belong to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd.segment.bursts import Bursts
from labd.segment.clocks import ClockMap, fitted
from labd.segment.edges import EdgeSeries, FloatArray
from labd.segment.errors import MissingEvents, NoMarks
from labd.segment.marks import Marks

_WRAP_US = 2.0**32


def unwrap(counter_us: NDArray[np.float64]) -> FloatArray:
    """Undo the wrap of a 32-bit microsecond counter (every 71.6 min)."""
    return np.unwrap(counter_us, period=_WRAP_US, axis=0)


def fit_clock(x: FloatArray, counter: FloatArray, *, u_x: float) -> ClockMap:
    """Least-squares line of sample-axis positions (records) over counter values (both float64 [n], n >= 2). Raises NoMarks.

    u_x: systematic part of the position of one edge, which no averaging removes.
    """
    try:
        return fitted(counter, x, u_shared=u_x, least_u=u_x)
    except ValueError as error:
        raise NoMarks(f"the device's counter cannot be placed on the sample axis: {error}") from error


@dataclass(frozen=True, slots=True)
class PerInference:
    """x: of one inference, in the unit of the windows; u: its standard uncertainty, None from two windows. constant: of each window.
    weights: float64 [n]; x is the sum of the windows times these, and so is whatever else is of one inference."""

    x: float
    u: float | None
    constant: float
    weights: FloatArray


def per_inference(counts: NDArray[np.intp], windows: FloatArray) -> PerInference:
    """The slope of windows (float64 [n], any unit, of time or energy) over their numbers of inferences (int [n]).

    Whatever the firmware does once within its window stays out of it: the loop that holds the timestamp pin (falling edge to falling
    edge), the printing of the first lap's line. Raises NoMarks where fewer than two numbers of inferences were tried.
    """
    t = counts.astype(np.float64)
    spread = float(np.sum((t - t.mean()) ** 2)) if len(t) else 0.0
    if spread == 0:
        raise NoMarks("windows of one number of inferences do not tell what of them is inference: try another number")
    weights = (t - t.mean()) / spread
    slope = float(weights @ windows)
    constant = float(windows.mean() - slope * t.mean())
    rest = windows - constant - slope * t
    u = float(np.sqrt(np.sum(rest**2) / (len(t) - 2) / spread)) if len(t) > 2 else None
    return PerInference(slope, u, constant, weights)


def place(clock: ClockMap, counter: FloatArray) -> EdgeSeries:
    """Instants of the counter (float64 [n], NaN where unknown) in records."""
    return EdgeSeries(clock.at(counter), clock.u_at(counter))


def place_laps(
    bursts: Bursts, laps: NDArray[np.float64], *, always_on: bool, u_tau_records: float = 0.0
) -> tuple[Marks, ClockMap]:  # fmt: skip
    """Marks from `laps` (float64 [n, 5]: event, awake, ready, start, end in counter microseconds, NaN where unknown).

    In always_on a burst is the inference: its edges carry start and end. Otherwise the burst rises when the device's timer expires, so
    `event` lies at the rise. u_tau_records: standard uncertainty of the supply path's time constant, by which all edges of bursts are
    displaced alike. Raises MissingEvents when bursts and laps differ in number, NoMarks when nothing ties them together.
    """
    if len(bursts) != len(laps):
        raise MissingEvents(f"missing events: {len(bursts)} bursts for {len(laps)} laps of the device")
    if not len(laps):
        raise NoMarks("neither laps nor bursts")
    counter = unwrap_rows(laps)
    u_x = float(np.hypot(bursts.rise.u[0], u_tau_records))
    if always_on:
        fit = fit_clock(np.concatenate((bursts.rise.x, bursts.fall.x)), np.concatenate((counter[:, 3], counter[:, 4])), u_x=u_x)
    elif np.isnan(counter[:, 0]).any():
        raise NoMarks("the device does not tell when its events were due: the whole burst only")
    else:
        fit = fit_clock(bursts.rise.x, counter[:, 0], u_x=u_x)
    awake, ready, start, end = (place(fit, counter[:, k]) for k in range(1, 5))
    known = not np.isnan(counter[:, 1:3]).any() and not always_on
    return Marks(start, end, awake if known else None, ready if known else None), fit


def unwrap_rows(laps: NDArray[np.float64]) -> FloatArray:
    """`unwrap` over all instants of all laps in time order; NaN stays NaN."""
    flat = laps.ravel().astype(np.float64)
    known = ~np.isnan(flat)
    flat[known] = unwrap(flat[known])
    return flat.reshape(laps.shape)
