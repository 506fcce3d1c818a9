"""How long a plan will take: by the lengths of its captures, and better by what the same captures have cost before."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from labd.store.rows import CaptureRow

SET_UP_S = 1.0  # of one capture, where nothing is known
OPENING_S = 5.0  # of a run: opening the bench, powering up, analysis


@dataclass(frozen=True, slots=True)
class Planned:
    """One capture to come. duration_s: bench time it takes, without set-up."""

    key: str
    duration_s: float


def estimate_s(plans: Sequence[Planned], cost_s: Mapping[str, float], *, stepped: bool, most_s: float | None = None) -> float:
    """Seconds of a run. cost_s: of captures made before, by key. stepped: bench time passes as fast as it can, so that its length tells
    nothing; without history a capture then counts its set-up only. most_s: that a run may take which goes on until its figures are known
    well enough; `plans` are then its first round, and nobody knows how many follow."""
    if most_s is not None and not stepped:
        return OPENING_S + most_s
    return OPENING_S + sum(cost_s.get(plan.key, SET_UP_S + (0.0 if stepped else plan.duration_s)) for plan in plans)


def costs_s(captures: Iterable[CaptureRow]) -> dict[str, float]:
    """Median time from begin to end of the captures of earlier runs on the same bench, by key; of those that were finished."""
    seen: dict[str, list[float]] = {}
    for row in captures:
        if row.state == "finished" and row.started_ns is not None and row.ended_ns is not None:
            seen.setdefault(row.key, []).append((row.ended_ns - row.started_ns) * 1e-9)
    return {key: statistics.median(times) for key, times in seen.items()}
