"""Mains hum in the quiet parts around the events, and what it adds to a window.

Events paced at a submultiple of the mains meet the hum at the same phase each time: it neither averages out nor shows in the scatter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd.kpi.distributions import chi2_tail
from labd.kpi.guard import Guard
from labd.kpi.trace import Trace
from labd.segment.bursts import quiet_level
from labd.segment.edges import FloatArray

_ENOUGH_PERIODS = 2.0  # of quiet level behind one phasor
_MOST_NEIGHBOURS = 6
_CHANCE = 1e-4  # of so much hum in white noise, below which it is taken for real


@dataclass(frozen=True, slots=True)
class Hum:
    """Hum near event k is Re(phasor[k] * exp(i * omega * x)) watt at position x. omega: radian a record. phasor: complex128 [n]."""

    omega: float
    phasor: NDArray[np.complex128]
    dt_s: float

    def energy(self, start: FloatArray, stop: FloatArray, which: NDArray[np.bool_]) -> FloatArray:
        """Energy (J) of the hum in windows start..stop (positions, one an event of `which`)."""
        turn = (np.exp(1j * self.omega * stop) - np.exp(1j * self.omega * start)) / (1j * self.omega)
        out: FloatArray = np.real(self.phasor[which] * turn) * self.dt_s
        return out

    def quiet_w(self, bands: Guard, which: NDArray[np.bool_]) -> FloatArray:
        """What the hum adds to the quiet level of each event (0 where that spans whole periods)."""
        before, start, stop, after = (x[which] for x in (bands.before, bands.start, bands.stop, bands.after))
        length = (start - before + after - stop) * self.dt_s
        return (self.energy(before, start, which) + self.energy(stop, after, which)) / length


def find_hum(trace: Trace, bands: Guard, *, mains_records: float) -> Hum | None:
    """The phasor around each event by least squares over its quiet records and, where they are too few, its neighbours'; None where
    there is nothing to tell it from noise, or the stretches are too short for a mains period."""
    ok = np.flatnonzero(bands.usable)
    if mains_records <= 2 or len(ok) < 3 or trace.missing[-1]:
        return None
    omega = 2 * np.pi / mains_records
    normal, right = _equations(trace, bands, ok, omega)
    length = float(np.median(normal[:, 0, 0]))
    reach = int(np.ceil((_ENOUGH_PERIODS * mains_records / max(length, 1.0) - 1) / 2)) if length < _ENOUGH_PERIODS * mains_records else 0
    if reach > _MOST_NEIGHBOURS or (reach and len(trace.bounds) > 2):
        return None
    normal, right = _joined(normal, reach), _joined(right, reach)
    solved = np.linalg.solve(normal, right[..., None])[..., 0][:, 1:]
    own = trace.power[max(0, int(bands.start[ok[0]])) : int(bands.stop[ok[-1]])]  # what comes before and after may be on another range
    spread = np.linalg.inv(normal)[:, 1:, 1:] * quiet_level(own)[1] ** 2
    excess = np.einsum("ki,kij,kj->", solved, np.linalg.pinv(spread, hermitian=True), solved) / (2 * reach + 1)
    if chi2_tail(float(excess), 2 * len(ok) / (2 * reach + 1)) > _CHANCE:
        return None
    phasor = np.zeros(len(bands.usable), dtype=np.complex128)
    phasor[ok] = solved[:, 0] - 1j * solved[:, 1]
    return Hum(omega, phasor, trace.dt_s)


def _equations(trace: Trace, bands: Guard, ok: NDArray[np.intp], omega: float) -> tuple[FloatArray, FloatArray]:
    """Normal equations of constant, cosine and sine over the quiet records of each event."""
    normal, right = np.zeros((len(ok), 3, 3)), np.zeros((len(ok), 3))
    ends = np.stack((np.ceil(bands.before), bands.start, bands.stop, np.floor(bands.after)), axis=1).astype(np.int64)
    for row, k in enumerate(ok.tolist()):
        a, b, c, d = ends[k].tolist()
        x = np.concatenate((np.arange(a, b), np.arange(c, d)))
        base = np.stack((np.ones(len(x)), np.cos(omega * (x + 0.5)), np.sin(omega * (x + 0.5))))
        normal[row] = base @ base.T
        right[row] = base @ trace.power[x].astype(np.float64)
    return normal, right


def _joined(parts: FloatArray, reach: int) -> FloatArray:
    """Sum over `reach` neighbours on both sides (fewer at the ends)."""
    if not reach:
        return parts
    total = np.concatenate((np.zeros((1, *parts.shape[1:])), np.cumsum(parts, axis=0)))
    k = np.arange(len(parts))
    return np.asarray(total[np.minimum(k + reach + 1, len(parts))] - total[np.maximum(k - reach, 0)], dtype=np.float64)
