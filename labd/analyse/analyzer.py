"""From the stored readings of a power analyzer to the closure test's input."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from labd.analyse.setup import AnalysisSetup
from labd.analyse.temperature import at_temperature, flags
from labd.errors import StoreError
from labd.kpi.inputs import AnalyzerReadings
from labd.kpi.readings import mean_square
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
    """Without readings of power the closure has none either, and says so. Raises StoreError when the capture never ended."""
    instrument = run.instruments[str(row.plan["instrument"])]
    taken = row.acquisition
    if "acquisition" not in taken:
        raise StoreError(f"capture {row.key} of run {row.run_id} has no acquisition: it never ended")
    acquisition = from_json(Acquisition, taken["acquisition"])
    readings = [from_json(Reading, reading) for reading in taken["readings"]]
    readings = [reading for reading in readings if reading.power_w is not None]
    full_scale = (acquisition.voltage_range_v or 0.0) * (acquisition.current_range_a or 0.0)
    given = from_json(AccuracyTable, instrument["accuracy"]).limit("power", full_scale, acquisition.aperture_s)
    limit = at_temperature(given, setup)
    burden_w = _burden(readings, setup)
    volt = _mean([r.voltage_v for r in readings])
    return AnalyzerReadings(
        key=row.key,
        instrument=str(instrument["name"]),
        point=row.point,
        power_w=np.array([reading.power_w for reading in readings], np.float64),
        gain=limit.gain * setup.widen if limit else None,
        offset_w=limit.offset * setup.widen if limit else None,
        correction_w=volt * setup.fixture_leakage_mean_a,
        u_correction_w=None if burden_w is None else math.hypot(burden_w, volt * setup.fixture_leakage_a) / math.sqrt(3),
        flags=(*setup.flags, *flags([given], setup), *(() if _declared(setup) else (NOT_DECLARED,))),
    )


def _declared(setup: AnalysisSetup) -> bool:
    return setup.analyzer_shunt_ohm is not None or setup.analyzer_voltmeter_ohm is not None


def _burden(readings: list[Reading], setup: AnalysisSetup) -> float | None:
    """What the analyzer itself may take, W: its shunt or its voltmeter lies on the board's side of its terminals, the wiring decides
    which. Budgeted as a limit (rectangular), not corrected. None where neither input is declared, or the mean square is not known."""
    shunt, voltmeter = setup.analyzer_shunt_ohm, setup.analyzer_voltmeter_ohm
    if not _declared(setup):
        return None
    ampere, volt = np.array([r.current_a for r in readings]), _mean([r.voltage_v for r in readings])
    square = mean_square(_mean(ampere), _mean(ampere**2), setup.peak_a)
    if shunt and square.half_width is None:
        return None
    return square.most * (shunt or 0.0) + (volt**2 / voltmeter if voltmeter else 0.0)


def _mean(values: list[float] | NDArray[np.float64]) -> float:
    """0 of nothing: no figure comes of it."""
    return float(np.mean(values)) if len(values) else 0.0
