"""A bench file as what `labd.bench` and `labd.analyse` take: tools to open, limits, lines, and the setup of the analysis."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

from labd.analyse.setup import AnalysisSetup, SourceSetup
from labd.bench.expand import Method, Wanted, Windows
from labd.bench.interlock import Limits
from labd.bench.rig import BoardFacts
from labd.bench.station import ToolSpec
from labd.bench_file.aim import rates_of
from labd.bench_file.bench import Bench
from labd.bench_file.board import Board
from labd.bench_file.plan import DetectorSection, Plan
from labd.bench_file.windows import WindowsSection
from labd.config.quantity import Uncertain
from labd.kpi.inputs import Battery, Detector, Harvester
from labd.store.folder import file_slug

STOCK_IDLE = "busy_poll"  # it waits for a command in a loop over its UART
SECONDS_A_YEAR = 365.25 * 86400


def tools(bench: Bench, resources: Mapping[str, str], record: Path | None = None) -> list[ToolSpec]:
    """resources: where the virtual instruments are, by name. record: a folder for what passes over their links."""
    return [
        ToolSpec(
            name=name,
            driver=section.driver,
            resource=section.resource or resources[name],
            roles=section.roles,
            options=section.options,
            declared=section.accuracy_rows(),
            remote_sense=section.sense != "2-wire",
            record=None if record is None else record / f"{file_slug(name)}.txt",
        )
        for name, section in bench.instruments.items()
    ]


def limits(bench: Bench) -> Limits:
    section = bench.limits
    return Limits(
        voltage_v=section.voltage,
        open_lead_v=section.open_lead_voltage,
        current_a=section.current,
        power_w=section.power,
        inrush_a=section.inrush,
        inrush_s=section.inrush_time,
        on_time_s=section.on_time,
        off_voltage_v=section.off_voltage,
        off_time_s=section.off_time,
        sinking_off=section.off_mode == "sinking",
        where=str(bench.path),
    )


def board_facts(bench: Bench) -> BoardFacts:
    return BoardFacts(
        longest_event_s=bench.board.longest_event,
        peak_a=bench.board.peak_current,
        sleep_a=bench.board.sleep_current,
        time_constant_s=time_constant(bench).value,
    )


def wanted(plan: Plan, board: Board) -> Wanted:
    return Wanted(
        modes=plan.modes,
        rates_hz=rates_hz(plan, board),
        supplies_v=plan.supply,
        models=plan.models,
        events=plan.captures.events,
        event_captures=plan.captures.event_captures,
        floor_time_s=plan.captures.floor_time,
        starts=plan.captures.starts,
        start_time_s=plan.captures.start_time,
        clocks_hz=plan.clocks,
        repeats=plan.repeats,
        seed=plan.seed,
        idle_kind=plan.idle_kind if board.firmware == "labd" else STOCK_IDLE,
        cross_check_time_s=plan.captures.cross_check_time,
        arrivals=plan.arrivals,
        windows=None if board.firmware == "labd" else _windows(plan),
        piece_s=plan.aim.piece if plan.aim is not None else 0.0,
    )


def rates_hz(plan: Plan, board: Board) -> tuple[float, ...]:
    """Ascending; chosen where the plan leaves that to its aim."""
    if plan.rates or plan.aim is None:
        return tuple(sorted(plan.rates))
    return rates_of(board.largest_rate_hz, plan.aim.piece)


def _windows(plan: Plan) -> Windows:
    section = plan.windows or WindowsSection()
    return Windows(section.count, section.length, tuple(sorted(section.inferences)), plan.captures.warm_up_inferences)


def board_input(board: Board, plan: Plan) -> tuple[bytes | None, str]:
    """What stock firmware is loaded with, and what a reader of the run is told of it; nothing for labd's own, which makes its input."""
    if board.firmware == "labd":
        return None, ""
    if plan.input is not None:
        found = hashlib.sha256(plan.input).hexdigest()
        return plan.input, f"input of every inference: {plan.windows and plan.windows.input}, {len(plan.input)} bytes, sha256 {found}"
    size = board.input_size or 0
    return bytes(size), f"input of every inference: {size} zero bytes; the plan names no file (windows.input)"


def method(bench: Bench, *, stream: bool, update_s: float) -> Method:
    return Method(stream=stream, meter=bench.meter, cross_check=bench.cross_check, update_s=update_s)


def time_constant(bench: Bench) -> Uncertain:
    """R*C of source, cables and supply filter into the board's decoupling, with the half-width both tolerances give."""
    parts = (bench.instruments[bench.source].source_resistance, bench.board.series_resistance)
    known = [part for part in parts if part is not None]
    resistance = Uncertain(sum(part.value for part in known), sum(part.half_width for part in known))
    capacitance = bench.board.decoupling
    tau = resistance.value * capacitance.value
    return Uncertain(tau, math.hypot(resistance.half_width * capacitance.value, resistance.value * capacitance.half_width))


def analysis_setup(bench: Bench, plan: Plan, flags: tuple[str, ...]) -> AnalysisSetup:
    """What the analysis needs of bench and plan. Cold or overdue instruments widen their limits by half and flag every KPI."""
    source = bench.instruments[bench.source]
    lead_ohm, u_lead_ohm = _both_ways(source.lead_resistance)
    tau = time_constant(bench)
    leakage = bench.fixture_leakage
    analyzer = None if bench.cross_check is None else bench.instruments[bench.cross_check]
    return AnalysisSetup(
        mains_hz=bench.mains,
        marker_high_v=max((line.level for line in bench.lines.values() if not line.into_board), default=bench.board.supply),
        time_constant_s=tau.value,
        u_time_constant_s=tau.u,
        burst_bound_s=bench.board.longest_event,
        peak_a=bench.board.peak_current,
        device_clock=bench.board.counter_limit,
        supply_min_v=bench.board.supply_min,
        lead_ohm=lead_ohm,
        u_lead_ohm=u_lead_ohm,
        fixture_leakage_mean_a=leakage.value if leakage else 0.0,
        fixture_leakage_a=leakage.half_width if leakage else 0.0,
        trigger_latency_s=bench.instruments[bench.meter].trigger_latency,
        peak_tau_s=plan.captures.peak_tau,
        allow_gaps=plan.allow_gaps,
        flags=flags,
        widen=1.5 if flags else 1.0,
        detector=_detector(plan.detector),
        battery=_battery(plan),
        harvester=_harvester(plan),
        seed=plan.seed,
        r_max_hz=bench.board.largest_rate_hz,
        rates_hz=rates_hz(plan, bench.board),
        aims=plan.aim.aims if plan.aim is not None else (),
        source=_source_setup(bench),
        analyzer_shunt_ohm=_most(None if analyzer is None else analyzer.shunt),
        analyzer_voltmeter_ohm=_least(None if analyzer is None else analyzer.voltmeter),
        ambient_c=bench.ambient.value,
        ambient_half_width_k=bench.ambient.half_width,
    )


def _source_setup(bench: Bench) -> SourceSetup | None:
    """Of a meter beside the source."""
    if bench.source == bench.meter:
        return None
    source, meter = bench.instruments[bench.source], bench.instruments[bench.meter]
    lead_ohm, u_lead_ohm = (0.0, 0.0) if source.sense == "4-wire" else _both_ways(source.lead_resistance)
    meter_lead_ohm, u_meter_lead_ohm = _both_ways(meter.lead_resistance)
    return SourceSetup(
        lead_ohm=lead_ohm,
        u_lead_ohm=u_lead_ohm,
        meter_lead_ohm=meter_lead_ohm,
        u_meter_lead_ohm=u_meter_lead_ohm,
        ammeter_in_loop=meter.ammeter == "inside_sense",
        shunt_ohm=None if meter.shunt is None else meter.shunt.value,
        shunt_half_ohm=0.0 if meter.shunt is None else meter.shunt.half_width,
        voltmeter_ohm=_least(meter.voltmeter),
    )


def _both_ways(each: Uncertain | None) -> tuple[float, float | None]:
    """Resistance of both leads with its standard uncertainty, None where nobody declared it."""
    return (0.0, None) if each is None else (2 * each.value, 2 * each.u)


def _most(declared: Uncertain | None) -> float | None:
    return None if declared is None else declared.value + declared.half_width


def _least(declared: Uncertain | None) -> float | None:
    return None if declared is None else declared.value - declared.half_width


def _detector(section: DetectorSection) -> Detector:
    if section.kind == "host-triggered" or section.power is None or section.false_wake_rate is None:
        return Detector()
    return Detector(
        kind=section.kind,
        power_w=section.power.value,
        power_half_width_w=section.power.half_width,
        false_wake_hz=section.false_wake_rate.value,
        false_wake_half_width_hz=section.false_wake_rate.half_width,
    )


def _battery(plan: Plan) -> Battery | None:
    section = plan.battery
    if section is None:
        return None
    return Battery(
        capacity_ah=section.capacity.value / 3600,
        voltage_v=section.voltage.value,
        usable=section.usable.value,
        usable_half_width=section.usable.half_width,
        self_discharge_per_year=section.self_discharge.value * SECONDS_A_YEAR,
        rates_hz=section.rates,
        capacity_half_width_ah=section.capacity.half_width / 3600,
        voltage_half_width_v=section.voltage.half_width,
        self_discharge_half_width_per_year=section.self_discharge.half_width * SECONDS_A_YEAR,
        internal_ohm=None if section.internal_resistance is None else section.internal_resistance.value,
        internal_half_width_ohm=0.0 if section.internal_resistance is None else section.internal_resistance.half_width,
    )


def _harvester(plan: Plan) -> Harvester | None:
    section = plan.harvester
    if section is None:
        return None
    return Harvester(
        power_w=section.power.value,
        power_half_width_w=section.power.half_width,
        efficiency=section.efficiency.value,
        efficiency_half_width=section.efficiency.half_width,
        high_v=section.buffer_high,
        low_v=section.buffer_low,
    )
