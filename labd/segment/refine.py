"""Edges of bursts placed anew by least squares of a step behind a first-order path, which glitches of range changes do not move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labd.segment.bursts import Bursts
from labd.segment.edges import QUANTISED_U, EdgeSeries, FloatArray

_TAUS, _RECORDS = 8.0, 4.0  # time constants and, besides, records that are looked at after an edge
_SETTLED_TAUS, _SETTLED_RECORDS = 5.0, 1.0  # after these the level has settled
_BEFORE_TAUS, _BEFORE_RECORDS = 9.0, 8.0  # are looked at before an edge
_UNTOUCHED_TAUS, _UNTOUCHED_RECORDS = 5.0, 2.0  # before these the edge has not come, wherever it is
_REACH = 6.0  # time constants, and a record, by which the first place may be wrong: a glitch at the foot of a step hides it as long
_FEWEST = 3  # records of a level
_LEAST_STEP = 6.0  # times the noise of a record
_MODEL = 0.01  # of a step: how well a first-order path describes what the records show
_FINE = 0.05  # of a record or of a hundredth of a time constant, whichever is longer, where the search ends
_CUT_SIGMAS = 3.0  # a record farther off than this says nothing but that it is off: the cost is cut there


def step_mean(t: FloatArray, tau: float, second: float = 0.0) -> FloatArray:
    """Mean over [t, t + 1] of what a path of two time constants (0: none) makes of a unit step at 0; all in records, any shape."""
    return passed(t + 1, tau, second) - passed(t, tau, second)


def passed(t: FloatArray, tau: float, second: float = 0.0) -> FloatArray:
    """Integral up to t of what a path of two time constants (0: none) makes of a unit step at 0; all in records, any shape."""
    if abs(tau - second) < 1e-3 * max(tau, second):
        second = tau * (1 + 1e-3)  # the response hardly differs, and its closed form divides by the difference
    on = np.maximum(t, 0.0)
    own = [one**2 * -np.expm1(-on / one) if one > 0 else np.zeros_like(on) for one in (tau, second)]
    out: FloatArray = on - (own[0] - own[1]) / (tau - second) if tau != second else on
    return out


def refined(power: NDArray[np.float32], bursts: Bursts, *, tau_records: float, filter_records: float = 0.0) -> Bursts:
    """The same bursts with edges fitted in `power` (float32 [n], watt a record): where the load stepped, as the records have it. An edge
    with another one too near, or too small against the noise, stays where it was.

    tau_records: time constant of the supply path. filter_records: of the instrument behind it, which delays all that it records alike: its
    delay stays in the places.
    """
    ahead, behind = np.append(0, bursts.stop[:-1]), np.append(bursts.first[1:], len(power))

    def fitted(edge: EdgeSeries, least: NDArray[np.intp], most: NDArray[np.intp]) -> EdgeSeries:
        found = steps_near(power, edge.x, between=(least, most), tau_records=tau_records, filter_records=filter_records)
        there = np.isfinite(found.x)
        return EdgeSeries(np.where(there, found.x, edge.x), np.where(there, found.u, edge.u))

    return replace(bursts, rise=fitted(bursts.rise, ahead, bursts.stop), fall=fitted(bursts.fall, bursts.first, behind))


def steps_near(
    power: NDArray[np.float32],
    guess: FloatArray,
    *,
    between: tuple[NDArray[np.intp], NDArray[np.intp]],
    tau_records: float,
    filter_records: float,
) -> EdgeSeries:
    """One step of power near each place in `guess` (float64 [n], records), as `refined` places it; NaN where there is none. between: first
    record and end of what each may be told from (another edge lies beyond)."""
    slow = tau_records + filter_records
    before, after = _BEFORE_TAUS * slow + _BEFORE_RECORDS, _TAUS * slow + _RECORDS
    first = np.maximum(between[0], guess - before).astype(np.intp)
    stop = np.minimum(between[1], guess + after).astype(np.intp)
    steps = [
        _step(power[a:b].astype(np.float64), x - filter_records - a, slow)
        for a, b, x in zip(first.tolist(), stop.tolist(), guess.tolist(), strict=True)
    ]
    noise = _pooled([step for step in steps if step is not None])
    x, u = np.full(len(guess), np.nan), np.full(len(guess), np.nan)
    for k, step in enumerate(steps):
        found = None if step is None else _fit(step, noise, tau_records, filter_records)
        if found is not None:
            x[k], u[k] = first[k] + found[0] + filter_records, found[1]
    return EdgeSeries(x, u)


@dataclass(frozen=True, slots=True)
class _Step:
    """One step: records about it, where it is expected in them, its levels and the variances of one record there with their number."""

    part: FloatArray
    guess: float
    low: float
    high: float
    variances: tuple[float, float]
    numbers: tuple[int, int]


def _step(part: FloatArray, guess: float, tau: float) -> _Step | None:
    """None where too little of the levels beside it is there."""
    t = np.arange(len(part), dtype=np.float64)
    before = part[t + 1 < guess - _UNTOUCHED_TAUS * tau - _UNTOUCHED_RECORDS]
    after = part[t > guess + _SETTLED_TAUS * tau + _SETTLED_RECORDS]
    if len(before) < _FEWEST or len(after) < _FEWEST:
        return None
    low, high = float(np.median(before)), float(np.median(after))
    return _Step(part, guess, low, high, (float(before.var(ddof=1)), float(after.var(ddof=1))), (len(before), len(after)))


def _pooled(steps: Sequence[_Step]) -> tuple[float, float]:
    """Standard deviation of one record before and after the steps: the median of the variances, which single glitches do not move, over the
    share of the true one that the median variance of so few records is (Wilson and Hilferty)."""
    if not steps:
        return 0.0, 0.0

    def side(k: int) -> float:
        freedom = np.array([step.numbers[k] - 1 for step in steps])
        return float(np.sqrt(np.median([step.variances[k] for step in steps] / (1 - 2 / (9 * freedom)) ** 3)))

    return side(0), side(1)


def _fit(step: _Step, noise: tuple[float, float], tau: float, second: float) -> tuple[float, float] | None:
    """Place and standard uncertainty, by a search of the cut-off cost; None where there is no step, or not within reach."""
    ends = np.arange(len(step.part) + 1, dtype=np.float64)
    height = step.high - step.low
    if abs(height) < _LEAST_STEP * max(noise):
        return None

    def costs(at: FloatArray) -> FloatArray:
        shape = np.diff(passed(ends[None, :] - at[:, None], tau, second), axis=1)
        variance = noise[0] ** 2 + (noise[1] ** 2 - noise[0] ** 2) * shape + (_MODEL * height) ** 2
        out: FloatArray = np.sum(np.minimum((step.part - step.low - height * shape) ** 2 / variance, _CUT_SIGMAS**2), axis=1)
        return out

    slow = tau + second
    x, span, each = step.guess, _REACH * slow + 1, max(1.0, slow / 4) / 4
    while True:
        at = x + each * np.arange(-np.ceil(span / each), np.ceil(span / each) + 1)
        best = int(np.argmin(costs(at)))
        if best in (0, len(at) - 1):
            return None
        x = float(at[best])
        if each <= _FINE * max(1.0, slow / 100):
            return x, _uncertainty(costs, x, slow)
        span, each = 2 * each, each / 4


def _uncertainty(costs: Callable[[FloatArray], FloatArray], x: float, tau: float) -> float:
    """From how fast the cost rises about its least: by one at one standard uncertainty."""
    for off in (0.1, 0.3, 1.0, 3.0):
        d = off * max(1.0, tau / 10)
        left, least, right = costs(x + d * np.array([-1.0, 0.0, 1.0])).tolist()
        rise = (left + right) / 2 - least
        if rise >= 1:
            return float(d / np.sqrt(rise))
    return float(max(QUANTISED_U, 3 * max(1.0, tau / 10)))
