"""Ratios of two times that are taken in turn, so that a busy machine slows both."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

REPEATS = 7


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast as `against` labd is at `what`: the median of `repeats` ratios, and the smallest and largest of them; where
    the maker says so, that of all repeats together, and of each half.

    kind: `limit` (nothing can be faster, 1 is the best there is), `peer` (another way to the same result) or `real time`. least: what is
    promised, 0 where nothing is.
    """

    part: str
    what: str
    against: str
    kind: str
    ratio: float
    low: float
    high: float
    repeats: int
    least: float = 0.0

    @property
    def falls_short(self) -> bool:
        return self.ratio < self.least


def from_ratios(part: str, what: str, *, against: str, kind: str, ratios: list[float], least: float = 0.0) -> Ratio:
    return Ratio(part, what, against, kind, statistics.median(ratios), min(ratios), max(ratios), len(ratios), least)


def compare(
    part: str,
    what: str,
    own: Callable[[], object],
    others: Mapping[tuple[str, str], Callable[[], object]],
    *,
    calls: int = 1,
    tidy: Callable[[], None] = lambda: None,
    least: Mapping[tuple[str, str], float] | None = None,
) -> list[Ratio]:
    """Time `own` and each of `others`, by (against, kind), in turn: one round to warm up, then REPEATS rounds, every other one backwards.

    calls: of each in one timing. tidy: called after each timing, outside it. least: what is promised against whom.
    """
    contestants = {("labd", ""): own, **others}
    times: dict[tuple[str, str], list[float]] = {name: [] for name in contestants}
    for number in range(REPEATS + 1):
        order = list(contestants) if number % 2 else list(reversed(contestants))
        for name in order:
            seconds = _seconds(contestants[name], calls)
            tidy()
            if number:
                times[name].append(seconds)
    ours = times.pop(("labd", ""))
    return [
        from_ratios(
            part,
            what,
            against=name[0],
            kind=name[1],
            ratios=[other / own_s for other, own_s in zip(theirs, ours, strict=True)],
            least=(least or {}).get(name, 0.0),
        )
        for name, theirs in times.items()
    ]


def _seconds(work: Callable[[], object], calls: int) -> float:
    """Of `calls` calls; rubbish is collected before, not during."""
    gc.collect()
    began = time.perf_counter()
    for _ in range(calls):
        work()
    return time.perf_counter() - began
