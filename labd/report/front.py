"""Which points of a trade-off no other one beats, and where the uncertainty leaves that open. Pure."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from labd.report.choice import Chosen, claimed, figure_of
from labd.report.entries import Entry, Figure


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

    @property
    def claimed(self) -> bool:
        return claimed((self.x, self.y))


def points(entries: Sequence[Entry], x: Chosen, y: Chosen) -> list[Point]:
    """Of the entries that have both figures; numbers count all entries from 1."""
    found = []
    for number, entry in enumerate(entries, start=1):
        across, up = figure_of(entry, x.kpi), figure_of(entry, y.kpi)
        if across is not None and up is not None:
            found.append(Point(number, entry.name, across, up))
    return found


def places(found: Sequence[Point], x: Chosen, y: Chosen) -> list[Place]:
    """Of each point. A point is beaten by one that is at least as good in both quantities and better in one: certainly, where the intervals
    of the quantities in which it is better do not touch."""
    ranked = [one for one in found if not one.claimed]

    def place(one: Point) -> Place:
        if one.claimed:
            return Place.CLAIMED
        better = [other for other in ranked if other is not one and _beats(other, one, x, y)]
        if not better:
            return Place.FRONT
        return Place.BEATEN if any(_surely(other, one, x, y) for other in better) else Place.OPEN

    return [place(one) for one in found]


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
