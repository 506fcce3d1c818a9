"""Totals, extremes, bursts and windows of a trace in one pass, in memory that does not grow with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd.scan.loops import IN_NUMPY, Loops
from labd.scan.running import Bursts, Part, Run, Watch
from labd.scan.samples import SUMS, Pair, Scale, Scales, in_rows

Each = Callable[[Callable[[Pair], Part], Iterable[Pair]], Iterable[Part]]  # map, or one in threads that keeps the order


@dataclass(frozen=True, slots=True)
class Range:
    """Of the valid samples."""

    low: float
    mean: float
    high: float


@dataclass(frozen=True, slots=True)
class Figures:
    """samples, valid: all, and those that are a number in both columns, which alone are summed. rms_a: root mean square of the current.
    current in A, voltage in V, power in W."""

    samples: int
    valid: int
    energy_j: float
    charge_c: float
    rms_a: float
    current: Range
    voltage: Range
    power: Range


class Scan:
    """Stretches are given one after the other; the figures are then those of all samples so far, and the same to the bit however the
    samples were handed over. Those of int16 samples are exact before their scales are applied."""

    def __init__(self, dt_s: float, scales: Scales | None = None, *, watch: Watch | None = None, loops: Loops = IN_NUMPY) -> None:
        self.dt_s = dt_s
        self.scales = scales or Scales()
        self.watch = watch
        self.loops = loops
        self.bursts = Bursts()
        self.samples = 0
        self._total: list[Any] = [0] * SUMS
        self._low, self._high = np.full(2, np.inf), np.full(2, -np.inf)
        self._power = np.array([np.inf, -np.inf], np.float32)

    def stretch(
        self, pieces: Iterable[Pair], *, at: NDArray[np.int64] | None = None, rows: int | None = None, each: Each = map
    ) -> NDArray[Any]:
        """Go through a stretch. at: positions in it, int64 [w], ascending, from 0 to its length. Returns the sums over the samples before
        each, [4, w] of v, i, v*i and valid samples: those of a window are the difference of two (int64, exact, of int16 samples).

        rows: blocks at once, left out: what suits the loops. each: as `map`, and may work ahead in threads: a piece is then not overwritten
        before it has been looked at.
        """
        run = Run(self.scales, self.dt_s, self.bursts, loops=self.loops, at=np.zeros(0, np.int64) if at is None else at)
        for part in each(self._looked, in_rows(pieces, rows or self.loops.rows)):
            least, most = (np.fmin, np.fmax) if part.current.dtype == np.float32 else (np.minimum, np.maximum)
            self._low = least(self._low, least.reduce(part.looked.low, axis=1))
            self._high = most(self._high, most.reduce(part.looked.high, axis=1))
            self._power = _wider(self._power, part.looked.power)
            run.take(part)
        answered = run.end()
        self.samples += run.position
        self._total = [mine + more for mine, more in zip(self._total, run.total(), strict=True)]
        return answered

    def _looked(self, pair: Pair) -> Part:
        power, watch = self.scales.factors(), self.watch
        watched, levels = power, np.array([-np.inf, np.inf], np.float32)  # which no power is at
        if watch is not None:
            levels = np.array([watch.fall, watch.rise], np.float32)
            watched = np.array([*power[:2], 0, 1], np.float32) if watch.of == "current" else power
        with np.errstate(invalid="ignore", over="ignore"):  # what is no number is found by its sum
            return Part(*pair, self.loops.look(*pair, power=power, watched=watched, levels=levels, known=self._power))

    def figures(self) -> Figures | None:
        """None before there is a valid sample."""
        v, i, vi, n, ii = self._total
        if not n:
            return None
        scales, dt_s = self.scales, self.dt_s
        charge, energy = scales.charge(n, i), scales.energy(n, v, i=i, vi=vi)
        return Figures(
            samples=self.samples,
            valid=int(n),
            energy_j=energy * dt_s,
            charge_c=charge * dt_s,
            rms_a=math.sqrt(max(0.0, scales.square(n, i, ii=ii) / n)),
            current=_range(scales.current, self._low[0], charge / n, self._high[0]),
            voltage=_range(scales.voltage, self._low[1], scales.voltage.gain * v / n + scales.voltage.offset, self._high[1]),
            power=Range(float(self._power[0]), energy / n, float(self._power[1])),
        )


def _range(scale: Scale, low: np.float64, mean: float, high: np.float64) -> Range:
    least, most = sorted(float(one) * scale.gain + scale.offset for one in (low, high))
    return Range(least, mean, most)


def _wider(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.array([min(one[0], other[0]), max(one[1], other[1])], np.float32)
