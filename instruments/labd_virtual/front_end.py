"""The analog side of a virtual meter: exact sample means from the node's integrals, then this unit's errors, noise, hum and drift."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd_virtual.contract import Pins
from labd_virtual.persona import ErrorRow, PersonaSetup

Floats = NDArray[np.float64]
Instants = NDArray[np.int64]

OVER_RANGE = 9.91e37  # SCPI's "not a number"; what a range that cannot hold a sample returns
_OVERLOAD = 1.05  # a range still converts this much of its full scale
_SUB_SAMPLES = 8  # pieces of a suspicious sample that are looked at for over-range
_DRIFT_PER_ROOT_S = 0.002  # of the offset limit: 2 % of it after 100 s, 12 % after an hour
_SHORTEST_PEAK_NS = 100_000  # of `beyond`; what is shorter may go unseen
_PEAK_PIECES = 8  # into which a stretch with peaks is split, again and again
_TRANSIENT_FRACTION, _TRANSIENT_S = 5e-4, 10e-6  # a range change leaves 0.05 % of the larger range for 10 us


@dataclass(frozen=True, slots=True)
class NoiseCurve:
    """Standard deviation of one sample against its averaging time: log-log between points, inverse square root beyond either end."""

    aperture_s: tuple[float, ...]
    deviation: tuple[float, ...]

    def at(self, aperture_s: float) -> float:
        low, high = self.aperture_s[0], self.aperture_s[-1]
        if aperture_s <= low:
            return self.deviation[0] * math.sqrt(low / aperture_s)
        if aperture_s >= high:
            return self.deviation[-1] * math.sqrt(high / aperture_s)
        return float(np.exp(np.interp(math.log(aperture_s), np.log(self.aperture_s), np.log(self.deviation))))

    def scaled(self, factor: float) -> NoiseCurve:
        return NoiseCurve(self.aperture_s, tuple(d * factor for d in self.deviation))


@dataclass(frozen=True, slots=True)
class MeterRange:
    """One measuring range: full scale in ampere or volt, its noise."""

    full_scale: float
    noise: NoiseCurve


class RandomWalk:
    """Brownian drift with one standard deviation per root second, exact at whole seconds, straight between them."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._knots = np.zeros(1)
        self._zero = 0.0

    def at(self, t_ns: Instants) -> Floats:
        seconds = t_ns * 1e-9
        self._extend(int(seconds.max(initial=0.0)) + 2)
        walked: Floats = np.interp(seconds, np.arange(len(self._knots)), self._knots) - self._zero
        return walked

    def zero(self, t_ns: int) -> None:
        """What a zeroing does: the walk counts from here."""
        self._zero = 0.0
        self._zero = float(self.at(np.array([t_ns]))[0])

    def _extend(self, length: int) -> None:
        missing = length - len(self._knots)
        if missing > 0:
            steps = self._rng.standard_normal(max(missing, 64))
            self._knots = np.concatenate([self._knots, self._knots[-1] + np.cumsum(steps)])


@dataclass(slots=True)
class _Errors:
    """This unit's drawn errors on one range."""

    gain: float
    offset: float
    offset_limit: float


def row_for(rows: Sequence[ErrorRow], quantity: str, full_scale: float) -> ErrorRow:
    """The row of this range; without one, the nearest range's with its offset in proportion; without any, no error."""
    candidates = [row for row in rows if row.quantity == quantity]
    if not candidates:
        return ErrorRow(quantity, full_scale, 0.0, 0.0)
    nearest = min(candidates, key=lambda row: abs(math.log(row.full_scale / full_scale)))
    return ErrorRow(quantity, full_scale, nearest.gain, nearest.offset * full_scale / nearest.full_scale)


class Converter:
    """One measured quantity of one channel.

    Error model, drawn once per unit: reading = (true + leakage + hum) * (1 + g) + o + drift + noise, with g uniform in +-gain and o
    uniform in +-offset of the range's ErrorRow, drift a random walk in units of the offset limit, noise independent from sample to
    sample. Offset and drift together stay inside +-offset (unless `drift` is made larger than it is). Hum is one sine at the mains
    frequency with random phase, averaged analytically over each sample, so it vanishes over whole periods. `leakage` and `hum` are in
    the unit of the quantity.
    """

    def __init__(self, setup: PersonaSetup, quantity: str, ranges: Sequence[MeterRange], *, hum: float = 0.0, leakage: float = 0.0) -> None:
        self.ranges = tuple(ranges)
        self._setup, self._quantity = setup, quantity
        self._hum, self._leakage = hum, leakage
        self._omega = 2 * math.pi * setup.mains_hz
        self._full = np.array([r.full_scale for r in self.ranges])

    def redraw(self, rng: np.random.Generator) -> None:
        drawn, noise, drift = rng.spawn(3)
        self._errors = [self._draw(drawn, r.full_scale) for r in self.ranges]
        self._phase = drawn.uniform(0, 2 * math.pi)
        self._noise, self._walk = noise, RandomWalk(drift)

    def _draw(self, rng: np.random.Generator, full_scale: float) -> _Errors:
        row = row_for(self._setup.accuracy, self._quantity, full_scale)
        return _Errors(row.gain * rng.uniform(-1, 1), row.offset * rng.uniform(-1, 1), row.offset)

    def zero(self, t_ns: int, *, offset_left: float = 1.0) -> None:
        """Zero the drift; `offset_left` is the share of each range's offset that the zeroing cannot remove."""
        self._walk.zero(t_ns)
        for errors in self._errors:
            errors.offset *= offset_left

    def index(self, full_scale: float) -> int:
        """Which range holds `full_scale`: the lowest that reaches it (the top one if none does)."""
        return min(int(np.searchsorted(self._full, full_scale * (1 - 1e-9))), len(self._full) - 1)

    def seamless(self, level: Floats) -> NDArray[np.intp]:
        """Per sample the lowest range that holds its RMS level."""
        return np.minimum(np.searchsorted(self._full * _OVERLOAD, level), len(self._full) - 1)

    def read(self, mean: Floats, starts: Instants, ends: Instants, chosen: NDArray[np.intp] | int) -> Floats:
        """Readings from the true means over [starts, ends) (ns of board time) on the chosen range(s)."""
        index = np.broadcast_to(np.asarray(chosen, dtype=np.intp), mean.shape)
        gain = np.array([e.gain for e in self._errors])[index]
        offset = np.array([e.offset for e in self._errors])[index]
        limit = np.array([e.offset_limit for e in self._errors])[index]
        factor = self._setup.factor("drift")
        zero = offset + self._walk.at(starts) * limit * _DRIFT_PER_ROOT_S * factor
        if factor <= 1.0:
            zero = reflected(zero, limit)
        seen = mean + self._leakage + self._hum_mean(starts, ends)
        reading: Floats = seen * (1 + gain) + zero + self._white(starts, ends, index) + self._transients(starts, ends, index)
        return reading

    def overloaded(self, level: Floats, chosen: NDArray[np.intp] | int) -> NDArray[np.bool_]:
        beyond: NDArray[np.bool_] = np.abs(level) > self._full[np.asarray(chosen)] * _OVERLOAD
        return beyond

    def _hum_mean(self, starts: Instants, ends: Instants) -> Floats:
        if self._hum == 0.0:
            return np.zeros(len(starts))
        begin, end = starts * 1e-9 * self._omega + self._phase, ends * 1e-9 * self._omega + self._phase
        mean: Floats = self._hum * (np.cos(begin) - np.cos(end)) / (end - begin)
        return mean

    def _white(self, starts: Instants, ends: Instants, index: NDArray[np.intp]) -> Floats:
        factor = self._setup.factor("noise")
        if len(starts) == 0:
            return np.zeros(0)
        aperture_s = float(np.median(ends - starts)) * 1e-9
        deviation = np.array([r.noise.at(aperture_s) for r in self.ranges])[index] * factor
        return self._noise.standard_normal(len(starts)) * deviation

    def _transients(self, starts: Instants, ends: Instants, index: NDArray[np.intp]) -> Floats:
        jump = np.zeros(len(starts))
        changed = np.flatnonzero(np.diff(index)) + 1
        if len(changed):
            larger = np.maximum(self._full[index[changed]], self._full[index[changed - 1]])
            share = np.minimum(1.0, _TRANSIENT_S / ((ends[changed] - starts[changed]) * 1e-9))
            jump[changed] = larger * _TRANSIENT_FRACTION * share * self._setup.factor("range_transient")
        return jump


def reflected(value: Floats, limit: Floats) -> Floats:
    """A walk that turns round at +-limit: a specification for a year holds with the drift of that year in it. Uniform stays uniform."""
    span = np.maximum(4 * limit, 1e-300)
    turned: Floats = np.abs((value - limit) % span - span / 2) - limit
    return np.where(limit > 0, turned, value)


def instants(t0_ns: int, first: int, count: int, *, dt_ns: float, timebase: float) -> Instants:
    """Board time of the edges first .. first+count of an axis with step dt_ns by the instrument's own clock; int64 [count + 1]."""
    offsets: Instants = np.rint(np.arange(first, first + count + 1) * (dt_ns * (1 + timebase))).astype(np.int64)
    return offsets + t0_ns


@dataclass(frozen=True, slots=True)
class SampleMeans:
    """Exact means over each sample at the node: current (A), its RMS (A), voltage (V), power (W); float64 [n]."""

    current: Floats
    current_rms: Floats
    voltage: Floats
    power: Floats


def node_means(setup: PersonaSetup, starts: Instants, ends: Instants) -> SampleMeans:
    """Differences of the node's integrals over [starts, ends), which are ascending and do not overlap."""
    contiguous = len(starts) > 0 and bool(np.array_equal(starts[1:], ends[:-1]))
    edges = np.append(starts, ends[-1]) if contiguous else np.column_stack([starts, ends]).ravel()
    width_s = (ends - starts) * 1e-9
    sums = setup.node.integrals(edges.astype(np.int64))

    def mean(integral: Floats) -> Floats:
        parts = np.diff(integral)
        return (parts if contiguous else parts[::2]) / width_s

    return SampleMeans(mean(sums.charge), np.sqrt(np.maximum(mean(sums.charge_sq), 0.0)), mean(sums.flux), mean(sums.energy))


def peak_current(setup: PersonaSetup, starts: Instants, ends: Instants, means: SampleMeans, *, full_scale: float) -> Floats:
    """Largest current that a fixed range of `full_scale` must convert within each sample (A).

    Samples far below the range, or above it anyhow, keep their RMS; only the others are looked at in pieces, because over-range is
    decided by what the converter sees, not by the sample's mean.
    """
    level = means.current_rms.copy()
    doubtful = np.flatnonzero((level > 0.1 * full_scale) & (level <= full_scale * _OVERLOAD))
    if len(doubtful) == 0:
        return level
    steps = np.arange(_SUB_SAMPLES + 1) / _SUB_SAMPLES
    edges = starts[doubtful, None] + np.rint((ends - starts)[doubtful, None] * steps).astype(np.int64)
    charge = setup.node.integrals(edges.ravel()).charge.reshape(edges.shape)
    pieces = np.diff(charge, axis=1) / (np.diff(edges, axis=1) * 1e-9)
    level[doubtful] = np.maximum(level[doubtful], np.abs(pieces).max(axis=1))
    return level


def beyond(setup: PersonaSetup, starts: Instants, ends: Instants, *, limit_a: float) -> Floats:
    """Charge (A s) within each sample that lies beyond +-limit_a, where a converter cuts off; float64 [n].

    A piece whose RMS is its mean is constant. Another is split while a peak of the shortest kind, half of which may lie in the next piece,
    would have a mean square that is not above its own.
    """
    lost = np.zeros(len(starts))
    owner = np.arange(len(starts))
    while len(owner):
        sums = setup.node.integrals(np.column_stack([starts, ends]).ravel())
        width = (ends - starts) * 1e-9
        mean = np.diff(sums.charge)[::2] / width
        square = np.diff(sums.charge_sq)[::2]
        whole = (square <= 1.001 * mean**2 * width) | (ends - starts <= _SHORTEST_PEAK_NS // 2)
        np.add.at(lost, owner[whole], (np.maximum(np.abs(mean) - limit_a, 0.0) * width)[whole])
        split = ~whole & (square >= limit_a**2 * 0.5e-9 * _SHORTEST_PEAK_NS)
        steps = np.arange(_PEAK_PIECES + 1) / _PEAK_PIECES
        edges = starts[split, None] + np.rint((ends - starts)[split, None] * steps).astype(np.int64)
        starts, ends, owner = edges[:, :-1].ravel(), edges[:, 1:].ravel(), np.repeat(owner[split], _PEAK_PIECES)
    return lost


def pin_means(pins: Pins, pin: str, starts: Instants, ends: Instants, *, late_ns: tuple[int, int] = (0, 0)) -> Floats:
    """Mean voltage of a board pin over each sample (V). late_ns: as in `contract.Pins`."""
    edges = np.column_stack([starts, ends]).ravel()
    return np.diff(pins.level_integral(pin, edges, late_ns=late_ns))[::2] / ((ends - starts) * 1e-9)


def drawn_timebase(setup: PersonaSetup, rng: np.random.Generator) -> float:
    """This unit's clock error, uniform in +-setup.timebase (fraction)."""
    return float(setup.timebase * rng.uniform(-1, 1))


def drawn_delays(setup: PersonaSetup, rng: np.random.Generator) -> tuple[int, int]:
    """By how much this unit sees rising and falling edges of a line late against its samples, ns: each uniform in +-setup.line_delay_s."""
    rise, fall = np.rint(setup.line_delay_s * 1e9 * rng.uniform(-1, 1, 2)).astype(int).tolist()
    return rise, fall


def wired(wires: Mapping[str, str], *terminals: str) -> str | None:
    """The board pin on the first of these terminals that is wired."""
    return next((wires[t] for t in terminals if t in wires), None)
