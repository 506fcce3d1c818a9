"""One clock read from another: a line with its uncertainty, that composes and inverts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClockMap:
    """y = y0 + rate * (x - x0). x and y each in the unit of their own clock (seconds, microseconds of a counter, records).

    var_y0, cov, var_rate: covariance of (y0, rate). span: x of the first and the last instant that both clocks saw. wander: width of
    the band in which the rate stays, as a fraction of it, 0 where it is taken as constant. u_shared: standard uncertainty, in y, of
    what displaces every placed instant alike and no averaging removes.
    """

    x0: float
    y0: float
    rate: float
    var_y0: float
    cov: float
    var_rate: float
    span: tuple[float, float]
    wander: float = 0.0
    u_shared: float = 0.0

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise ValueError(f"a clock map has rate {self.rate}: both clocks go forward, the rate is positive")

    @property
    def u_rate(self) -> float:
        """Standard uncertainty of the mean rate over the span, as a fraction of it."""
        return math.sqrt(self.var_rate) / self.rate

    def at(self, x: FloatArray) -> FloatArray:
        """y of instants x, float64 of the same shape."""
        y: FloatArray = self.y0 + self.rate * (x - self.x0)
        return y

    def u_at(self, x: FloatArray) -> FloatArray:
        """Standard uncertainty of `at`, float64 of the same shape, in y.

        A rate in a band of width w whose mean over the span T is known moves an instant at the fraction f of it by w*T*f*(1 - f) at most:
        it stays at one end of the band up to there and at the other from there on. Outside the span it moves it by w times the way out.
        """
        d = x - self.x0
        first, last = self.span
        lasts = max(last - first, np.finfo(float).tiny)
        f = np.clip((x - first) / lasts, 0.0, 1.0)
        outside = np.maximum(np.maximum(first - x, x - last), 0.0)
        strayed = self.rate * self.wander * (lasts * f * (1 - f) + outside)
        line = self.var_y0 + 2 * self.cov * d + self.var_rate * d**2
        u: FloatArray = np.sqrt(np.maximum(line, 0.0) + strayed**2 / 3 + self.u_shared**2)
        return u

    def inverse(self) -> ClockMap:
        """x read from y."""
        r = self.rate
        first, last = self.at(np.array(self.span)).tolist()
        variances = (self.var_y0 / r**2, self.cov / r**3, self.var_rate / r**4)
        return ClockMap(self.y0, self.x0, 1 / r, *variances, (first, last), wander=self.wander, u_shared=self.u_shared / r)

    def then(self, other: ClockMap) -> ClockMap:
        """z read from x, where `other` reads z from y. The errors of both are taken as independent; valid where both are."""
        d = self.y0 - other.x0
        var_y0 = other.var_y0 + 2 * other.cov * d + other.var_rate * d**2 + other.rate**2 * self.var_y0
        cov = self.rate * (other.cov + other.var_rate * d) + other.rate**2 * self.cov
        var_rate = self.rate**2 * other.var_rate + other.rate**2 * self.var_rate
        low, high = self.inverse().at(np.array(other.span)).tolist()
        span = (max(self.span[0], low), min(self.span[1], high))
        y0 = other.y0 + other.rate * d
        shared = math.hypot(other.u_shared, other.rate * self.u_shared)
        wander = self.wander + other.wander
        return ClockMap(self.x0, y0, self.rate * other.rate, var_y0, cov, var_rate, span, wander=wander, u_shared=shared)


def fitted(x: FloatArray, y: FloatArray, *, u_shared: float = 0.0, wander: float = 0.0, least_u: float = 0.0) -> ClockMap:
    """Least-squares line of y over x, both float64 [n], n >= 2 and x not all alike; its uncertainty is that of the scatter about the line.

    least_u: standard uncertainty of one y, which stands for the scatter where fewer than four instants show none. Raises ValueError.
    """
    x0 = float(x.mean()) if len(x) else 0.0
    d = x - x0
    spread = float(np.sum(d**2))
    if len(x) < 2 or spread == 0:
        raise ValueError(f"{len(x)} instants do not tie two clocks together, two at different times are needed")
    rate = float(np.sum(d * y)) / spread
    y0 = float(y.mean())
    scatter = math.sqrt(float(np.sum((y - y0 - rate * d) ** 2)) / max(1, len(x) - 2))
    scatter = max(scatter, least_u) if len(x) < 4 else scatter
    return ClockMap(
        x0, y0, rate, scatter**2 / len(x), 0.0, scatter**2 / spread, (float(x.min()), float(x.max())), wander=wander, u_shared=u_shared
    )
