"""The Pareto front of figures that have intervals. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from labd.records import KpiRecord
from labd.search.figures import LESS_IS_BETTER
from labd.search.outcome import Outcome, State


@dataclass(frozen=True, slots=True)
class Front:
    """points: not dominated beyond the intervals. best: of them, those that no other one dominates by its values alone."""

    points: tuple[Outcome, ...]
    best: frozenset[str]


def front(outcomes: Iterable[Outcome], objectives: Sequence[str]) -> Front:
    """Of the measured ones that have a value for every objective, in the order of the first objective."""
    whole = [one for one in outcomes if one.state is State.MEASURED and all(one.value(name) is not None for name in objectives)]
    points = [one for one in whole if not any(surely_dominates(other.figures, one.figures, objectives) for other in whole)]
    best = {one.name for one in points if not any(dominates(other.figures, one.figures, objectives) for other in whole)}
    first = objectives[0]
    return Front(tuple(sorted(points, key=lambda one: better_first(one.figures[first], first))), frozenset(best))


def better_first(record: KpiRecord, objective: str) -> float:
    """Sorts the best one to the front."""
    value = record.value or 0.0
    return value if LESS_IS_BETTER[objective] else -value


def dominates(one: Mapping[str, KpiRecord], other: Mapping[str, KpiRecord], objectives: Sequence[str]) -> bool:
    """By values alone: nowhere worse, somewhere better."""
    pairs = [(better_first(one[name], name), better_first(other[name], name)) for name in objectives]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def surely_dominates(one: Mapping[str, KpiRecord], other: Mapping[str, KpiRecord], objectives: Sequence[str]) -> bool:
    """Somewhere better beyond both intervals, and everywhere else that or the very same figure, as nets have that give the same answers:
    what lies within the intervals of another one may be the better one in truth."""
    beyond = [_beyond(one[name], other[name], name) for name in objectives]
    return any(beyond) and all(sure or _same(one[name], other[name]) for name, sure in zip(objectives, beyond, strict=True))


def _beyond(one: KpiRecord, other: KpiRecord, objective: str) -> bool:
    """A figure without an interval is beyond nothing."""
    (a_low, a_high), (b_low, b_high) = _ends(one), _ends(other)
    if a_low is None or a_high is None or b_low is None or b_high is None:
        return False
    return a_high < b_low if LESS_IS_BETTER[objective] else a_low > b_high


def _same(one: KpiRecord, other: KpiRecord) -> bool:
    return one.value == other.value and _ends(one) == _ends(other)


def _ends(record: KpiRecord) -> tuple[float | None, float | None]:
    return record.low, record.high
