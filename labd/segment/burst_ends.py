"""Laps of a counter that stands still in sleep, each placed by the end of its own burst with the rate that holds there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd.segment.clocks import ClockMap, FloatArray
from labd.segment.edges import EdgeSeries
from labd.segment.kriging import Kriged, kriged, plausible, undisplaced
from labd.segment.timeline import FEWEST_TIES, walk_sd

_SHARES = (1.6, 1.0, 0.6, 0.3, 0.1)  # of the wander's band, by which the rate may wander within a capture
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
    tell anything it is what the signatures leave open. A dozen lengths hardly tell how far the rate walks: each share of its band counts
    as far as they make it plausible.
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
        self._shares = _SHARES if len(self._told) >= FEWEST_TIES else (1.0,)
        self._weights = plausible(self._shares, lambda share: self._kriged(self._told, share))

    @property
    def each(self) -> tuple[FloatArray, FloatArray]:
        """Of each burst, and its standard uncertainty."""
        within = self._scale * self._awake.lasts_us / (3 * (self._closes.y0 - self._opens.y0))  # how far the rate strays in one burst
        return self._over_shares(self._near(), self._at + within)

    @property
    def mean(self) -> tuple[float, float]:
        """Over all bursts, each as it lasts, and its standard uncertainty."""
        part = self._awake.lasts_us / self._awake.lasts_us.sum()
        own = np.array([part @ np.minimum.outer(self._at, self._at) @ part])
        rate, u = self._over_shares(part[None, :] @ self._near(), own)
        return float(rate[0]), float(u[0])

    def _over_shares(self, near: FloatArray, own: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Rates and their standard uncertainties; near, own: see `Kriged.at`, of a walk of variance 1."""
        found = []
        for share in self._shares:
            line, walk = self._kriged(self._told, share), share**2 * self._walk
            found.append(line.at(walk * near, walk * own, np.eye(1, len(line.beta)).repeat(len(own), axis=0)))
        values, variances = (np.array(part) for part in zip(*found, strict=True))
        value = self._weights @ values
        return self._scale * (1 + value), self._scale * np.sqrt(self._weights @ (variances + (values - value) ** 2))

    def _near(self) -> FloatArray:
        """Covariance of the walk in each burst with that at both signatures and in the bursts whose lengths tell."""
        out: FloatArray = np.minimum.outer(self._at, np.concatenate(([0.0, 1.0], self._at[self._told])))
        return out

    def _kriged(self, told: NDArray[np.intp], share: float = 1.0) -> Kriged:
        """As shares of the scale, off it; in the order of opening, closing signature and bursts `told`."""
        awake, ends = self._awake, (self._opens, self._closes)
        expected = self._scale * awake.lasts_us[told]  # records
        lengths = (awake.ends.x - awake.begins.x)[told]
        u = np.sqrt(awake.ends.u[told] ** 2 + awake.begins.u[told] ** 2 + self._scale**2 * _STEP_VAR) / expected
        at = np.concatenate(([0.0, 1.0], self._at[told]))
        noise = np.concatenate(([own.u_rate**2 for own in ends], u**2))
        seen = np.concatenate(([own.rate / self._scale - 1 for own in ends], lengths / expected - 1))
        cov = share**2 * self._walk * np.minimum.outer(at, at) + np.diag(noise)
        alike = np.concatenate(([0.0, 0.0], -1 / expected))[:, None]
        return kriged(seen, cov, np.hstack((np.ones((len(at), 1)), alike)[: 2 if len(told) else 1]))
