"""Laps of a counter that stands still in sleep, each placed by the end of its own burst with the rate that holds there."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from labd.segment.clocks import ClockMap, FloatArray
from labd.segment.edges import EdgeSeries
from labd.segment.kriging import Kriged, kriged, likeliest, undisplaced
from labd.segment.timeline import CALMER, FEWEST_TIES, walk_sd

_COARSER = (4.0, 2.0, 1.0)  # times their uncertainty that lengths scatter by
_STEP_VAR = 1 / 6  # us^2: of the difference of two readings of the counter, each cut off to a microsecond


@dataclass(frozen=True, slots=True)
class Awake:
    """Bursts, one entry each. from_us: the counter as code begins. until_us: as its tail ends. begins: where in the record (records) the
    step of power lies with which code begins, but for what all bursts have in common (a board restores its clocks before its code tells the
    time), NaN where none shows. ends: where the burst ends. u_alike: records by which the end of a tail may lie elsewhere than a chip of
    the same instant would, in all bursts alike."""

    from_us: FloatArray
    until_us: FloatArray
    begins: EdgeSeries
    ends: EdgeSeries
    u_alike: float

    def __len__(self) -> int:
        return len(self.until_us)

    @property
    def lasts_us(self) -> FloatArray:
        return self.until_us - self.from_us


def place_by_ends(
    opens: ClockMap, closes: ClockMap, awake: Awake, laps: FloatArray, *, wander: float
) -> tuple[tuple[EdgeSeries, ...], ClockMap]:
    """`laps` (float64 [n, m], counter us) in records, a series a column, and the clock within one burst, whose rate is the mean one.

    opens, closes: counter (us) -> records at the signatures. wander: band of the rate within the capture.
    """
    rates = _Rates(opens, closes, awake, wander)
    rate, u_rate = rates.each
    shared = float(np.hypot(max(opens.u_shared, closes.u_shared), awake.u_alike))
    series = []
    for column in laps.T:
        back = awake.until_us - column
        u = np.sqrt(awake.ends.u**2 + (u_rate * back) ** 2 + rate**2 * _STEP_VAR + shared**2)
        series.append(EdgeSeries(awake.ends.x - rate * back, u))
    k = len(awake) // 2
    mean, u_mean = rates.mean
    span = (float(np.nanmin(laps[k])), float(awake.until_us[k]))
    own = (float(awake.ends.u[k]) ** 2, 0.0, u_mean**2)
    return tuple(series), ClockMap(float(awake.until_us[k]), float(awake.ends.x[k]), mean, *own, span, u_shared=shared)


class _Rates:
    """Records a microsecond of the counter in each burst: Gaussian regression on what both signatures and the bursts' own lengths say.

    The rate walks at random from one signature to the other, as in `between`. A burst's length tells it but for the records that all
    bursts have in common, which are unknown and estimated: what is left is the rate's own way through the capture. Without lengths that
    tell anything it is what the signatures leave open.
    """

    def __init__(self, opens: ClockMap, closes: ClockMap, awake: Awake, wander: float) -> None:
        self._opens, self._closes, self._awake = opens, closes, awake
        self._scale = (opens.rate + closes.rate) / 2
        middle = awake.ends.x - self._scale * awake.lasts_us / 2
        self._at = np.clip((middle - opens.y0) / (closes.y0 - opens.y0), 0.0, 1.0)
        self._walk = walk_sd(wander) ** 2
        told = np.flatnonzero(np.isfinite(awake.begins.x))
        kept = undisplaced(len(told), lambda which: self._kriged(told[which]))
        self._told = told[kept]
        self._calm, self._coarse = 1.0, 1.0
        if len(self._told) >= FEWEST_TIES:
            self._calm, self._coarse = likeliest(product(CALMER, _COARSER), lambda of: self._kriged(self._told, *of))
        self._line = self._kriged(self._told, self._calm, self._coarse)

    @property
    def each(self) -> tuple[FloatArray, FloatArray]:
        """Of each burst, and its standard uncertainty."""
        value, variance = self._line.at(self._near(), self._own(), self._no_length(len(self._at)))
        return self._scale * (1 + value), self._scale * np.sqrt(variance)

    @property
    def mean(self) -> tuple[float, float]:
        """Over all bursts, each as it lasts, and its standard uncertainty."""
        share = self._awake.lasts_us / self._awake.lasts_us.sum()
        own = self._calm**2 * self._walk * np.array([share @ np.minimum.outer(self._at, self._at) @ share])
        value, variance = self._line.at(share[None, :] @ self._near(), own, self._no_length(1))
        return float(self._scale * (1 + value[0])), float(self._scale * np.sqrt(variance[0]))

    def _no_length(self, n: int) -> FloatArray:
        """What the rate itself has of the unknown factors: all of the first, nothing of what lengths have in common."""
        return np.eye(1, len(self._line.beta)).repeat(n, axis=0)

    def _near(self) -> FloatArray:
        seen = np.concatenate(([0.0, 1.0], self._at[self._told]))
        return self._calm**2 * self._walk * np.minimum.outer(self._at, seen)

    def _own(self) -> FloatArray:
        """With how far the rate strays within one burst."""
        within = self._scale * self._awake.lasts_us / (3 * (self._closes.y0 - self._opens.y0))
        return self._calm**2 * self._walk * (self._at + within)

    def _kriged(self, told: NDArray[np.intp], calm: float = 1.0, coarse: float = 1.0) -> Kriged:
        """As shares of the scale, off it; in the order of opening, closing signature and bursts `told`."""
        awake, ends = self._awake, (self._opens, self._closes)
        expected = self._scale * awake.lasts_us[told]  # records
        lengths = (awake.ends.x - awake.begins.x)[told]
        u = coarse * np.sqrt(awake.ends.u[told] ** 2 + awake.begins.u[told] ** 2 + self._scale**2 * _STEP_VAR) / expected
        at = np.concatenate(([0.0, 1.0], self._at[told]))
        noise = np.concatenate(([own.u_rate**2 for own in ends], u**2))
        seen = np.concatenate(([own.rate / self._scale - 1 for own in ends], lengths / expected - 1))
        cov = calm**2 * self._walk * np.minimum.outer(at, at) + np.diag(noise)
        alike = np.concatenate(([0.0, 0.0], -1 / expected))[:, None]
        return kriged(seen, cov, np.hstack((np.ones((len(at), 1)), alike)[: 2 if len(told) else 1]))
