"""An estimate is a value that keeps its correlations; a record is what is published of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from labd.kpi.draws import Draws
from labd.kpi.terms import Term, Uncertain, parts, unknown_terms
from labd.records import BudgetLine, KpiRecord, Provenance

NOT_RESOLVED = "not resolved"
TERM_UNKNOWN = "instrument term unknown"
ONE_VALUE = "one value: no Type A"
METHOD_S1 = "GUM Supplement 1"


@dataclass(frozen=True, slots=True)
class Estimate:
    """value: of `uncertainties`, with its sensitivities to shared variables. at: operating point or modes. n: values behind it."""

    id: str
    at: str
    value: Uncertain
    n: int
    flags: tuple[str, ...] = ()
    method: str = METHOD_S1
    note: str = ""

    @property
    def nominal(self) -> float:
        return float(self.value if isinstance(self.value, float | int) else self.value.nominal_value)

    @property
    def u(self) -> float:
        return math.sqrt(sum((c * v.tag.unit_u) ** 2 for v, c in parts(self.value)))


def unit_of(kpi: str) -> str:
    """The UCUM unit of a KPI by its id. Raises ValueError for an id that has none."""
    table = {
        "duty_cycle": "1",
        "fit.chi2_per_dof": "1",
        "clock_sweep.static_power": "W",
        "clock_sweep.energy_per_cycle": "J",
        "clock_sweep.dynamic_energy": "J",
        "clock_sweep.chi2_per_dof": "1",
        "static_share": "1",
        "supply_sweep.capacitance": "F",
        "supply_sweep.exponent": "1",
        "supply_sweep.chi2_per_dof": "1",
        "best_time_out": "s",
        "poisson_power": "W",
        "harvester.neutral_rate": "Hz",
        "harvester.buffer": "F",
        "battery_pulse_voltage": "V",
        "energy_per_inference": "J",
        "phase_energy": "J",
        "charge_per_inference": "C",
        "power": "W",
        "latency": "s",
        "wake_up": "s",
        "start_time": "s",
        "trigger_to_start": "s",
        "start_energy": "J",
        "start_peak": "A",
        "timeline": "s",
        "battery_life": "s",
        "inference_rate": "Hz",
        "largest_rate": "Hz",
        "break_even_rate": "Hz",
        "fit.floor_power": "W",
        "fit.incremental_energy": "J",
        "closure.power_analyzer": "W",
        "closure": "J",
        "naive.edge_gated": "J",
        "pooled": "J",
        "energy_per_op": "J",
        "energy_per_synop": "J",
        "energy_per_spike": "J",
        "energy_efficiency": "1/J",
        "inferences_per_joule": "1/J",
        "throughput": "1/s",
        "area_efficiency": "1/(s.m2)",
        "utilisation": "1",
        "edp": "J.s",
        "spike_rate": "Hz",
    }
    names = kpi.split(".")
    beginnings = (".".join(names[:k]) for k in range(len(names), 0, -1))
    unit = next((table[one] for one in beginnings if one in table), None)
    if unit is None:
        raise ValueError(f"no unit is known for {kpi}")
    return unit


def published(
    estimate: Estimate, *, draws: Draws, captures: Sequence[str], provenance: Provenance = Provenance.MEASURED, scatter: bool = True
) -> KpiRecord:
    """The record of an estimate: interval by Supplement 1, or none where a term is unknown or there is no Type A (`scatter` False)."""
    unknown = unknown_terms(estimate.value)
    flags = list(estimate.flags)
    notes = [estimate.note] if estimate.note else []
    if unknown:
        flags.append(TERM_UNKNOWN)
        notes.append(unknown_note(unknown))
    if not scatter:
        flags.append(ONE_VALUE)
    closed = scatter and not unknown
    half = draws.half_width(estimate.value) if closed else math.nan
    return KpiRecord(
        id=estimate.id,
        at=estimate.at,
        value=estimate.nominal,
        unit=unit_of(estimate.id),
        u=estimate.u if closed else None,
        low=estimate.nominal - half if closed else None,
        high=estimate.nominal + half if closed else None,
        n=estimate.n,
        provenance=provenance,
        method=estimate.method,
        captures=tuple(captures),
        budget=budget(estimate.value),
        flags=tuple(dict.fromkeys(flags)),
        note="; ".join(notes),
    )


def unknown_note(unknown: Sequence[str]) -> str:
    """Which terms nobody knows; empty where there are none."""
    return "unknown: " + ", ".join(name.removesuffix(" (unknown)") for name in unknown) if unknown else ""


def budget(value: Uncertain) -> tuple[BudgetLine, ...]:
    """Lines of the budget, largest first, without what rounding left of a cancelled term; unknown terms are in the flags, not here."""
    lines = [_line(v.tag, c) for v, c in parts(value) if v.tag.distribution != "unknown"]
    least = 1e-7 * max((abs(line.u) for line in lines), default=0.0)
    lines = [line for line in lines if abs(line.u) > least]
    return tuple(sorted(lines, key=lambda line: (-abs(line.u), line.name)))


def _line(term: Term, c: float) -> BudgetLine:
    return BudgetLine(term.name, c * term.unit_u, term.kind, term.distribution, term.dof)


def withheld(
    kpi: str, at: str, *, reason: str, captures: Sequence[str], n: int = 0, flags: Sequence[str] = (), note: str = ""
) -> KpiRecord:
    """A record without a value that says why."""
    return KpiRecord(
        id=kpi,
        at=at,
        value=None,
        unit=unit_of(kpi),
        u=None,
        low=None,
        high=None,
        n=n,
        provenance=Provenance.MEASURED,
        method="withheld",
        captures=tuple(captures),
        flags=tuple(dict.fromkeys((reason, *flags))),
        note=note,
    )
