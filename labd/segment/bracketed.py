"""Laps placed on the sample axis by the signatures that the device burnt before and after them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd.segment.burst_ends import Awake, place_by_ends
from labd.segment.bursts import Bursts
from labd.segment.clocks import ClockMap, FloatArray
from labd.segment.edges import EdgeSeries
from labd.segment.errors import MissingEvents, SignatureUnclear
from labd.segment.refine import refined, steps_near
from labd.segment.signature import Found, Path, Signature, find_signatures
from labd.segment.timeline import NO_TIES, WANDER, Ties, Timeline, between, stood_still

TAIL_US = 5000.0  # from the end of an inference to sleep (docs/reference/dut-protocol.md)
BY_SIGNATURE = "current signature"
BY_BURST_ENDS = "current signature, each burst by its own end"
WAY_S = 5e-6  # limit by which the ways from a timer to the current of an event and of a chip differ (docs/reference/dut-protocol.md)
_NEAR_SIGMAS = 6.0
_NEAR_RECORDS = 3.0
_CLEAR_TAUS = 5.0  # after a burst's rise: then it no longer shows
_STEP_US = 1.0  # of the counter as it is told: cut off, not rounded


@dataclass(frozen=True, slots=True)
class Burnt:
    """A signature, and where the two of a capture lay on the device's counter: (start, end) each, us."""

    signature: Signature
    opens_us: tuple[float, float]
    closes_us: tuple[float, float]


@dataclass(frozen=True, slots=True)
class SignaturePair:
    """Both signatures of a capture. opens, closes: counter (us) -> records at each. found: as they were found."""

    opens: ClockMap
    closes: ClockMap
    found: tuple[Found, Found]
    burnt: Burnt

    @property
    def inside(self) -> tuple[float, float]:
        """Records between the end of the one and the start of the other."""
        ends = (self.opens.at(np.array([self.burnt.opens_us[1]])), self.closes.at(np.array([self.burnt.closes_us[0]])))
        return float(ends[0][0]), float(ends[1][0])

    def sharpened(self, power: NDArray[np.float32], bursts: Bursts, *, tau_records: float) -> Bursts:
        """Bursts with their edges fitted by the step that the signatures show. tau_records: of the supply path."""
        return refined(power, bursts, tau_records=tau_records, filter_records=self.filter_records)

    @property
    def filter_records(self) -> float:
        """Time constant of the instrument's own filter, as both signatures show it."""
        return float(np.mean([one.filter_records for one in self.found]))


@dataclass(frozen=True, slots=True)
class Placed:
    """Laps on the sample axis. instants: one series a column of the laps (event, awake, ready, start, end). clock: counter (us) against
    records. method: how. timeline: None where the counter stood still between bursts."""

    instants: tuple[EdgeSeries, ...]
    clock: ClockMap
    method: str
    timeline: Timeline | None


def find_pair(power: NDArray[np.float32], burnt: Burnt, *, dt_s: float, path: Path, rate_limit: float) -> SignaturePair:
    """Find both signatures in `power` (float32 [n], watt a record). Raises what `find_signatures` raises."""
    opens, closes = find_signatures(power, burnt.signature, count=2, dt_s=dt_s, path=path, rate_limit=rate_limit)
    own = [_from_counter(one.clock, at[0]) for one, at in ((opens, burnt.opens_us), (closes, burnt.closes_us))]
    return SignaturePair(own[0], own[1], (opens, closes), burnt)


def _from_counter(clock: ClockMap, start_us: float) -> ClockMap:
    """Counter instead of seconds since the pattern began. What the counter's step hides is the pattern's own, not shared."""
    var_step = (clock.rate * 1e-6 * _STEP_US) ** 2 / 12
    counter = ClockMap(start_us, 0.0, 1e-6, 0.0, 0.0, 0.0, (start_us, start_us + 1e6 * clock.span[1]))
    both = counter.then(clock)
    x0 = start_us + 1e6 * clock.x0  # where offset and rate are independent
    return ClockMap(x0, clock.y0, both.rate, clock.var_y0 + var_step, 0.0, both.var_rate, both.span, u_shared=clock.u_shared)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The record itself. power: float32 [n], watt a record of dt_s. tau_s: of the supply path."""

    power: NDArray[np.float32]
    dt_s: float
    tau_s: float


def place_bracketed(
    pair: SignaturePair, record: Recorded, bursts: Bursts, laps: FloatArray, *, always_on: bool, wander: float = WANDER
) -> Placed:
    """Place `laps` (float64 [n, 5]: event, awake, ready, start, end in counter microseconds, unwrapped) of one capture, where a chip of the
    same instant would show.

    Where the counter runs on between bursts, the line between the signatures is refined by the bursts that begin with an instant the
    device knows: its timer's expiry, or in always_on the inference. Where it stands still, each burst is placed by its own end.
    wander: band of the counter's rate within the capture. Raises MissingEvents, SignatureUnclear.
    """
    low, high = pair.inside
    inside = bursts.take((bursts.rise.x > low) & (bursts.fall.x < high))
    u_alike = WAY_S / np.sqrt(3) / record.dt_s
    if stood_still(pair.opens, pair.closes, wander=wander):
        if always_on:
            raise SignatureUnclear(
                "the device's counter stood still between the signatures although the device never slept, or its rate wandered by more "
                f"than {wander * 1e6:.0f} ppm"
            )
        return _by_ends(pair, record, inside, laps, wander=wander, u_alike=u_alike)
    known = laps[:, 3] if always_on else laps[:, 0]
    line = between(pair.opens, pair.closes, wander=wander)
    line = between(pair.opens, pair.closes, ties=_matched(line, inside.rise, known, u_alike=u_alike), wander=wander)
    return Placed(tuple(line.place(column) for column in laps.T), line.clock, BY_SIGNATURE, line)


def _matched(line: Timeline, rises: EdgeSeries, counter_us: FloatArray, *, u_alike: float) -> Ties:
    """Of each instant the burst that begins nearest to where it is expected, where one does."""
    if not len(rises) or not len(counter_us):
        return NO_TIES
    expected = line.place(counter_us)
    right = np.clip(np.searchsorted(rises.x, expected.x), 1, max(1, len(rises) - 1))
    right = np.minimum(right, len(rises) - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.where(np.abs(rises.x[right] - expected.x) < np.abs(rises.x[left] - expected.x), right, left)
    near = np.abs(rises.x[nearest] - expected.x) <= _NEAR_SIGMAS * expected.u + _NEAR_RECORDS
    u_step = line.clock.rate * _STEP_US / np.sqrt(12)
    u = rises.u[nearest[near]]
    # all edges are fitted by one shape of a step, and share what that is wrong by
    u_alike = float(np.hypot(u_alike, np.median(u))) if near.any() else u_alike
    return Ties(counter_us[near], rises.x[nearest[near]], np.hypot(u, u_step), u_alike)


def _by_ends(pair: SignaturePair, record: Recorded, bursts: Bursts, laps: FloatArray, *, wander: float, u_alike: float) -> Placed:
    if len(bursts) != len(laps):
        raise MissingEvents(f"missing events: {len(bursts)} bursts for {len(laps)} laps of the device, whose counter stands still in sleep")
    opens, closes = pair.opens, pair.closes
    asleep = laps[:, 4] + TAIL_US
    expected = bursts.fall.x - (opens.rate + closes.rate) / 2 * (asleep - laps[:, 1])
    awake = Awake(laps[:, 1], asleep, _steps(pair, record, bursts, expected), bursts.fall, u_alike)
    instants, clock = place_by_ends(opens, closes, awake, laps, wander=wander)
    return Placed(instants, clock, BY_BURST_ENDS, None)


def _steps(pair: SignaturePair, record: Recorded, bursts: Bursts, expected: FloatArray) -> EdgeSeries:
    """The step of power with which code begins in each burst, NaN where none is as near to where it is expected as in most bursts."""
    tau = record.tau_s / record.dt_s
    between = (np.ceil(bursts.rise.x + _CLEAR_TAUS * (tau + pair.filter_records)).astype(np.intp), bursts.stop)
    found = steps_near(record.power, expected, between=between, tau_records=tau, filter_records=pair.filter_records)
    off = found.x - expected
    if not np.isfinite(off).any():
        return found
    near = np.abs(off - np.nanmedian(off)) < _NEAR_RECORDS
    return EdgeSeries(np.where(near, found.x, np.nan), found.u)
