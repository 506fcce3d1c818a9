"""A mode without captures at its rates, where no instrument resolves rest and burst at once: P(r) = P_floor + r * E_event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from labd.kpi import closure
from labd.kpi.capture import CaptureResult
from labd.kpi.draws import Draws
from labd.kpi.estimate import Estimate, published
from labd.kpi.floors import bracketed
from labd.kpi.rate_model import Line
from labd.kpi.terms import Terms
from labd.records import KpiRecord, Mode, Provenance, Role

COMPOSED_OF_EVENTS = "composed: floor + rate x energy of single events"


@dataclass(frozen=True, slots=True)
class Composition:
    """A mode's line with the keys of the captures behind it. n: events."""

    line: Line
    n: int
    captures: tuple[str, ...]


def compose(own: Sequence[CaptureResult], at: str, *, mode: Mode, terms: Terms) -> Composition | str:
    """The line of one mode from its floors and event captures, or the reason why there is none.

    The event energy is net of the quiet level of its own capture and range, so that the offset of a range that holds the peak cancels;
    events that overlap (rates above 1 over the active time) are outside of what it says.
    """
    floors = [c for c in own if c.role == Role.FLOOR and "power.floor" in c.estimates]
    event = closure.pooled([c for c in own if c.role == Role.EVENT], closure.window_energy(mode), terms=terms)
    if not floors:
        return "needs rate 0"
    if event is None and any(c.stock for c in own):
        return "no window energy"
    if event is None:
        return "needs two rates or more, or event captures"
    keys = (*(c.key for c in floors), *event[2])
    return Composition(Line(bracketed(floors, at, terms=terms), event[0], None, 0, (COMPOSED_OF_EVENTS,)), event[1], keys)


def at_rates(found: Composition, own: Sequence[CaptureResult], rates_hz: Sequence[float], *, draws: Draws) -> list[KpiRecord]:
    """Mean power and energy per inference at each rate above 0, as computed, not measured, figures."""
    out = []
    for rate in rates_hz:
        if rate <= 0:
            continue
        at, power = replace(own[0].point, rate_hz=rate).key, found.line.at(rate)
        for kpi, value in (("power.mean", power), ("energy_per_inference.at_rate", power / rate)):
            estimate = Estimate(kpi, at, value, found.n, found.line.flags)
            out.append(published(estimate, draws=draws, captures=found.captures, provenance=Provenance.COMPUTED))
    return out
