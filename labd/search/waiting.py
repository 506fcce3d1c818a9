"""How long it takes from an event to its result: wake-up and inference, and behind others where events come by chance. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd.kpi.share import Z95

LARGEST_LOAD = 0.95  # beyond, no use case has any sense
EVENTS = 200_000  # played for the value
AGAIN, SHORT = 200, 10_000  # plays for its interval, and events of each
SETTLING = 0.1  # share of the events of a play that fill the queue first, and do not count
PARTS = 20  # of a play: their scatter is what chance adds to the value
FEW = 20  # values: below, their mean and scatter say more of a tail than their largest

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Part:
    """What each event takes of one kind: values as measured, in s. u_s: of their mean, what all have in common included."""

    values_s: tuple[float, ...]
    u_s: float = 0.0

    @property
    def mean_s(self) -> float:
        return float(np.mean(self.values_s))

    @property
    def scatter_s(self) -> float:
        return float(np.std(self.values_s, ddof=1)) if len(self.values_s) > 1 else 0.0

    @property
    def shared_s(self) -> float:
        """Standard uncertainty of what all values have in common: that of the mean without what their scatter leaves of it."""
        return float(np.sqrt(max(0.0, self.u_s**2 - self.scatter_s**2 / len(self.values_s))))


@dataclass(frozen=True, slots=True)
class Served:
    """parts: one after the other, they lead from the event, or from the end of the one before it, to the result. busy_s: mean time for
    which an event keeps the board, u_busy_s its standard uncertainty; it varies as its parts do."""

    parts: tuple[Part, ...]
    busy_s: float
    u_busy_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answered:
    """Time from event to result in s: value, 95 % interval, standard uncertainty."""

    value: float
    low: float
    high: float
    u: float


def answered(served: Served, *, rate_hz: float | None, share: float | None, seed: int) -> Answered:
    """The time within which this share of events has its result; None: the mean. rate_hz: of Poisson events, so that rate_hz times busy_s
    is at most LARGEST_LOAD; None where no event finds another one before it.

    One quantile of the sum of waiting, wake-up and inference: quantiles of its parts do not add up to it, in neither direction. Waiting by
    Lindley's recursion (D. V. Lindley, The theory of queues with a single server, 1952). The interval is by bootstrap (B. Efron, R. J.
    Tibshirani, An Introduction to the Bootstrap, 1993): parts drawn again, busy_s within its uncertainty, the arrivals the same each time.
    """
    times = _played(served, rate_hz=rate_hz, events=EVENTS, seed=seed)
    value = _of(times, share)
    noise = float(np.std([_of(part, share) for part in np.array_split(times, PARTS)], ddof=1)) / PARTS**0.5
    draw = np.random.default_rng(seed)
    short = _of(_played(served, rate_hz=rate_hz, events=SHORT, seed=seed), share)
    plays = (_played(_redrawn(served, draw), rate_hz=rate_hz, events=SHORT, seed=seed) for _ in range(AGAIN))
    again = np.array([_of(times, share) for times in plays])
    low, high = np.quantile(again, [0.025, 0.975])
    below, above = (float(np.hypot(max(0.0, arm), Z95 * noise)) for arm in (short - low, high - short))
    return Answered(value, value - below, value + above, float(np.hypot(np.std(again, ddof=1), noise)))


def _of(times_s: Floats, share: float | None) -> float:
    return float(np.mean(times_s) if share is None else np.quantile(times_s, share))


def _played(served: Served, *, rate_hz: float | None, events: int, seed: int) -> Floats:
    """Times from event to result. The same seed gives the same arrivals, and the same place of each event among the values of its parts."""
    draw = np.random.default_rng(seed)
    gaps = draw.standard_exponential(events)
    taken_s = np.zeros(events)
    for part in served.parts:
        taken_s += _values(part, events, draw)
    if rate_hz is None:
        return taken_s
    mean_s = sum(part.mean_s for part in served.parts)
    waiting_s = waits(np.maximum(served.busy_s + taken_s - mean_s, 0.0), gaps / rate_hz)
    found: Floats = (waiting_s + taken_s)[int(SETTLING * events) :]
    return found


def _values(part: Part, events: int, draw: np.random.Generator) -> Floats:
    if len(part.values_s) < FEW:
        few: Floats = np.maximum(part.mean_s + part.scatter_s * draw.standard_normal(events), 0.0)
        return few
    many: Floats = np.sort(part.values_s)[draw.integers(len(part.values_s), size=events)]
    return many


def _redrawn(served: Served, draw: np.random.Generator) -> Served:
    return Served(
        tuple(_again(part, draw) for part in served.parts), max(0.0, draw.normal(served.busy_s, served.u_busy_s)), served.u_busy_s
    )


def _again(part: Part, draw: np.random.Generator) -> Part:
    """As another measurement would have found it. Of few values: a mean and a scatter that go with them (chi-squared)."""
    count = len(part.values_s)
    shift_s = draw.normal(0.0, part.shared_s)
    if count >= FEW:
        return Part(tuple(draw.choice(part.values_s, count) + shift_s), part.u_s)
    if count < 2:
        return Part((part.values_s[0] + shift_s,), part.u_s)
    wider = float(np.sqrt((count - 1) / draw.chisquare(count - 1)))
    shift_s += draw.normal(0.0, wider * part.scatter_s / count**0.5)
    return Part(tuple(part.mean_s + shift_s + wider * (value - part.mean_s) for value in part.values_s), part.u_s)


def waits(busy_s: Floats, gaps_s: Floats) -> Floats:
    """Waiting time of each event: busy_s[k] is what event k takes, gaps_s[k] the time from it to the next one."""
    walk = np.concatenate(([0.0], np.cumsum(busy_s[:-1] - gaps_s[:-1])))
    waiting: Floats = walk - np.minimum.accumulate(walk)
    return waiting
