"""From the stored readings of a power analyzer to the closure test's input."""

from __future__ import annotations

import math

import numpy as np

from labd.analyse.setup import AnalysisSetup
from labd.analyse.temperature import at_temperature, flags
from labd.errors import StoreError
from labd.kpi.inputs import AnalyzerReadings
from labd.store.jsonform import from_json
from labd.store.rows import CaptureRow, RunRow
from labd_instruments.accuracy import AccuracyTable
from labd_instruments.contract import Acquisition, Reading

NOT_DECLARED = "burden of the analyzer not declared"


def is_cross_check(run: RunRow, row: CaptureRow) -> bool:
    """Whether a capture was made by the instrument that confirms the meter."""
    instrument = run.instruments.get(str(row.plan.get("instrument", "")), {})
    return "cross_check" in instrument.get("roles", ())


def analyzer_readings(run: RunRow, row: CaptureRow, setup: AnalysisSetup) -> AnalyzerReadings:
    """Raises StoreError when the capture lacks its readings or their power."""
    instrument = run.instruments[str(row.plan["instrument"])]
    taken = row.acquisition
    if "acquisition" not in taken:
        raise StoreError(f"capture {row.key} of run {row.run_id} has no acquisition: it never ended")
    acquisition = from_json(Acquisition, taken["acquisition"])
    readings = [from_json(Reading, reading) for reading in taken["readings"]]
    power = [r.power_w for r in readings if r.power_w is not None]
    if not readings or len(power) != len(readings):
        raise StoreError(f"capture {row.key} of run {row.run_id} holds readings without power")
    full_scale = (acquisition.voltage_range_v or 0.0) * (acquisition.current_range_a or 0.0)
    given = from_json(AccuracyTable, instrument["accuracy"]).limit("power", full_scale, acquisition.aperture_s)
    limit = at_temperature(given, setup)
    burden_w = _burden(readings, setup)
    volt = float(np.mean([r.voltage_v for r in readings]))
    return AnalyzerReadings(
        key=row.key,
        instrument=str(instrument["name"]),
        point=row.point,
        power_w=np.array(power, np.float64),
        gain=limit.gain * setup.widen if limit else None,
        offset_w=limit.offset * setup.widen if limit else None,
        correction_w=volt * setup.fixture_leakage_mean_a,
        u_correction_w=math.hypot(burden_w or 0.0, volt * setup.fixture_leakage_a) / math.sqrt(3),
        flags=(*setup.flags, *flags([given], setup), *(() if burden_w is not None else (NOT_DECLARED,))),
    )


def _burden(readings: list[Reading], setup: AnalysisSetup) -> float | None:
    """What the analyzer itself may take, W: its shunt or its voltmeter lies on the board's side of its terminals, the wiring decides
    which. Budgeted as a limit (rectangular), not corrected. None where neither input is declared."""
    shunt, voltmeter = setup.analyzer_shunt_ohm, setup.analyzer_voltmeter_ohm
    if shunt is None and voltmeter is None:
        return None
    ampere = float(np.mean([r.current_a for r in readings]))
    volt = float(np.mean([r.voltage_v for r in readings]))
    return ampere**2 * (shunt or 0.0) + (volt**2 / voltmeter if voltmeter else 0.0)
