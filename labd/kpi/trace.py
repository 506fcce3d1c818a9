"""All stretches of a capture end to end, ready for sums over windows that may begin and end inside a record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd.kpi.inputs import CaptureInput, Stretch
from labd.segment.edges import FloatArray

BLOCK = 64  # records summed in float32 by one vecdot; between blocks everything is float64


@dataclass(frozen=True, slots=True)
class Moments:
    """A linear functional applied to the columns; a current range an entry: vi, v, i, n (share of records in the range); and i2."""

    vi: FloatArray
    v: FloatArray
    i: FloatArray
    n: FloatArray
    i2: float

    def power(self, lead_ohm: float) -> float:
        """Of v*i less what the leads take."""
        return float(self.vi.sum()) - lead_ohm * self.i2


def moments(vector: FloatArray) -> Moments:
    """A vector of sums (float64 [4*ranges + 1], layout of `Trace.at`) by name."""
    r = (len(vector) - 1) // 4
    return Moments(vector[:r], vector[r : 2 * r], vector[2 * r : 3 * r], vector[3 * r : 4 * r], float(vector[4 * r]))


@dataclass(frozen=True, slots=True)
class Trace:
    """Records of all stretches one after the other; positions are in records of this common axis.

    dt_s: record length. bounds: int64 [stretches + 1], first record of each stretch and the end. t0_s: start of each stretch on its own
    axis. power: float32 [n], watt at the boundary plane, 0 where a sample is missing. ranges: number of current ranges.
    current, voltage: float32 [blocks, BLOCK] zero-padded. band: int8 alike, the range of each record. prefix: float64 [blocks + 1, columns]
    running sums before each block. missing: int64 [n + 1] running count of records without a value.
    """

    dt_s: float
    bounds: NDArray[np.int64]
    t0_s: FloatArray
    power: NDArray[np.float32]
    ranges: int
    current: NDArray[np.float32]
    voltage: NDArray[np.float32]
    band: NDArray[np.int8]
    prefix: FloatArray
    missing: NDArray[np.int64]

    @property
    def records(self) -> int:
        return int(self.bounds[-1])

    def at(self, x: FloatArray) -> FloatArray:
        """Running sums up to the positions x (float64 [m]) -> float64 [m, 4*ranges + 1]: vi, v, i, n a range, and i squared. A position
        inside a record takes its share of that record."""
        whole = np.floor(x).astype(np.int64)
        block, inside = whole // BLOCK, whole % BLOCK
        k = np.arange(BLOCK)
        weight = (k < inside[:, None]) + (k == inside[:, None]) * (x - whole)[:, None]
        i, v = self.current[block].astype(np.float64), self.voltage[block].astype(np.float64)
        out = self.prefix[block].copy()
        r = self.ranges
        for band in range(r):
            w = weight if r == 1 else weight * (self.band[block] == band)
            wi = w * i
            out[:, band] += np.vecdot(wi, v)
            out[:, r + band] += np.vecdot(w, v)
            out[:, 2 * r + band] += wi.sum(axis=1)
            out[:, 3 * r + band] += w.sum(axis=1)
        out[:, 4 * r] += np.vecdot(weight * i, i)
        return out

    def between(self, start: FloatArray, stop: FloatArray) -> FloatArray:
        """Sums over windows [start, stop), positions float64 [m] -> float64 [m, columns]."""
        sums = self.at(np.concatenate((start, stop)))
        return sums[len(start) :] - sums[: len(start)]

    def lost(self, start: FloatArray, stop: FloatArray) -> NDArray[np.bool_]:
        """Which windows hold records without a value."""
        first, last = np.floor(start).astype(np.int64), np.ceil(stop).astype(np.int64)
        out: NDArray[np.bool_] = self.missing[np.clip(last, 0, self.records)] > self.missing[np.clip(first, 0, self.records)]
        return out

    def stretch_of(self, x: FloatArray) -> NDArray[np.intp]:
        return np.clip(np.searchsorted(self.bounds, x, side="right") - 1, 0, len(self.bounds) - 2)

    def seconds(self, x: FloatArray) -> FloatArray:
        """Positions as seconds on the axis of the stretch they lie in."""
        s = self.stretch_of(x)
        out: FloatArray = self.t0_s[s] + (x - self.bounds[s]) * self.dt_s
        return out


def built(capture: CaptureInput) -> Trace:
    """The trace of a capture, less what flows past the DUT."""
    meter = capture.meter
    scales = [r.full_scale_a for r in meter.current]
    return build(capture.stretches, full_scales_a=scales, lead_ohm=meter.series_ohm, leakage_a=meter.fixture_leakage_mean_a)


def build(stretches: Sequence[Stretch], *, full_scales_a: Sequence[float], lead_ohm: float, leakage_a: float = 0.0) -> Trace:
    """Put the stretches end to end and sum blocks. full_scales_a: ascending; the range of a record is the smallest that holds |i| as read.
    leakage_a: current past the DUT, taken off every reading."""
    bounds = np.concatenate(([0], np.cumsum([len(s.current) for s in stretches]))).astype(np.int64)
    current = np.concatenate([s.current for s in stretches]).astype(np.float32, copy=False)
    voltage = np.concatenate([_voltage(s) for s in stretches])
    bad = ~(np.isfinite(current) & np.isfinite(voltage))
    if bad.any():
        current, voltage = np.where(bad, np.float32(0), current), np.where(bad, np.float32(0), voltage)
    read, v = _rows(current), _rows(voltage)
    band = np.minimum(np.searchsorted(np.asarray(full_scales_a, dtype=np.float64), np.abs(read)), len(full_scales_a) - 1).astype(np.int8)
    if leakage_a:
        current = np.where(bad, np.float32(0), current - np.float32(leakage_a))
    i = _rows(current) if leakage_a else read
    exists = _rows(np.ones(len(current), dtype=np.float32))
    power = voltage * current - np.float32(lead_ohm) * current * current if lead_ohm else voltage * current
    return Trace(
        dt_s=stretches[0].dt_s,
        bounds=bounds,
        t0_s=np.array([s.t0_s for s in stretches]),
        power=power,
        ranges=len(full_scales_a),
        current=i,
        voltage=v,
        band=band,
        prefix=_prefix(i, v, band, ranges=len(full_scales_a), exists=exists),
        missing=np.concatenate(([0], np.cumsum(bad))),
    )


def _voltage(stretch: Stretch) -> NDArray[np.float32]:
    if stretch.voltage is None:
        return np.full(len(stretch.current), stretch.nominal_v, dtype=np.float32)
    return stretch.voltage.astype(np.float32, copy=False)


def _rows(column: NDArray[np.float32]) -> NDArray[np.float32]:
    """[n] -> [n // BLOCK + 1, BLOCK], so that the position n exists too."""
    out = np.zeros((len(column) // BLOCK + 1) * BLOCK, dtype=np.float32)
    out[: len(column)] = column
    return out.reshape(-1, BLOCK)


def _prefix(
    i: NDArray[np.float32], v: NDArray[np.float32], band: NDArray[np.int8], *, ranges: int, exists: NDArray[np.float32]
) -> FloatArray:
    ones = np.ones(BLOCK, dtype=np.float32)
    sums = np.zeros((len(i), 4 * ranges + 1))
    present = set(np.unique(band).tolist())
    for r in sorted(present):
        mask = exists if len(present) == 1 else exists * (band == r)
        ir = i * mask
        sums[:, r] = np.vecdot(v, ir)
        sums[:, ranges + r] = np.vecdot(v, mask)
        sums[:, 2 * ranges + r] = np.vecdot(ir, ones)
        sums[:, 3 * ranges + r] = np.vecdot(mask, ones)
    sums[:, 4 * ranges] = np.vecdot(i, i)
    out = np.zeros((len(i) + 1, sums.shape[1]))
    np.cumsum(sums, axis=0, out=out[1:])
    return out
