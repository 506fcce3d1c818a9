"""Guard bands: from well before to well after each burst, with the quiet level around it subtracted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd.kpi.trace import Trace
from labd.kpi.type_a import evaluate
from labd.segment.edges import FloatArray

SETTLED = 5.0  # time constants after which a step is over (0.7 % left)
_FEWEST_QUIET = 4.0  # records of quiet level an event needs
_MOST_PERIODS = 5  # mains periods of quiet level taken on each side


@dataclass(frozen=True, slots=True)
class Guard:
    """One entry an event, positions in records. The region start..stop holds the burst and its guard; quiet level is taken in
    before..start and stop..after. usable: the region and enough quiet lie within the record, overlap nothing and miss no sample.

    region, quiet: float64 [n, columns], sums over the region, and mean of one quiet record (columns of `Trace.at`).
    """

    before: FloatArray
    start: FloatArray
    stop: FloatArray
    after: FloatArray
    usable: NDArray[np.bool_]
    region: FloatArray
    quiet: FloatArray

    @property
    def net(self) -> FloatArray:
        """Sums over the region less the quiet level, in records: float64 [n, columns]."""
        return self.region - (self.stop - self.start)[:, None] * self.quiet


def guard_records(dt_s: float, time_constant_s: float) -> int:
    """Guard on each side: five time constants and one record for the edge itself."""
    return int(np.ceil(SETTLED * time_constant_s / dt_s)) + 1


def guard(trace: Trace, first: FloatArray, last: FloatArray, *, others: FloatArray, margin: int, mains_records: float) -> Guard:
    """Guard bands around the events first[k]..last[k] (positions, ascending). others: float64 [m, 2], further bursts to keep out of the
    quiet level. margin: guard in records. mains_records: one mains period in records, 0 = none."""
    start, stop = np.floor(first) - margin, np.ceil(last) + margin
    stretch = trace.stretch_of(first)
    low, high = trace.bounds[stretch].astype(np.float64), trace.bounds[stretch + 1].astype(np.float64)
    previous, following = _neighbours(start, stop, others=others, margin=margin)
    room_before = start - np.maximum(previous, low)
    room_after = np.minimum(following, high) - stop
    inside = (start >= low) & (stop <= high) & (room_before >= 0) & (room_after >= 0)
    before = start - quiet_length(np.maximum(room_before, 0), mains_records, trace.dt_s)
    after = stop + quiet_length(np.maximum(room_after, 0), mains_records, trace.dt_s)
    n_quiet = (start - before) + (after - stop)
    usable = inside & (n_quiet >= _FEWEST_QUIET)
    x = [np.clip(part, 0, trace.records) for part in (before, start, stop, after)]
    sums = trace.at(np.concatenate(x)).reshape(4, len(first), -1)
    quiet = (sums[1] - sums[0] + sums[3] - sums[2]) / np.maximum(n_quiet, 1)[:, None]
    usable &= ~trace.lost(x[0], x[3])
    return Guard(before, start, stop, after, usable, sums[2] - sums[1], quiet)


def quiet_length(room: FloatArray, mains_records: float, dt_s: float) -> FloatArray:
    """How much of the room on one side of a burst to average: whole mains periods where one fits, else all of it; at most 0.1 s."""
    if mains_records <= 0:
        return np.minimum(room, float(np.floor(0.1 / dt_s)) + 1)
    periods = np.minimum(np.floor(room / mains_records), _MOST_PERIODS)
    out: FloatArray = np.where(periods >= 1, periods * mains_records, room)
    return out


def _neighbours(start: FloatArray, stop: FloatArray, *, others: FloatArray, margin: int) -> tuple[FloatArray, FloatArray]:
    """End of whatever precedes each event and start of whatever follows it."""
    begins = np.concatenate((start, np.floor(others[:, 0]) - margin))
    ends = np.concatenate((stop, np.ceil(others[:, 1]) + margin))
    order = np.argsort(begins, kind="stable")
    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.arange(len(order))
    furthest = np.concatenate(([-np.inf], np.maximum.accumulate(ends[order])))
    nearest = np.concatenate((begins[order], [np.inf]))
    mine = place[: len(start)]
    return furthest[mine], nearest[mine + 1]


def unsettled_w(trace: Trace, bands: Guard, *, lead_ohm: float) -> tuple[float, float, float] | None:
    """Is the quiet level quiet? Mean difference (W) of its first quarter after a burst from the rest of it, the Type A uncertainty of that
    and the length of the quarter (s); None where too little is there to tell."""
    room = bands.after - bands.stop
    ok = bands.usable & (room >= 8)
    if ok.sum() < 3:
        return None
    stop, after = bands.stop[ok], bands.after[ok]
    middle = stop + np.floor((after - stop) / 4)
    sums = trace.at(np.concatenate((stop, middle, after))).reshape(3, len(stop), -1)
    r = trace.ranges
    power = sums[..., :r].sum(axis=-1) - lead_ohm * sums[..., -1]
    difference = (power[1] - power[0]) / (middle - stop) - (power[2] - power[1]) / (after - middle)
    found = evaluate(difference)
    return found.mean, found.u, float(np.mean(middle - stop)) * trace.dt_s
