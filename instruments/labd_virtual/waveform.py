"""Exact integrals of a supply current that is a sum of exponentials from one change of the load to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Instants = NDArray[np.int64]

# Columns of a segment. A quantity x moves as x(t) = X0 + X1*(1 - exp(-R1 t)) + X2*(1 - exp(-R2 t)), t in seconds from its start.
R1, R2, I0, I1, I2, V0, V1, V2, N0, N1, N2, LOAD_A, LOAD_S, SERIES = range(14)
COLUMNS = 14
# Columns of the integrals: charge, charge squared, flux and energy at the boundary plane, and the energy that the load caused.
CHARGE, CHARGE_SQ, FLUX, ENERGY, LOAD_ENERGY = range(5)
SUMS = 5

# Below this, z + expm1(-z) cancels too much and the series is exact to float64 with the terms kept.
_SERIES_BELOW = 0.03
# Segments kept although older than the horizon: 200 000 of them are 50 MB.
_KEEP_SEGMENTS = 200_000


class HistoryGoneError(LookupError):
    """Somebody asked for a part of the board's history that is no longer kept."""


@dataclass(frozen=True, slots=True)
class Segment:
    """How the node moves from t0_ns on: `i` source current, `v` terminal voltage, `n` node (capacitor) voltage, each (X0, X1, X2);
    the load takes load_a + load_s * node voltage, and series_ohm lies between terminal and node."""

    t0_ns: int
    rates: tuple[float, float]
    i: tuple[float, float, float]
    v: tuple[float, float, float]
    n: tuple[float, float, float]
    load_a: float
    load_s: float
    series_ohm: float

    def at(self, x: tuple[float, float, float], t_ns: int) -> float:
        dt = (t_ns - self.t0_ns) * 1e-9
        return x[0] - x[1] * math.expm1(-self.rates[0] * dt) - x[2] * math.expm1(-self.rates[1] * dt)

    def settled(self, x: tuple[float, float, float]) -> float:
        """Where the quantity would settle if nothing changed any more."""
        return x[0] + x[1] + x[2]


def _slack(rate: Floats, t: Floats) -> Floats:
    """Integral of 1 - exp(-rate*t) from 0 to t, without cancellation: (z + expm1(-z)) / rate with z = rate*t."""
    z = rate * t
    small = z * z * (1 / 2 - z * (1 / 6 - z * (1 / 24 - z * (1 / 120 - z * (1 / 720 - z / 5040)))))
    return np.where(z < _SERIES_BELOW, small, z + np.expm1(-z)) / rate


def _product(rows: Floats, x: int, y: int, basis: tuple[Floats, ...]) -> Floats:
    """Integral of x*y, where x and y are the first columns of two quantities."""
    t, s1, s2, q11, q12, q22 = basis
    x0, x1, x2 = rows[:, x], rows[:, x + 1], rows[:, x + 2]
    y0, y1, y2 = rows[:, y], rows[:, y + 1], rows[:, y + 2]
    linear = x0 * y0 * t + (x0 * y1 + x1 * y0) * s1 + (x0 * y2 + x2 * y0) * s2
    return linear + x1 * y1 * q11 + (x1 * y2 + x2 * y1) * q12 + x2 * y2 * q22


def integrate(rows: Floats, t: Floats) -> Floats:
    """[n, SUMS] integrals of n segments ([n, COLUMNS]) over the first t seconds ([n]) of each, in closed form."""
    r1, r2 = rows[:, R1], rows[:, R2]
    s1, s2 = _slack(r1, t), _slack(r2, t)
    # (1 - a)(1 - b) = (1 - a) + (1 - b) - (1 - ab)
    basis = (t, s1, s2, 2 * s1 - _slack(2 * r1, t), s1 + s2 - _slack(r1 + r2, t), 2 * s2 - _slack(2 * r2, t))
    node = rows[:, N0] * t + rows[:, N1] * s1 + rows[:, N2] * s2
    sums = np.empty((len(t), SUMS))
    sums[:, CHARGE] = rows[:, I0] * t + rows[:, I1] * s1 + rows[:, I2] * s2
    sums[:, CHARGE_SQ] = _product(rows, I0, I0, basis)
    sums[:, FLUX] = rows[:, V0] * t + rows[:, V1] * s1 + rows[:, V2] * s2
    sums[:, ENERGY] = _product(rows, I0, V0, basis)
    # The load's current j = a + s*n takes n + j*R: what its own drop across the series resistance costs belongs to it.
    a, s, series = rows[:, LOAD_A], rows[:, LOAD_S], rows[:, SERIES]
    sums[:, LOAD_ENERGY] = a * a * series * t + a * (1 + 2 * s * series) * node + s * (1 + s * series) * _product(rows, N0, N0, basis)
    return sums


def values(rows: Floats, x: int, t: Floats) -> Floats:
    """The quantity whose first column is x, t seconds into each segment."""
    return rows[:, x] - rows[:, x + 1] * np.expm1(-rows[:, R1] * t) - rows[:, x + 2] * np.expm1(-rows[:, R2] * t)


class History:
    """All segments still kept, the running integrals at the start of each, and what is asked of them.

    Running integrals are pairs (sum, what float64 lost), so that microwatts after an hour of milliwatts keep their digits.
    """

    def __init__(self, horizon_ns: int) -> None:
        self._horizon_ns = horizon_ns
        self._count = 0
        self._summed = 0  # segments whose start has its running integrals; the first one's are zero
        self._starts = np.zeros(1024, dtype=np.int64)
        self._rows = np.zeros((1024, COLUMNS))
        self._sum = np.zeros((1024, SUMS))
        self._lost = np.zeros((1024, SUMS))

    def __len__(self) -> int:
        return self._count

    def append(self, segment: Segment) -> None:
        """Starts are ascending; one that starts with the last segment replaces it."""
        if self._count and self._starts[self._count - 1] == segment.t0_ns:
            self._count -= 1
            self._summed = min(self._summed, self._count)
        if self._count == len(self._starts):
            self._make_room(segment.t0_ns)
        k = self._count
        self._starts[k] = segment.t0_ns
        self._rows[k] = (*segment.rates, *segment.i, *segment.v, *segment.n, segment.load_a, segment.load_s, segment.series_ohm)
        if k == 0:
            self._summed = 1
        self._count += 1

    @property
    def begins_ns(self) -> int:
        """What lies before is gone."""
        return int(self._starts[0])

    def integrals(self, t_ns: Instants) -> Floats:
        """[n, SUMS] running integrals since the start. Raises HistoryGoneError."""
        k, rows, t = self._locate(t_ns)
        return self._sum[k] + (self._lost[k] + integrate(rows, t))

    def steps(self, t_ns: Instants) -> Floats:
        """[n-1, SUMS] integrals from each of n instants to the next, exact to float64 of the difference itself."""
        k, rows, t = self._locate(t_ns)
        inside = integrate(rows, t)
        return np.diff(self._sum[k], axis=0) + (np.diff(self._lost[k], axis=0) + np.diff(inside, axis=0))

    def quantity(self, column: int, t_ns: Instants) -> Floats:
        _, rows, t = self._locate(t_ns)
        return values(rows, column, t)

    def _locate(self, t_ns: Instants) -> tuple[NDArray[np.intp], Floats, Floats]:
        self._sum_up()
        k = np.searchsorted(self._starts[: self._count], t_ns, side="right") - 1
        if len(k) and k.min() < 0:
            raise HistoryGoneError(f"the board's history before {int(self._starts[0])} ns is gone; {int(np.min(t_ns))} ns was asked for")
        elapsed: Floats = (t_ns - self._starts[k]).astype(np.float64) * 1e-9
        return k, self._rows[k], elapsed

    def _sum_up(self) -> None:
        first, last = self._summed - 1, self._count - 1
        if first >= last or first < 0:
            return
        lengths = np.diff(self._starts[first : last + 1]) * 1e-9
        steps = integrate(self._rows[first:last], lengths)
        total, lost = self._sum[first].tolist(), self._lost[first].tolist()
        for k, step in enumerate(steps.tolist(), start=first + 1):
            for c in range(SUMS):
                total[c], rest = _two_sum(total[c], step[c])
                lost[c] += rest
            self._sum[k] = total
            self._lost[k] = lost
        self._summed = self._count

    def _make_room(self, now_ns: int) -> None:
        """Forget what is older than the horizon once there is much of it, else grow."""
        self._sum_up()
        gone = min(int(np.searchsorted(self._starts[: self._count], now_ns - self._horizon_ns)) - 1, self._count - _KEEP_SEGMENTS)
        if gone > self._count // 4:
            for array in (self._starts, self._rows, self._sum, self._lost):
                array[: self._count - gone] = array[gone : self._count].copy()
            self._count -= gone
            self._summed = self._count
            return
        self._starts = np.concatenate([self._starts, np.zeros_like(self._starts)])
        self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._sum = np.concatenate([self._sum, np.zeros_like(self._sum)])
        self._lost = np.concatenate([self._lost, np.zeros_like(self._lost)])


def _two_sum(a: float, b: float) -> tuple[float, float]:
    """Knuth's exact sum: the rounded sum and what rounding took (The Art of Computer Programming 2, 4.2.2, theorem B)."""
    total = a + b
    b_seen = total - a
    return total, (a - (total - b_seen)) + (b - b_seen)
