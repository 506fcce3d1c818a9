"""Instants of the device's counter on the sample axis, by the signatures around a capture and the device's own deadlines between them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from labd.segment.clocks import ClockMap, FloatArray
from labd.segment.edges import EdgeSeries
from labd.segment.errors import SignatureUnclear
from labd.segment.kriging import Kriged, kriged, plausible, undisplaced

WANDER = 500e-6  # band in which the rate of a board's oscillator stays within one capture (docs/reference/dut-protocol.md)
CALMER = (1.6, 1.0, 0.6, 0.4, 0.25, 0.15, 0.1, 0.03, 0.01, 0.003)  # shares of the wander's band that a capture may show to be enough
COARSER = (8.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.12)  # times their uncertainty that ties scatter by
FEWEST_TIES = 6  # for that
_LEAST_WEIGHT = 0.003  # of all: what is less plausible is left out
_RANGE_OF_WALK = math.sqrt(8 / math.pi)  # expected, in standard deviations of its end (W. Feller, Ann. Math. Stat. 22 (1951) 427)
_SURE_SIGMAS = 4.0  # of a stand-still


@dataclass(frozen=True, slots=True)
class Ties:
    """Instants that both clocks know, float64 [n] each: on the device's counter (us), on the sample axis (records), and the standard
    uncertainty of the latter without what displaces all of them alike. u_alike: of that, records: an event and a chip both begin when a
    timer expires, but the way to the current that shows it is not the same."""

    counter_us: FloatArray
    x: FloatArray
    u: FloatArray
    u_alike: float

    def __len__(self) -> int:
        return len(self.x)

    def take(self, which: NDArray[np.bool_]) -> Ties:
        """Some of them."""
        return replace(self, counter_us=self.counter_us[which], x=self.x[which], u=self.u[which])

    def coarser(self, times: float) -> Ties:
        """The same, each known less well."""
        return replace(self, u=times * self.u)


NO_TIES = Ties(np.zeros(0), np.zeros(0), np.zeros(0), 1.0)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The device's counter (us) against the sample axis (records) over one capture. opens, closes: at its two signatures. ties: in between.

    band: width of the band in which the rate stays within the capture, as a fraction of it. displaced: records by which the ties lie later
    than the signatures say, and its standard uncertainty; both NaN without ties: the check of one method against the other. left_out: ties
    that contradict the rest. weighed: how far the rate walks (share of the band), how coarse ties are (times their uncertainty), and how
    plausible the capture makes that, 1 in all.
    """

    opens: ClockMap
    closes: ClockMap
    ties: Ties
    band: float
    displaced: tuple[float, float]
    left_out: int
    weighed: tuple[tuple[float, float, float], ...] = ((1.0, 1.0, 1.0),)

    @property
    def wander(self) -> float:
        """Width of the band that the capture shows."""
        return self.band * math.sqrt(sum(weight * share**2 for share, _, weight in self.weighed))

    @property
    def clock(self) -> ClockMap:
        """The straight line from one signature to the other, with the wander that it leaves out."""
        lasts = self.closes.x0 - self.opens.x0
        rate = (self.closes.y0 - self.opens.y0) / lasts
        a, b = self.opens.var_y0, self.closes.var_y0
        shared = max(self.opens.u_shared, self.closes.u_shared)
        span = (self.opens.x0, self.closes.x0)
        return ClockMap(self.opens.x0, self.opens.y0, rate, a, -a / lasts, (a + b) / lasts**2, span, wander=self.wander, u_shared=shared)

    def place(self, counter_us: FloatArray) -> EdgeSeries:
        """Instants of the counter (float64 [n]) in records, each with its standard uncertainty: its own part and the shared one."""
        found = [_Strayed(self, share, times).at(counter_us) for share, times, _ in self.weighed]
        x, variance = self._over_weights(np.array([one[0] for one in found]), np.array([one[1] for one in found]) ** 2)
        return EdgeSeries(x, np.sqrt(variance + self.clock.u_shared**2))

    def _over_weights(self, values: FloatArray, variances: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Of values, one a choice in the first axis."""
        weights = np.array([weight for _, _, weight in self.weighed])
        value = np.tensordot(weights, values, 1)
        return value, np.tensordot(weights, variances + (values - value) ** 2, 1)


def between(opens: ClockMap, closes: ClockMap, *, ties: Ties = NO_TIES, wander: float = WANDER) -> Timeline:
    """A timeline from the counter (us) against the records at two signatures. wander: band of the counter's rate within the capture. Raises
    SignatureUnclear where their distance is not the counter's: it stood still between them (`stood_still`)."""
    if stood_still(opens, closes, wander=wander):
        raise SignatureUnclear(
            f"the device's counter stood still between the signatures, or its rate wandered by more than {wander * 1e6:.0f} ppm: its "
            "instants hold within one burst only"
        )
    line = Timeline(opens, closes, ties, wander, (np.nan, np.nan), 0)
    kept = undisplaced(len(ties), lambda which: _Strayed(replace(line, ties=ties.take(which))).kriged)
    line = _weighed(replace(line, ties=ties.take(kept)))
    found = np.array([_Strayed(line, share, times).displaced for share, times, _ in line.weighed])
    value, variance = line._over_weights(found[:, 0], found[:, 1] ** 2)
    return replace(line, displaced=(float(value), float(np.sqrt(variance))), left_out=int((~kept).sum()))


def _weighed(line: Timeline) -> Timeline:
    """As much wander and scatter of the ties as the capture makes plausible. The band that is given holds for any capture; most
    wander less, and their instants are known better for it."""
    if len(line.ties) < FEWEST_TIES:
        return line
    tried = list(product(CALMER, COARSER))
    weights = plausible(tried, lambda of: _Strayed(line, *of).kriged)
    kept = np.flatnonzero(weights >= _LEAST_WEIGHT)
    shares = (weights[kept] / weights[kept].sum()).tolist()
    return replace(line, weighed=tuple((*tried[k], share) for k, share in zip(kept.tolist(), shares, strict=True)))


def stood_still(opens: ClockMap, closes: ClockMap, *, wander: float) -> bool:
    """Whether other time passed between two signatures than the counter counted, by more than its rate may wander: their own rates and the
    mean one between them all lie within one band."""
    if closes.x0 <= opens.x0:
        return True
    lasts = closes.x0 - opens.x0
    rate, own = (closes.y0 - opens.y0) / lasts, (opens.rate + closes.rate) / 2
    u = math.hypot(opens.u_rate / 2, closes.u_rate / 2, math.sqrt(opens.var_y0 + closes.var_y0) / (lasts * own))
    return abs(rate / own - 1) > wander + _SURE_SIGMAS * u


def walk_sd(wander: float) -> float:
    """By how much a rate that walks at random strays from the one end of a capture to the other (standard deviation), where its expected
    range is the band `wander`."""
    return wander / _RANGE_OF_WALK


class _Strayed:
    """How far the records lie off the straight line: Gaussian regression on what both signatures and the ties say.

    The rate drifts steadily and walks at random (the clock model of C. Zucca and P. Tavella, IEEE Trans. UFFC 52 (2005) 289), either as
    far as its band goes (`walk_sd`): warmth moves an oscillator steadily, and a walk alone would call that restless. Unknown beside it and
    estimated: offset and rate at the opening signature. Time is in shares of the capture, so that nothing in the matrices is much larger
    than the rest.
    """

    def __init__(self, line: Timeline, share: float = 1.0, times: float = 1.0) -> None:
        """share: of the band, that the rate walks; times: their uncertainty that ties are known by."""
        self._clock = clock = line.clock
        self._first, self._lasts = clock.span[0], clock.span[1] - clock.span[0]
        self._walk = (walk_sd(share * line.band) * clock.rate * self._lasts) ** 2
        self._drift = (line.band * clock.rate * self._lasts) ** 2 / 3  # anything from down the whole band to up it
        ends, ties = (line.opens, line.closes), line.ties.coarser(times)
        self._t = np.concatenate((np.repeat(self._share(np.array([own.x0 for own in ends])), 2), self._share(ties.counter_us)))
        self._is_rate = np.concatenate((np.array([False, True] * 2), np.zeros(len(ties), dtype=np.bool_)))
        rates = [(own.rate - clock.rate) * self._lasts for own in ends]
        offsets = [own.y0 - float(clock.at(np.array([own.x0]))[0]) for own in ends]
        seen = np.concatenate((np.column_stack((offsets, rates)).ravel(), ties.x - clock.at(ties.counter_us)))
        noise = [v for own in ends for v in (own.var_y0, own.var_rate * self._lasts**2)]
        cov = self._strayed(self._t, self._is_rate) + np.diag(np.concatenate((noise, ties.u**2)))
        self._alike, self._u_alike = (np.arange(len(self._t)) >= 2 * len(ends)).astype(np.float64), ties.u_alike
        cov += ties.u_alike**2 * np.outer(self._alike, self._alike)
        for k, own in enumerate(ends):
            cov[2 * k, 2 * k + 1] += own.cov * self._lasts
            cov[2 * k + 1, 2 * k] += own.cov * self._lasts
        basis = np.column_stack((np.where(self._is_rate, 0.0, 1.0), np.where(self._is_rate, 1.0, self._t)))
        self.kriged: Kriged = kriged(seen, cov, basis)

    def at(self, counter_us: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Places in records and their standard uncertainties without the shared part."""
        t = self._share(counter_us)
        near = self._strayed(t, np.zeros(len(t), dtype=np.bool_), self._t, self._is_rate)
        own = self._walk * np.abs(t) ** 3 / 3 + self._drift * t**4 / 4
        off, variance = self.kriged.at(near, own, np.column_stack((np.ones(len(t)), t)))
        return self._clock.at(counter_us) + off, np.sqrt(variance)

    @property
    def displaced(self) -> tuple[float, float]:
        """Of the ties against the signatures, records, and its standard uncertainty."""
        if not self._alike.any():
            return np.nan, np.nan
        to_all = self._u_alike**2 * self._alike @ self.kriged.projected
        left = self._u_alike**2 * (1 - float(to_all @ self._alike))
        return float(to_all @ self.kriged.seen), float(np.sqrt(max(left, 0.0)))

    def _share(self, counter_us: FloatArray) -> FloatArray:
        return (counter_us - self._first) / self._lasts

    def _strayed(
        self, t: FloatArray, is_rate: NDArray[np.bool_], s: FloatArray | None = None, s_is_rate: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Covariance of drift and walk of the rate, integrated, at instants t with the same at s; either may be the rate itself."""
        a, b = np.meshgrid(t, t if s is None else s, indexing="ij")
        a_rate, b_rate = np.meshgrid(is_rate, is_rate if s_is_rate is None else s_is_rate, indexing="ij")
        drifted = np.where(a_rate, a, a**2 / 2) * np.where(b_rate, b, b**2 / 2)
        same = np.sign(a) * np.sign(b) > 0  # before and after the first signature it walks apart
        sign = np.sign(a)
        a, b = np.abs(a), np.abs(b)
        low, high = np.minimum(a, b), np.maximum(a, b)
        both = low**2 * (3 * high - low) / 6
        of_rate = np.where(a_rate, a, b)
        of_place = np.where(a_rate, b, a)
        mixed = sign * np.where(of_rate <= of_place, of_rate * of_place - of_rate**2 / 2, of_place**2 / 2)
        walked = np.where(same, np.where(a_rate & b_rate, low, np.where(a_rate | b_rate, mixed, both)), 0.0)
        out: NDArray[np.float64] = self._walk * walked + self._drift * drifted
        return out
