"""A meter without lines: exact means of the node's power, later by its group delay, then its noise and its range changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from labd.segment.clocks import FloatArray
from labd_virtual.contract import SupplyNode

FLOORS_W = (180e-6, 1.8e-3, 18e-3)  # 60 uA, 600 uA and 6 mA at 3 V: below them the meter is on a lower range
GLITCH_S = (8e-6, 25e-6)
LONGEST_DELAY_NS = 150e3


@dataclass(frozen=True, slots=True)
class Meter:
    """delay_s: plain delay; filter_records: group delay of a first-order digital filter after it. timebase: error of its clock (fraction).
    noise: standard deviation of one record as a share of it. glitches: at each change of range it holds, shows nothing, or overshoots."""

    dt_s: float
    delay_s: float
    filter_records: float
    timebase: float
    noise: float
    glitches: bool

    @property
    def group_delay_s(self) -> float:
        return self.delay_s + self.filter_records * self.dt_s


@dataclass(frozen=True, slots=True)
class Record:
    """power: float32 [n], watt. began_ns: board time at which its first record begins, if nothing were delayed."""

    meter: Meter
    power: NDArray[np.float32]
    began_ns: float

    def place(self, board_ns: FloatArray, *, delayed: bool) -> FloatArray:
        """True place of instants of board time in records: where they show (delayed), or when they were."""
        meter = self.meter
        each_ns = meter.dt_s * 1e9 * (1 + meter.timebase)
        out: FloatArray = (board_ns - self.began_ns) / each_ns
        return out + meter.delay_s * 1e9 / each_ns + meter.filter_records if delayed else out


@dataclass(frozen=True, slots=True)
class Sampled:
    """The node's power as a sampler without delay or noise has it: watt, over records of each_ns from first_ns on."""

    power: FloatArray
    first_ns: float
    each_ns: float


def sampled(node: SupplyNode, span_ns: tuple[int, int], *, dt_s: float, timebase: float, rng: np.random.Generator) -> Sampled:
    """Where in a record the span begins is drawn."""
    each_ns = dt_s * 1e9 * (1 + timebase)
    first_ns = span_ns[0] + 1 + rng.uniform(0, each_ns)
    n = int((span_ns[1] - LONGEST_DELAY_NS - first_ns) / each_ns) - 1
    edges_ns = np.rint(first_ns + np.arange(n + 1) * each_ns)
    power = np.diff(node.integrals(edges_ns.astype(np.int64)).energy) / (np.diff(edges_ns) * 1e-9)
    return Sampled(power, first_ns, each_ns)


def recorded(seen: Sampled, meter: Meter, rng: np.random.Generator) -> Record:
    power, n = seen.power, len(seen.power)
    if meter.filter_records:
        keep = meter.filter_records / (1 + meter.filter_records)
        power = lfilter([1 - keep], [1, -keep], power, zi=[keep * power[0]])[0]
    if meter.glitches:
        power = _glitched(power, meter, rng)
    power = power * (1 + meter.noise * rng.standard_normal(n)) + 1e-3 * meter.noise * rng.standard_normal(n)
    return Record(meter, power.astype(np.float32), seen.first_ns + meter.delay_s * 1e9)


def _glitched(power: FloatArray, meter: Meter, rng: np.random.Generator) -> FloatArray:
    """For 8 to 25 us after a change of range it shows what it showed before, nothing, or too much: each record by its share of that."""
    ranges = np.searchsorted(FLOORS_W, power)
    changed = np.flatnonzero(np.diff(ranges)) + 1
    out = power.copy()
    for k in changed.tolist():
        lasts, kind = rng.uniform(*GLITCH_S) / meter.dt_s, rng.integers(3)
        stop = min(len(power), k + int(np.ceil(lasts)))
        share = np.minimum(1.0, lasts - np.arange(stop - k))
        instead = (power[k - 1], 0.0, 1.5 * max(power[k], FLOORS_W[min(ranges[k], 2)]))[kind]
        out[k:stop] += share * (instead - out[k:stop])
    return out
