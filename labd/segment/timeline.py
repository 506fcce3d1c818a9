"""Instants of the device's counter on the sample axis, by the signatures around a capture and the device's own deadlines between them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labd.segment.clocks import ClockMap, FloatArray
from labd.segment.edges import EdgeSeries
from labd.segment.errors import SignatureUnclear

WANDER = 500e-6  # band in which the rate of a board's oscillator stays within one capture, where nothing tells it better: an RC one's
_CALMER = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)  # shares of the wander's band that the capture itself may show to be enough
_COARSER = (8.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.12, 0.06)  # times the ties' uncertainty that they scatter by
_FEWEST_TIES = 6  # for that
_GATE_SIGMAS = 5.0  # a tie farther off than this is an edge that a glitch displaced


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

    def without(self, k: int) -> Ties:
        """All but the k-th."""
        return Ties(np.delete(self.counter_us, k), np.delete(self.x, k), np.delete(self.u, k), self.u_alike)


NO_TIES = Ties(np.zeros(0), np.zeros(0), np.zeros(0), 1.0)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The device's counter (us) against the sample axis (records) over one capture. opens, closes: at its two signatures. ties: in between.

    wander: band of the rate within the capture, as a fraction. displaced: records by which the ties lie later than the signatures say,
    and its standard uncertainty; both NaN without ties: the check of one method against the other. left_out: ties that contradict the rest.
    """

    opens: ClockMap
    closes: ClockMap
    ties: Ties
    wander: float
    displaced: tuple[float, float]
    left_out: int

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
        x, u = _Strayed(self).at(counter_us)
        return EdgeSeries(x, np.hypot(u, self.clock.u_shared))


def between(opens: ClockMap, closes: ClockMap, *, ties: Ties = NO_TIES, wander: float = WANDER, rate_limit: float) -> Timeline:
    """A timeline from the counter (us) against the records at two signatures. Raises SignatureUnclear where their distance is not the
    counter's: it stood still between them (`stood_still`)."""
    if stood_still(opens, closes, rate_limit=rate_limit):
        raise SignatureUnclear("the device's counter stood still between the signatures: its instants hold within one burst only")
    line, left_out = _likeliest(Timeline(opens, closes, ties, wander, (np.nan, np.nan), 0)), 0
    while len(line.ties) and (worst := _Strayed(line).worst_tie()) is not None:
        line, left_out = replace(line, ties=line.ties.without(worst)), left_out + 1
    return replace(line, displaced=_Strayed(line).displaced, left_out=left_out)


def _likeliest(line: Timeline) -> Timeline:
    """With as much wander and as much scatter of the ties as the capture shows: the most likely of a few (restricted likelihood). The band
    that is given holds for any capture; most wander less, and their instants are known better for it."""
    if len(line.ties) < _FEWEST_TIES:
        return line
    ties = line.ties
    tried = [
        replace(line, wander=calm * line.wander, ties=replace(ties, u=fine * ties.u)) for calm in _CALMER for fine in _COARSER
    ]  # fmt: skip
    return max(tried, key=lambda one: _Strayed(one).likelihood)


def stood_still(opens: ClockMap, closes: ClockMap, *, rate_limit: float) -> bool:
    """Whether more time passed between two signatures than the counter counted, by more than its rate may change."""
    rate = (closes.y0 - opens.y0) / (closes.x0 - opens.x0) if closes.x0 > opens.x0 else np.inf
    own = (opens.rate + closes.rate) / 2
    u = 3 * max(opens.u_rate, closes.u_rate)
    return bool(abs(rate / own - 1) > rate_limit + u)


class _Strayed:
    """How far the records lie off the straight line: Gaussian regression on what both signatures and the ties say.

    The rate walks at random (the clock model of C. Zucca and P. Tavella, IEEE Trans. UFFC 52 (2005) 289) by the wander's band, as a
    standard deviation, over the capture. Unknown beside it and estimated (universal kriging): offset and rate at the opening signature.
    Time is in shares of the capture, so that nothing in the matrices is much larger than the rest.
    """

    def __init__(self, line: Timeline) -> None:
        self._clock = clock = line.clock
        self._first, self._lasts = clock.span[0], clock.span[1] - clock.span[0]
        self._walk = (line.wander * clock.rate * self._lasts) ** 2
        ends, ties = (line.opens, line.closes), line.ties
        self._t = np.concatenate((np.repeat(self._share(np.array([own.x0 for own in ends])), 2), self._share(ties.counter_us)))
        self._is_rate = np.concatenate((np.array([False, True] * 2), np.zeros(len(ties), dtype=np.bool_)))
        rates = [(own.rate - clock.rate) * self._lasts for own in ends]
        offsets = [own.y0 - float(clock.at(np.array([own.x0]))[0]) for own in ends]
        self._seen = np.concatenate((np.column_stack((offsets, rates)).ravel(), ties.x - clock.at(ties.counter_us)))
        noise = [v for own in ends for v in (own.var_y0, own.var_rate * self._lasts**2)]
        self._cov = self._walked(self._t, self._is_rate) + np.diag(np.concatenate((noise, ties.u**2)))
        self._alike, self._u_alike = (np.arange(len(self._t)) >= 2 * len(ends)).astype(np.float64), ties.u_alike
        self._cov += ties.u_alike**2 * np.outer(self._alike, self._alike)
        for k, own in enumerate(ends):
            self._cov[2 * k, 2 * k + 1] += own.cov * self._lasts
            self._cov[2 * k + 1, 2 * k] += own.cov * self._lasts
        self._basis = np.column_stack((np.where(self._is_rate, 0.0, 1.0), np.where(self._is_rate, 1.0, self._t)))
        self._inverse = np.linalg.inv(self._cov)
        self._cov_beta = np.linalg.inv(self._basis.T @ self._inverse @ self._basis)
        self._projected = self._inverse - self._inverse @ self._basis @ self._cov_beta @ self._basis.T @ self._inverse
        self._beta = self._cov_beta @ self._basis.T @ self._inverse @ self._seen

    def at(self, counter_us: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Places in records and their standard uncertainties without the shared part."""
        t = self._share(counter_us)
        near = self._walked(t, np.zeros(len(t), dtype=np.bool_), self._t, self._is_rate)
        weights = near @ self._inverse
        basis = np.column_stack((np.ones(len(t)), t))
        off = basis @ self._beta + weights @ (self._seen - self._basis @ self._beta)
        left = basis - weights @ self._basis
        own = self._walk * np.abs(t) ** 3 / 3 - np.sum(weights * near, axis=1)
        u: FloatArray = np.sqrt(np.maximum(own + np.sum((left @ self._cov_beta) * left, axis=1), 0.0))
        return self._clock.at(counter_us) + off, u

    @property
    def displaced(self) -> tuple[float, float]:
        """Of the ties against the signatures, records, and its standard uncertainty."""
        if not self._alike.any():
            return np.nan, np.nan
        to_all = self._u_alike**2 * self._alike @ self._projected
        left = self._u_alike**2 * (1 - float(to_all @ self._alike))
        return float(to_all @ self._seen), float(np.sqrt(max(left, 0.0)))

    @property
    def likelihood(self) -> float:
        """Logarithm of the restricted likelihood, but for a constant (D. Harville, JASA 72 (1977) 320)."""
        spread = np.linalg.slogdet(self._cov)[1] - np.linalg.slogdet(self._cov_beta)[1]
        return -0.5 * float(spread + self._seen @ self._projected @ self._seen)

    def worst_tie(self) -> int | None:
        """The tie that is farthest off what all the others say, in its own standard deviations, where it is beyond the gate (the closed
        form of leaving one out: residual and variance from the projected inverse)."""
        own = np.maximum(np.diag(self._projected), np.finfo(float).tiny)
        off = np.where(self._alike > 0, np.abs(self._projected @ self._seen) / np.sqrt(own), 0.0)
        worst = int(np.argmax(off))
        return worst - int(np.argmax(self._alike)) if off[worst] > _GATE_SIGMAS else None

    def _share(self, counter_us: FloatArray) -> FloatArray:
        return (counter_us - self._first) / self._lasts

    def _walked(
        self, t: FloatArray, is_rate: NDArray[np.bool_], s: FloatArray | None = None, s_is_rate: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Covariance of a walk of the rate, integrated, at instants t with the same at s; either may be the rate itself."""
        a, b = np.meshgrid(t, t if s is None else s, indexing="ij")
        a_rate, b_rate = np.meshgrid(is_rate, is_rate if s_is_rate is None else s_is_rate, indexing="ij")
        same = np.sign(a) * np.sign(b) > 0  # before and after the first signature it walks apart
        sign = np.sign(a)
        a, b = np.abs(a), np.abs(b)
        low, high = np.minimum(a, b), np.maximum(a, b)
        both = low**2 * (3 * high - low) / 6
        of_rate = np.where(a_rate, a, b)
        of_place = np.where(a_rate, b, a)
        mixed = sign * np.where(of_rate <= of_place, of_rate * of_place - of_rate**2 / 2, of_place**2 / 2)
        out: NDArray[np.float64] = self._walk * np.where(same, np.where(a_rate & b_rate, low, np.where(a_rate | b_rate, mixed, both)), 0.0)
        return out
