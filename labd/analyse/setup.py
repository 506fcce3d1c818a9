"""What the analysis of a run needs besides its traces: stored with the run, so that `labd analyse` needs neither bench nor drivers."""

from __future__ import annotations

from dataclasses import dataclass, field

from labd.kpi.aims import Aim
from labd.kpi.inputs import Battery, Detector, Harvester


@dataclass(frozen=True, slots=True)
class SourceSetup:
    """How the instrument that feeds the board and the one that measures it are wired. lead_ohm, u_lead_ohm: of the source, 0 where it
    senses at the board, and likewise those of the meter: from its voltage terminals on, or, where it sees no voltage, from the end of the
    source's leads or sense leads through it to the board. None as uncertainty: not declared. ammeter_in_loop: the source's sense leads end
    beyond the meter. shunt_ohm, shunt_half_ohm: of the meter's current input, None where not declared; voltmeter_ohm: the least that its
    voltage input has, None where not declared.
    """

    lead_ohm: float = 0.0
    u_lead_ohm: float | None = 0.0
    meter_lead_ohm: float = 0.0
    u_meter_lead_ohm: float | None = 0.0
    ammeter_in_loop: bool = False
    shunt_ohm: float | None = None
    shunt_half_ohm: float = 0.0
    voltmeter_ohm: float | None = None


@dataclass(frozen=True, slots=True)
class AnalysisSetup:
    """SI units. time_constant_s with its standard uncertainty: source and cables into the board's decoupling. burst_bound_s: longest event.
    peak_a: the most that the board draws, None where the run did not store it. device_clock: limit of error of its counter (fraction),
    None where not declared.

    supply_min_v: the least that the board works at, None where the run did not store it.
    lead_ohm, u_lead_ohm: between sense point and board, of no account with remote sense; None as uncertainty: not declared.
    fixture_leakage_mean_a: flows past the board, subtracted; fixture_leakage_a: limit of what is left.
    trigger_latency_s: limit, None where unknown.
    rates_hz: of the plan. analyzer_shunt_ohm, analyzer_voltmeter_ohm: the most and the least that the inputs of the instrument that
    cross-checks have, None where not declared.
    source: of a meter beside it, None where the meter feeds the board itself.
    aims: figures that measuring goes on for, with the half-width that is wanted; empty: the plan's captures are all there are.
    ambient_c, ambient_half_width_k: of the room, None where the run did not store it.
    flags: what goes with each KPI (cold, overdue). widen: factor on the instruments' limits for such flags.
    """

    mains_hz: float
    marker_high_v: float
    time_constant_s: float
    u_time_constant_s: float
    burst_bound_s: float
    lead_ohm: float = 0.0
    u_lead_ohm: float | None = 0.0
    fixture_leakage_a: float = 0.0
    fixture_leakage_mean_a: float = 0.0
    trigger_latency_s: float | None = None
    peak_tau_s: tuple[float, ...] = (1e-3,)
    allow_gaps: bool = False
    flags: tuple[str, ...] = ()
    widen: float = 1.0
    detector: Detector = field(default_factory=Detector)
    battery: Battery | None = None
    harvester: Harvester | None = None
    seed: int = 1
    r_max_hz: float = 0.0
    rates_hz: tuple[float, ...] = ()
    analyzer_shunt_ohm: float | None = None
    analyzer_voltmeter_ohm: float | None = None
    source: SourceSetup | None = None
    peak_a: float | None = None
    device_clock: float | None = None
    supply_min_v: float | None = None
    ambient_c: float | None = None
    ambient_half_width_k: float = 0.0
    aims: tuple[Aim, ...] = ()
