"""From a stored capture to the analysis's input: samples, marks and what the instrument may be wrong by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from labd.analyse.setup import AnalysisSetup
from labd.analyse.temperature import at_temperature, flags
from labd.errors import StoreError
from labd.kpi.inputs import CaptureInput, Lap, MeterTerms, RangeTerm, Stretch
from labd.records import MarkStyle, OperatingPoint, Role
from labd.store.jsonform import from_json
from labd.store.rows import CaptureRow
from labd.store.trace import Stretch as StoredStretch
from labd.store.trace import Trace
from labd_instruments.accuracy import AccuracyTable, LimitOfError
from labd_instruments.block import BlockFlag
from labd_instruments.contract import Acquisition

_OF_SAMPLES = frozenset(str(flag.name).lower() for flag in BlockFlag)  # told of each stretch already


def capture_input(row: CaptureRow, trace: Trace, instrument: Mapping[str, Any], setup: AnalysisSetup) -> CaptureInput:
    """instrument: what the run stored of the meter (name, accuracy). Raises StoreError when the capture lacks its acquisition."""
    taken = row.acquisition
    if "acquisition" not in taken:
        raise StoreError(f"capture {row.key} of run {row.run_id} has no acquisition: it never ended")
    acquisition = from_json(Acquisition, taken["acquisition"])
    accuracy = from_json(AccuracyTable, instrument["accuracy"])
    return CaptureInput(
        key=row.key,
        point=row.point,
        role=row.role,
        stretches=tuple(_stretch(stretch, row.point) for stretch in trace.stretches),
        mark_style=MarkStyle(row.plan["marks"]),
        marker_high_v=setup.marker_high_v,
        expected_events=int(row.plan["events"]),
        laps=tuple(Lap(*lap) for lap in taken["laps"]),
        meter=meter_terms(str(instrument["name"]), acquisition, accuracy, setup),
        mains_hz=setup.mains_hz,
        seed=int(row.plan["seed"]),
        peak_tau_s=setup.peak_tau_s,
        allow_gaps=setup.allow_gaps,
        trigger_fires_dut=row.role is Role.EVENT,  # labd.bench.acquire makes no event capture another way
        burst_bound_s=setup.burst_bound_s,
        flags=tuple(flag for flag in row.flags if flag not in _OF_SAMPLES),
    )


def meter_terms(name: str, acquisition: Acquisition, accuracy: AccuracyTable, setup: AnalysisSetup) -> MeterTerms:
    """The limits of error that hold for this acquisition: its ranges, its aperture."""
    asked = acquisition.ranges_a if acquisition.seamless else (acquisition.current_range_a,)
    scales = [scale for scale in asked if scale is not None]
    current = [accuracy.limit("current", scale, acquisition.aperture_s) for scale in scales]
    scale_v = acquisition.voltage_range_v
    voltage = None if scale_v is None else accuracy.limit("voltage", scale_v, acquisition.aperture_s)
    held = at_temperature(voltage, setup)
    return MeterTerms(
        instrument=name,
        current=tuple(_range(scale, at_temperature(limit, setup)) for scale, limit in zip(scales, current, strict=True)),
        voltage_gain=held.gain if held else None,
        voltage_offset_v=held.offset if held else None,
        timebase=accuracy.timebase,
        lead_ohm=0.0 if acquisition.remote_sense else setup.lead_ohm,
        u_lead_ohm=0.0 if acquisition.remote_sense else setup.u_lead_ohm,
        fixture_leakage_mean_a=setup.fixture_leakage_mean_a,
        fixture_leakage_a=setup.fixture_leakage_a,
        time_constant_s=setup.time_constant_s,
        u_time_constant_s=setup.u_time_constant_s,
        trigger_latency_s=setup.trigger_latency_s,
        voltage_from="measured" if "voltage" in acquisition.columns else "set",
        widen=setup.widen,
        flags=(*setup.flags, *flags([*current, voltage], setup)),
    )


def _range(scale: float, limit: LimitOfError | None) -> RangeTerm:
    return RangeTerm(scale, limit.gain if limit else None, limit.offset if limit else None)


def _stretch(stored: StoredStretch, point: OperatingPoint) -> Stretch:
    if stored.current is None:
        raise StoreError("a trace without a current column cannot be analysed")
    return Stretch(
        t0_s=stored.t0_ns * 1e-9,
        dt_s=stored.dt_ns * 1e-9,
        current=stored.current,
        voltage=None if stored.voltage is None or np.isnan(stored.voltage).all() else stored.voltage,
        nominal_v=point.supply_v,
        marker=stored.marker,
        trigger_s=0.0 if stored.facts.trigger is not None else None,
        gap=BlockFlag.GAP_BEFORE in stored.flags,
        over_range=BlockFlag.OVER_RANGE in stored.flags,
        clipped=BlockFlag.CLIPPED in stored.flags,
    )
