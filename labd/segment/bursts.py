"""Bursts of power above a quiet level, found by hysteresis."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labd.segment.edges import QUANTISED_U, EdgeSeries, FloatArray

_SIGMAS = 6.0
_LOW_SHARE = 0.005  # of the step: where a burst begins and ends
_HIGH_SHARE = 0.2  # of the step: what a burst must reach to be one
_SCATTER_SIGMAS, _PASSES = 3.0, 3  # about the quiet level, by which it is found
_SAMPLED = 1 << 17  # records looked at for the levels


@dataclass(frozen=True, slots=True)
class Bursts:
    """Runs of records above the quiet level. first, stop: record numbers (stop exclusive). rise, fall: the edges within the records.

    base_w, noise_w: quiet level and its standard deviation per record.
    """

    first: NDArray[np.intp]
    stop: NDArray[np.intp]
    rise: EdgeSeries
    fall: EdgeSeries
    base_w: float
    noise_w: float

    def __len__(self) -> int:
        return len(self.first)

    def take(self, which: NDArray[np.bool_]) -> Bursts:
        """Some of them."""
        at = np.flatnonzero(which)
        return replace(self, first=self.first[at], stop=self.stop[at], rise=self.rise.take(at), fall=self.fall.take(at))


def quiet_level(power: NDArray[np.float32]) -> tuple[float, float]:
    """Quiet level and the standard deviation of one record (from differences of neighbours, hence blind to steps).

    The level is the median of what scatters about the quietest tenth of all records: the quantile alone lies the higher in that scatter the
    fewer records are quiet.
    """
    some = power[:: max(1, len(power) // _SAMPLED)]
    near = power[:_SAMPLED]
    noise = 1.0484 * float(np.median(np.abs(np.diff(near)))) if len(near) > 1 else 0.0
    base = float(np.quantile(some, 0.1)) + 1.2816 * noise * (len(some) > 10)
    for _ in range(_PASSES):
        quiet = some[np.abs(some - base) <= _SCATTER_SIGMAS * noise]
        base = float(np.median(quiet)) if len(quiet) else base
    return base, noise


def find_bursts(
    power: NDArray[np.float32],
    *,
    tau_records: float,
    smooth_records: int = 1,
    active_w: float | None = None,
    breaks: NDArray[np.intp] | None = None,
    rests_in: slice | None = None,
) -> Bursts:
    """Bursts in `power` (float32 [n], watt a record).

    tau_records: slowest time constant of the path in records; runs nearer than 5 of them are one. active_w: level inside a burst where
    marks tell it, else the largest level seen. breaks: first records of later stretches; no burst crosses one. rests_in: where the quiet
    level is looked for; outside it the device may rest otherwise (awake for its host before and after a program).
    """
    smooth = _boxcar(power, smooth_records)
    base, noise = quiet_level(power if rests_in is None else power[rests_in])
    noise_smooth = noise / np.sqrt(max(1, smooth_records))
    step = (float(smooth.max()) if active_w is None else active_w) - base
    low = base + max(_SIGMAS * noise_smooth, _LOW_SHARE * step)
    high = base + max(2 * _SIGMAS * noise_smooth, _HIGH_SHARE * step)
    first, stop = _runs(smooth, low, high, breaks=breaks, merge=max(2, int(np.ceil(5 * tau_records))))
    rise, fall = _edges(power, first, stop, base=base, tau_records=tau_records, most=1.0 + (smooth_records - 1) / 2)
    return Bursts(first, stop, rise, fall, base, noise)


def _boxcar(power: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    if width <= 1:
        return power
    total = np.concatenate(([0.0], np.cumsum(power, dtype=np.float64)))
    centre = np.arange(len(power))
    left, right = np.maximum(centre - width // 2, 0), np.minimum(centre - width // 2 + width, len(power))
    out: NDArray[np.float32] = ((total[right] - total[left]) / (right - left)).astype(np.float32)
    return out


def _runs(
    power: NDArray[np.float32], low: float, high: float, *, breaks: NDArray[np.intp] | None, merge: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    above = power > low
    own = np.zeros(0, dtype=np.intp) if breaks is None else breaks
    bounds = np.unique(np.concatenate(([0], np.flatnonzero(above[1:] != above[:-1]) + 1, own)))
    stops = np.append(bounds[1:], len(power))
    largest = np.maximum.reduceat(power, bounds)
    inside = above[bounds]
    first, stop, top = bounds[inside], stops[inside], largest[inside]
    if not len(first):
        return first, stop
    joined = (first[1:] - stop[:-1] < merge) & ~np.isin(first[1:], own)
    head = np.flatnonzero(np.append(True, ~joined))
    tops = np.maximum.reduceat(top, head)
    first, stop = first[head], stop[np.append(head[1:], len(stop)) - 1]
    return first[tops > high], stop[tops > high]


def _edges(
    power: NDArray[np.float32], first: NDArray[np.intp], stop: NDArray[np.intp], *, base: float, tau_records: float, most: float
) -> tuple[EdgeSeries, EdgeSeries]:
    """Place both edges by area: a first-order path delays the area of a step by exactly its time constant. A rise lies in the first record
    that shows it (`most` records wide after smoothing), whatever the power does next."""
    reach = int(np.ceil(5 * tau_records)) + 1
    rises, falls = np.empty(len(first)), np.empty(len(first))
    for k, (a, b) in enumerate(zip(first.tolist(), stop.tolist(), strict=True)):
        rises[k] = a + min(max(_missing_area(power[a : min(b, a + reach + 2)], base, reach) - tau_records, 0.0), most)
        falls[k] = b - _missing_area(power[max(a, b - reach - 2) : b][::-1], base, reach)
    falls = np.maximum(falls - tau_records, rises)
    u = np.full(len(first), QUANTISED_U)
    return EdgeSeries(np.maximum(rises, 0.0), u), EdgeSeries(falls, u.copy())


def _missing_area(part: NDArray[np.float32], base: float, reach: int) -> float:
    """Records' worth of area between the plateau and the approach to it, seen from the outside of a burst."""
    if len(part) <= reach:
        return 0.0
    plateau = float(np.mean(part[reach:], dtype=np.float64))
    if plateau <= base:
        return 0.0
    missing = float(np.sum(plateau - part[:reach].astype(np.float64))) / (plateau - base)
    return min(max(missing, 0.0), float(reach))


def holding(bursts: Bursts, x: FloatArray) -> NDArray[np.intp]:
    """Number of the burst that holds each position, -1 where none does."""
    k = np.searchsorted(bursts.first, np.floor(x), side="right") - 1
    inside = (k >= 0) & (x <= bursts.stop[np.maximum(k, 0)]) if len(bursts) else np.zeros(len(x), dtype=bool)
    return np.where(inside, k, -1).astype(np.intp)
