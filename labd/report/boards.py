"""Mean power over rate of several runs side by side: where each two of their curves cross, and which needs least at which rate."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from labd.kpi.across import StoredLine, cheapest, crossing
from labd.kpi.break_even import BEYOND, EXTRAPOLATED, BreakEven
from labd.report.data import Outcome, RateCurve
from labd.report.numbers import interval, quantity, show, words
from labd.report.tables import Table

GRID = 400  # rates that the least power is looked up at
NO_INTERVAL = "one of the two has no interval"
NO_DETECTOR = "always-on against event-based without the power and the false wakes of a detector"


@dataclass(frozen=True, slots=True)
class BoardCurve:
    """One mode of one run. run: number of the run, from 0. label: told of it everywhere. line: None where nothing was fitted."""

    run: int
    label: str
    curve: RateCurve
    line: StoredLine | None


@dataclass(frozen=True, slots=True)
class Crossing:
    """first needs less below the rate, or always. value, low, high: Hz, None where there is no such rate; why: what to know."""

    first: str
    second: str
    outcome: Outcome
    value: float | None = None
    low: float | None = None
    high: float | None = None
    power_w: float | None = None
    why: tuple[str, ...] = ()


def crossings(curves: Sequence[BoardCurve], *, seed: int = 1) -> list[Crossing]:
    """Of each two curves. The one that rests deeper stands first, event detector included where a mode needs one."""
    found = []
    for one, other in itertools.combinations([c for c in curves if c.line is not None], 2):
        deeper, lighter = sorted((one, other), key=resting)
        assert deeper.line is not None
        assert lighter.line is not None
        if _lacks_detector(one, other):
            found.append(Crossing(deeper.label, lighter.label, Outcome.NOT_RESOLVED, why=(NO_DETECTOR,)))
            continue
        try:
            found.append(_compared(deeper, lighter, crossing(lighter.line, deeper.line, seed=seed)))
        except ValueError:
            found.append(Crossing(deeper.label, lighter.label, Outcome.NOT_RESOLVED, why=(NO_INTERVAL,)))
    return found


def _lacks_detector(one: BoardCurve, other: BoardCurve) -> bool:
    """As rule C04 of a comparison asks for it: what decides that something happened is part of an event mode's power."""
    lines = [c.line for c in (one, other) if c.line is not None]
    kinds = {line.mode.is_event for line in lines}
    return len(kinds) == 2 and any(line.mode.is_event and line.detector.kind.startswith("none") for line in lines)


def resting(curve: BoardCurve) -> float:
    """At rate 0, in watt."""
    return _floor(curve.line) if curve.line is not None else math.inf


def _floor(line: StoredLine) -> float:
    told = line.detector
    extra = told.power_w + told.false_wake_hz * (line.slope.value or 0.0) if line.mode.is_event else 0.0
    return (line.floor.value or 0.0) + extra


def _compared(deeper: BoardCurve, lighter: BoardCurve, found: BreakEven) -> Crossing:
    if found.value is not None and deeper.line is not None:
        power = _floor(deeper.line) + found.value * (deeper.line.slope.value or 0.0)
        return Crossing(deeper.label, lighter.label, Outcome.CROSSES, found.value, found.low, found.high, power, found.flags)
    first, *rest = found.flags or ("",)
    if first.endswith("wins at every reachable rate"):
        return Crossing(deeper.label, lighter.label, Outcome.FIRST_ALWAYS, why=tuple(rest))
    if first.endswith("never wins"):
        return Crossing(lighter.label, deeper.label, Outcome.FIRST_ALWAYS, why=tuple(rest))
    return Crossing(deeper.label, lighter.label, Outcome.NOT_RESOLVED, why=found.flags)


def span(curves: Sequence[BoardCurve]) -> tuple[float, float] | None:
    """Lowest and highest rate that was measured, without 0; None where none was."""
    rates = [p.rate_hz for c in curves for p in c.curve.points if p.rate_hz > 0]
    return (min(rates), max(rates)) if rates else None


def least(curves: Sequence[BoardCurve]) -> list[tuple[float, str]]:
    """Which curve needs least from which rate (Hz) on, over the measured rates."""
    ends = span(curves)
    if ends is None or ends[0] == ends[1]:
        return []
    rates = [ends[0] * (ends[1] / ends[0]) ** (k / GRID) for k in range(GRID + 1)]
    lines = {c.label: (_floor(c.line), c.line.slope.value or 0.0, c.line.r_max_hz) for c in curves if c.line is not None}
    return cheapest(lines, rates)


def verdicts(curves: Sequence[BoardCurve], found: Sequence[Crossing]) -> list[str]:
    """Who needs the least power, from rate to rate; of curves that cannot be told apart, or must not be, none is said to."""
    steps = least(curves)
    said = []
    for k, (_, name) in enumerate(steps):
        until = f"up to {_change(name, steps[k + 1], found)}" if k + 1 < len(steps) else "above"
        start = "" if k == 0 else f" from there {until}" if k + 1 < len(steps) else " above it"
        where = " at every measured rate that it can serve" if len(steps) == 1 else start or f" {until}"
        open_ = [c for c in found if c.outcome is Outcome.NOT_RESOLVED and name in (c.first, c.second)]
        if not open_:
            said.append(f"{name} needs the least power{where}.")
            continue
        for why in dict.fromkeys(", ".join(words(flag) for flag in c.why) for c in open_):
            rivals = ", ".join(c.second if c.first == name else c.first for c in open_ if ", ".join(words(flag) for flag in c.why) == why)
            apart = f"Which needs less{where}, {name} or {rivals}, cannot be told"
            said.append(f"{apart}: {why}." if why else f"{apart}: the uncertainty leaves it open.")
    return said


def _change(name: str, then: tuple[float, str], found: Sequence[Crossing]) -> str:
    pair = {name, then[1]}
    here = next((c for c in found if {c.first, c.second} == pair and c.value is not None), None)
    return rate_text(here) if here is not None else f"{quantity(then[0], '/s')}, where it can serve no more"


def rate_text(item: Crossing) -> str:
    if item.value is None:
        return "—"
    ends = f" (95 %: {interval(item.low, item.high, '/s')})" if item.low is not None and item.high is not None else ""
    return f"{quantity(item.value, '/s')}{ends}"


def table(curves: Sequence[BoardCurve]) -> Table:
    """Each curve as two figures."""
    rows = tuple(
        (
            c.label,
            show(c.curve.fit.floor) if c.curve.fit else "no fit",
            show(c.curve.fit.incremental) if c.curve.fit else "—",
            quantity(c.curve.r_max_hz, "/s") if c.curve.r_max_hz else "not known",
            c.line.detector.kind if c.line is not None and c.line.mode.is_event else "none needed",
        )
        for c in curves
    )
    head = ("", "Floor power", "Incremental energy", "Largest rate", "Event detector")
    return Table("Mean power over rate", head, rows, frozenset({1, 2, 3}))


def crossing_table(found: Sequence[Crossing]) -> Table:
    """Each pair of curves with what became of their comparison."""
    said = {
        Outcome.CROSSES: "less below",
        Outcome.FIRST_ALWAYS: "less at every rate that both can serve",
        Outcome.NOT_RESOLVED: "not resolved",
    }
    rows = tuple(
        (c.first, said.get(c.outcome, str(c.outcome)), c.second, rate_text(c), ", ".join(words(flag) for flag in c.why)) for c in found
    )
    return Table("Where two curves need the same power", ("", "needs", "than", "Rate", "Note"), rows, frozenset({3}))


def notes(curves: Sequence[BoardCurve]) -> list[str]:
    """What stands beside every claim of this kind."""
    kinds = dict.fromkeys(c.line.detector.kind for c in curves if c.line is not None and c.line.mode.is_event)
    found = [f"Event detector: {kind}." for kind in kinds]
    if any(kind.startswith("none") for kind in kinds):
        found.append("No detector power is in the event modes: a detector on the device would lower their break-even rates.")
    found.append(f"{EXTRAPOLATED}: outside the measured rates; {BEYOND}: one of the two cannot serve that rate.")
    return found
