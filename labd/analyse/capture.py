"""From a stored capture to the analysis's input: samples, marks and what the instrument may be wrong by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from labd.analyse.setup import AnalysisSetup
from labd.analyse.temperature import at_temperature, flags
from labd.analyse.wiring import burden, leads, with_supply
from labd.errors import StoreError
from labd.kpi.inputs import CaptureInput, Lap, MeterTerms, RangeTerm, Stretch
from labd.records import Bracket, HostGates, InferWindow, MarkStyle, Role, SupplyReading
from labd.segment.bracketed import Burnt
from labd.segment.signature import Signature
from labd.store.jsonform import from_json
from labd.store.rows import CaptureRow
from labd.store.trace import Stretch as StoredStretch
from labd.store.trace import Trace
from labd_instruments.accuracy import AccuracyTable, LimitOfError
from labd_instruments.block import BlockFlag
from labd_instruments.contract import Acquisition, Reading

OVER_RANGE = 1.2  # as far as a Keithley DMM6500 reads beyond its range (datasheet p. 13); source-measure units end before
_OF_SAMPLES = frozenset(str(flag.name).lower() for flag in BlockFlag)  # told of each stretch already


def capture_input(
    row: CaptureRow, trace: Trace, instrument: Mapping[str, Any], setup: AnalysisSetup, *, instruments: Mapping[str, Any] | None = None
) -> CaptureInput:
    """instrument: what the run stored of the meter (name, accuracy); instruments: of all, by name. Raises StoreError when the capture lacks
    its acquisition."""
    taken = row.acquisition
    if "acquisition" not in taken:
        raise StoreError(f"capture {row.key} of run {row.run_id} has no acquisition: it never ended")
    acquisition = from_json(Acquisition, taken["acquisition"])
    accuracy = from_json(AccuracyTable, instrument["accuracy"])
    supply = None if taken.get("supply") is None else from_json(SupplyReading, taken["supply"])
    feeds = None if supply is None else from_json(AccuracyTable, (instruments or {})[supply.instrument]["accuracy"])
    terms = meter_terms(str(instrument["name"]), acquisition, accuracy, setup)
    nominal_v = row.point.supply_v if supply is None else supply.voltage_v
    windows = tuple(from_json(InferWindow, window) for window in taken.get("windows", ()))
    readings = [from_json(Reading, reading) for reading in taken.get("readings", ())]
    watts = [reading.power_w for reading in readings if reading.power_w is not None]
    return CaptureInput(
        key=row.key,
        point=row.point,
        role=row.role,
        stretches=tuple(_stretch(stretch, nominal_v) for stretch in trace.stretches),
        mark_style=MarkStyle(row.plan["marks"]) if all(w.counter_us is None for w in windows) else MarkStyle.TEXT,
        marker_high_v=setup.marker_high_v,
        expected_events=int(row.plan["events"]),
        laps=tuple(Lap(*lap) for lap in taken["laps"]),
        meter=with_supply(terms, acquisition, supply, table=feeds, set_v=row.point.supply_v, setup=setup),
        mains_hz=setup.mains_hz,
        seed=int(row.plan["seed"]),
        peak_tau_s=setup.peak_tau_s,
        allow_gaps=setup.allow_gaps,
        trigger_fires_dut=row.role is Role.EVENT and not windows,  # labd.bench.acquire makes no event capture another way
        burst_bound_s=setup.burst_bound_s,
        windows=windows,
        device_clock=setup.device_clock,
        supply_min_v=setup.supply_min_v,
        host_starts_s=tuple(float(one) for one in taken.get("host_starts_s", ())),
        host_gates=from_json(HostGates, gates) if (gates := taken.get("host_gates")) else None,
        read=bool(taken.get("steady", False)),
        peak_a=_peak_a(acquisition, setup),
        burnt=_burnt(taken),
        power_w=np.array(watts, np.float64) if watts and len(watts) == len(readings) else None,
        flags=tuple(flag for flag in row.flags if flag not in _OF_SAMPLES),
    )


def _burnt(taken: Mapping[str, Any]) -> Burnt | None:
    """Runs of before had no signatures."""
    if not taken.get("signatures"):
        return None
    pattern = from_json(Bracket, taken["bracket"])
    opens, closes = ((float(start), float(end)) for start, end in taken["signatures"])
    return Burnt(Signature(pattern.chip_us * 1e-6, pattern.order, pattern.seed), opens, closes)


def meter_terms(name: str, acquisition: Acquisition, accuracy: AccuracyTable, setup: AnalysisSetup) -> MeterTerms:
    """The limits of error that hold for this acquisition: its ranges, its aperture."""
    asked = acquisition.ranges_a if acquisition.seamless else (acquisition.current_range_a,)
    scales = [scale for scale in asked if scale is not None]
    current = [accuracy.limit("current", scale, acquisition.aperture_s) for scale in scales]
    scale_v = acquisition.voltage_range_v
    voltage = None if scale_v is None else accuracy.limit("voltage", scale_v, acquisition.aperture_s)
    held = at_temperature(voltage, setup)
    measured = "voltage" in acquisition.columns
    lead_ohm, u_lead_ohm = leads(acquisition, setup, measured=measured)
    burden_ohm, burden_half_ohm = burden(acquisition, accuracy, setup, measured=measured)
    power = None
    if "power" in acquisition.columns:
        power = at_temperature(accuracy.limit("power", (scale_v or 0.0) * max(scales, default=0.0), acquisition.aperture_s), setup)
    return MeterTerms(
        instrument=name,
        current=tuple(_range(scale, at_temperature(limit, setup)) for scale, limit in zip(scales, current, strict=True)),
        voltage_gain=held.gain if held else None,
        voltage_offset_v=held.offset if held else None,
        timebase=accuracy.timebase,
        lead_ohm=lead_ohm,
        u_lead_ohm=u_lead_ohm,
        fixture_leakage_mean_a=setup.fixture_leakage_mean_a,
        fixture_leakage_a=setup.fixture_leakage_a,
        time_constant_s=setup.time_constant_s,
        u_time_constant_s=setup.u_time_constant_s,
        trigger_latency_s=setup.trigger_latency_s,
        voltage_from="measured" if measured else "set",
        burden_ohm=burden_ohm,
        burden_half_ohm=burden_half_ohm,
        dead_s=_dead_s(acquisition),
        power_gain=power.gain if power else None,
        power_offset_w=power.offset if power else None,
        widen=setup.widen,
        flags=(*setup.flags, *flags([*current, voltage], setup)),
    )


def _peak_a(acquisition: Acquisition, setup: AnalysisSetup) -> float | None:
    """The most that flows within a reading: what the board draws, nor more than the range holds, without which there is no reading. A power
    analyzer's ranges are of root mean squares, which say nothing of peaks."""
    range_a = acquisition.current_range_a
    known = (setup.peak_a, None if range_a is None or "power" in acquisition.columns else OVER_RANGE * range_a)
    return min((peak_a for peak_a in known if peak_a is not None), default=None)


def _dead_s(acquisition: Acquisition) -> float:
    """What of each record lies outside of its aperture; less than a thousandth is rounding."""
    dt_s = acquisition.dt_ns * 1e-9
    dead_s = dt_s - acquisition.aperture_s
    return dead_s if dead_s > 1e-3 * dt_s else 0.0


def _range(scale: float, limit: LimitOfError | None) -> RangeTerm:
    return RangeTerm(scale, limit.gain if limit else None, limit.offset if limit else None)


def _stretch(stored: StoredStretch, nominal_v: float) -> Stretch:
    if stored.current is None:
        raise StoreError("a trace without a current column cannot be analysed")
    return Stretch(
        t0_s=stored.t0_ns * 1e-9,
        dt_s=stored.dt_ns * 1e-9,
        current=stored.current,
        voltage=None if stored.voltage is None or np.isnan(stored.voltage).all() else stored.voltage,
        nominal_v=nominal_v,
        marker=stored.marker,
        trigger_s=0.0 if stored.facts.trigger is not None else None,
        gap=BlockFlag.GAP_BEFORE in stored.flags,
        over_range=BlockFlag.OVER_RANGE in stored.flags,
        clipped=BlockFlag.CLIPPED in stored.flags,
    )
