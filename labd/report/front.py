"""Which points of a trade-off no other one beats, and where the uncertainty leaves that open. Pure."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

from labd.report.choice import Chosen, claimed, figure_of
from labd.report.entries import Entry, Figure, Taken

OF_A_RATE = ("energy_per_inference.at_rate", "power.mean", "throughput.at_rate")  # a duty cycle is part of them
SAME_RATE = 0.01  # of it: what a board makes of a rate that was asked for


class Place(enum.StrEnum):
    FRONT = "on the front"
    OPEN = "open"  # beaten by values, not beyond the intervals
    BEATEN = "beaten"
    CLAIMED = "not measured"  # declared and estimated figures are shown and never rank


@dataclass(frozen=True, slots=True)
class Point:
    """One entry in the plane of two quantities."""

    number: int
    name: str
    x: Figure
    y: Figure
    taken: Taken | None = None

    @property
    def claimed(self) -> bool:
        return claimed((self.x, self.y))


def points(entries: Sequence[Entry], x: Chosen, y: Chosen) -> list[Point]:
    """Of the entries that have both figures; numbers count all entries from 1."""
    found = []
    for number, entry in enumerate(entries, start=1):
        across, up = figure_of(entry, x.kpi), figure_of(entry, y.kpi)
        if across is not None and up is not None:
            found.append(Point(number, entry.name, across, up, entry.taken))
    return found


def places(found: Sequence[Point], x: Chosen, y: Chosen) -> list[Place]:
    """Of each point. A point is beaten by one that is at least as good in both quantities and better in one: certainly, where the intervals
    of the quantities in which it is better do not touch. Points that `unlike` keeps apart do not beat each other."""
    ranked = [one for one in found if not one.claimed]

    def place(one: Point) -> Place:
        if one.claimed:
            return Place.CLAIMED
        better = [other for other in ranked if other is not one and not unlike(other, one) and _beats(other, one, x, y)]
        if not better:
            return Place.FRONT
        return Place.BEATEN if any(_surely(other, one, x, y) for other in better) else Place.OPEN

    return [place(one) for one in found]


def unlike(one: Point, other: Point) -> str:
    """Why two points are not ranked against each other; empty where they may be. Rules C01, C04 and C14 of a comparison."""
    a, b = one.taken, other.taken
    if a is None or b is None:
        return ""
    if a.use_case and b.use_case and a.use_case != b.use_case:
        return "another use case"
    if a.simulated != b.simulated:
        return "simulated against measured"
    if any(point.x.id in OF_A_RATE or point.y.id in OF_A_RATE for point in (one, other)):
        if not math.isclose(a.rate_hz, b.rate_hz, rel_tol=SAME_RATE):
            return "another rate"
        if a.mode.is_event != b.mode.is_event and not (a if a.mode.is_event else b).has_detector:
            return "always-on against event-based without a detector"
    return ""


def _gain(better: Figure, worse: Figure, *, larger: bool) -> float:
    gain = (better.value or 0.0) - (worse.value or 0.0)
    return gain if larger else -gain


def _beats(better: Point, worse: Point, x: Chosen, y: Chosen) -> bool:
    gains = (
        _gain(better.x, worse.x, larger=x.quantity.larger),
        _gain(better.y, worse.y, larger=y.quantity.larger),
    )
    return min(gains) >= 0 and max(gains) > 0


def _surely(better: Point, worse: Point, x: Chosen, y: Chosen) -> bool:
    """In every quantity better beyond both intervals, or equal."""
    pairs = ((better.x, worse.x, x.quantity.larger), (better.y, worse.y, y.quantity.larger))
    return all(_gain(a, b, larger=larger) == 0 or _apart(a, b, larger=larger) for a, b, larger in pairs)


def _apart(better: Figure, worse: Figure, *, larger: bool) -> bool:
    (a_low, a_high), (b_low, b_high) = better.interval or (None, None), worse.interval or (None, None)
    if a_low is None or a_high is None or b_low is None or b_high is None:
        return False
    return a_low > b_high if larger else a_high < b_low
