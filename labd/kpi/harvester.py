"""What a harvester pays for: the rate that it sustains, and the least buffer capacitor for one event."""

from __future__ import annotations

from collections.abc import Sequence

from labd.kpi.break_even import BEYOND, NOT_RESOLVED, coverage, fieller
from labd.kpi.draws import Draws
from labd.kpi.estimate import TERM_UNKNOWN, Estimate, budget, published, unknown_note, withheld
from labd.kpi.inputs import Harvester
from labd.kpi.rate_model import Line
from labd.kpi.terms import Terms, Uncertain, unknown_terms
from labd.records import KpiRecord, Provenance

NEUTRAL, BUFFER = "harvester.neutral_rate", "harvester.buffer"
NOT_ASLEEP = "not sustainable even asleep"
MAYBE_NOT_ASLEEP = "the interval reaches 0: it may not be sustainable even asleep"


def neutral_rate(
    line: Line, *, harvester: Harvester, at: str, r_max_hz: float | None, captures: Sequence[str], terms: Terms, draws: Draws
) -> KpiRecord:
    """r = (eta P_h - P_floor) / E_x with Fieller's interval (metrology note 2.6): at a lower rate more comes in than goes out. line: of the
    mode, its detector included."""
    given = harvester.power_w + terms.limit("harvester:power", harvester.power_half_width_w)
    rest: Uncertain = _efficiency(harvester, terms) * given - line.floor
    spare, half = float(rest.nominal_value), draws.half_width(rest)
    unknown = unknown_terms(rest) or unknown_terms(line.slope)
    note = f"{spare:.3g} W are left of it while the board rests"
    if spare + half <= 0 or (spare <= 0 and unknown):
        return withheld(NEUTRAL, at, reason=NOT_ASLEEP, captures=captures, flags=line.flags, note=note)
    rate = rest / line.slope
    limits = fieller(rest, line.slope, factor=coverage(rest, line.slope, draws))
    value = float(rate.nominal_value)
    if limits is None or value <= 0:
        return withheld(NEUTRAL, at, reason=NOT_RESOLVED, captures=captures, flags=line.flags, note=note)
    beyond = r_max_hz is not None and value > r_max_hz
    flags = (
        *line.flags,
        *((BEYOND,) if beyond else ()),
        *((MAYBE_NOT_ASLEEP,) if limits[0] <= 0 and not unknown else ()),
        *((TERM_UNKNOWN,) if unknown else ()),
    )
    return KpiRecord(
        id=NEUTRAL,
        at=at,
        value=value,
        unit="Hz",
        u=None if unknown else Estimate(NEUTRAL, at, rate, 1).u,
        low=None if unknown else limits[0],
        high=None if unknown else limits[1],
        n=len(captures),
        provenance=Provenance.COMPUTED,
        method="Fieller",
        captures=tuple(captures),
        budget=budget(rate),
        flags=tuple(dict.fromkeys(flags)),
        note="; ".join(filter(None, (note, unknown_note(unknown)))),
    )


def buffer(
    event_j: Uncertain, *, harvester: Harvester, at: str, captures: Sequence[str], n: int, terms: Terms, draws: Draws
) -> KpiRecord | None:
    """C = 2 E_event / (eta (V_high^2 - V_low^2)): the least that pays one event alone; None where the plan names no voltages."""
    if harvester.high_v is None or harvester.low_v is None:
        return None
    least = 2 * event_j / _efficiency(harvester, terms) / (harvester.high_v**2 - harvester.low_v**2)
    note = f"from {harvester.high_v:g} V down to {harvester.low_v:g} V, nothing coming in meanwhile"
    estimate = Estimate(BUFFER, at, least, n, note=note)
    return published(estimate, draws=draws, captures=captures, provenance=Provenance.COMPUTED)


def _efficiency(harvester: Harvester, terms: Terms) -> Uncertain:
    return harvester.efficiency + terms.limit("harvester:efficiency", harvester.efficiency_half_width)
